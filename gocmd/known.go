package gocmd

// verbs is a set of those go commands that are known.
type verbs uint8

const (
	build verbs = 1 << iota
	vet
	test

	nowhere verbs = 0
	all           = build | vet | test
)

// newest is the last version of the go command whose sources were read for these
// tables; the others were go1.24, go1.25 and go1.26. For the next one read what
// follows useCache (work/buildid.go, work/exec.go), what starts tools in test
// and vet, and where flags are defined (work/build.go, test/testflag.go,
// vet/vetflag.go); then let this package's tests run it.
const newest = "go1.27"

// verb is a line of the table of verbs.
type verb struct {
	name  string
	is    verbs
	with  string // a flag and its value that this line is for
	since string // the first version that reads heads only
	why   string // it does, or, where is is nowhere, why it is not known
}

func knownVerbs() []verb {
	return []verb{
		{name: "build", is: build, since: "go1.24.0",
			why: "compiles a package or links a program only after a get of just that"},
		{name: "vet", is: vet, since: "go1.26.0",
			why: "starts vet only after a get of what it finds; earlier, none came for the packages it was given"},
		{name: "test", is: test, with: "vet=off", since: "go1.24.0",
			why: "compiles and links as build does"},
		{name: "test", is: test, since: "go1.26.0",
			why: "compiles and links as build does, and vets as vet does"},

		{name: "list", why: "who reads its output opens archives, maybe much later"},
		{name: "install", why: "may copy archives to where they are installed"},
		{name: "run", why: "links a program each time"},
	}
}

// flag is a line of the table of flags.
type flag struct {
	names  string // without dashes, separated by spaces
	of     verbs  // with which it does no harm
	valued bool   // takes a value, behind "=" or as the next argument
	passed bool   // go test takes it as -test.name, too
	lists  bool   // go list has it, and compiles with it what of compiles
	why    string // it does no harm, or, where of is nowhere, which it might
}

// knownFlags returns the lines; of those with a flag's name the first that has
// its verb counts.
func knownFlags() []flag {
	const (
		compiles = "part of the action IDs of what it changes (a profile is an entry of its own, and no archive)"
		loads    = "matters while packages are loaded, which ends before the first get of an archive"
		tests    = "for the test binary, which is linked only after a get, also where its result may not be cached"
	)
	return []flag{
		{names: "asan msan race trimpath", of: all, lists: true, why: compiles},
		{names: "asmflags gcflags ldflags pgo", of: all, valued: true, lists: true, why: compiles},
		{names: "buildvcs modcacherw", of: all, lists: true, why: loads},
		{names: "mod modfile overlay tags", of: all, valued: true, lists: true, why: loads},
		{names: "p", of: all, valued: true, lists: true, why: "how many actions at once; each still has its get"},
		{names: "x", of: all, why: "prints the paths of archives but opens none"},
		{names: "v", of: build | vet, why: "prints the names of packages"},
		{names: "json", of: all, why: "how output is printed"},

		{names: "benchmem failfast fullpath short v", of: test, passed: true, why: tests},
		{names: "bench benchtime count cpu list parallel run shuffle skip timeout", of: test, valued: true, passed: true, why: tests},
		{names: "vet", of: test, valued: true, why: "part of the keys of what vet finds; off has a line of its own above"},
		{names: "c", of: vet, valued: true, why: "how many lines of source are printed"},

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
