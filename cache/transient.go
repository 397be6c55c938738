package cache

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

// Transient is for a transient session: a test, or another program that a go command runs,
// builds a module in a temporary folder, for which nobody asks again. The session publishes
// nothing. Of what it puts it uploads the packages of GOROOT and of the module cache.
type Transient struct {
	Goroot   bool     // GOROOT is no temporary folder itself
	ModCache string   // the module cache; "": it is a temporary folder itself
	Folders  []string // temporary folders; a package that names a file in one is no lasting one
}

// sieve holds what a transient session puts, and lets through what is lasting. Its methods
// may be called at the same time.
type sieve struct {
	Transient
	local *localdisk.Dir

	mu      sync.Mutex
	lasting map[protocol.ActionID]bool   // actions of lasting packages, and their subkeys
	held    map[protocol.ActionID]queued // the last puts of other actions
}

func newSieve(t *Transient, local *localdisk.Dir) *sieve {
	if t == nil {
		return nil
	}
	return &sieve{Transient: *t, local: local, lasting: make(map[protocol.ActionID]bool), held: make(map[protocol.ActionID]queued)}
}

// pass takes in an upload, of the body at path, and returns what is to be uploaded now. The
// go command puts some products of a package before its archive, and others behind it. They
// go where the archive goes.
func (s *sieve) pass(up queued, path string) []queued {
	isLasting := s.isLasting(path)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lasting[up.Action] {
		return []queued{up}
	}
	if !isLasting {
		s.held[up.Action] = up
		return nil
	}
	s.lasting[up.Action] = true
	through := []queued{up}
	for _, action := range subkeysOf(s.local, up.Action) {
		s.lasting[action] = true
		if before, ok := s.held[action]; ok {
			through = append(through, before)
			delete(s.held, action)
		}
	}
	return through
}

// isLasting reports whether the body at path is the archive of a package of GOROOT or of
// the module cache. It does not tell that of a package of the module cache that was
// compiled with -trimpath.
func (s *sieve) isLasting(path string) bool {
	body, err := os.Open(path)
	if err != nil {
		return false
	}
	defer body.Close()
	isArchive, isStd := kindOfArchive(body)
	if !isArchive || isStd {
		return isStd && s.Goroot
	}
	if s.ModCache == "" {
		return false
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return false
	}
	named := namesFilesIn(body, append([]string{s.ModCache}, s.Folders...))
	for _, temporary := range named[1:] {
		if temporary {
			return false
		}
	}
	return named[0]
}

// What an archive of Go's compiler is made of. Each member has a header, as ar writes it.
// The second member is the object file, which begins with a few lines of text. See the
// package cmd/internal/goobj of the go command.
const (
	archiveMagic = "!<arch>\n"
	memberHeader = 60 // bytes
	sizeOffset   = 48 // of the size in a member's header, in decimal digits
	sizeLength   = 10
	textEnd      = "\n!\n"
	objectMagic  = "\x00go120ld"
	flagsOffset  = len(objectMagic) + 8 // behind a fingerprint
	flagStd      = 1 << 4
	maxText      = 8 << 10
)

// kindOfArchive reports whether body begins as an archive of Go's compiler, and whether
// that says that its package is one of the standard library or of the go command.
func kindOfArchive(body io.ReadSeeker) (isArchive, isStd bool) {
	begin := make([]byte, pack.MaxHead)
	n, err := io.ReadFull(body, begin)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) || pack.Head(begin[:n]) == nil {
		return false, false
	}
	digits := begin[len(archiveMagic)+sizeOffset:][:sizeLength]
	size, err := strconv.ParseInt(strings.TrimSpace(string(digits)), 10, 64)
	if err != nil || size < 0 {
		return true, false
	}
	object := int64(len(archiveMagic)) + memberHeader + size + size%2 + memberHeader
	if _, err := body.Seek(object, io.SeekStart); err != nil {
		return true, false
	}
	text, _ := io.ReadAll(io.LimitReader(body, maxText)) // what could not be read is not there
	_, header, _ := bytes.Cut(text, []byte(textEnd))
	if len(header) < flagsOffset+4 || !bytes.HasPrefix(header, []byte(objectMagic)) {
		return true, false
	}
	return true, binary.LittleEndian.Uint32(header[flagsOffset:])&flagStd != 0
}

// namesFilesIn reports for each of folders whether body has the path of a file in it. It
// reads all of body.
func namesFilesIn(body io.Reader, folders []string) []bool {
	named := make([]bool, len(folders))
	var longest int
	var paths [][2][]byte // as this system writes them, and with slashes
	for _, folder := range folders {
		path := strings.TrimSuffix(folder, string(filepath.Separator)) + string(filepath.Separator)
		paths = append(paths, [2][]byte{[]byte(path), []byte(filepath.ToSlash(path))})
		longest = max(longest, len(path))
	}
	in := bufio.NewReaderSize(body, 64<<10+longest)
	for {
		window, err := in.Peek(in.Size())
		for i, path := range paths {
			named[i] = named[i] || bytes.Contains(window, path[0]) || bytes.Contains(window, path[1])
		}
		if err != nil {
			return named
		}
		_, _ = in.Discard(len(window) - longest) // what may be the beginning of a path stays
	}
}

// offerLasting queues the uploads of what is lasting, if up, whose body is at path, is
// that or shows that something else is. The archive comes last, and takes the others along.
func (c *Cache) offerLasting(up queued, path string) {
	for _, q := range slices.Backward(c.publishing.sieve.pass(up, path)) {
		c.queueUpload(q, forAMoment)
	}
}
