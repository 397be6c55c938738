package dir_test

import (
	"crypto/md5"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

// What killed writers left goes with a later Put to the same folder, and what is being
// written stays.
func TestFilesOfKilledWriters(t *testing.T) {
	root := t.TempDir()
	backendtest.PutBytes(t, open(t, root), "a/1", []byte("x"))
	old, young := filepath.Join(root, "a", "@new-OLD"), filepath.Join(root, "a", "@new-YOUNG")
	for _, path := range []string{old, young} {
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	backendtest.PutBytes(t, open(t, root), "a/2", []byte("x"))
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old file: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("the young file: %v", err)
	}
}

// TestKeysThatAreRefused tests that the store refuses keys that are no keys. Most of
// them would lead to files outside the store, which must not be read, replaced or
// removed.
func TestKeysThatAreRefused(t *testing.T) {
	path := t.TempDir()
	outside := filepath.Join(path, "outside")
	if err := os.WriteFile(outside, []byte("secret"), 0o666); err != nil {
		t.Fatal(err)
	}
	s := open(t, filepath.Join(path, "store"))
	backendtest.PutBytes(t, s, "a/key", []byte("x"))
	for _, test := range []struct{ name, key string }{
		{"empty", ""},
		{"the folder", "."},
		{"the folder above", ".."},
		{"absolute", outside},
		{"absolute below the folder", "/a/key"},
		{"ending in a slash", "a/"},
		{"empty part", "a//key"},
		{"dot", "a/./key"},
		{"up", "../outside"},
		{"down and up", "a/../../outside"},
		{"up within the folder", "a/../a/key"},
		{"up at the end", "a/.."},
		{"backslash", `a\key`},
		{"up by backslash", `..\outside`},
		{"drive", `C:\outside`},
		{"zero byte", "a/key\x00"},
		{"zero byte and more", "../outside\x00key"},
		{"not UTF-8", "a/\xff"},
	} {
		t.Run(test.name, func(t *testing.T) {
			body, _, err := s.Get(t.Context(), test.key, backend.Range{})
			if err == nil {
				body.Close()
			}
			expectRefused(t, "get", test.key, err)
			_, err = s.Put(t.Context(), test.key, strings.NewReader(""), backend.OptionsOf(nil))
			expectRefused(t, "put", test.key, err)
			expectRefused(t, "delete", test.key, s.Delete(t.Context(), test.key, ""))
		})
	}
	for _, prefix := range []string{"..", "../", outside, "/", `..\`, "a/../", "\x00"} {
		for obj, err := range s.List(t.Context(), prefix) {
			t.Errorf("list %q: %+v, %v", prefix, obj, err)
		}
	}
	if data, err := os.ReadFile(outside); err != nil || string(data) != "secret" {
		t.Errorf("outside: %q, %v", data, err)
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// expectRefused checks that err names key and says what is wrong with it, and that it
// is neither ErrNotFound nor ErrDenied.
func expectRefused(t *testing.T, op, key string, err error) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), op+" "+key+": not a key") {
		t.Errorf("%s: %v, want an error that names the key", op, err)
	}
	if errors.Is(err, backend.ErrNotFound) || errors.Is(err, backend.ErrDenied) {
		t.Errorf("%s: %v must not be one of the sentinels", op, err)
	}
}

func TestOpenAndReadTouchNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := open(t, path)
	if _, _, err := s.Get(t.Context(), "key", backend.Range{}); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if err := s.Delete(t.Context(), "key", ""); err != nil {
		t.Errorf("delete: %v", err)
	}
	for _, err := range s.List(t.Context(), "") {
		t.Errorf("list: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory: %v", err)
	}
}

// TestNoRoot puts into a store whose root is a file, or can't be made. That is denied, as
// trying again does not help.
func TestNoRoot(t *testing.T) {
	folder := t.TempDir()
	file, nowhere, loop := filepath.Join(folder, "store"), filepath.Join(folder, "nowhere"), filepath.Join(folder, "loop")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	roots := []string{file, filepath.Join(file, "below")}
	if errors.Join(os.Symlink(filepath.Join(folder, "missing"), nowhere), os.Symlink(loop, loop)) == nil {
		roots = append(roots, nowhere, loop)
	}
	opts := backend.PutOptions{Size: 1, MD5: md5.Sum([]byte("x"))}
	for _, root := range roots {
		s := open(t, root)
		for _, key := range []string{"key", "a/key"} {
			if _, err := s.Put(t.Context(), key, strings.NewReader("x"), opts); !errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), root) {
				t.Errorf("put %s into %s: %v", key, root, err)
			}
		}
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

// TestOneWinnerOfMany tests that exactly one of several stores puts an object. The
// stores share only the directory, as processes do.
func TestOneWinnerOfMany(t *testing.T) {
	path := t.TempDir()
	cond := backend.Condition{Absent: true}
	for range 20 {
		winners := make(chan backend.Object, 16)
		var group sync.WaitGroup
		for range 16 {
			s := open(t, path)
			group.Go(func() {
				opts := backend.OptionsOf([]byte("same"))
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

// The clock of a machine does not say when an object was written: in a bubble it is wrong by
// years.
func TestWrongClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := dir.Open(t.Context(), dir.Config{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		first := backendtest.PutBytes(t, s, "key", []byte("data"))
		second := backendtest.PutBytes(t, s, "key", []byte("data"))
		if first.Version == second.Version {
			t.Errorf("both have version %s", first.Version)
		}
		for obj, err := range s.List(t.Context(), "") {
			if err != nil || obj.Written.Year() == time.Now().Year() {
				t.Errorf("written %v, %v", obj.Written, err)
			}
		}
	})
}
