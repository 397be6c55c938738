package tier

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/larderbuild/larder/backend"
)

// TestFullDisk: a full disk costs requests of the store, and nothing else.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=2m"); err != nil {
		if os.Getenv("CI") != "" && os.Getuid() == 0 {
			t.Fatalf("mount: %v", err)
		}
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	r := newRig(t, 1<<30)
	r.reopenAt(filepath.Join(folder, "tier"))
	data := text(3 * blockSize)
	r.store("large", data)
	r.put("small", "x")
	for range 2 {
		r.want("large", data) // does not fit
		wantRange(t, r.Store, "large", backend.Range{Offset: 7, Length: 2 * blockSize}, data[7:7+2*blockSize])
	}
	r.put("large", data[1:])
	r.want("large", data[1:])
	r.wantStored("large", data[1:])
	if _, err := put(t.Context(), r.Store, "large", data, backend.Condition{Absent: true}); err == nil {
		t.Error("a condition that does not hold: no error")
	}
	r.want("small", "x")
	r.put("small", "y")
	r.want("small", "y")
	r.close()
	r.wantStored("small", "y")
}
