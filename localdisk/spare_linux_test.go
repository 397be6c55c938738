package localdisk

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSpareForADiskThatFills has a disk refuse a body at its beginning, in its middle, and
// the action file after it. Whatever it is, the entry is whole in the spare directory, and
// an older one of the same action does not come back.
func TestSpareForADiskThatFills(t *testing.T) {
	large := bytes.Repeat([]byte("large"), 200_000)
	for _, test := range []struct {
		name, options string
		prepare       func(t *testing.T, d *Dir, e Entry)
	}{
		{"no room for the body", "size=256k", nil},
		{"no inode for the body", "nr_inodes=2", nil},
		{"no inode for the action file", "nr_inodes=4", func(t *testing.T, d *Dir, e Entry) {
			mustDo(t, os.Mkdir(filepath.Dir(d.actionPath(e.Action)), 0o755))
			mustDo(t, os.Mkdir(filepath.Dir(d.bodyPath(e.Output)), 0o755))
		}},
		{"an older entry", "size=256k", func(t *testing.T, d *Dir, e Entry) {
			older := numberedEntry(1, []byte("older"))
			mustPut(t, d, older, []byte("older"))
		}},
		{"read-only", "", func(t *testing.T, d *Dir, _ Entry) {
			mount(t, "", d.Path(), "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			mount(t, "tmpfs", root, "tmpfs", 0, test.options)
			d, spare, _ := withSpare(t, root)
			e := numberedEntry(1, large)
			if test.prepare != nil {
				test.prepare(t, New(root), e)
			}
			path := mustPut(t, d, e, large)
			got, gotPath, err := d.Get(e.Action)
			if err != nil || got.Output != e.Output || gotPath != path || !strings.HasPrefix(path, spare.Path()) {
				t.Errorf("got %v at %s, %v; want %v at %s", got.Output, gotPath, err, e.Output, path)
			}
			if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, large) {
				t.Errorf("%s holds %d bytes (%v), want %d", path, len(data), err, len(large))
			}
			wantTemps(t, d, 0)
			wantTemps(t, spare, 0)
		})
	}
}

// TestSpareIsFullToo: a put fails where both disks refuse, and leaves nothing.
func TestSpareIsFullToo(t *testing.T) {
	root, behind := t.TempDir(), t.TempDir()
	mount(t, "tmpfs", root, "tmpfs", 0, "size=256k")
	mount(t, "tmpfs", behind, "tmpfs", 0, "size=512k")
	spare := New(behind)
	d := New(root).WithSpare(func(error) (*Dir, error) { return spare, nil })
	large := bytes.Repeat([]byte("large"), 200_000)
	if _, err := d.Put(numberedEntry(1, large), bytes.NewReader(large)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Put: %v", err)
	}
	wantTemps(t, New(root), 0)
	wantTemps(t, spare, 0)
}

// TestLinkOnAFullDisk makes a body whole that was given out on a disk on which nothing
// else has room, neither for bytes nor for files. Where the room of what was given out is
// taken, too, another entry moves away.
func TestLinkOnAFullDisk(t *testing.T) {
	for _, options := range []string{"size=64k", "nr_inodes=12"} {
		for _, taken := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, taken=%t", options, taken), func(t *testing.T) {
				root := t.TempDir()
				mount(t, "tmpfs", root, "tmpfs", 0, options)
				behind := New(filepath.Join(t.TempDir(), strings.Repeat("long", 30))) // a link to it has a block of its own
				d := New(filepath.Join(root, "tier")).WithSpare(func(error) (*Dir, error) { return behind, nil })
				small := numberedEntry(1, []byte("small"))
				smallPath := mustPut(t, d, small, []byte("small"))
				given := filepath.Join(root, "given")
				mustDo(t, os.WriteFile(given, []byte("head"), 0o600))
				body := bytes.Repeat([]byte("large"), 200_000)
				e := numberedEntry(2, body)
				mustPut(t, d, e, body)
				if taken {
					mustDo(t, os.Remove(given))
				}
				for i := 0; ; i++ { // nothing else fits
					if err := os.WriteFile(filepath.Join(root, strings.Repeat("x", i+1)), make([]byte, 4096), 0o600); err != nil {
						break
					}
				}
				mustDo(t, d.Link(e, given))
				if data, err := os.ReadFile(given); err != nil || !bytes.Equal(data, body) {
					t.Errorf("it holds %d bytes (%v), want %d", len(data), err, len(body))
				}
				if _, _, err := d.Get(small.Action); err != nil {
					t.Error(err)
				}
				if data, err := os.ReadFile(smallPath); err != nil || string(data) != "small" {
					t.Errorf("%s holds %q, %v", smallPath, data, err)
				}
			})
		}
	}
}

// TestRoomOnASmallDisk: a twentieth of the disk stays free.
func TestRoomOnASmallDisk(t *testing.T) {
	const most = (1<<20)*19/20 + 1
	for options, want := range map[string]int64{"size=1m": most, "size=1m,nr_inodes=40": most, "size=1m,nr_inodes=2": 0} {
		root := t.TempDir()
		mount(t, "tmpfs", root, "tmpfs", 0, options)
		mustDo(t, os.WriteFile(filepath.Join(root, "x"), nil, 0o600))
		if room := New(root).Room(0); room != want {
			t.Errorf("%s: room for %d, want %d", options, room, want)
		}
	}
}

// TestRoomOfUnknownSize: a file system that does not know its size is not full.
func TestRoomOfUnknownSize(t *testing.T) {
	root := t.TempDir()
	mount(t, "tmpfs", root, "tmpfs", 0, "size=0,nr_inodes=0")
	if room := New(root).Room(0); room != math.MaxInt64 {
		t.Errorf("room for %d bytes, want no limit", room)
	}
}
