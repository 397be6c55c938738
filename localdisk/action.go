package localdisk

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/larderbuild/larder/protocol"
)

// Offsets of the fields of an action file, in bytes. A space follows each field but the
// last, which a newline follows. See the package comment.
const (
	idWidth     = 2 * len(protocol.ActionID{})
	numberWidth = 20

	actionAt   = len("v1 ")
	outputAt   = actionAt + idWidth + 1
	sizeAt     = outputAt + idWidth + 1
	timeAt     = sizeAt + numberWidth + 1
	actionSize = timeAt + numberWidth + 1 // in bytes, of the whole file
)

var errMalformed = errors.New("malformed action file")

// appendAction appends the contents of e's action file to dst. The caller has passed e
// to checkRange.
func appendAction(dst []byte, e Entry) []byte {
	dst = append(dst, "v1 "...)
	dst = hex.AppendEncode(dst, e.Action[:])
	dst = append(dst, ' ')
	dst = hex.AppendEncode(dst, e.Output[:])
	dst = append(dst, ' ')
	dst = appendPadded(dst, e.Size)
	dst = append(dst, ' ')
	dst = appendPadded(dst, e.Time.UnixNano())
	return append(dst, '\n')
}

func appendPadded(dst []byte, n int64) []byte {
	var digits [numberWidth]byte
	number := strconv.AppendInt(digits[:0], n, 10)
	for range numberWidth - len(number) {
		dst = append(dst, ' ')
	}
	return append(dst, number...)
}

// parseAction reads the contents of an action file. It accepts exactly what
// appendAction makes. Go's reader accepts more (signs, leading zeros, upper-case
// digits), but no go command writes such files.
func parseAction(data []byte) (Entry, error) {
	var e Entry
	if len(data) != actionSize {
		return e, errMalformed
	}
	if _, err := hex.Decode(e.Action[:], data[actionAt:outputAt-1]); err != nil {
		return e, errMalformed
	}
	if _, err := hex.Decode(e.Output[:], data[outputAt:sizeAt-1]); err != nil {
		return e, errMalformed
	}
	size, err := parsePadded(data[sizeAt : timeAt-1])
	if err != nil {
		return e, errMalformed
	}
	nanos, err := parsePadded(data[timeAt : actionSize-1])
	if err != nil {
		return e, errMalformed
	}
	e.Size, e.Time = size, time.Unix(0, nanos)

	// The parsing above was loose. So compare the file with what appendAction makes of
	// e.
	var canonical [actionSize]byte
	if size < 0 || nanos < 0 || !bytes.Equal(appendAction(canonical[:0], e), data) {
		return e, errMalformed
	}
	return e, nil
}

func parsePadded(field []byte) (int64, error) {
	return strconv.ParseInt(string(bytes.TrimLeft(field, " ")), 10, 64)
}

// checkRange returns an error if Go would not read the action file of e, because the
// size or the time is negative or the time is too late.
func checkRange(e Entry) error {
	if e.Size < 0 {
		return errors.New("negative size")
	}
	if e.Time.Before(time.Unix(0, 0)) || e.Time.After(time.Unix(0, math.MaxInt64)) {
		return errors.New("time out of range")
	}
	return nil
}
