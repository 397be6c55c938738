package session

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

// Session is a session's directory, which this process has locked. CreateTemp may be
// called from many goroutines.
type Session struct {
	dir  string
	lock *flock.Flock
}

// uploadPrefix begins the names of entry objects and packs on their way out.
const uploadPrefix = "upload-"

// sessionsDir returns the folder of all sessions below local.
func sessionsDir(local string) string { return filepath.Join(local, "larder", "sessions") }

// New makes a session that begins now, below local, the directory of a local tier.
// The caller ends it with Close.
func New(local string, now time.Time) (*Session, error) {
	dir := filepath.Join(sessionsDir(local), fmt.Sprintf("%d-%d", now.UnixNano(), os.Getpid()))
	// Until the directory is locked it looks like one that was left behind, and
	// another process may sweep it away. Then New makes it again.
	for range 10 {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make session: %w", err)
		}
		s, err := Take(dir)
		if s != nil || err != nil {
			return s, err
		}
		time.Sleep(time.Millisecond)
	}
	return nil, fmt.Errorf("make session: %s is taken away again and again", dir)
}

// Take locks the session in dir. It returns nil, without an error, if a live
// process owns the session or if the session is gone.
func Take(dir string) (*Session, error) {
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
			return &Session{dir: dir, lock: lock}, nil
		}
	}
	lock.Close()
	return nil, nil
}

// List returns the directories of all sessions below local, the oldest first: their names
// begin with the time, in as many digits.
func List(local string) ([]string, error) {
	entries, err := os.ReadDir(sessionsDir(local))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, e := range entries {
		if _, ok := startOf(e.Name()); ok && e.IsDir() {
			dirs = append(dirs, filepath.Join(sessionsDir(local), e.Name()))
		}
	}
	return dirs, nil
}

// startOf returns the time in the name of a session's directory.
func startOf(dir string) (time.Time, bool) {
	text, _, ok := strings.Cut(filepath.Base(dir), "-")
	nanos, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(0, nanos), ok && err == nil
}

// Dir returns the session's directory.
func (s *Session) Dir() string { return s.dir }

// LazyDir returns the directory for archives that are given out before their bytes
// are here. The session does not make it.
func (s *Session) LazyDir() string { return filepath.Join(s.dir, "lazy") }

// CreateTemp makes a file for an entry object or a pack on its way out. The caller
// closes and removes it; what a killed process leaves goes with the session.
func (s *Session) CreateTemp() (*os.File, error) { return os.CreateTemp(s.dir, uploadPrefix+"*") }

// journalPath returns the path of the journal of the session in dir.
func journalPath(dir string) string { return filepath.Join(dir, "journal") }

// Close gives the session up. Its directory goes, unless a journal is in it.
func (s *Session) Close() {
	var err error
	if _, missing := os.Stat(journalPath(s.dir)); errors.Is(missing, fs.ErrNotExist) {
		err = os.RemoveAll(s.dir)
	} else {
		s.removeTemp()
	}
	s.lock.Close()
	if err != nil {
		os.RemoveAll(s.dir) // where a file that is open can't be removed
	}
}

// removeTemp removes everything that is of use to the session's own process alone.
func (s *Session) removeTemp() {
	os.RemoveAll(s.LazyDir())
	files, _ := os.ReadDir(s.dir) // what can't be read goes with the session
	for _, f := range files {
		if strings.HasPrefix(f.Name(), uploadPrefix) {
			os.Remove(filepath.Join(s.dir, f.Name()))
		}
	}
}
