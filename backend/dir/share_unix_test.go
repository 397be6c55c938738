//go:build unix

package dir_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/larderbuild/larder/backend/backendtest"
)

// TestPermissions: what is put has the permissions of the root, whatever the umask is. So
// who may write the root may replace it.
func TestPermissions(t *testing.T) {
	// Not in parallel: the umask is that of the process.
	for _, umask := range []int{0, 0o022, 0o077} {
		for _, mode := range []fs.FileMode{0o700, 0o755, 0o770, 0o777, 0o775 | fs.ModeSetgid, 0o777 | fs.ModeSticky} {
			root := t.TempDir()
			if err := os.Chmod(root, mode); err != nil {
				t.Fatal(err)
			}
			was := syscall.Umask(umask)
			backendtest.PutBytes(t, open(t, root), "a/b/key", []byte("x"))
			syscall.Umask(was)
			err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				info, err := entry.Info()
				if err != nil {
					return err
				}
				want := mode | fs.ModeDir
				if !entry.IsDir() {
					want = mode & 0o666
				}
				if info.Mode() != want {
					t.Errorf("root %v, umask %03o: %s has %v", mode, umask, entry.Name(), info.Mode())
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
