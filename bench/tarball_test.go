package bench

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// TestTarball checks that a folder is unpacked with the names, contents and modification
// times that it had, because the go command uses all three of a cache.
func TestTarball(t *testing.T) {
	source, target := t.TempDir(), filepath.Join(t.TempDir(), "target")
	modified := time.Unix(1_700_000_000, 0)
	files := map[string]string{"00/a": "", "00/b": "body", "ff/c": string(make([]byte, 1<<20)), "README": "read"}
	for name, content := range files {
		path := filepath.Join(source, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	store := backendtest.Memory()
	r := &round{
		bench: &bench{Config: Config{Open: func(string, *backend.Counters) backend.Store { return store }}},
		dir:   t.TempDir(),
	}
	if err := r.storeTarball(t.Context(), source); err != nil {
		t.Fatal(err)
	}
	if err := fetchTarball(t.Context(), store, target); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(target, name)
		got, err := os.ReadFile(path)
		if err != nil || string(got) != content {
			t.Errorf("%s: %d bytes, %v, want %d", name, len(got), err, len(content))
		}
		if info, err := os.Stat(path); err != nil || !info.ModTime().Equal(modified) {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if left, err := os.ReadDir(r.dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
