package localdisk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// mount mounts a file system at path until the test ends. If the test may not mount, it
// is skipped; in CI it fails where root may not.
func mount(t *testing.T, source, path, fstype string, flags uintptr, data string) {
	t.Helper()
	err := syscall.Mount(source, path, fstype, flags, data)
	if err == nil {
		if flags&syscall.MS_REMOUNT == 0 {
			t.Cleanup(func() { mustDo(t, syscall.Unmount(path, syscall.MNT_DETACH)) })
		}
		return
	}
	if os.Getenv("CI") != "" && os.Getuid() == 0 {
		t.Fatalf("mount %s: %v", path, err)
	}
	t.Skipf("cannot mount: %v", err)
}

func TestFullDisk(t *testing.T) {
	root := t.TempDir()
	mount(t, "tmpfs", root, "tmpfs", 0, "size=256k")
	d := New(root)
	small := numberedEntry(1, []byte("small"))
	mustPut(t, d, small, []byte("small"))

	large := bytes.Repeat([]byte("large"), 200_000)
	e := numberedEntry(2, large)
	if _, err := d.Put(e, bytes.NewReader(large)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Put: %v", err)
	}
	if _, _, err := d.Get(e.Action); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of what did not fit: %v", err)
	}
	if _, _, err := d.Get(small.Action); err != nil {
		t.Errorf("Get of what is there: %v", err)
	}
	wantTemps(t, d, 0)
	// The failed put has freed its space.
	fits := bytes.Repeat([]byte("x"), 100_000)
	mustPut(t, d, numberedEntry(3, fits), fits)
}

// TestFullDiskBeforeTheAction puts an entry whose body fits on the disk and whose
// action file does not.
func TestFullDiskBeforeTheAction(t *testing.T) {
	root := t.TempDir()
	// Room for the root, two folders and one file.
	mount(t, "tmpfs", root, "tmpfs", 0, "nr_inodes=4")
	d := New(root)
	e := numberedEntry(1, []byte("body"))
	mustDo(t, os.Mkdir(filepath.Dir(d.actionPath(e.Action)), 0o755))
	mustDo(t, os.Mkdir(filepath.Dir(d.bodyPath(e.Output)), 0o755))
	if _, err := d.Put(e, bytes.NewReader([]byte("body"))); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Put: %v", err)
	}
	if _, err := os.Stat(d.bodyPath(e.Output)); err != nil {
		t.Errorf("the body did not fit either, so that this test shows nothing: %v", err)
	}
	if _, _, err := d.Get(e.Action); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	wantTemps(t, d, 0)
}

func TestReadOnlyDirectory(t *testing.T) {
	root := t.TempDir()
	mount(t, "tmpfs", root, "tmpfs", 0, "")
	d := New(root)
	e := putAged(t, d, 1, 72*time.Hour)
	mount(t, "", root, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")

	if _, _, err := d.Get(e.Action); err != nil {
		t.Errorf("Get: %v", err)
	}
	calls := everyUpkeep(d)
	delete(calls, "Usage")
	calls["Put"] = func() error {
		_, err := d.Put(numberedEntry(2, []byte("body")), bytes.NewReader([]byte("body")))
		return err
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if entries, _, err := usage(d); entries != 1 || err != nil {
		t.Errorf("Usage: %d entries, %v", entries, err)
	}
}

// TestBodyThatCannotBeReplaced mounts something over a body. Then a rename cannot
// replace the body, as it cannot replace an open file on Windows.
func TestBodyThatCannotBeReplaced(t *testing.T) {
	d := New(t.TempDir())
	first, second := numberedEntry(1, []byte("body")), numberedEntry(2, []byte("body"))
	path := mustPut(t, d, first, []byte("body"))
	mount(t, path, path, "", syscall.MS_BIND, "")

	mustPut(t, d, second, []byte("body"))
	if _, _, err := d.Get(second.Action); err != nil {
		t.Error(err)
	}
	mustDo(t, os.WriteFile(path, []byte("ydob"), 0o644))
	if _, err := d.Put(second, bytes.NewReader([]byte("body"))); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("Put over a damaged body: %v", err)
	}
	wantTemps(t, d, 0)
}

// TestNoDirectoryIsRead shows that the cost of New, Get and Put does not grow with the
// number of entries: none of them lists a directory.
func TestNoDirectoryIsRead(t *testing.T) {
	root := t.TempDir()
	d := New(root)
	e := numberedEntry(1, []byte("body"))
	path := mustPut(t, d, e, []byte("body"))
	opened := watchDirectories(t, root, filepath.Dir(path), filepath.Dir(d.actionPath(e.Action)))

	d = New(root)
	if _, _, err := d.Get(e.Action); err != nil {
		t.Error(err)
	}
	if _, _, err := d.Get(numberedEntry(2, nil).Action); err == nil {
		t.Error("hit of what is not there")
	}
	mustPut(t, d, e, []byte("body"))
	if n := opened(); n != 0 {
		t.Errorf("%d openings and readings of directories, want 0", n)
	}
	if _, _, err := usage(d); err != nil {
		t.Error(err)
	}
	if opened() == 0 {
		t.Error("none with Usage either: they are not seen")
	}
}

// watchDirectories returns a function that returns how often the directories were
// opened or read since its last call.
func watchDirectories(t *testing.T, paths ...string) func() int {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	mustDo(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	for _, path := range paths {
		_, err := syscall.InotifyAddWatch(fd, path, syscall.IN_OPEN|syscall.IN_ACCESS)
		mustDo(t, err)
	}
	return func() (n int) {
		buf := make([]byte, 64<<10)
		for {
			got, err := syscall.Read(fd, buf)
			if errors.Is(err, syscall.EAGAIN) {
				return n
			}
			mustDo(t, err)
			for rest := buf[:got]; len(rest) > 0; {
				// struct inotify_event: wd, mask, cookie, len, name
				mask := binary.NativeEndian.Uint32(rest[4:])
				if mask&syscall.IN_ISDIR != 0 {
					n++
				}
				rest = rest[syscall.SizeofInotifyEvent+binary.NativeEndian.Uint32(rest[12:]):]
			}
		}
	}
}
