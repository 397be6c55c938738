package localdisk

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// putAged puts an entry with a body of 1000 bytes, a different one for each n. It sets
// the modification times so that the entry looks last used age ago.
func putAged(t testing.TB, d *Dir, n int, age time.Duration) Entry {
	t.Helper()
	data := bytes.Repeat([]byte{byte(n)}, 1000)
	e := numberedEntry(n, data)
	path := mustPut(t, d, e, data)
	setAge(t, age, path, d.actionPath(e.Action))
	return e
}

func setAge(t testing.TB, age time.Duration, paths ...string) {
	t.Helper()
	then := time.Now().Add(-age)
	for _, path := range paths {
		mustDo(t, os.Chtimes(path, then, then))
	}
}

func TestTrim(t *testing.T) {
	const (
		h    = time.Hour
		day  = 24 * h
		each = 1000 + int64(actionSize) // bytes of one entry
	)
	now := time.Now()
	tests := []struct {
		name   string
		policy TrimPolicy
		ages   []time.Duration // of the entries before
		stay   []time.Duration // of those that stay
	}{
		{"no limits", TrimPolicy{},
			[]time.Duration{0, 10 * day, 1000 * day}, []time.Duration{0, 10 * day, 1000 * day}},
		{"age, with the hour of imprecision", TrimPolicy{MaxAge: 5 * day},
			[]time.Duration{0, 5 * day, 5*day + 59*time.Minute, 5*day + 61*time.Minute, 9 * day},
			[]time.Duration{0, 5 * day, 5*day + 59*time.Minute}},
		{"nothing used within the last hour", TrimPolicy{MaxAge: 1, MaxSize: 1},
			[]time.Duration{0, 30 * time.Minute, 119 * time.Minute, 121 * time.Minute},
			[]time.Duration{0, 30 * time.Minute, 119 * time.Minute}},
		{"nothing that a session may have used", TrimPolicy{MaxAge: 1, MaxSize: 1, KeepSince: now.Add(-9 * h)},
			[]time.Duration{3 * h, 9 * h, 10*h - time.Minute, 10*h + time.Minute},
			[]time.Duration{3 * h, 9 * h, 10*h - time.Minute}},
		{"a young session protects no more than the last hour does", TrimPolicy{MaxSize: 1, KeepSince: now},
			[]time.Duration{0, 61 * time.Minute, 121 * time.Minute}, []time.Duration{0, 61 * time.Minute}},
		{"size not exceeded", TrimPolicy{MaxSize: 3 * each},
			[]time.Duration{0, 3 * day, 5 * day}, []time.Duration{0, 3 * day, 5 * day}},
		{"size exceeded, oldest use first", TrimPolicy{MaxSize: 3 * each},
			[]time.Duration{4 * day, 0, 3 * day, 1 * day, 9 * day, 2 * day}, []time.Duration{0, 1 * day, 2 * day}},
		{"age before size", TrimPolicy{MaxAge: 5 * day, MaxSize: 2 * each},
			[]time.Duration{0, 1 * day, 8 * day, 9 * day}, []time.Duration{0, 1 * day}},
		{"size exceeded by age and more", TrimPolicy{MaxAge: 5 * day, MaxSize: each},
			[]time.Duration{0, 1 * day, 8 * day, 9 * day}, []time.Duration{0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := New(t.TempDir())
			entries := map[time.Duration]Entry{}
			for i, age := range test.ages {
				entries[age] = putAged(t, d, i, age)
			}
			got, err := d.Trim(test.policy)
			mustDo(t, err)
			gone := int64(len(test.ages) - len(test.stay))
			want := Trimmed{Files: 2 * int(gone), Bytes: gone * each, BytesLeft: int64(len(test.stay)) * each}
			if got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			for age, e := range entries {
				if _, _, err := d.Get(e.Action); (err == nil) != slices.Contains(test.stay, age) {
					t.Errorf("the entry of age %v: %v", age, err)
				}
			}
			wantTemps(t, d, 0)
		})
	}
}

