package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/larderbuild/larder/cache"
)

// bytesOf says how a session with a warm remote gets the bytes of archives.
type bytesOf int

const (
	anyhow       bytesOf = iota // it depends
	eagerly                     // all at once
	lazily                      // some never
	lazily126                   // so from Go 1.26 on, and eagerly before
	atBarrier                   // some given out lazily, which a miss then needs
	atBarrier126                // so from Go 1.26 on
	given                       // some given out lazily, whatever became of them
)

// wantBytes fails the test unless the sessions that s counts got the bytes of
// archives as is wanted of a go command of version, "" for a new one.
func wantBytes(t *testing.T, s cache.Summary, want bytesOf, version string) {
	t.Helper()
	if old := version == "go1.24.13"; old && (want == lazily126 || want == atBarrier126) {
		want = eagerly
	}
	lazy, filled, bytes := s.Lazy, s.Filled, s.LazyBytes
	switch want {
	case eagerly:
		if lazy+filled+bytes != 0 {
			t.Errorf("%d files were given out lazily, want none", lazy)
		}
	case lazily, lazily126:
		if lazy == 0 || filled != 0 || bytes == 0 {
			t.Errorf("%d files were given out lazily, %d filled, %d bytes saved; want some, none, some", lazy, filled, bytes)
		}
	case given:
		if lazy == 0 {
			t.Error("no files were given out lazily, want some")
		}
	case atBarrier, atBarrier126:
		if lazy == 0 || filled == 0 {
			t.Errorf("%d files were given out lazily, %d filled; want some", lazy, filled)
		}
	}
}

var tierFile = regexp.MustCompile(`^([0-9a-f]{2}/[0-9a-f]{64}-[ad]|larder/(log|trim\.txt|manifests/[0-9a-f]{32}(\.lock|\.restored)?|remotes/[0-9a-f]{32}\.[a-z]+(\.lock)?|journals/[0-9a-f]{32}\.lock)|README|[a-z]+\.txt)$`)

// strangers returns the files in m's local tier that are none of the go
// command's cache, by their names, nor larder's few own.
func (m *machine) strangers() (names []string) {
	m.t.Helper()
	walkFiles(m.t, m.dir, func(path string) {
		name, err := filepath.Rel(m.dir, path)
		if err != nil {
			m.t.Fatal(err)
		}
		if name = filepath.ToSlash(name); !tierFile.MatchString(name) {
			names = append(names, name)
		}
	})
	return names
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
