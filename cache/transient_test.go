package cache

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// stdArchive is what the compiler makes of a package of the standard library, as far as
// kindOfArchive reads it.
func stdArchive() string {
	text := "go object linux amd64 go1.26.8 X:none\nbuild id \"x/x\"\n"
	member := func(name, content string) string {
		return fmt.Sprintf("%-16s%-12d%-6d%-6d%-8o%-10d`\n%s%s", name, 0, 0, 0, 0o644, len(content), content, strings.Repeat("\n", len(content)%2))
	}
	flags := string([]byte{flagStd, 0, 0, 0})
	return archiveMagic + member("__.PKGDEF", text) + member("_go_.o", text+"!\n"+objectMagic+"12345678"+flags)
}

// A sieve lets all through that the go command keeps beside a lasting package, generated
// sources included, in whatever order it is put. It holds everything else.
func TestSieve(t *testing.T) {
	local := localdisk.New(t.TempDir())
	s := newSieve(&Transient{Goroot: true}, local)
	pass := func(action protocol.ActionID, body string) (through []protocol.ActionID) {
		t.Helper()
		e := localdisk.Entry{Action: action, Output: sha256.Sum256([]byte(body)), Size: int64(len(body)), Time: time.Now()}
		path, err := local.Put(e, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range s.pass(queued{session.Upload{Action: action, Output: e.Output}, e.Size}, path) {
			through = append(through, q.Action)
		}
		return through
	}
	net, other := protocol.ActionID{1}, protocol.ActionID{2}
	generated, list, stdout := net.Subkey("_cgo_gotypes.go"), net.Subkey(listName), net.Subkey("stdout")
	for _, test := range []struct {
		name   string
		action protocol.ActionID
		body   string
		want   []protocol.ActionID
	}{
		{"a generated source", generated, "package net", nil},
		{"the list of sources", list, "./net.go\n_cgo_gotypes.go\n", nil},
		{"another generated source", other.Subkey("_cgo_gotypes.go"), "package other", nil},
		{"a package of the module", other, strings.Replace(stdArchive(), objectMagic, "another object", 1), nil},
		{"the archive", net, stdArchive(), []protocol.ActionID{net, list, generated}},
		{"what follows it", stdout, "a warning", []protocol.ActionID{stdout}},
	} {
		if got := pass(test.action, test.body); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v go through, want %v", test.name, got, test.want)
		}
	}
}
