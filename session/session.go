package session

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/larderbuild/larder/filelock"
)

// Session is a session's directory, which this process owns. CreateTemp may be called
// from many goroutines.
type Session struct {
	dir   string
	lock  *lock
	ended chan struct{} // closed by Close
}

// uploadPrefix begins the names of entry objects and packs on their way out.
const uploadPrefix = "upload-"

// sessionsDir returns the folder of all sessions below local.
func sessionsDir(local string) string { return filepath.Join(local, "larder", "sessions") }

// New makes a session that begins now, below local, the directory of a local tier.
// The caller ends it with Close.
func New(local string, now time.Time) (*Session, error) {
	// Until its lock is locked the directory looks like one that was left behind, and
	// another process may take it away. Then New makes another one.
	for range 100 {
		dir := filepath.Join(sessionsDir(local), owner{now, os.Getpid(), here()}.String())
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make session: %w", err)
		}
		l, held, err := tryLock(lockPath(dir), os.O_CREATE|os.O_RDWR)
		if err != nil && !filelock.Missing(err) && !errors.Is(err, fs.ErrNotExist) {
			l.Close()
			return nil, fmt.Errorf("make session: lock it: %w", err)
		}
		// The lock counts only if it is on the file that others will try.
		if _, err := os.Stat(lockPath(dir)); err == nil && !held {
			s := &Session{dir: dir, lock: l, ended: make(chan struct{})}
			go s.beat()
			return s, nil
		}
		l.Close()
		now = now.Add(1)
	}
	return nil, errors.New("make session: its folder is taken away again and again")
}

// beat renews the modification time of the lock file until the session ends. It tells
// other machines that the session is alive.
func (s *Session) beat() {
	ticker := time.NewTicker(beatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-s.ended:
			return
		case now := <-ticker.C:
			_ = os.Chtimes(lockPath(s.dir), now, now) // the next one may succeed
		}
	}
}

// Dir returns the session's directory.
func (s *Session) Dir() string { return s.dir }

// Is reports whether l is s.
func (s *Session) Is(l Live) bool { return s.dir == l.dir }

// LazyDir returns the directory for archives that are given out before their bytes
// are here. The session does not make it.
func (s *Session) LazyDir() string { return filepath.Join(s.dir, "lazy") }

// CreateTemp makes a file for an entry object or a pack on its way out. The caller
// closes and removes it; what a killed process leaves goes with the session.
func (s *Session) CreateTemp() (*os.File, error) { return os.CreateTemp(s.dir, uploadPrefix+"*") }

// overName is the name of the file that says that the session's input has ended.
const overName = "over"

// Over says that the build is over, and that the session only finishes its work now. Who
// flushes waits for such sessions, and for no others.
func (s *Session) Over() {
	if f, err := os.Create(filepath.Join(s.dir, overName)); err == nil { // else nobody waits
		f.Close()
	}
}

// Idle takes back what Over said: nobody has to wait for this session.
func (s *Session) Idle() { _ = os.Remove(filepath.Join(s.dir, overName)) }

// journalPath returns the path of the journal of the session in dir.
func journalPath(dir string) string { return filepath.Join(dir, "journal") }

// Close ends the session. Its directory goes, and its journal, if there is one, joins
// what others have left to do.
func (s *Session) Close() {
	close(s.ended)
	end(s.dir, s.lock)
}

// gonePrefix begins the names of directories of sessions that have ended.
const gonePrefix = "gone-"

// end removes the session in dir, whose lock is l. The lock keeps other processes off
// until the directory has another name. So none can lose a session that begins at the
// same moment.
func end(dir string, l *lock) {
	if runtime.GOOS == "windows" { // where a folder keeps its name while a file in it is open
		l.Close()
	} else {
		defer l.Close()
	}
	gone := filepath.Join(filepath.Dir(dir), gonePrefix+filepath.Base(dir))
	if os.Rename(dir, gone) == nil { // otherwise a later session removes it
		bury(gone)
	}
}

// bury removes gone, the directory of a session that has ended. Several processes may do
// so at the same time.
func bury(gone string) {
	journal := journalPath(gone)
	if _, err := os.Stat(journal); err == nil {
		folder := leftDir(localOf(gone))
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return // and keep the journal
		}
		err := os.Rename(journal, filepath.Join(folder, strings.TrimPrefix(filepath.Base(gone), gonePrefix)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return // and keep the journal
		}
	}
	os.RemoveAll(gone)
}

// localOf returns the directory of the local tier that the session in dir belongs to.
func localOf(dir string) string { return filepath.Join(dir, "..", "..", "..") }
