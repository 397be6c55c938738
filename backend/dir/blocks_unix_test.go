//go:build unix

package dir_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// TestFIFOs: opening a FIFO would wait for another process for ever. It is no object, and
// a put takes its place. Nor does it matter if the lock is one.
func TestFIFOs(t *testing.T) {
	path := t.TempDir()
	s := open(t, path)
	backendtest.PutBytes(t, s, "a/key", []byte("x"))
	err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return errors.Join(os.Remove(name), syscall.Mkfifo(name, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(t.Context(), "a/key", backend.Range{}); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	for obj, err := range s.List(t.Context(), "") {
		t.Errorf("list: %v, %v", obj, err)
	}
	opts := backend.OptionsOf([]byte("y"))
	opts.If = backend.Condition{Absent: true}
	if _, err := s.Put(t.Context(), "a/key", strings.NewReader("y"), opts); err != nil {
		t.Errorf("put: %v", err)
	}
	if err := s.Delete(t.Context(), "a/key", ""); err != nil {
		t.Errorf("delete: %v", err)
	}
}