// TestTrimWithinAMinute trims thousands of files that were installed within one minute,
// as restore does. Trim removes as many of these as it must, and not all.
func TestTrimWithinAMinute(t *testing.T) {
	d := New(t.TempDir())
	for n := range 100 {
		putAged(t, d, n, 5*time.Hour)
	}
	const limit = 70_000
	got, err := d.Trim(TrimPolicy{MaxSize: limit})
	mustDo(t, err)
	if got.BytesLeft > limit || got.BytesLeft <= limit-1000 {
		t.Errorf("%d bytes left, want just under %d", got.BytesLeft, limit)
	}
	_, bytes, err := usage(d)
	if err != nil || bytes != got.BytesLeft {
		t.Errorf("usage %d (%v), but %d left", bytes, err, got.BytesLeft)
	}
}

func TestTrimGoesByUse(t *testing.T) {
	d := New(t.TempDir())
	used, unused := putAged(t, d, 1, 72*time.Hour), putAged(t, d, 2, 72*time.Hour)
	if _, _, err := d.Get(used.Action); err != nil {
		t.Fatal(err)
	}
	_, err := d.Trim(TrimPolicy{MaxAge: 24 * time.Hour})
	mustDo(t, err)
	if _, _, err := d.Get(used.Action); err != nil {
		t.Error(err)
	}
	if _, _, err := d.Get(unused.Action); err == nil {
		t.Error("the unused entry is still there")
	}
}

func TestTrimAndCleanLeaveWhatIsNotOurs(t *testing.T) {
	root := t.TempDir()
	d := New(root)
	e := putAged(t, d, 0xab, 0)
	executable := d.bodyPath(numberedEntry(1, []byte("prog")).Output)
	shard := filepath.Dir(executable)
	id := filepath.Base(executable)[:2*32]
	foreign := []string{
		"README", "trim.txt", "testexpire.txt", "note-a",
		"larder/trim.txt", "larder/note-d", "fuzz/corpus/seed", "zz/" + id + "-d",
		filepath.Base(shard) + "/" + id + "-x",
		filepath.Base(shard) + "/" + id[:60] + "-a",
		filepath.Base(shard) + "/other.tmp",
	}
	if runtime.GOOS == "linux" { // elsewhere upper case makes no other name
		foreign = append(foreign, filepath.Base(shard)+"/"+strings.ToUpper(id)+"-d")
	}
	for _, name := range append(foreign, filepath.Join(id[:2], id+"-d", "prog"), filepath.Join(id[:2], "0123456789abcdef.tmp")) {
		path := filepath.Join(root, filepath.FromSlash(name))
		mustDo(t, os.MkdirAll(filepath.Dir(path), 0o755))
		mustDo(t, os.WriteFile(path, []byte("prog"), 0o644))
	}
	entries, size, err := usage(d)
	mustDo(t, err)
	if want := int64(1000 + actionSize + 4 + 4); entries != 1 || size != want {
		t.Errorf("usage %d entries, %d bytes; want 1, %d", entries, size, want)
	}

	d.now = func() time.Time { return time.Now().Add(3 * time.Hour) }
	got, err := d.Trim(TrimPolicy{})
	mustDo(t, err)
	if want := (Trimmed{1, 4, size - 4}); got != want {
		t.Errorf("trimming by no limit removed %+v, want the stale temporary file: %+v", got, want)
	}
	got, err = d.Clean(time.Time{})
	mustDo(t, err)
	if want := (Trimmed{3, size - 4, 0}); got != want {
		t.Errorf("cleaning removed %+v, want %+v", got, want)
	}
	if _, _, err := d.Get(e.Action); !errors.Is(err, ErrNotFound) {
		t.Errorf("the entry: %v", err)
	}
	slices.Sort(foreign)
	left := names(t, d)
	slices.Sort(left)
	if !slices.Equal(left, foreign) {
		t.Errorf("left are\n%q, want\n%q", left, foreign)
	}
}

