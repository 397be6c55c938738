package session

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/larderbuild/larder/filelock"
	"github.com/larderbuild/larder/testserver"
)

// Where the file system has no locks, sessions go on without. The session of a process
// that runs is live, and that of a process that is gone has ended.
func TestWithoutLocks(t *testing.T) {
	const part, place = "LARDER_TEST_PART", "LARDER_TEST_LOCAL"
	local := os.Getenv(place)
	switch os.Getenv(part) {
	case "":
		local = t.TempDir()
		for _, next := range []string{"leave", "find"} {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWithoutLocks$")
			cmd.Env = append(os.Environ(), part+"=locked "+next, place+"="+local)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", next, err, out)
			}
		}
	case "locked leave", "locked find":
		os.Setenv(part, strings.TrimPrefix(os.Getenv(part), "locked "))
		t.Fatal(testserver.ExecWithoutLocks(syscall.ENOLCK, os.Args[0], os.Args, os.Environ()))
	case "leave":
		if _, _, err := tryLock(t.TempDir()+"/lock", os.O_CREATE|os.O_RDWR); !filelock.Missing(err) {
			t.Fatalf("lock: %v: this test shows nothing", err)
		}
		s, err := New(local, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		s.Over()
		j := create(t, s, somewhere, false)
		if err := errors.Join(j.Add(one), j.Close(true)); err != nil {
			t.Fatal(err)
		}
		if live, err := List(local); len(live) != 1 || !live[0].Over || err != nil {
			t.Errorf("live: %+v, %v", live, err)
		}
	case "find":
		works, err := Left(local)
		if len(works) != 1 || err != nil {
			t.Fatalf("left: %+v, %v", works, err)
		}
		for range 2 {
			if _, ok := LockScope(local, somewhere); !ok {
				t.Error("work is kept from a process that can lock nothing")
			}
		}
		if entries := sessions(t, local); len(entries) > 0 {
			t.Errorf("there are still %v", entries)
		}
	}
}
