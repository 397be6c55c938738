package integration

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larderbuild/larder/integration/harness"
	"github.com/larderbuild/larder/testserver"
)

// TestLinters: what a linter has found out about a package on one machine, it need not find
// out on another. Both machines begin with nothing but the standard library.
func TestLinters(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		args     []string
		variable string // by which the linter knows its helper
		finding  string
		usual    bool // golangci-lint takes three minutes of a core to build
	}{
		{"staticcheck", []string{"./..."}, "GOCACHEPROG", "self-assignment of x to x (SA4018)", true},
		{"golangci-lint", []string{"run", "./..."}, "GOLANGCI_LINT_CACHEPROG", "self-assignment of x (govet)", false},
	} {
		if !test.usual && !whole {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			program := testserver.Program(t, test.name)
			p := pantry{work: t.TempDir(), tier: filepath.Join(t.TempDir(), "tier"), stocks: wideStock(t, "")}
			if err := errors.Join(
				write("go.mod", "module linted.example\n\ngo 1.24\n")(p.work),
				write("lib/lib.go", "package lib\n\nimport \"unicode/utf8\"\n\nfunc Count(s string) int { return utf8.RuneCountInString(s) }\n")(p.work),
				write("top.go", "package linted\n\nimport \"linted.example/lib\"\n\nfunc Top() int {\n\tx := lib.Count(\"top\")\n\tx = x\n\treturn x\n}\n")(p.work),
				harness.Age(p.work),
			); err != nil {
				t.Fatal(err)
			}
			remote := directory(t)
			lint := func() result {
				m := p.machine(t, remote, "HOME="+t.TempDir(), "XDG_CACHE_HOME=", test.variable+"="+larder)
				r := m.try(program, test.args...)
				if r.status != 1 || !strings.Contains(r.stdout, test.finding) {
					t.Fatalf("exit status %d\n%s%s", r.status, r.stdout, r.stderr)
				}
				wantQuiet(t, r)
				return r
			}
			first, second := lint(), lint()
			if first.stats.Misses == 0 {
				t.Errorf("the first machine: %+v: this shows nothing", first.stats)
			}
			if second.stats.Misses != 0 || second.fromRemote() != second.stats.Gets || second.stats.Gets == 0 {
				t.Errorf("the second machine: %+v", second.stats)
			}
			if diff := firstDifference(second.stdout, first.stdout); diff != "" {
				t.Errorf("the second machine: %s", diff)
			}
		})
	}
}
