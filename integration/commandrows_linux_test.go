package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// row is a command line that is run in the bakery.
type row struct {
	line  string // variables, then words; quotes ' hold words together
	after edit   // what was changed since the remote was filled
	bytes bytesOf
	short bool // is run with other go commands, too
	usual bool // is run although whole is not set: no usual row shows the same

	// moves says that the go command takes an archive out of the helper's
	// hands: what does not lie in its own GOCACHE it renames to the output.
	moves bool
}

func (r row) name() string {
	if r.after.name != "" {
		return r.line + " after " + r.after.name
	}
	return r.line
}

var word = regexp.MustCompile(`(?:'[^']*'|[^\s'])+`)

// words returns the variables of r's line, and the other words.
func (r row) words(b *bakery) (env, args []string) {
	names := strings.NewReplacer("'", "", "$HERE", b.work, "$TEMP", b.temp, "$TOOLS", b.tools)
	for _, w := range word.FindAllString(r.line, -1) {
		w = names.Replace(w)
		if len(args) == 0 && strings.Contains(w, "=") {
			env = append(env, w)
		} else {
			args = append(args, w)
		}
	}
	return env, args
}

// table is a number of rows, and what fills the remote for them: commands that
// look up whatever the rows do, where nothing was changed. The usual rows need only
// fill.
type table struct {
	fill, more []string
	rows       []row
}

// tried returns the part of the table that is run: all of it if whole is set.
func (tb table) tried() table {
	if whole {
		return table{fill: slices.Concat(tb.fill, tb.more), rows: tb.rows}
	}
	return table{fill: tb.fill, rows: slices.DeleteFunc(tb.rows, func(r row) bool { return !r.usual })}
}

const (
	export  = "go list -export -deps -test -f '{{.ImportPath}} {{.BuildID}} {{.Export}}' ./..."
	vettool = "go vet -vettool=$TOOLS/vettool ./bread/..."
)

