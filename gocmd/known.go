package gocmd

// verbs is a set of the verbs of the go command that this package knows.
type verbs uint8

const (
	build verbs = 1 << iota
	vet
	test

	none verbs = 0
	all        = build | vet | test
)

// newest is the last version of the go command whose sources were read for these
// tables; the others were go1.24, go1.25 and go1.26. For the next version, read the
// code that follows useCache (work/buildid.go, work/exec.go), the code that starts
// tools in test and vet, and the definitions of flags (work/build.go, test/testflag.go,
// vet/vetflag.go). Then let this package's tests run that version.
const newest = "go1.27"

// verbRow is a row of the table of verbs.
type verbRow struct {
	name  string
	verb  verbs
	with  string // the flag and the value that this row is for; "": any
	since string // the first version that reads only heads
	why   string // why that version does; if verb is none, why the verb is not known
}

func knownVerbs() []verbRow {
	return []verbRow{
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

// flag is a row of the table of flags.
type flag struct {
	names    string // without dashes, separated by spaces
	harmless verbs  // the verbs with which it does no harm
	valued   bool   // takes a value, after "=" or as the next argument
	passed   bool   // go test also takes it as -test.name
	lists    bool   // go list has it, too, and then compiles what the verb compiles
	why      string // why it does no harm; if harmless is none, which harm it may do
}

// knownFlags returns the table of flags. If several rows have the same flag, the first
// one that has the verb counts.
func knownFlags() []flag {
	const (
		compiles = "part of the action IDs of what it changes (a profile is an entry of its own, and no archive)"
		loads    = "matters while packages are loaded, which ends before the first get of an archive"
		tests    = "for the test binary, which is linked only after a get, also where its result may not be cached"
	)
	return []flag{
		{names: "asan msan race trimpath", harmless: all, lists: true, why: compiles},
		{names: "asmflags gcflags ldflags pgo", harmless: all, valued: true, lists: true, why: compiles},
		{names: "buildvcs modcacherw", harmless: all, lists: true, why: loads},
		{names: "mod modfile overlay tags", harmless: all, valued: true, lists: true, why: loads},
		{names: "p", harmless: all, valued: true, lists: true, why: "how many actions at once; each still has its get"},
		{names: "x", harmless: all, why: "prints the paths of archives but opens none"},
		{names: "v", harmless: build | vet, why: "prints the names of packages"},
		{names: "json", harmless: all, why: "how output is printed"},

		{names: "benchmem failfast fullpath short v", harmless: test, passed: true, why: tests},
		{names: "bench benchtime count cpu list parallel run shuffle skip timeout", harmless: test, valued: true, passed: true, why: tests},
		{names: "vet", harmless: test, valued: true, why: "part of the keys of what vet finds; off has a row of its own above"},
		{names: "c", harmless: vet, valued: true, why: "how many lines of source are printed"},

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
