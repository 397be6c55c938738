//go:build linux || darwin

package gocmd_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
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
		if err := os.WriteFile(path, program, 0o700); err != nil {
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
	for _, tt := range []struct {
		name, shell string
		want        bool
	}{
		{"plain", `go build .`, false},
		{"shell", `sh -c "go build . && true"`, false},
		{"test", `go test -count=1 .`, true},
		{"test without a helper", `GOCACHEPROG= go test -count=1 .`, false},
		{"test with another helper", `GOCACHEPROG=$OTHER go test -count=1 .`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reports := filepath.Join(t.TempDir(), "reports")
			env := slices.Concat(environ(helped(t, reports)...), []string{"GOCACHEPROG=" + helper, "HELPER=" + helper, "OTHER=" + other})
			run(t, module, env, "sh", "-c", tt.shell)
			if got := lastReport(t, reports); got.Nested != tt.want {
				t.Errorf("nested: %v, want %v", got.Nested, tt.want)
			}
		})
	}
}
