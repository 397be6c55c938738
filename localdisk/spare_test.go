package localdisk

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/shirou/gopsutil/v4/disk"
)

// withSpare returns the directory at root with an empty one behind it. opened counts how
// often the spare directory was to be made.
func withSpare(t *testing.T, root string) (d, spare *Dir, opened *atomic.Int32) {
	t.Helper()
	spare, opened = New(filepath.Join(t.TempDir(), "spare")), new(atomic.Int32)
	return New(root).WithSpare(func(refusal error) (*Dir, error) {
		if refusal == nil {
			_, err := os.Stat(spare.Path())
			return spare, err
		}
		opened.Add(1)
		return spare, nil
	}), spare, opened
}

// TestSpareIsNotNeeded: a disk that takes everything has nothing behind it.
func TestSpareIsNotNeeded(t *testing.T) {
	d, spare, opened := withSpare(t, filepath.Join(t.TempDir(), "tier"))
	e := numberedEntry(1, []byte("body"))
	if path := mustPut(t, d, e, []byte("body")); !strings.HasPrefix(path, d.Path()) {
		t.Errorf("the body is at %s", path)
	}
	if _, err := d.Put(e, strings.NewReader("ydob")); !errors.Is(err, ErrContent) {
		t.Errorf("Put of another body: %v", err)
	}
	broken := errors.New("broken")
	if _, err := d.Put(e, readerFunc(func([]byte) (int, error) { return 0, broken })); !errors.Is(err, broken) {
		t.Errorf("Put of a body that breaks off: %v", err)
	}
	if opened.Load() != 0 || d.Spare() != nil {
		t.Errorf("%s was made", spare.Path())
	}
	wantTemps(t, d, 0)
}

// TestSpare puts into a directory that can't be made.
func TestSpare(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	mustDo(t, os.WriteFile(file, nil, 0o600))
	d, spare, _ := withSpare(t, filepath.Join(file, "tier"))
	for i, body := range []string{"", "body", strings.Repeat("long ", 100_000)} {
		e := numberedEntry(i, []byte(body))
		put := mustPut(t, d, e, []byte(body))
		got, path, err := d.Get(e.Action)
		if err != nil || got.Output != e.Output || path != put || !strings.HasPrefix(path, spare.Path()) {
			t.Errorf("got %v at %s, %v; want %v at %s", got.Output, path, err, e.Output, put)
		}
		linked := filepath.Join(t.TempDir(), "linked")
		mustDo(t, d.Link(e, linked))
		if data, err := os.ReadFile(linked); err != nil || string(data) != body {
			t.Errorf("%s holds %d bytes (%v), want %d", linked, len(data), err, len(body))
		}
	}
	if entries, _, err := usage(d.Spare()); entries != 3 || err != nil {
		t.Errorf("the spare directory has %d entries, %v; want 3", entries, err)
	}
	if _, _, err := d.Get(numberedEntry(9, nil).Action); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get of what is in neither: %v", err)
	}
	if err := d.CheckWritable(); err == nil {
		t.Error("it can be written")
	}
	mustDo(t, spare.CheckWritable())
	wantTemps(t, spare, 0)
}

// TestNoSpare has neither directory take anything.
func TestNoSpare(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	mustDo(t, os.WriteFile(file, nil, 0o600))
	d := New(filepath.Join(file, "tier")).WithSpare(func(error) (*Dir, error) { return nil, fs.ErrNotExist })
	e := numberedEntry(1, []byte("body"))
	if _, err := d.Put(e, strings.NewReader("body")); err == nil || errors.Is(err, ErrContent) {
		t.Errorf("Put: %v", err)
	}
	if _, _, err := d.Get(e.Action); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
}

func TestRoom(t *testing.T) {
	d := New(t.TempDir())
	mustPut(t, d, numberedEntry(1, make([]byte, 1000)), make([]byte, 1000))
	for _, maxSize := range []int64{3000, 500} {
		if room, want := d.Room(maxSize), maxSize-1000-int64(actionSize); room != want {
			t.Errorf("within %d bytes there is room for %d, want %d", maxSize, room, want)
		}
	}
	if room := New(filepath.Join(t.TempDir(), "missing")).Room(0); room != math.MaxInt64 {
		t.Errorf("a disk that can't be asked has room for %d", room)
	}
}

// TestRoomOn has what file systems say of themselves.
func TestRoomOn(t *testing.T) {
	for name, test := range map[string]struct {
		usage disk.UsageStat
		want  int64
	}{
		"a usual one":                 {disk.UsageStat{Total: 1 << 40, Free: 3 << 30, InodesTotal: 1000, InodesFree: 900}, 2 << 30},
		"a small one":                 {disk.UsageStat{Total: 2000, Free: 500}, 400},
		"no size":                     {disk.UsageStat{}, math.MaxInt64},
		"without an end":              {disk.UsageStat{Total: math.MaxUint64, Free: math.MaxUint64}, math.MaxInt64 - maxFree},
		"hardly an inode":             {disk.UsageStat{Total: 2000, Free: 500, InodesTotal: 1000, InodesFree: 49}, 0},
		"enough inodes":               {disk.UsageStat{Total: 2000, Free: 500, InodesTotal: 1000, InodesFree: 50}, 400},
		"ten inodes, of which none":   {disk.UsageStat{Total: 2000, Free: 500, InodesTotal: 10}, 0},
		"as many inodes as there are": {disk.UsageStat{Total: 2000, Free: 500, InodesTotal: math.MaxUint64, InodesFree: math.MaxUint64}, 400},
	} {
		if got := roomOn(&test.usage); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}
