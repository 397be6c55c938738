package integration

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/collect"
	"github.com/larderbuild/larder/pack"
)

const day = 24 * time.Hour

// missingPacks returns what manifests in s name and s does not have. A server may still remove
// other objects meanwhile.
func (s store) missingPacks(t *testing.T) (missing []string) {
	t.Helper()
	manifests, err := filepath.Glob(filepath.Join(s.folder, "v1", "*", "m", "v4", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range manifests {
		if strings.HasSuffix(path, "profiles") {
			continue
		}
		m, err := pack.Decode(readFile(t, path), pack.Place{}, nil)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, p := range m.Packs {
			id := hex.EncodeToString(p.ID[:])
			if !exists(filepath.Join(s.folder, "v1", p.Scope, "p", id[:2], id)) {
				missing = append(missing, path+": "+id)
			}
		}
	}
	return missing
}

// putLoosePacks puts n packs that no manifest names.
func (s store) putLoosePacks(t *testing.T, n int) {
	t.Helper()
	for range n {
		content := []byte(rand.Text())
		id := sha256.Sum256(content)
		name := hex.EncodeToString(id[:])
		path := filepath.Join(s.folder, "v1", "main", "p", name[:2], name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, content, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
}

// loose returns how many of the packs that putLoosePacks has put are in s.
func (s store) loose(t *testing.T) (loose int) {
	t.Helper()
	walkFiles(t, filepath.Join(s.folder, "v1", "main", "p"), func(path string) {
		if info, err := os.Stat(path); err == nil && info.Size() == int64(len(rand.Text())) {
			loose++
		}
	})
	return loose
}

// gc runs larder gc on m, and returns its result.
func (m *machine) gc(args ...string) (r collect.Result) {
	m.t.Helper()
	out := m.must(larder, append([]string{"gc", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out.stdout), &r); err != nil {
		m.t.Fatal(err)
	}
	return r
}

// TestGC collects a bucket and a directory. What the last build used stays, down to a build
// that compiles nothing.
func TestGC(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]store{"s3": s3Store(t), "directory": directoryStore(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := usualChain(t)
			s.fill(t, c)
			s.putLoosePacks(t, 300)
			m := s.machine(t, c, s.endpoint)
			if r := m.gc(); r.Objects() != 0 {
				t.Errorf("at once: %+v", r)
			}
			if err := makeOlder(s.folder, 6*day); err != nil {
				t.Fatal(err)
			}
			if r := m.gc(); r.Packs != 300 || r.Objects() != 300 {
				t.Errorf("after six days: %+v", r)
			}
			s.wantFull(t, c)
			// Entry objects go first: packs hold what is in them.
			if err := makeOlder(s.folder, 2*day); err != nil {
				t.Fatal(err)
			}
			all := m.gc("--dry-run")
			if r := m.gc("--max-size", fmt.Sprint(all.BytesLeft-1)); r.Entries == 0 || r.Objects() != r.Entries {
				t.Errorf("above the allowed size: %+v", r)
			}
			s.wantFull(t, c)
			if missing := s.missingPacks(t); len(missing) > 0 {
				t.Errorf("missing: %q", missing)
			}
			if err := makeOlder(s.folder, 40*day); err != nil {
				t.Fatal(err)
			}
			if r := m.gc(); r.ObjectsLeft > 1 { // a directory has the time of the last collection
				t.Errorf("after a month: %+v", r)
			}
			if s.wantIntact(t) > 0 {
				t.Error("entry objects are left")
			}
		})
	}
}

// TestGCByAge: these servers keep their objects to themselves, so only manifests get old
// enough.
func TestGCByAge(t *testing.T) {
	t.Parallel()
	c := usualChain(t)
	for name, s := range map[string]store{"gcs": gcsStore(t), "azure": azureStore(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.fill(t, c)
			m := s.machine(t, c, s.endpoint)
			m.env = append(m.env, "LARDER_REMOTE_MAX_AGE=1ms")
			time.Sleep(2 * time.Second) // the server's answers say the time in seconds
			if r := m.gc(); r.Manifests != 2 || r.Objects() != 2 || r.ObjectsLeft < int64(c.packages) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// directoryStore returns an empty directory.
func directoryStore(t *testing.T) store {
	t.Helper()
	url := directory(t)
	return store{folder: filepath.FromSlash(strings.TrimPrefix(url, "file://")), url: func(string) string { return url }}
}

// TestGCBesideBuilds collects in a loop while jobs build and publish. A day passes in seconds.
// No build fails, and the manifests name only packs that are there after one publication more.
func TestGCBesideBuilds(t *testing.T) {
	t.Parallel()
	jobs, rounds := 8, 3
	if whole {
		rounds = 12
	}
	c, s := usualChain(t), s3Store(t)
	s.fill(t, c)
	s.putLoosePacks(t, 20) // beside those that compactions leave
	if err := makeOlder(s.folder, 2*day); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var besides sync.WaitGroup
	besides.Go(func() { s.hurry(ctx) })
	removed := 0
	besides.Go(func() {
		m := s.machine(t, c, s.endpoint)
		for ctx.Err() == nil {
			removed += m.gc().Packs
		}
	})
	build := func(m *machine, variant int) {
		r := m.try("go", "build", fmt.Sprintf("-gcflags=example.com/...=-c=%d", variant), "./p008")
		if r.status != 0 || strings.Contains(r.stderr, "panic") || r.stats.Corrupt > 0 {
			t.Errorf("exit status %d, %+v\n%s", r.status, r.stats, r.stderr)
		}
	}
	profile := func(job, round int) string {
		return fmt.Sprintf("LARDER_PROFILE=%d", job%2+2*(round/2)) // some begin with the manifest of others
	}
	var builds sync.WaitGroup
	for job := range jobs {
		builds.Go(func() {
			for round := range rounds {
				build(s.machine(t, c, s.endpoint, profile(job, round)), 2+job+round)
			}
		})
	}
	builds.Wait()
	stop()
	besides.Wait()
	if removed < 20 || s.loose(t) > 0 {
		t.Errorf("%d packs were removed: this shows nothing", removed)
	}
	for job := range 2 {
		for round := 0; round < rounds; round += 2 {
			build(s.machine(t, c, s.endpoint, profile(job, round), "LARDER_BYTES=eager"), 2)
		}
	}
	if missing := s.missingPacks(t); len(missing) > 0 {
		t.Errorf("missing: %q", missing)
	}
	t.Logf("%d packs removed", removed)
}

// hurry makes packs and entry objects that are some seconds old two days older, once each,
// until ctx is done. What changes its time is not removed.
func (s store) hurry(ctx context.Context) {
	for ctx.Err() == nil {
		_ = filepath.WalkDir(filepath.Join(s.folder, "v1", "main"), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return nil //nolint:nilerr // it is gone by now
			}
			below, _ := filepath.Rel(s.folder, path)
			kind := strings.Split(filepath.ToSlash(below), "/")[2]
			info, err := e.Info()
			if err != nil || kind == "m" {
				return nil //nolint:nilerr // the same
			}
			if age := time.Since(info.ModTime()); 10*time.Second < age && age < day {
				_ = os.Chtimes(path, time.Time{}, info.ModTime().Add(-2*day))
			}
			return nil
		})
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}
