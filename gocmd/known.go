package gocmd

// verbs is a set of verbs, as in go build, that the tables know.
type verbs uint8

const (
	build verbs = 1 << iota
	vet
	test

	none verbs = 0
	all        = build | vet | test
)

// newest is the newest version of the go command whose sources were read for these
// tables; the others are go1.24, go1.25 and go1.26. To add a version, read what
// follows useCache (work/buildid.go, work/exec.go), what starts tools in test and
// vet, and where flags are defined (work/build.go, test/testflag.go,
// vet/vetflag.go). Then run this package's tests with it.
const newest = "go1.27"

// knownVerb is a row of the table of verbs.
type knownVerb struct {
	name  string
	verb  verbs  // none if the verb may read whole archives
	with  string // the setting of a flag that this row is for; "" for any
	since string // the first version that reads only heads
	why   string // why it reads only heads, or, if verb is none, what prevents it
}

func knownVerbs() []knownVerb {
	return []knownVerb{
		{name: "build", verb: build, since: "go1.24.0",
			why: "compiles a package or links a program only after a get of just that"},
		{name: "vet", verb: vet, since: "go1.26.0",
			why: "starts vet only after a get of what it finds; earlier, none came for the packages it was given"},
		{name: "test", verb: test, with: "vet=off", since: "go1.24.0",
			why: "compiles and links as build does"},
		{name: "test", verb: test, since: "go1.26.0",
			why: "compiles and links as build does, and vets as vet does"},

		{name: "list", why: "who reads its output opens archives, maybe much later"},
		{name: "install", why: "may copy archives to where they are installed"},
		{name: "run", why: "links a program each time"},
	}
}

// knownFlag is a row of the table of flags.
type knownFlag struct {
	names  string // without dashes, separated by spaces
	verbs  verbs  // the verbs with which it does no harm
	valued bool   // it takes a value, after "=" or as the next argument
	passed bool   // go test also takes it as -test.name
	lists  bool   // go list has it, too, and with it compiles what verbs compile
	why    string // why it does no harm, or, if verbs is none, what harm it may do
}

// knownFlags returns the table of flags. If several rows have a flag's name, the
// first one that has the verb counts.
func knownFlags() []knownFlag {
	const (
		compiles = "part of the action IDs of what it changes (a profile is an entry of its own, and no archive)"
		loads    = "matters while packages are loaded, which ends before the first get of an archive"
		tests    = "for the test binary, which is linked only after a get, also where its result may not be cached"
	)
	return []knownFlag{
		{names: "asan msan race trimpath", verbs: all, lists: true, why: compiles},
		{names: "asmflags gcflags ldflags pgo", verbs: all, valued: true, lists: true, why: compiles},
		{names: "buildvcs modcacherw", verbs: all, lists: true, why: loads},
		{names: "mod modfile overlay tags", verbs: all, valued: true, lists: true, why: loads},
		{names: "p", verbs: all, valued: true, lists: true, why: "how many actions at once; each still has its get"},
		{names: "x", verbs: all, why: "prints the paths of archives but opens none"},
		{names: "v", verbs: build | vet, why: "prints the names of packages"},
		{names: "json", verbs: all, why: "how output is printed"},

		{names: "benchmem failfast fullpath short v", verbs: test, passed: true, why: tests},
		{names: "bench benchtime count cpu list parallel run shuffle skip timeout", verbs: test, valued: true, passed: true, why: tests},
		{names: "vet", verbs: test, valued: true, why: "part of the keys of what vet finds; off has a line of its own above"},
		{names: "c", verbs: vet, valued: true, why: "how many lines of source are printed"},

		{names: "C", why: "is the first flag or an error"},
		{names: "a", why: "compiles without a get"},
		{names: "artifacts outputdir trace", why: "files of tests have not been looked into"},
		{names: "blockprofile cpuprofile memprofile mutexprofile", why: "keeps the test binary"},
		{names: "buildmode", why: "may copy archives"},
		{names: "c", why: "keeps the test binary"},
		{names: "compiler gccgoflags", why: "another compiler's archives have other heads"},
		{names: "cover covermode coverpkg coverprofile", why: "runs tools on coverage data without a get"},
		{names: "diff fix", why: "fixes have not been looked into"},
		{names: "exec", why: "runs a program that is not known"},
		{names: "fuzz fuzzminimizetime fuzztime", why: "fuzzing has not been looked into"},
		{names: "installsuffix pkgdir", why: "archives may be elsewhere"},
		{names: "linkshared", why: "reads libraries and their lists of packages"},
		{names: "n", why: "prints commands for later that read archives"},
		{names: "o", why: "may copy an archive"},
		{names: "toolexec vettool", why: "runs a program that is not known"},
		{names: "work", why: "leaves the paths of archives behind"},
	}
}
