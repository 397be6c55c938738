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

// lazyFiles are what a session gives out of a manifest alone. Of an archive that
// is a file of the true size that begins with the archive's head and is a hole
// behind it. The go command reads no more of a hit; the tools that do read on
// follow a get that misses, and no miss is answered before all of the archives
// are whole. Bodies that stand in the manifest are whole at once.
//
// The files lie in the session's own directory, under no name by which another
// process could take them for more than they are. One directory, and a file for
// each body, is also what file systems are fastest at.
type lazyFiles struct {
	Lazy
	dir   string
	stats *Stats

	// ended is closed once bytes are needed: then no more is given out.
	ended chan struct{}

	mu    sync.Mutex
	given []*pack.Entry // archives, in their order, each body once
	paths map[protocol.OutputID]string

	filling    sync.Once // all of them
	err        error     // of that
	abandoning sync.Once // where that fails
}

// newLazyFiles returns the lazy files of a session, in dir, which is made where
// it is needed.
func newLazyFiles(l Lazy, dir string, stats *Stats) *lazyFiles {
	return &lazyFiles{
		Lazy:  l,
		dir:   dir,
		stats: stats,
		ended: make(chan struct{}),
		paths: make(map[protocol.OutputID]string),
	}
}

// give returns the path of a file for e, unless its body is neither an archive
// nor in the manifest, or is longer than limit, the session is not lazy, or no
// longer, or the disk refuses.
func (l *lazyFiles) give(e *pack.Entry, limit int64) (path string, ok bool) {
	if l == nil || e.Head == nil && e.InPack() || e.Size > limit {
		return "", false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over() {
		return "", false
	}
	if path, ok := l.paths[e.Output]; ok {
		return path, true
	}
	path = filepath.Join(l.dir, e.Output.String())
	if l.create(path, e) != nil {
		_ = os.Remove(path) // or the session's end does
		return "", false
	}
	l.paths[e.Output] = path
	if e.InPack() {
		l.given = append(l.given, e)
		l.stats.Lazy.Add(1)
		l.stats.LazyBytes.Add(e.Length)
	}
	return path, true
}

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

// fill makes the lazy file of e whole, with its body in the local tier.
func (l *lazyFiles) fill(e *pack.Entry, local *localdisk.Dir) error {
	path := l.paths[e.Output]
	if err := local.Link(localEntry(e), path); err != nil {
		return err
	}
	if !bytes.HasPrefix(beginning(path), e.Head) {
		return fmt.Errorf("%s: %w", e.Output, errForged)
	}
	l.stats.Filled.Add(1)
	l.stats.LazyBytes.Add(-e.Length)
	return nil
}

// end says that bytes are needed, and returns what was given out until then.
func (l *lazyFiles) end() []*pack.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over() {
		close(l.ended)
	}
	return l.given
}

// over reports whether bytes are needed.
func (l *lazyFiles) over() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// any reports whether archives were given out.
func (l *lazyFiles) any() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.given) > 0
}

// sufficed reports whether the session got on with what was given out.
func (l *lazyFiles) sufficed() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.paths) > 0 && !l.over()
}
