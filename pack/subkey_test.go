package pack

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/larderbuild/larder/protocol"
)

// saidSubkey matches the lines in which the go command says which subkeys it derives,
// and from which actions.
var saidSubkey = regexp.MustCompile(`(?m)^HASH subkey ([0-9a-f]{64}) "([^"]+)" = ([0-9a-f]{64})$`)

// TestSubkeysAreGos compares the subkeys with those that the go command derives itself.
func TestSubkeysAreGos(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module example.com/small\n\ngo 1.24\n",
		"main.go": "package main\n\nfunc main() {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	right := make(map[string]int)
	for _, args := range [][]string{{"build", "-o", filepath.Join(dir, "small.exe")}, {"vet"}} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GODEBUG=gocachehash=1", "GOFLAGS=-buildvcs=false", "GOWORK=off")
		said, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, said)
		}
		for _, line := range saidSubkey.FindAllStringSubmatch(string(said), -1) {
			parent, err := hex.DecodeString(line[1])
			if err != nil {
				t.Fatal(err)
			}
			s := subkey{name: 1 + slices.Index(subkeyNames[:], line[2])}
			if s.name == 0 {
				continue
			}
			if got := s.action(protocol.ActionID(parent)); got.String() != line[3] {
				t.Errorf("%s: got %s", line[0], got)
			}
			right[line[2]]++
		}
	}
	for _, name := range subkeyNames {
		if right[name] == 0 {
			t.Errorf("the go command makes no subkey %q", name)
		}
	}
}

// TestSubkeysAreFound checks that subkeys are found both before and behind their parent.
func TestSubkeysAreFound(t *testing.T) {
	m := sample(1000)
	derived := 0
	for i, s := range m.subkeys() {
		if s.name > 0 {
			derived++
		} else if i%4 == 1 {
			t.Errorf("entry %d is not derived", i)
		}
	}
	if derived != 250 {
		t.Errorf("%d are derived", derived)
	}
}
