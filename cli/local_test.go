package cli

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/session"
)

// temporary sets where temporary folders are, and returns it.
func temporary(t *testing.T) string {
	t.Helper()
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	return temp
}

// TestOpenLocal: where LARDER_DIR can't be had, every command finds the same private
// folder, and only the first one says so.
func TestOpenLocal(t *testing.T) {
	// Not in parallel: it sets where temporary folders are.
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "")
	for _, test := range []struct {
		name, dir string
		given     bool
	}{
		{"a folder that is missing", filepath.Join(t.TempDir(), "a", "b"), true},
		{"a folder", t.TempDir(), true},
		{"a file", file, false},
		{"below a file", filepath.Join(file, "x"), false},
		{"none", "", false},
		{"a path of two lines, which the linker's input has no room for", filepath.Join(t.TempDir(), "a\nb"), false},
		{"a path that is not UTF-8, which has no place in an answer", filepath.Join(t.TempDir(), "a\xff"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			temp := temporary(t)
			first, said := openedLocal(test.dir)
			if got := first.Path() == test.dir; got != test.given {
				t.Errorf("uses %s", first.Path())
			}
			if !test.given && !strings.HasPrefix(first.Path(), temp) {
				t.Errorf("%s is not in %s", first.Path(), temp)
			}
			if want := "; larder uses " + first.Path() + " instead\n"; test.given != (said == "") ||
				!test.given && (!strings.HasPrefix(said, "larder: LARDER_DIR: ") || !strings.HasSuffix(said, want)) {
				t.Errorf("said %q", said)
			}
			if err := first.CheckWritable(); err != nil {
				t.Error(err)
			}
			if again, said := openedLocal(test.dir); again.Path() != first.Path() || said != "" {
				t.Errorf("then uses %s and says %q", again.Path(), said)
			}
		})
	}
}

// TestPrivateFolders: what one LARDER_DIR has no room for is not found by another one.
func TestPrivateFolders(t *testing.T) {
	temporary(t)
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "")
	one, _ := openedLocal(filepath.Join(file, "one"))
	two, _ := openedLocal(filepath.Join(file, "two"))
	if one.Path() == two.Path() {
		t.Errorf("both use %s", one.Path())
	}
}

// TestNoFolder: without any folder nothing is found or stored, and a line says so.
func TestNoFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "")
	t.Setenv("TMPDIR", filepath.Join(file, "temp"))
	t.Setenv("TMP", filepath.Join(file, "temp"))
	local, said := openedLocal(file)
	if err := local.CheckWritable(); err == nil {
		t.Errorf("%s can be written", local.Path())
	}
	if strings.Count(said, "\n") != 1 || !strings.Contains(said, "no other folder: ") {
		t.Errorf("said %q", said)
	}
}

func openedLocal(dir string) (local *localdisk.Dir, said string) {
	log := new(bytes.Buffer)
	return openLocal(dir, newLog(log, slog.LevelWarn)), log.String()
}

func TestDefaultDir(t *testing.T) {
	for _, name := range []string{"HOME", "XDG_CACHE_HOME", "LocalAppData"} {
		t.Setenv(name, "")
	}
	cache := t.TempDir()
	for goCache, want := range map[string]string{cache: filepath.Join(cache, "larder"), "off": "", "": ""} {
		if got := defaultDir(environment{"GOCACHE=" + goCache}); got != want {
			t.Errorf("GOCACHE=%s: %q, want %q", goCache, got, want)
		}
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("LocalAppData", home)
	if got := defaultDir(environment{"GOCACHE=" + cache}); !strings.HasPrefix(got, home) {
		t.Errorf("with a home: %q", got)
	}
}

// TestTrimPrivate: a private folder goes once nothing is left in it, also that of a
// LARDER_DIR that nobody uses any more. It stays while a session has left work in it.
func TestTrimPrivate(t *testing.T) {
	temporary(t)
	own, err := openOwn(true)
	if err != nil {
		t.Fatal(err)
	}
	empty, pending, other := own.Within(privateName("x")), own.Within(privateName("y")), filepath.Join(own.Path(), "else")
	for _, folder := range []string{empty.Path(), other} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s, err := session.New(pending.Path(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	journal, err := s.CreateJournal(session.Target{Remote: "file:///remote", Scope: "main"}, false)
	if err == nil {
		err = errors.Join(journal.AddBring(), journal.Close(true))
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := trimPrivate(parts{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(empty.Path()); err == nil {
		t.Errorf("%s is still there", empty.Path())
	}
	for _, path := range []string{pending.Path(), other} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}
