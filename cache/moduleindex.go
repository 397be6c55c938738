package cache

import (
	"bytes"
	"errors"
	"io"
	"os"

	"github.com/larderbuild/larder/modindex"
	"github.com/larderbuild/larder/protocol"
)

// maxPackageIndex is the size in bytes of the largest index of a package that may leave
// its machine. Larger ones are in no release of Go.
const maxPackageIndex = 4 << 20

// goroot is the GOROOT of the go command that started this process as its helper. It is ""
// in other processes. What another machine has written may name a folder on a mount that
// hangs, which a helper must not touch.
var goroot = os.Getenv("GOROOT")

// errHomebound says that the remote has a homebound index, which is of no use on this
// machine. That is no fault.
var errHomebound = errors.New("a module index of another machine")

// isHomebound reports whether body, which is action's, is a homebound index: one that is
// neither of a module in the module cache nor of a release of Go.
func isHomebound(action protocol.ActionID, body []byte) bool {
	return modindex.KindOf(body) == modindex.OfPackage && (len(body) > maxPackageIndex ||
		!modindex.IsOfRelease(goroot, action, body) && !modindex.IsOfModule(goroot, action, body))
}

// isHomeboundFile is isHomebound for the body at path, which begins with begin.
func isHomeboundFile(action protocol.ActionID, begin []byte, path string) bool {
	if modindex.KindOf(begin) != modindex.OfPackage {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return true
	}
	defer f.Close()
	body, err := readIndex(f)
	return err != nil || isHomebound(action, body)
}

// refuseHomebound returns a reader of all of body, which is action's. The error is
// errHomebound if body is a homebound index, or else that of body.
func refuseHomebound(action protocol.ActionID, body io.Reader) (io.Reader, error) {
	var begin beginningOf
	if _, err := io.CopyN(&begin, body, modindex.BeginSize); err != nil && err != io.EOF {
		return nil, err
	}
	all := io.MultiReader(bytes.NewReader(begin), body)
	if modindex.KindOf(begin) != modindex.OfPackage {
		return all, nil
	}
	index, err := readIndex(all)
	if err == nil && isHomebound(action, index) {
		err = errHomebound
	}
	return bytes.NewReader(index), err
}

// readIndex reads an index of a package, or as much of it as tells that it is too large.
func readIndex(body io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(body, maxPackageIndex+1))
}

// beginningOf is written a body, and keeps as much of it as tells the kind of an index.
type beginningOf []byte

func (b *beginningOf) Write(p []byte) (int, error) {
	*b = append(*b, p[:min(len(p), modindex.BeginSize-len(*b))]...)
	return len(p), nil
}
