package integration

import (
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/larderbuild/larder/testserver"
)

// withoutLocks names the variable with the error that locking gives, and the variable with
// the path of larder. If they are set this program becomes larder on file systems without
// locks.
const withoutLocks, withoutLocksLarder = "WITHOUT_LOCKS", "WITHOUT_LOCKS_LARDER"

func init() {
	errno, err := strconv.Atoi(os.Getenv(withoutLocks))
	if err != nil {
		return
	}
	panic(testserver.ExecWithoutLocks(syscall.Errno(errno), os.Getenv(withoutLocksLarder), os.Args, os.Environ()))
}

// TestWithoutLocks: where the file systems of LARDER_DIR and of the remote have no locks,
// larder uploads what a build has made, ends its sessions, and finds everything again.
func TestWithoutLocks(t *testing.T) {
	t.Parallel()
	c := usualChain(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for i, errno := range []syscall.Errno{syscall.ENOLCK, syscall.ENOSYS, syscall.EOPNOTSUPP, syscall.EINVAL} {
		for j, closing := range []string{"wait", "linger"} {
			if !whole && i%2 != j {
				continue
			}
			t.Run(errno.Error()+"/"+closing, func(t *testing.T) {
				t.Parallel()
				remote := directory(t)
				settings := []string{"GOCACHEPROG=" + self, "LARDER_CLOSE=" + closing,
					withoutLocks + "=" + strconv.Itoa(int(errno)), withoutLocksLarder + "=" + larder}
				a := c.newStocked(t, remote, settings...)
				if r := c.build(a); r.stderr != "" || closing == "wait" && r.stats.Uploads < int64(2*c.packages) {
					t.Errorf("%d uploads\n%s", r.stats.Uploads, r.stderr)
				}
				a.must(self, "flush")
				a.wantNoSessions()
				b := c.newStocked(t, remote, settings...)
				if r := c.build(b); r.stderr != "" || r.stats.PrefetchHits < int64(2*c.packages) {
					t.Errorf("on another machine: %s\n%s", r.stats, r.stderr)
				}
			})
		}
	}
}