func TestYoungTemporaryFilesStay(t *testing.T) {
	d := New(t.TempDir())
	putAged(t, d, 1, 0)
	f, err := d.createTemp(filepath.Dir(d.actionPath(numberedEntry(1, nil).Action)))
	mustDo(t, err)
	mustDo(t, f.Close())
	_, err = d.Trim(TrimPolicy{MaxAge: 1, MaxSize: 1})
	mustDo(t, err)
	wantTemps(t, d, 1)
}

func TestCleanKeepsWhatSessionsUse(t *testing.T) {
	d := New(t.TempDir())
	used, old := putAged(t, d, 1, 90*time.Minute), putAged(t, d, 2, 3*time.Hour)
	_, err := d.Clean(time.Now().Add(-time.Hour))
	mustDo(t, err)
	if _, _, err := d.Get(used.Action); err != nil {
		t.Error(err)
	}
	if _, _, err := d.Get(old.Action); err == nil {
		t.Error("the old entry is still there")
	}
}

// TestRemoveLooksAgain shows that remove keeps a body that another process uses after
// the sweep has looked at it.
func TestRemoveLooksAgain(t *testing.T) {
	d := New(t.TempDir())
	e := putAged(t, d, 1, 72*time.Hour)
	path := d.bodyPath(e.Output)
	seen, err := look(path, bodyFile)
	mustDo(t, err)
	if _, _, err := d.Get(e.Action); err != nil {
		t.Fatal(err)
	}
	removed, err := remove(seen, time.Now().Add(-Idle))
	if removed || err != nil {
		t.Errorf("removed: %v, %v", removed, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	wantTemps(t, d, 0)
}

// TestTrimAgainstGet shows that a body that Get gives out while a trim runs stays.
func TestTrimAgainstGet(t *testing.T) {
	d := New(t.TempDir())
	const entries = 300
	for n := range entries {
		data := bytes.Repeat([]byte{'x'}, n)
		e := numberedEntry(n, data)
		setAge(t, 72*time.Hour, mustPut(t, d, e, data), d.actionPath(e.Action))
	}
	var given sync.Map
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for n := entries - 1; n >= 0; n-- {
				if _, path, err := d.Get(numberedEntry(n, nil).Action); err == nil {
					given.Store(path, true)
				} else if !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		if _, err := New(d.Path()).Trim(TrimPolicy{MaxAge: 1}); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	given.Range(func(path, _ any) bool {
		if _, err := os.Stat(path.(string)); err != nil {
			t.Errorf("given out and gone: %v", err)
		}
		return true
	})
}

func TestTrimDue(t *testing.T) {
	d := New(t.TempDir())
	start := time.Now()
	steps := []struct {
		name  string
		after time.Duration
		due   bool
	}{
		{"first", 0, false},
		{"again", 0, false},
		{"23 hours later", 23 * time.Hour, false},
		{"25 hours later", 25 * time.Hour, true},
		{"the clock goes back a little", 25*time.Hour - 30*time.Minute, false},
		{"the clock goes back far", time.Hour, true},
	}
	for _, step := range steps {
		d.now = func() time.Time { return start.Add(step.after) }
		if due, err := d.TrimDue(); err != nil || due != step.due {
			t.Errorf("%s: %v, %v; want %v", step.name, due, err, step.due)
		}
	}
	mustDo(t, os.WriteFile(filepath.Join(d.Path(), ownFolder, "trim.txt"), []byte("what?"), 0o644))
	if due, err := d.TrimDue(); err != nil || !due {
		t.Errorf("with an unreadable stamp: %v, %v", due, err)
	}
}

// usage counts the entries in d and the bytes of all its files.
func usage(d *Dir) (entries int, bytes int64, err error) {
	err = d.walk(func(f file) error {
		if f.kind == actionFile {
			entries++
		}
		bytes += f.size
		return nil
	})
	return entries, bytes, err
}