// commands is the table of commands for which the standard library is compiled
// as it mostly is. Packages below bread import nothing of it, and go build
// ./bread/... links nothing.
func commands() table {
	return table{fill: []string{
		"go build ./...",
		"go test ./...",
		"go vet ./...",
		export,
		"go test -json -short ./sign",
		"go test -cover -coverpkg=./... ./bread/dough ./sign",
		vettool,
		"go build bread/town/town.go",
		"go build -pgo=off -o plain ./cmd/plain",
		"go build -tags=burnt ./...",
		"go build -p 1 -gcflags='all=-l -m' ./bread/...",
		"GOFLAGS=-trimpath go build ./bread/...",
		"GOOS=windows CGO_ENABLED=0 go build ./bread/...",
		"go run ./cmd/errand version",
	}, more: []string{
		"go test -v ./bread/... ./oven",
		"go test -run=none -vet=off ./bread/...",
		"go test -coverprofile=cover.out -p 1 ./bread/...",
		"go vet -json ./bread/... ./sign",
		"go vet -p 1 -tags=burnt ./...",
		"go build -asan ./bread/...",
		"go build -gcflags=-N ./bread/...",
		"go build -asmflags=-S -p 1 ./bread/yeast",
		"go build -ldflags='-s -w -X main.name=rye' -o baker ./cmd/baker",
		"CGO_CFLAGS=-O1 go build -o hot ./cmd/hot",
	}, rows: []row{
		// What is built, and where to.
		{line: "go build ./...", short: true, usual: true},
		{line: "go build ./bread/...", bytes: lazily, short: true, usual: true},
		{line: "go build ./bread/town ./sign", bytes: lazily},
		{line: "go build -mod=readonly -modcacherw ./bread/...", bytes: lazily},
		{line: "go build bread/town/town.go", usual: true},
		{line: "go build ./cmd/baker"},
		{line: "go build -o out/baker ./cmd/baker", short: true},
		{line: "go build -o out/ ./cmd/... ./bread/...", usual: true},
		{line: "go build -o . ./cmd/plain"},
		{line: "go build -o /dev/null ./bread/town"},
		{line: "go build -o town.a ./bread/town", bytes: eagerly, short: true, moves: true, usual: true},
		{line: "go build --o=town.a ./bread/town", bytes: eagerly, moves: true},
		{line: "go build -C bread/town -o town.a", bytes: eagerly, moves: true},
		{line: "go build -C=bread/town -v -o ../../town.a .", bytes: eagerly, moves: true, usual: true},
		{line: "go build -o oven.a ./oven", bytes: eagerly, moves: true},
		{line: "go build -buildmode=archive -o town.a ./bread/town", bytes: eagerly, short: true, moves: true},
		{line: "go build -buildmode=archive ./bread/town ./cmd/plain", bytes: eagerly, usual: true},
		{line: "go build -buildmode=exe -o plain ./cmd/plain"},
		{line: "go build -buildmode=nonsense ./bread/...", usual: true},
		{line: "go install ./bread/..."},
		{line: "GOBIN=$HERE/bin go install ./cmd/plain ./cmd/hot", usual: true},

		// How it is compiled and linked.
		{line: "go build -pgo=off -o plain ./cmd/plain", usual: true},
		{line: "go build -pgo=cmd/plain/default.pgo ./bread/..."},
		{line: "go build -msan -p 1 ./bread/unit"},
		{line: "go build -asan ./bread/..."},
		{line: "go build -gcflags=-N ./bread/..."},
		{line: "go build -p 1 -gcflags='all=-l -m' ./bread/...", usual: true},
		{line: "go build -asmflags=-S -p 1 ./bread/yeast"},
		{line: "go build -ldflags='-s -w -X main.name=rye' -o baker ./cmd/baker"},
		{line: "go build -tags=burnt ./bread/... ./burnt", usual: true},
		{line: "go build -overlay=overlay.json -o plain ./cmd/plain", usual: true},
		{line: "GOOS=windows CGO_ENABLED=0 go build ./bread/...", usual: true},
		{line: "CGO_CFLAGS=-O1 go build -o hot ./cmd/hot"},

		// What the go command tells of its work, and to whom.
		{line: "go build -toolexec=env ./bread/...", bytes: eagerly, usual: true},
		{line: "go build -toolexec=env -o plain ./cmd/plain", bytes: eagerly},
		{line: "go build -work ./bread/...", usual: true},
		{line: "go build -p 1 -v ./sign"},
		{line: "go build -x -p 1 ./bread/...", usual: true},
		{line: "go build -x -p 1 -o plain ./cmd/plain"},
		{line: "go build -n -p 1 ./bread/... ./cmd/plain", usual: true},
		{line: "go build -json ./bread/...", usual: true},
		{line: "go build -a -v -p 1 ./bread/...", usual: true},
		{line: "go build -i ./bread/..."},
		{line: "go build -debug-actiongraph=$TEMP/graph ./bread/...", usual: true},

		// The same by GOFLAGS, and by the go command's own configuration.
		{line: "GOFLAGS=-o=town.a go build ./bread/town", bytes: eagerly, moves: true, usual: true},
		{line: "GOFLAGS=-buildmode=archive go build -o town.a ./bread/town", bytes: eagerly, moves: true},
		{line: "GOFLAGS=-toolexec=env go build ./bread/...", bytes: eagerly},
		{line: "GOFLAGS=-work go build ./bread/..."},
		{line: "GOFLAGS=-a go build -v -p 1 ./bread/..."},
		{line: "GOFLAGS='-x -p=1' go build ./bread/..."},
		{line: "GOFLAGS=-n go build -p 1 ./bread/..."},
		{line: "GOFLAGS=-json go build ./bread/..."},
		{line: "GOFLAGS=-trimpath go build ./bread/...", usual: true},
		{line: "GOFLAGS=-export go list -f {{.Export}} ./bread/...", bytes: eagerly},
		{line: "GOFLAGS=-vettool=$TOOLS/vettool go vet ./bread/..."},
		{line: "GOFLAGS=-nonsense go build ./bread/...", usual: true},
		{line: "GOENV=$HERE/flags.env GOFLAGS= go build ./bread/town", bytes: eagerly, moves: true, usual: true},

		// Programs and tests that run.
		{line: "go run ./cmd/baker at once", short: true, usual: true},
		{line: "go run -exec=env ./cmd/plain"},
		{line: "go run cmd/plain/main.go"},
		{line: "go test ./...", bytes: lazily126, short: true, usual: true},
		{line: "go test -v ./bread/... ./oven", bytes: lazily126},
		{line: "go test -json -short ./sign", bytes: lazily126, usual: true},
		{line: "go test -count=1 -p 1 ./bread/..."},
		{line: "go test -run=none -vet=off ./bread/..."},
		{line: "go test -c ./bread/dough ./oven"},
		{line: "go test -c -o dough.test ./bread/dough", usual: true},
		{line: "go test -o dough.test ./bread/dough"},
		{line: "go test -cover -coverpkg=./... ./bread/dough ./sign", usual: true},
		{line: "go test -coverprofile=cover.out -p 1 ./bread/..."},
		{line: "go test -exec env ./bread/..."},
		{line: "go test -x -p 1 ./bread/loaf"},

		// Readers of what is built.
		// It asks for the archives of packages that nobody imports, which nothing
		// makes: there is a miss, whatever is cached.
		{line: "go vet ./...", bytes: atBarrier126, short: true, usual: true},
		{line: "go vet -json ./bread/... ./sign"},
		{line: "go vet -p 1 -tags=burnt ./..."},
		{line: vettool, usual: true},
		{line: export, bytes: eagerly, short: true, usual: true},
		{line: "go list -compiled -json ./...", bytes: eagerly},
		{line: "go list -export -e -json=ImportPath,Export,Error -tags=burnt ./...", bytes: eagerly},
		{line: "go list ./...", bytes: eagerly, usual: true},
		{line: "go tool compile -V=full"},
		{line: "go tool menu"},
		{line: "go generate ./board", moves: true, usual: true},

		// The go command as another one's child.
		{line: "sh -c 'go build ./bread/...'", bytes: lazily},
		{line: "sh -c 'go build -o town.a ./bread/town && go vet ./bread/... && go list -export -f {{.Export}} ./bread/town'", moves: true},
		{line: "sh -c 'go build ./bread/... & go vet ./bread/... & go test ./bread/... & wait'", usual: true},
		{line: "sh -c 'go build -o baker ./cmd/baker && go build -o baker ./cmd/baker'"},
		{line: "env go build ./bread/...", bytes: lazily},
		{line: "make", moves: true, usual: true},
		{line: "go run ./cmd/errand build -o town.a ./bread/town", moves: true},
		{line: "go run ./cmd/errand run ./cmd/errand vet ./bread/...", usual: true},

		// What was changed since.
		{line: "go build ./...", after: two, short: true, usual: true},
		{line: "go build ./bread/...", after: middle, bytes: atBarrier, usual: true},
		{line: "go build -o plain ./cmd/plain", after: deepest, short: true},
		{line: "go build -o baker ./cmd/baker", after: embedded},
		{line: "go build -o hot ./cmd/hot", after: inC, usual: true},
		{line: "go build -o hot ./cmd/hot", after: assembly},
		{line: "go build ./bread/... ./sign", after: added, usual: true},
		{line: "go build ./...", after: removed, usual: true},
		{line: "go build ./...", after: removedLeaf},
		{line: "go build -p 1 ./...", after: wrong, usual: true},
		{line: "go build -json -p 1 ./bread/...", after: wrong},
		{line: "go build -p 1 ./...", after: missing},
		{line: "go build ./...", after: cycle, usual: true},
		{line: "go build -o plain ./cmd/plain", after: noProfile, usual: true},
		{line: "go build -o town.a ./bread/town", after: middle, bytes: eagerly, moves: true, usual: true},
		{line: "go test ./...", after: testOnly, short: true, usual: true},
		{line: "go test ./bread/... ./sign", after: testData, usual: true},
		{line: "go test -p 1 ./...", after: deepest},
		{line: "go test -c ./bread/dough", after: middle},
		{line: "go vet -p 1 ./...", after: finding, usual: true},
		{line: "go vet ./...", after: middle},
		{line: export, after: two, bytes: eagerly},
		{line: "go list -export -e -f '{{.ImportPath}} {{.Export}}' ./...", after: wrong, bytes: eagerly, usual: true},
		{line: "go run ./cmd/plain", after: two},
	}}
}

