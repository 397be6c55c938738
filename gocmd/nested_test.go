//go:build linux || darwin

package gocmd_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/larderbuild/larder/integration/harness"
)

// TestNested has real go commands run each other.
func TestNested(t *testing.T) {
	// go test runs this program itself, so the helper is another one.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	helper, other := filepath.Join(t.TempDir(), "helper"), filepath.Join(t.TempDir(), "other")
	for _, path := range []string{helper, other} {
		if err := harness.WriteProgram(path, program); err != nil {
			t.Fatal(err)
		}
	}
	module := writeModule(t, `
-- go.mod --
module example.com/plain

go 1.24
-- plain.go --
package plain
-- plain_test.go --
package plain

import (
	"os"
	"os/exec"
	"testing"
)

func Test(t *testing.T) {
	os.Setenv("GOCACHEPROG", os.Getenv("HELPER"))
	if out, err := exec.Command("sh", "-c", "go build . && true").CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v\n%s", err, out)
	}
}
`)
	around := writeModule(t, `
-- go.mod --
module example.com/around

go 1.24
-- around_test.go --
package around

import (
	"os"
	"os/exec"
	"testing"
)

func Test(t *testing.T) {
	cmd := exec.Command("go", "test", "-count=1", ".")
	cmd.Dir = os.Getenv("PLAIN")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
`)
	for _, tt := range []struct {
		name, shell string
		outer       string // folder of the outermost go command; "": there is none
	}{
		{"plain", `go build .`, ""},
		{"shell", `sh -c "go build . && true"`, ""},
		{"test", `go test -count=1 .`, module},
		{"test in a test", `cd "$AROUND" && go test -count=1 .`, around},
		{"test without a helper", `GOCACHEPROG= go test -count=1 .`, ""},
		{"test with another helper", `GOCACHEPROG=$OTHER go test -count=1 .`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reports := filepath.Join(t.TempDir(), "reports")
			env := slices.Concat(environ(helped(t, reports)...), []string{"GOCACHEPROG=" + helper, "HELPER=" + helper, "OTHER=" + other, "PLAIN=" + module, "AROUND=" + around})
			run(t, module, env, "sh", "-c", tt.shell)
			if got := lastReport(t, reports); got.Nested != (tt.outer != "") || got.Outer != tt.outer {
				t.Errorf("nested: %v, in %q; want %q", got.Nested, got.Outer, tt.outer)
			}
		})
	}
}
