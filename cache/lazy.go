package cache

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

// lazyFiles are the files that a session gives out with nothing but a manifest at hand:
// for an archive a file of the archive's size, which has its head with a hole behind it,
// and for an inline body a whole file. The go command reads no more of a hit than the
// head. The tools that read on follow a get that misses, and no miss is answered before
// all archives are whole.
//
// The files lie in the session's own directory, where no other process looks for
// bodies. One directory with a file for each body is also what file systems are
// fastest at.
type lazyFiles struct {
	Lazy
	dir   string
	stats *Stats

	eager chan struct{} // closed once the session is eager: no more files are given out

	mu    sync.Mutex                   // guards given and paths, which stay as they are then
	given []*pack.Entry                // archives, in their order, each body once
	paths map[protocol.OutputID]string // of all files

	filling    sync.Once // fills all files, for whichever miss comes first
	err        error     // of filling
	abandoning sync.Once // ends the go command where filling failed
}

// newLazyFiles returns the lazy files of a session. It makes dir with the first.
func newLazyFiles(l Lazy, dir string, stats *Stats) *lazyFiles {
	return &lazyFiles{
		Lazy:  l,
		dir:   dir,
		stats: stats,
		eager: make(chan struct{}),
		paths: make(map[protocol.OutputID]string),
	}
}

// give returns the path of a file for e. It returns none if the body of e is neither
// an archive nor in the manifest, if the session is eager, or if the disk refuses.
func (l *lazyFiles) give(e *pack.Entry) (path string, ok bool) {
	if e.Head == nil && e.InPack() {
		return "", false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isEager() {
		return "", false
	}
	if path, ok := l.paths[e.Output]; ok {
		return path, true
	}
	path = filepath.Join(l.dir, e.Output.String())
	if l.create(path, e) != nil {
		_ = os.Remove(path) // if not here, at the session's end
		return "", false
	}
	l.paths[e.Output] = path
	if e.InPack() {
		l.given = append(l.given, e)
		l.stats.count(func(s *Summary) {
			s.Lazy++
			s.LazyBytes += e.Length
		})
	}
	return path, true
}

// create makes the file of e: the head of an archive and a hole, or an inline body.
func (l *lazyFiles) create(path string, e *pack.Entry) error {
	content := e.Head
	if !e.InPack() {
		content = e.Inline
	}
	if len(l.paths) == 0 {
		if err := os.MkdirAll(l.dir, 0o700); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if len(content) > 0 {
		_, err = f.Write(content)
	}
	if err == nil && e.InPack() {
		err = f.Truncate(e.Size)
	}
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	return err
}

// errForged says that an archive is not the one whose head was given out.
var errForged = errors.New("it does not begin as the manifest says")

// fill puts the body of e, which the local tier has, in the place of its lazy file.
func (l *lazyFiles) fill(e *pack.Entry, local *localdisk.Dir) error {
	path := l.paths[e.Output]
	if err := local.Link(localEntry(e), path); err != nil {
		return err
	}
	if !bytes.HasPrefix(beginning(path), e.Head) {
		return fmt.Errorf("%s: %w", e.Output, errForged)
	}
	l.stats.count(func(s *Summary) {
		s.Filled++
		s.LazyBytes -= e.Length
	})
	return nil
}

// becomeEager makes the session eager. It returns the archives that were given out.
func (l *lazyFiles) becomeEager() []*pack.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isEager() {
		close(l.eager)
	}
	return l.given
}

// isEager reports whether the session is eager.
func (l *lazyFiles) isEager() bool {
	select {
	case <-l.eager:
		return true
	default:
		return false
	}
}

// any reports whether archives were given out.
func (l *lazyFiles) any() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.given) > 0
}

// sufficed reports whether files were given out, and the session is still lazy.
func (l *lazyFiles) sufficed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.paths) > 0 && !l.isEager()
}
