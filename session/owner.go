package session

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/larderbuild/larder/filelock"
)

// owner is what the name of a session's directory says about the process that owns it.
type owner struct {
	start time.Time
	pid   int
	at    place
}

// place says where a process runs, in eight hex digits each.
type place struct {
	kernel string // one run of one kernel, which keeps locks for all its processes
	pids   string // among its processes, those to which a process ID means the same
}

// here returns the place of this process.
var here = sync.OnceValue(func() place {
	pids, _ := os.Readlink("/proc/self/ns/pid") // "" where there are no such namespaces
	kernel := bootID()
	if kernel == "" { // the machine's name is better than nothing
		kernel, _ = os.Hostname()
	}
	return place{digits(kernel), digits(pids)}
})

// digits returns eight hex digits that stand for text.
func digits(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// String returns the name of the directory.
func (o owner) String() string {
	return fmt.Sprintf("%d-%d-%s-%s", o.start.UnixNano(), o.pid, o.at.kernel, o.at.pids)
}

// parseOwner parses the name of a session's directory, or of the journal that it left. The
// names that earlier versions of larder gave say no place.
func parseOwner(name string) (o owner, ok bool) {
	fields := strings.Split(name, "-")
	switch len(fields) {
	case 2:
	case 4:
		o.at = place{fields[2], fields[3]}
	default:
		return o, false
	}
	nanos, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return o, false
	}
	o.start = time.Unix(0, nanos)
	o.pid, err = strconv.Atoi(fields[1])
	return o, err == nil
}

// state says what is known about the owner of a session.
type state uint8

const (
	dead state = iota
	alive
	unknown // its locks can't be seen from here; it counts as alive, but nobody waits for it
)

const (
	// beatInterval is how often a session renews the modification time of its lock file.
	beatInterval = time.Hour

	// silence is how long no beat comes from an owner that counts as dead, if that
	// can't be known in another way.
	silence = 24 * beatInterval
)

// state returns what is known about o, the owner of the session in dir. If it is dead
// the caller ends the session, and closes lock.
//
// A lock that is held is a sign of life. A lock that is free proves the opposite only on
// the owner's own kernel: some network file systems keep locks on each machine apart. An
// owner that says no place counts as one of this kernel. Where there are no locks, the
// process ID tells.
func (o owner) state(dir string) (s state, lock *lock) {
	lock, held, err := tryLock(lockPath(dir), os.O_RDWR)
	switch {
	case held:
		return alive, nil
	case err == nil && (o.at.kernel == here().kernel || o.at == place{}):
		return dead, lock
	case filelock.Missing(err) && o.at == here():
		if runs, err := running(o.pid); err == nil && !runs {
			return dead, lock
		}
		s = alive
	default:
		s = unknown
	}
	if silent(dir) {
		return dead, lock
	}
	lock.Close()
	return s, nil
}

// silent reports whether no beat has come from the session in dir for long. The
// directory itself counts where no lock file was made yet.
func silent(dir string) bool {
	info, err := os.Stat(lockPath(dir))
	if err != nil {
		info, err = os.Stat(dir)
	}
	return err == nil && time.Since(info.ModTime()) > silence
}

func lockPath(dir string) string { return filepath.Join(dir, "lock") }
