package dir_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/dir"
)

func TestStore(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backend.Store {
		return open(t, t.TempDir())
	})
}

func open(t *testing.T, path string) backend.Store {
	t.Helper()
	s, err := dir.Open(t.Context(), dir.Config{Dir: path})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeysThatAreRefused(t *testing.T) {
	path := t.TempDir()
	s := open(t, filepath.Join(path, "store"))
	for _, key := range []string{
		"", ".", "..", "/abs", "a/", "a//b", "../outside", "a/../../outside", "a/./b", `a\b`, `..\outside`, "a\x00b",
	} {
		if _, err := s.Put(t.Context(), key, strings.NewReader(""), backendtest.Options(nil)); err == nil {
			t.Errorf("put %q was accepted", key)
		}
		if _, _, err := s.Get(t.Context(), key, backend.Range{}); err == nil {
			t.Errorf("get %q was accepted", key)
		}
		if err := s.Delete(t.Context(), key); err == nil {
			t.Errorf("delete %q was accepted", key)
		}
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestOpenAndReadTouchNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := open(t, path)
	if _, _, err := s.Get(t.Context(), "key", backend.Range{}); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if err := s.Delete(t.Context(), "key"); err != nil {
		t.Errorf("delete: %v", err)
	}
	for _, err := range s.List(t.Context(), "") {
		t.Errorf("list: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory: %v", err)
	}
}

func TestUnfinishedObjectsAreInvisible(t *testing.T) {
	path := t.TempDir()
	s := open(t, path)
	backendtest.PutBytes(t, s, "a/key", []byte("x"))
	if err := os.WriteFile(filepath.Join(path, "a", "@new-left-by-a-crash"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	n := 0
	for obj, err := range s.List(t.Context(), "") {
		if n++; err != nil || obj.Key != "a/key" {
			t.Errorf("listed %+v, %v", obj, err)
		}
	}
	if n != 1 {
		t.Errorf("%d objects", n)
	}
}

// TestOneWinnerOfMany has stores that share nothing but the directory race for
// an object, as processes do.
func TestOneWinnerOfMany(t *testing.T) {
	path := t.TempDir()
	cond := backend.Condition{Absent: true}
	for range 20 {
		winners := make(chan backend.Object, 16)
		var group sync.WaitGroup
		for range 16 {
			s := open(t, path)
			group.Go(func() {
				opts := backendtest.Options([]byte("same"))
				opts.If = cond
				obj, err := s.Put(t.Context(), "key", strings.NewReader("same"), opts)
				switch {
				case err == nil:
					winners <- obj
				case !errors.Is(err, backend.ErrConflict):
					t.Error(err)
				}
			})
		}
		group.Wait()
		if len(winners) != 1 {
			t.Fatalf("%d winners", len(winners))
		}
		cond = backend.Condition{Version: (<-winners).Version}
	}
}

func TestDenied(t *testing.T) {
	path := t.TempDir()
	if err := os.Chmod(path, 0o500); err != nil {
		t.Fatal(err)
	}
	store, err := open(t, path), error(nil)
	if !withoutRights(func() {
		_, err = store.Put(t.Context(), "a/key", strings.NewReader(""), backendtest.Options(nil))
	}) {
		t.Skip("no directory is closed to this user")
	}
	if !errors.Is(err, backend.ErrDenied) {
		t.Errorf("put: %v, want ErrDenied", err)
	}
}
