package grpc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/larderbuild/larder/protobuf"
)

// frameHead is the size of what stands before each message: a byte that says whether it is
// compressed, and its length.
const frameHead = 5

// Frame returns m as it stands in a body.
func Frame(m protobuf.Marshaler) []byte {
	data := m.Marshal()
	frame := make([]byte, frameHead, frameHead+len(data))
	binary.BigEndian.PutUint32(frame[1:], uint32(len(data)))
	return append(frame, data...)
}

var errCompressed = errors.New("a compressed message")

// tooLarge is the error of a message above the limit.
type tooLarge struct{ size, limit int64 }

func (e *tooLarge) Error() string {
	return fmt.Sprintf("a message of %d bytes: %d are allowed", e.size, e.limit)
}

// firstBuffer is how much memory a message gets before it has come, in bytes.
const firstBuffer = 64 << 10

// readFrame returns the next message of r, and io.EOF behind the last one.
func readFrame(r io.Reader, limit int64) ([]byte, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(head[1:]))
	switch {
	case head[0] == 1:
		return nil, errCompressed
	case head[0] != 0:
		return nil, fmt.Errorf("a message begins with %d: want 0", head[0])
	case size > limit:
		return nil, &tooLarge{size, limit}
	}
	var data bytes.Buffer // takes memory only for what comes
	data.Grow(int(min(size, firstBuffer)) + bytes.MinRead)
	_, err := data.ReadFrom(io.LimitReader(r, size))
	if err == nil && int64(data.Len()) < size {
		err = io.ErrUnexpectedEOF
	}
	return data.Bytes(), err
}
