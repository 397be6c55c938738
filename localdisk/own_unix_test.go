//go:build unix

package localdisk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func ownName() string { return fmt.Sprintf("larder-%d", os.Geteuid()) }

// TestOpenOwn: what somebody else has put under the user's name is not used, and what
// the user gets instead is found again.
func TestOpenOwn(t *testing.T) {
	for name, occupy := range map[string]func(path string) error{
		"free":             func(string) error { return nil },
		"the user's":       func(path string) error { return os.Mkdir(path, 0o700) },
		"a file":           func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"all may write":    func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, 0o777)) },
		"group may read":   func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, 0o740)) },
		"link to a folder": func(path string) error { return os.Symlink(t.TempDir(), path) },
		"link to nothing":  func(path string) error { return os.Symlink("missing", path) },
		"another user's": func(path string) error {
			if os.Geteuid() != 0 {
				return os.WriteFile(path, nil, 0o600)
			}
			return errors.Join(os.Mkdir(path, 0o700), os.Chown(path, 12345, 12345))
		},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			mustDo(t, os.Chmod(parent, 0o777))
			mustDo(t, occupy(filepath.Join(parent, ownName())))
			if _, err := OpenOwn(parent, false); (err == nil) != (name == "the user's") || err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("before it was made: %v", err)
			}
			d, err := OpenOwn(parent, true)
			mustDo(t, err)
			expected := name == "free" || name == "the user's"
			if got := filepath.Base(d.Path()) == ownName(); got != expected {
				t.Errorf("uses %s", d.Path())
			}
			expectPrivate(t, d.Path(), "")
			for _, make := range []bool{false, true} {
				if again, err := OpenOwn(parent, make); err != nil || again.Path() != d.Path() {
					t.Errorf("then uses %v, %v; want %s", again, err, d.Path())
				}
			}
		})
	}
}

// TestOpenOwnIn has a parent in which nothing can be made.
func TestOpenOwnIn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	mustDo(t, os.WriteFile(file, nil, 0o600))
	for _, parent := range []string{file, filepath.Join(t.TempDir(), "missing")} {
		if d, err := OpenOwn(parent, true); err == nil {
			t.Errorf("%s is in %s", d.Path(), parent)
		}
	}
}

// TestRenamedPlace: what is in a folder that others have put in the place of the user's
// own is not given out.
func TestRenamedPlace(t *testing.T) {
	parent := t.TempDir()
	own, err := OpenOwn(parent, true)
	mustDo(t, err)
	d := own.Within("tier")
	e := numberedEntry(1, []byte("body"))
	path := mustPut(t, d, e, []byte("body"))
	mustDo(t, os.Rename(own.Path(), own.Path()+"-aside"))
	mustDo(t, os.CopyFS(own.Path(), os.DirFS(own.Path()+"-aside")))
	mustDo(t, os.Chmod(own.Path(), 0o700))
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Get(e.Action); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if _, err := d.Put(e, strings.NewReader("body")); err == nil {
		t.Error("Put succeeds")
	}
	if err := d.Link(e, filepath.Join(t.TempDir(), "link")); err == nil {
		t.Error("Link succeeds")
	}
}
