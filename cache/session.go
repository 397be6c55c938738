package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// session is a directory that one process has to itself, under the local tier:
//
//	<dir>/larder/sessions/<start, Unix nanoseconds>-<process ID>/
//	    lock      held by the process that owns the session
//	    journal   what is still to be done; see journal
//	    upload-*  entry objects and packs on their way out
//	    lazy/     archives that were given out before their bytes were here, by
//	              their output IDs
//
// A session whose lock is free belongs to a process that is gone. Whoever takes
// the lock takes the session over.
type session struct {
	dir  string
	lock *flock.Flock
}

// uploadPrefix begins the names of entry objects and packs on their way out.
const uploadPrefix = "upload-"

func sessionsDir(local string) string { return filepath.Join(local, "larder", "sessions") }

// newSession makes a session under the local tier's directory.
func newSession(local string, now time.Time) (*session, error) {
	dir := filepath.Join(sessionsDir(local), fmt.Sprintf("%d-%d", now.UnixNano(), os.Getpid()))
	// Between its making and its locking the directory looks like one that
	// was left behind, and may be swept away: then make it again.
	for range 10 {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make session: %w", err)
		}
		s, err := takeSession(dir)
		if s != nil || err != nil {
			return s, err
		}
		time.Sleep(time.Millisecond)
	}
	return nil, fmt.Errorf("make session: %s is taken away again and again", dir)
}

// takeSession locks the session in dir. It returns nil if a live process owns
// the session or if it is gone.
func takeSession(dir string) (*session, error) {
	lock := flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		lock.Close()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("lock session: %w", err)
	}
	if locked {
		// The lock counts only if it is on the file that others will try.
		if _, err := os.Stat(lock.Path()); err == nil {
			return &session{dir: dir, lock: lock}, nil
		}
	}
	lock.Close()
	return nil, nil
}

// sessions returns the directories of all sessions, the oldest first.
func sessions(local string) ([]string, error) {
	entries, err := os.ReadDir(sessionsDir(local))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, e := range entries {
		if _, ok := sessionStart(e.Name()); ok && e.IsDir() {
			dirs = append(dirs, filepath.Join(sessionsDir(local), e.Name()))
		}
	}
	return dirs, nil
}

// sessionStart returns the time in a session's name.
func sessionStart(name string) (time.Time, bool) {
	start, _, ok := strings.Cut(filepath.Base(name), "-")
	nanos, err := strconv.ParseInt(start, 10, 64)
	return time.Unix(0, nanos), ok && err == nil
}

// LiveSince returns the start of the oldest session that is under way in the
// local tier's directory, or the zero time if there is none. Nothing that was
// used after it may be removed. Sessions of dead processes that left nothing to
// do are swept away.
func LiveSince(local string) (time.Time, error) {
	dirs, err := sessions(local)
	if err != nil {
		return time.Time{}, err
	}
	for _, dir := range dirs {
		s, err := takeSession(dir)
		if err != nil {
			return time.Time{}, err
		}
		if s == nil {
			start, _ := sessionStart(dir)
			return start, nil
		}
		s.close()
	}
	return time.Time{}, nil
}

// sweepSessions removes what processes that are gone have left and nobody needs.
func sweepSessions(local string) {
	dirs, _ := sessions(local) // what can't be read is for a later session
	for _, dir := range dirs {
		if s, _ := takeSession(dir); s != nil {
			s.close()
		}
	}
}

func (s *session) journal() string { return filepath.Join(s.dir, "journal") }

func (s *session) lazy() string { return filepath.Join(s.dir, "lazy") }

// sweep removes everything that is of use to its process alone.
func (s *session) sweep() {
	os.RemoveAll(s.lazy())
	files, _ := os.ReadDir(s.dir) // what can't be read goes with the session
	for _, f := range files {
		if strings.HasPrefix(f.Name(), uploadPrefix) {
			os.Remove(filepath.Join(s.dir, f.Name()))
		}
	}
}

// close gives the session up. Unless it holds a journal, its directory goes.
func (s *session) close() {
	var left error
	if _, err := os.Stat(s.journal()); errors.Is(err, fs.ErrNotExist) {
		left = os.RemoveAll(s.dir)
	} else {
		s.sweep()
	}
	s.lock.Close()
	if left != nil {
		os.RemoveAll(s.dir) // where a file that is open can't be removed
	}
}