// recompilations is the table of commands for each of which the standard
// library is compiled in another way.
func recompilations() table {
	t := table{rows: []row{
		{line: "go build -buildmode=c-archive -o till.a ./cmd/till", bytes: eagerly},
		{line: "go build -buildmode c-shared -o till.so ./cmd/till", bytes: eagerly},
		{line: "go build -buildmode=pie -o plain ./cmd/plain", bytes: eagerly},
		{line: "GOFLAGS=-buildmode=pie go build -o plain ./cmd/plain", bytes: eagerly, usual: true},
		{line: "go build -buildmode=plugin -o mould.so ./cmd/mould", bytes: eagerly},
		{line: "go build -race -o plain ./cmd/plain"},
		{line: "go build -cover -o plain ./cmd/plain"},
		{line: "go build -trimpath -o plain ./cmd/plain", usual: true},
		// So often takes about a second. Where a second by the clock is asked for, the
		// go command alone fails now and then on a busy machine.
		{line: "go test -fuzz=Grind -fuzztime=20000x -parallel=1 ./bread/flour"},
	}}
	for _, r := range t.rows {
		if r.usual {
			t.fill = append(t.fill, r.line)
		} else {
			t.more = append(t.more, r.line)
		}
	}
	return t
}

// edit is a change to the checkout.
type edit struct {
	name string
	do   func(dir string) error
}

