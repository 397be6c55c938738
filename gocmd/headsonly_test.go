package gocmd_test

import (
	"flag"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/gocmd"
)

// command returns the command that is typed. It splits typed at spaces. A pair of '
// stands around an argument that is empty or has spaces.
func command(typed, goflags, version string) gocmd.Command {
	var args []string
	for i, part := range strings.Split(typed, "'") {
		if i%2 == 1 {
			args = append(args, part)
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	return gocmd.Command{Args: args, Flags: goflags, Version: version}
}

func TestHeadsOnly(t *testing.T) {
	const newer = "go1.26.8"
	for _, tt := range []struct {
		typed, goflags, version string
		want                    string // in the error; "" for none
	}{
		// Verbs and versions.
		{"build ./...", "", newer, ""},
		{"build", "", newer, ""},
		{"vet ./...", "", newer, ""},
		{"test ./...", "", newer, ""},
		{"test", "", newer, ""},
		{"build ./...", "", "go1.24.0", ""},
		{"build ./...", "", "go1.24.13", ""},
		{"build ./...", "", "go1.25.8", ""},
		{"build ./...", "", "go1.27.2", ""},
		{"vet ./...", "", "go1.27.0", ""},
		{"test ./...", "", "go1.27.2", ""},
		{"test -vet=off ./...", "", "go1.24.13", ""},
		{"test ./... -vet off", "", "go1.25.8", ""},
		{"test ./...", "-vet=off", "go1.25.8", ""},
		{"test -vet=all ./...", "-vet=off", "go1.25.8", "go test of go1.25.8: known since go1.26.0"},
		{"test -vet=off -vet=atomic ./...", "", "go1.24.13", "go test of go1.24.13: known since go1.26.0"},
		{"test -vet= ./...", "", "go1.24.13", "go test of go1.24.13: known since go1.26.0"},
		{"test ./...", "", "go1.25.8", "go test of go1.25.8: known since go1.26.0, which compiles and links as build does, and vets"},
		{"vet ./...", "", "go1.24.13", "go vet of go1.24.13: known since go1.26.0, which starts vet only after a get"},
		{"build ./...", "", "go1.23.12", "go build of go1.23.12: known since go1.24.0"},
		{"build ./...", "", "go1.24rc1", "go build of go1.24rc1: known since go1.24.0"},
		{"build ./...", "", "go1.28.0", "go1.28.0 is not known yet, go1.27 is the newest"},
		{"build ./...", "", "go1.28rc1", "go1.28rc1 is not known yet"},
		{"build ./...", "", "go2.0.1", "go2.0.1 is not known yet"},
		{"build ./...", "", "devel go1.28-3f2b9a1c Sun Nov 22 2026", "is no release"},
		{"build ./...", "", "go1.28-devel_3f2b9a1c", "is no release"},
		{"build ./...", "", "go1.26.8-bigcorp", `go version "go1.26.8-bigcorp" is no release`},
		{"build ./...", "", "go1.26.8 X:nodwarf5", "is no release"},
		{"build ./...", "", "", `go version "" is no release`},
		{"list -export -deps ./...", "", newer, "go list: who reads its output opens archives"},
		{"install ./...", "", newer, "go install: may copy archives"},
		{"run .", "", newer, "go run: links a program each time"},
		{"fix ./...", "", newer, "go fix: not known"},
		{"tool vet", "", newer, "go tool: not known"},
		{"generate ./...", "", newer, "go generate: not known"},
		{"get ./...", "", newer, "go get: not known"},
		{"mod tidy", "", newer, "go mod: not known"},
		{"bui ./...", "", newer, "go bui: not known"},
		{"-x build ./...", "", newer, "go -x: not known"},
		{"-- build ./...", "", newer, "go --: not known"},
		{"", "", newer, "go without a verb"},

		// -C.
		{"-C dir build ./...", "", newer, ""},
		{"--C dir build ./...", "", newer, ""},
		{"-C=dir build ./...", "", newer, ""},
		{"build -C dir ./...", "", newer, ""},
		{"build --C=dir ./...", "", newer, ""},
		{"test -C dir -v ./...", "", newer, ""},
		{"vet -C -o .", "", newer, ""}, // a folder called -o
		{"-C dir", "", newer, "go without a verb"},
		{"-C", "", newer, "go -C: not known"},
		{"build -C", "", newer, "go build -C: is the first flag or an error"},
		{"build -v -C dir", "", newer, "go build -C: is the first flag or an error"},
		{"-C dir build -C dir", "", newer, "go build -C: is the first flag or an error"},
		{"-C dir -v build", "", newer, "go -v: not known"},
		{"build ./...", "-C=dir", newer, "GOFLAGS: -C: is the first flag or an error"},

		// Flags that do no harm, in all their forms.
		{"build -v -x -race -trimpath ./...", "", newer, ""},
		{"build --race=false -msan -asan=1 ./...", "", newer, ""},
		{"build -p 4 --p=4 -tags a,b -mod=vendor -mod mod ./...", "", newer, ""},
		{"build -ldflags '-s -w' -gcflags=all=-N -asmflags '' ./...", "", newer, ""},
		{"build -modfile x.mod -modcacherw -overlay=o.json ./...", "", newer, ""},
		{"build -pgo=auto -buildvcs=false -json ./...", "", newer, ""},
		{"build -buildvcs ./...", "", newer, ""},
		{"vet -json -c 3 -tags=x -race ./...", "", newer, ""},
		{"test -race -json -v -run TestX -skip=Y -count=1 ./...", "", newer, ""},
		{"test -timeout 5m -short -parallel 2 -failfast -fullpath ./...", "", newer, ""},
		{"test -bench . -benchtime=1x -benchmem -cpu 1,2 -shuffle on -list . ./...", "", newer, ""},
		{"test -test.run X -test.v -test.timeout=1m ./...", "", newer, ""},
		{"test ./... -run X -v", "", newer, ""},
		{"test ./a ./b -v ./c -cover", "", newer, ""}, // the last two are the test's
		{"test ./... -args -cover -exec x", "", newer, ""},
		{"test ./... -- -cover", "", newer, ""},
		{"test -run '' ./...", "", newer, ""},

		// Where flags end.
		{"build x.go y.go", "", newer, ""},
		{"build -- -o", "", newer, ""},
		{"build ./... -o x", "", newer, ""}, // the go command takes -o for a package
		{"build - -o x", "", newer, ""},
		{"vet ./... -vettool=x", "", newer, ""},
		{"build -tags -o ./...", "", newer, ""}, // a tag called -o
		{"build -race -o x ./...", "", newer, "go build -o: may copy an archive"},
		{"build -race true -o x", "", newer, ""}, // true is a package
		{"test ./... -o x", "", newer, "go test -o: may copy an archive"},
		{"build -ldflags", "", newer, "go build -ldflags has no value"},
		{"test -run", "", newer, "go test -run has no value"},
		{"build ---x", "", newer, "go build --x: not known here"},
		{"build -=x", "", newer, "go build -: not known here"},
		{"build --=x", "", newer, "go build -: not known here"},

		// Flags that may do harm.
		{"build -o x ./...", "", newer, "go build -o: may copy an archive"},
		{"build -o=x ./...", "", newer, "go build -o: may copy an archive"},
		{"build --o x ./...", "", newer, "go build -o: may copy an archive"},
		{"build -a ./...", "", newer, "go build -a: compiles without a get"},
		{"build -a=false ./...", "", newer, "go build -a: compiles without a get"},
		{"build -n ./...", "", newer, "go build -n: prints commands"},
		{"build -work ./...", "", newer, "go build -work: leaves the paths"},
		{"build -buildmode=pie ./...", "", newer, "go build -buildmode: may copy archives"},
		{"build -toolexec time ./...", "", newer, "go build -toolexec: runs a program"},
		{"build -linkshared ./...", "", newer, "go build -linkshared: reads libraries"},
		{"build -pkgdir d ./...", "", newer, "go build -pkgdir: archives may be elsewhere"},
		{"build -installsuffix s ./...", "", newer, "go build -installsuffix: archives may be elsewhere"},
		{"build -compiler gccgo ./...", "", newer, "go build -compiler: another compiler's archives"},
		{"build -gccgoflags x ./...", "", newer, "go build -gccgoflags: another compiler's archives"},
		{"build -cover ./...", "", newer, "go build -cover: runs tools on coverage data"},
		{"build -i ./...", "", newer, "go build -i: not known here"},
		{"build -debug-actiongraph=x ./...", "", newer, "go build -debug-actiongraph: not known here"},
		{"build -run X ./...", "", newer, "go build -run: not known here"},
		{"build -h", "", newer, "go build -h: not known here"},
		{"vet -vettool=x ./...", "", newer, "go vet -vettool: runs a program"},
		{"vet -fix ./...", "", newer, "go vet -fix: fixes have not been looked into"},
		{"vet -diff ./...", "", newer, "go vet -diff: fixes have not been looked into"},
		{"vet -copylocks=false ./...", "", newer, "go vet -copylocks: not known here"},
		{"vet -n ./...", "", newer, "go vet -n: prints commands"},
		{"vet -test.v ./...", "", newer, "go vet -test.v: not known here"},
		{"test -c ./...", "", newer, "go test -c: keeps the test binary"},
		{"test -exec x ./...", "", newer, "go test -exec: runs a program"},
		{"test -cover ./...", "", newer, "go test -cover: runs tools on coverage data"},
		{"test ./... -coverprofile c.out", "", newer, "go test -coverprofile: runs tools on coverage data"},
		{"test -test.coverprofile c.out ./...", "", newer, "go test -test.coverprofile: runs tools"},
		{"test -coverpkg=./... ./...", "", newer, "go test -coverpkg: runs tools on coverage data"},
		{"test -fuzz . ./x", "", newer, "go test -fuzz: fuzzing has not been looked into"},
		{"test -fuzztime 1s ./x", "", newer, "go test -fuzztime: fuzzing has not been looked into"},
		{"test -cpuprofile p ./x", "", newer, "go test -cpuprofile: keeps the test binary"},
		{"test -trace t ./x", "", newer, "go test -trace: files of tests"},
		{"test -outputdir d ./x", "", newer, "go test -outputdir: files of tests"},
		{"test -artifacts ./x", "", newer, "go test -artifacts: files of tests"},
		{"test ./... -update", "", newer, "go test -update: not known here"},
		{"test -test.p 1 ./...", "", newer, "go test -test.p: not known here"},
		{"test -test.vet=off ./...", "", newer, "go test -test.vet: not known here"},
		{"test -args=x ./...", "", newer, "go test -args: not known here"},

		// GOFLAGS.
		{"build ./...", "-trimpath -tags=a,b --mod=vendor -v", newer, ""},
		{"vet ./...", " \t-race\n-ldflags=-w ", newer, ""},
		{"test ./...", "-count=1 -test.short -timeout=1m", newer, ""},
		{"build ./...", "-toolexec=time", newer, "GOFLAGS: -toolexec: runs a program"},
		{"build ./...", "-v -o=x", newer, "GOFLAGS: -o: may copy an archive"},
		{"test ./...", "-cover", newer, "GOFLAGS: -cover: runs tools on coverage data"},
		{"vet ./...", "-a", newer, "GOFLAGS: -a: compiles without a get"},
		{"build ./...", "-count=1", newer, "GOFLAGS: -count: not known here"},
		{"build ./...", "'-ldflags=-s -w'", newer, "GOFLAGS: quotes are not read"},
		{"build ./...", `-tags="a"`, newer, "GOFLAGS: quotes are not read"},
		{"build ./...", "-tags a", newer, "GOFLAGS: -tags has no value"},
		{"build ./...", "-v x", newer, `GOFLAGS: "x" is not a flag`},
		{"build ./...", "-v --", newer, `GOFLAGS: "--" is not a flag`},
	} {
		name := strings.Join([]string{tt.goflags, tt.version, tt.typed}, "/")
		t.Run(name, func(t *testing.T) {
			err := command(tt.typed, tt.goflags, tt.version).HeadsOnly()
			if got := errorText(err); got != tt.want && (tt.want == "" || !strings.Contains(got, tt.want)) {
				t.Errorf("go %s: %q, want %q", tt.typed, got, tt.want)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestRebuild(t *testing.T) {
	for _, tt := range []struct{ typed, goflags, want string }{
		{"build", "", "list -export -deps -e --"},
		{"build ./... x", "", "list -export -deps -e -- ./... x"},
		{"build -x -v -json -p 2 --race -tags a -ldflags=-w x.go", "", "list -export -deps -e -p=2 -race=true -tags=a -ldflags=-w -- x.go"},
		{"build -C dir .", "-trimpath", "list -export -deps -e -- ."},
		{"build -buildvcs=false -- -x", "", "list -export -deps -e -buildvcs=false -- -x"},
		{"vet -json -c 2 -mod=mod ./...", "", "list -export -deps -e -test -mod=mod -buildvcs=false -- ./..."},
		{"test -run X ./a ./b -race -v ./c", "", "test -vet=off -count=1 -run=^$ -exec=true -race=true ./a ./b"},
		{"test -buildvcs", "", "test -vet=off -count=1 -run=^$ -exec=true -buildvcs=true"},
		{"test -buildvcs=auto", "", "test -vet=off -count=1 -run=^$ -exec=true -buildvcs=auto"},
		{"vet", "-buildvcs=true", "list -export -deps -e -test -buildvcs=true --"},
		{"test", "-buildvcs=true", "test -vet=off -count=1 -run=^$ -exec=true"},
		{"list ./...", "", ""},
		{"build -o x .", "", ""},
	} {
		t.Run(tt.typed, func(t *testing.T) {
			args, err := command(tt.typed, tt.goflags, "go1.26.8").Rebuild()
			if got := strings.Join(args, " "); got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("go %s, %v; want go %s", got, err, tt.want)
			}
		})
	}
}

func TestIDTellsCommandLinesApart(t *testing.T) {
	commands := []gocmd.Command{
		{Args: []string{"build", "a", "b"}},
		{Args: []string{"build", "a b"}},
		{Args: []string{"build", "a"}, Flags: "b"},
		{Args: []string{"build", "a", ""}},
		{Args: []string{"build", `a" "b`}},
		{Args: []string{"test", "a", "b"}},
	}
	for i, c := range commands {
		for _, other := range commands[i+1:] {
			if c.ID() == other.ID() {
				t.Errorf("%q %q and %q %q have one ID", c.Args, c.Flags, other.Args, other.Flags)
			}
		}
		elsewhere := c
		elsewhere.Dir, elsewhere.Exe, elsewhere.Version = "/elsewhere", "/bin/go", "go1.27.2"
		if c.ID() != elsewhere.ID() {
			t.Errorf("%q %q has another ID elsewhere", c.Args, c.Flags)
		}
	}
}

func TestLinks(t *testing.T) {
	for typed, want := range map[string]bool{
		"build ./...": true, "-C dir build x.go": true,
		"test ./...": false, "vet ./...": false, "list ./...": false, "build -o x .": false, "": false,
	} {
		if got := command(typed, "", "go1.26.8").Links(); got != want {
			t.Errorf("go %s links: %t, want %t", typed, got, want)
		}
	}
}

// FuzzHeadsOnly compares how Rebuild reads a go build with how the flag package does.
// The go command uses the flag package.
func FuzzHeadsOnly(f *testing.F) {
	f.Add("build -o x ./...", "-v")
	f.Add("build -race -tags -o -ldflags='-s -w' -- -x", "-tags=a")
	f.Add("-C d test -run X ./... -args -cover", "-tags=a -vet=off")
	f.Add("vet -c 3 x.go", "-json")
	f.Fuzz(func(t *testing.T, typed, goflags string) {
		c := command(typed, goflags, "go1.26.8")
		rebuild, err := c.Rebuild()
		if errorText(err) != errorText(c.HeadsOnly()) {
			t.Fatalf("rebuild: %v; heads only: %v", err, c.HeadsOnly())
		}
		if err != nil || c.Args[0] != "build" || slices.ContainsFunc(c.Args, func(arg string) bool { return strings.HasPrefix(arg, "-C") || strings.HasPrefix(arg, "--C") }) {
			return
		}
		flags := flag.NewFlagSet("build", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		for _, name := range strings.Fields("a asan buildvcs cover json linkshared modcacherw msan n race trimpath v work x") {
			flags.Bool(name, false, "")
		}
		for _, name := range strings.Fields("asmflags buildmode compiler covermode coverpkg gccgoflags gcflags installsuffix ldflags mod modfile o overlay p pgo pkgdir tags toolexec") {
			flags.String(name, "", "")
		}
		if err := flags.Parse(c.Args[1:]); err != nil {
			if !strings.Contains(err.Error(), "invalid boolean value") {
				t.Fatal(err)
			}
			return
		}
		flags.Visit(func(f *flag.Flag) {
			if slices.Contains(strings.Fields("a buildmode compiler cover covermode coverpkg gccgoflags installsuffix linkshared n o pkgdir toolexec work"), f.Name) {
				t.Errorf("-%s was not seen", f.Name)
			}
		})
		if got := rebuild[slices.Index(rebuild, "--")+1:]; !slices.Equal(got, flags.Args()) {
			t.Errorf("packages %q, the flag package has %q", got, flags.Args())
		}
	})
}
