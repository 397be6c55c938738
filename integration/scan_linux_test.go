package integration

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/larderbuild/larder/protocol"
)

// TestNoScanAtStart: a helper that has entries in all directories answers from them
// without reading a directory to find out what there is.
func TestNoScanAtStart(t *testing.T) {
	t.Parallel()
	const entries = 2000
	dir := t.TempDir()
	fill(t, dir, entries)
	opened := watchDirectories(t, dir)

	cmd := exec.CommandContext(t.Context(), larder)
	cmd.Env = environ("LARDER_DIR=" + dir)
	c := dial(t, cmd)
	for _, i := range []int{0, entries / 2, entries - 1} {
		e, body := numbered(i)
		if a := c.get(e.Action); a.Miss || a.Err != "" || a.Size != int64(len(body)) {
			t.Errorf("get %d: %+v", i, a)
		}
	}
	if a := c.get(protocol.ActionID{}); !a.Miss {
		t.Errorf("get of what is not there: %+v", a)
	}
	c.close()
	if n := opened(); n != 0 {
		t.Errorf("%d directories were opened, want 0", n)
	}

	if _, err := os.ReadDir(filepath.Join(dir, "00")); err != nil {
		t.Fatal(err)
	}
	if opened() == 0 {
		t.Error("nor was the one that this test has opened: they are not seen")
	}
}

// watchDirectories returns a function that counts how many of the local tier's
// directories were opened since it was last called.
func watchDirectories(t *testing.T, root string) func() int {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	names := []string{""}
	for i := range 256 {
		names = append(names, fmt.Sprintf("%02x", i))
	}
	for _, name := range names {
		if _, err := syscall.InotifyAddWatch(fd, filepath.Join(root, name), syscall.IN_OPEN); err != nil {
			t.Fatal(err)
		}
	}
	return func() (n int) {
		buf := make([]byte, 64<<10)
		for {
			got, err := syscall.Read(fd, buf)
			if errors.Is(err, syscall.EAGAIN) {
				return n
			}
			if err != nil {
				t.Fatal(err)
			}
			for rest := buf[:got]; len(rest) > 0; {
				// struct inotify_event: wd, mask, cookie, len, name. The
				// opening of a watched directory itself has no name.
				mask, name := binary.NativeEndian.Uint32(rest[4:]), binary.NativeEndian.Uint32(rest[12:])
				if mask&syscall.IN_ISDIR != 0 && name == 0 {
					n++
				}
				rest = rest[syscall.SizeofInotifyEvent+name:]
			}
		}
	}
}