var (
	middle  = edit{"a change in the middle", replace("bread/loaf/loaf.go", "9 / 10", "8 / 10")}
	deepest = edit{"a change in the deepest", replace("bread/unit/unit.go", "sum += one", "sum = one + sum")}
	two     = edit{"two changes at once", both(
		replace("bread/salt/salt.go", "15", "16"),
		replace("bread/roll/roll.go", "/ 2", "/ 3"))}
	embedded = edit{"a change in what is embedded", replace("sign/sign.txt", "grams", "g")}
	inC      = edit{"a change in C", replace("oven/oven.c", "10", "11")}
	assembly = edit{"a change in assembly", both(
		replace("bread/yeast/rise_amd64.s", "MOVQ AX", "INCQ AX\n\tMOVQ AX"),
		replace("bread/yeast/rise_arm64.s", "MOVD R0", "ADD $1, R0\n\tMOVD R0"))}
	added = edit{"a package was added", both(
		write("bread/bun/bun.go", "package bun\n\nimport \"bakery.example/bread/roll\"\n\nvar Bun = roll.Dozens(1) / 12\n"),
		replace("bread/shelf/shelf.go", `"bakery.example/bread/basket"`, `"bakery.example/bread/basket"`+"\n\t_ "+`"bakery.example/bread/bun"`))}
	removed     = edit{"a package was removed", remove("bread/crust")}
	removedLeaf = edit{"a program was removed", remove("cmd/hot")}
	wrong       = edit{"a mistake was made", replace("bread/crust/crust.go", "all / 7", "al / 7")}
	missing     = edit{"what others use was removed", replace("bread/loaf/loaf.go", "func Bake", "func bake")}
	cycle       = edit{"an import cycle was made", write("bread/unit/cycle.go", "package unit\n\nimport _ \"bakery.example/bread/town\"\n")}
	noProfile   = edit{"the profile was removed", remove("cmd/plain/default.pgo")}
	testOnly    = edit{"a change in a test", replace("bread/loaf/loaf_test.go", "3*unit", "2*unit")}
	testData    = edit{"a change in what a test reads", replace("sign/testdata/want.txt", "grams", "g")}
	finding     = edit{"a change that vet finds", replace("bread/crust/crust.go", "return all", "all = all\n\treturn all")}
)

func replace(file, old, new string) func(string) error {
	return func(dir string) error {
		path := filepath.Join(dir, file)
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(string(data), old, new)
		if text == string(data) {
			return fmt.Errorf("there is no %q in %s", old, file)
		}
		return os.WriteFile(path, []byte(text), 0o666)
	}
}

func remove(path string) func(string) error {
	return func(dir string) error { return os.RemoveAll(filepath.Join(dir, path)) }
}

func both(one, other func(string) error) func(string) error {
	return func(dir string) error { return errors.Join(one(dir), other(dir)) }
}
