package serve_test

import (
	"net/http"
	"os"
	"syscall"
	"testing"
)

// A store on a full disk says so, and keeps what it has.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	k := open(t, nil)
	if err := syscall.Mount("tmpfs", k.root, "tmpfs", 0, "size=64k"); err != nil {
		if os.Getenv("CI") != "" && os.Getuid() == 0 {
			t.Fatalf("mount: %v", err)
		}
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(k.root, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	k.put("/cache/a", "small")
	large := string(noise(90_000))
	for _, path := range []string{"/cache/a", "/cache/b", "/v1/s/a", "/cas/" + sha256Of(large), "/ac/" + sha256Of(large)} {
		if a := k.send("PUT "+path, h{"Content-MD5: " + md5Of(large)}, large); a.status != http.StatusInsufficientStorage {
			t.Errorf("PUT %s: status %d: %s", path, a.status, a.body)
		}
	}
	if got := files(t, k.root); len(got) != 1 {
		t.Errorf("%d files, want 1", len(got))
	}
	if a := k.send("GET /cache/a", nil, ""); a.body != "small" {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	k.put("/cache/b", "small, too")
}
