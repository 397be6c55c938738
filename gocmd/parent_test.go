//go:build linux || darwin

package gocmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/gocmd"
)

// TestParent has the real go command start the helper in the ways in which
// people and programs start the go command.
func TestParent(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	module := writeModule(t, `
-- go.mod --
module example.com/plain

go 1.24
-- plain.go --
package plain
-- sub/sub.go --
package sub

//go:generate go build .
-- Makefile --
all:
	@go build . ./sub
-- starter/main.go --
// Starter runs a go command.
package main

import (
	"os"
	"os/exec"
)

func main() {
	os.Setenv("GOCACHEPROG", os.Getenv("HELPER"))
	os.Setenv("GOTOOLCHAIN", os.Getenv("INNER"))
	if err := exec.Command("go", os.Args[1:]...).Run(); err != nil {
		panic(err)
	}
}
-- wrapper --
#!/bin/sh
"$HELPER"
exit $?
`)
	if err := os.Chmod(filepath.Join(module, "wrapper"), 0o700); err != nil {
		t.Fatal(err)
	}
	goVersion := run(t, module, environ(), "go", "env", "GOVERSION")
	sub := filepath.Join(module, "sub")
	for _, tt := range []struct {
		name  string
		env   []string
		shell string
		want  gocmd.Command // in the report of the last session
		err   string        // in its error
	}{
		{"plain", nil, `go build .`, gocmd.Command{Args: []string{"build", "."}}, ""},
		{"no arguments", nil, `go build`, gocmd.Command{Args: []string{"build"}}, ""},
		{"list", nil, `go list -export .`, gocmd.Command{Args: []string{"list", "-export", "."}}, ""},
		{"spaces", nil, `go build -ldflags='-s -w' -gcflags= .`, gocmd.Command{Args: []string{"build", "-ldflags=-s -w", "-gcflags=", "."}}, ""},
		{"nothing at the end", nil, `go build -tags ''`, gocmd.Command{Args: []string{"build", "-tags", ""}}, ""},
		{"shell", nil, `sh -c "sh -c 'go build . && true'"`, gocmd.Command{Args: []string{"build", "."}}, ""},
		{"exec", nil, `exec go build .`, gocmd.Command{Args: []string{"build", "."}}, ""},
		{"env", nil, `env X=y nice go build .`, gocmd.Command{Args: []string{"build", "."}}, ""},
		{"make", nil, `make`, gocmd.Command{Args: []string{"build", ".", "./sub"}}, ""},
		{"xargs", nil, `echo . ./sub | xargs go build -v`, gocmd.Command{Args: []string{"build", "-v", ".", "./sub"}}, ""},
		{"generate", nil, `go generate ./sub`, gocmd.Command{Args: []string{"build", "."}, Dir: sub}, ""},
		{"run", nil, `GOCACHEPROG= go run ./starter build -v .`, gocmd.Command{Args: []string{"build", "-v", "."}}, ""},
		{"another name", nil, `ln -s $(command -v go) $TMP/golang; $TMP/golang build .`, gocmd.Command{Args: []string{"build", "."}}, ""},
		{"folder before", nil, `go -C sub build .`, gocmd.Command{Args: []string{"-C", "sub", "build", "."}, Dir: sub}, ""},
		{"folder behind", nil, `go build -C=sub`, gocmd.Command{Args: []string{"build", "-C=sub"}, Dir: sub}, ""},
		{"GOFLAGS", []string{"GOFLAGS=-v"}, `go build .`, gocmd.Command{Args: []string{"build", "."}, Flags: "-v"}, ""},
		{"go env -w", nil, `go env -w GOFLAGS=-trimpath && go build .`, gocmd.Command{Args: []string{"build", "."}, Flags: "-trimpath"}, ""},
		{"GOFLAGS over go env -w", []string{"GOFLAGS=-v"}, `GOFLAGS= go env -w GOFLAGS=-trimpath && go build .`, gocmd.Command{Args: []string{"build", "."}, Flags: "-v"}, ""},
		{"older", []string{"GOTOOLCHAIN=go1.24.13"}, `go build .`, gocmd.Command{Args: []string{"build", "."}, Version: "go1.24.13"}, ""},
		{"newer", []string{"GOTOOLCHAIN=go1.27.2"}, `go vet .`, gocmd.Command{Args: []string{"vet", "."}, Version: "go1.27.2"}, ""},
		{"newer, folder", []string{"GOTOOLCHAIN=go1.27.2"}, `go -C sub build .`, gocmd.Command{Args: []string{"build", "."}, Dir: sub, Version: "go1.27.2"}, ""},
		{"newer by go env -w", nil, `go env -w GOTOOLCHAIN=go1.27.2 && go build .`, gocmd.Command{Args: []string{"build", "."}, Version: "go1.27.2"}, ""},
		{"run, older", []string{"INNER=go1.24.13"}, `GOCACHEPROG= go run ./starter build .`, gocmd.Command{Args: []string{"build", "."}, Version: "go1.24.13"}, ""},
		{"helper by env", []string{"GOCACHEPROG=env X=y " + self}, `go build .`, gocmd.Command{Args: []string{"build", "."}}, ""},
		{"helper in a script", []string{"GOCACHEPROG=" + filepath.Join(module, "wrapper")}, `go build .`, gocmd.Command{}, "is not the go command"},
		{"no go command", nil, `printf '' | "$HELPER" >/dev/null; true`, gocmd.Command{}, "is not the go command"},
	} {
		if tt.name == "newer" && !whole {
			continue // a row that vets has to compile vet and the standard library first
		}
		t.Run(tt.name, func(t *testing.T) {
			reports := filepath.Join(t.TempDir(), "reports")
			env := slices.Concat(environ(helped(t, reports)...),
				[]string{"HELPER=" + self, "TMP=" + t.TempDir(), "GOENV=" + filepath.Join(t.TempDir(), "env")}, tt.env)
			run(t, module, env, "sh", "-c", tt.shell)
			got := lastReport(t, reports)
			if !strings.Contains(got.NoParent, tt.err) || (got.NoParent == "") != (tt.err == "") {
				t.Fatalf("error %q, want %q", got.NoParent, tt.err)
			}
			if tt.err != "" {
				return
			}
			want := tt.want
			if want.Dir == "" {
				want.Dir = module
			}
			if want.Version == "" {
				want.Version = goVersion
			}
			if filepath.Base(got.Exe) != "go" || !filepath.IsAbs(got.Exe) {
				t.Errorf("executable %q", got.Exe)
			}
			got.Exe = ""
			if fmt.Sprintf("%+q", got.Command) != fmt.Sprintf("%+q", want) {
				t.Errorf("%+q\nwant %+q", got.Command, want)
			}
			if want.Args[0] != "list" && got.NotHeadsOnly != "" {
				t.Errorf("reads more than heads: %s", got.NotHeadsOnly)
			}
			if got.NotRebuilt != "" {
				t.Errorf("its rebuild: %s", got.NotRebuilt)
			}
		})
	}
}
