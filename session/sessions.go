package session

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Live is a session whose process is not known to be gone.
type Live struct {
	Start time.Time
	PID   int
	Over  bool // its build is over, and its process is known to run
	dir   string
}

// List returns the sessions below local that are under way, the oldest first: their
// names begin with the time, in as many digits. It ends the sessions whose process is
// gone: what they have left to do is among what [Left] returns then.
func List(local string) ([]Live, error) {
	entries, err := os.ReadDir(sessionsDir(local))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var live []Live
	for _, e := range entries {
		dir := filepath.Join(sessionsDir(local), e.Name())
		if strings.HasPrefix(e.Name(), gonePrefix) {
			bury(dir)
			continue
		}
		o, ok := parseOwner(e.Name())
		if !ok {
			_ = RemoveOld(dir, silence) // or another time
			continue
		}
		s, l := o.state(dir)
		if s == dead {
			end(dir, l)
			continue
		}
		_, errOver := os.Stat(filepath.Join(dir, overName))
		live = append(live, Live{Start: o.start, PID: o.pid, Over: errOver == nil && s == alive, dir: dir})
	}
	return live, err
}

// Building reports whether a build is under way below local.
func Building(local string) bool {
	live, _ := List(local) // what can't be read is not under way
	return slices.ContainsFunc(live, func(l Live) bool { return !l.Over })
}

// Sweep ends the sessions below local whose process is gone. What it can't remove it
// leaves for a later session.
func Sweep(local string) { _, _ = List(local) }

// LiveSince returns the start of the oldest session under way below local, or the
// zero time if there is none. Nothing that was used after it may be removed.
func LiveSince(local string) (time.Time, error) {
	live, err := List(local)
	if err != nil || len(live) == 0 {
		return time.Time{}, err
	}
	return live[0].Start, nil
}
