package cache_test

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
)

// TestPutWithoutDisk: where nothing can be stored, a put is answered with an error, and a
// line says why, once. A body that is no good is not the disk's fault.
func TestPutWithoutDisk(t *testing.T) {
	const line = "what the go command makes can't be stored"
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	put := func(m *machine, body, sent string) error {
		_, err := m.Put(t.Context(), protocol.Put{
			ActionID: actionID(body),
			OutputID: sha256.Sum256([]byte(body)),
			Size:     int64(len(body)),
			Body:     strings.NewReader(sent),
		})
		return err
	}
	full := newMachine(t, filepath.Join(file, "tier"), nil)
	for _, body := range []string{"one", "two"} {
		if err := put(full, body, body); err == nil {
			t.Errorf("%s is stored", body)
		}
	}
	full.Close(0)
	if n := strings.Count(full.log.String(), line); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, full.log)
	}

	well := newMachine(t, t.TempDir(), nil)
	if err := put(well, "one", "two"); !errors.Is(err, localdisk.ErrContent) {
		t.Errorf("another body: %v", err)
	}
	well.Close(0)
	if strings.Contains(well.log.String(), line) {
		t.Errorf("said of a disk that is well:\n%s", well.log)
	}
}

// TestPrefetchWithinMaxSize: what nobody has asked for does not make the local tier
// exceed its size. What is asked for comes all the same.
func TestPrefetchWithinMaxSize(t *testing.T) {
	store := built(t)
	b := newMachine(t, t.TempDir(), store, under(profile), func(cfg *cache.SessionConfig) { cfg.MaxSize = 1 })
	rebuild(t, b, packages...)
	s := b.stats.Summary()
	if b.Close(time.Minute) {
		t.Error("something is left")
	}
	if s.RemoteHits == 0 || s.Misses > 0 {
		t.Errorf("stats: %+v", s)
	}
	if got := b.warnings(); len(got) > 0 {
		t.Errorf("warned: %q", got)
	}
}
