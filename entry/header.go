package entry

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/sign"
)

// HeaderSize is the length of an encoded Header in bytes.
const HeaderSize = 198

const (
	magic   = "larder\r\n"
	version = 1
)

// MaxCost is the largest build cost that a header may state. An entry that took longer
// to build states MaxCost, so that the costs of a build's entries always add up to a
// time.Duration.
const MaxCost = time.Hour

// ErrCorrupt says that the bytes are not an intact entry object of the wanted action
// that this version can read: they are damaged, cut, something else, of a later
// version, or the entry object of another action. Errors that wrap it say why.
var ErrCorrupt = errors.New("not an intact entry object")

// ErrTooLarge says that a body is larger than the reader takes. The entry object may be
// good for others.
var ErrTooLarge = errors.New("the body is too large")

// A Codec says how a payload encodes its body.
type Codec uint8

// The codecs of version 1.
const (
	Raw  Codec = 0
	Zstd Codec = 1
)

// Header is the decoded header of an entry object.
type Header struct {
	Codec       Codec
	Action      protocol.ActionID
	Output      protocol.OutputID
	BodySize    int64          // in bytes
	PayloadSize int64          // in bytes
	Time        time.Time      // of the original put
	Cost        time.Duration  // from the miss to the put in the session that built the entry, at most MaxCost; 0 unknown
	MD5         [md5.Size]byte // of the payload
	KeyID       sign.ID        // of the signer; zero: unsigned
	Signature   sign.Signature // zero: unsigned
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Append appends the encoded header to b and returns the extended slice.
func (h Header) Append(b []byte) []byte {
	start := len(b)
	b = h.appendSignedPart(b)
	b = append(b, h.Signature[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// appendSignedPart appends the part of the encoded header that the signature covers:
// everything before the signature.
func (h Header) appendSignedPart(b []byte) []byte {
	b = append(b, magic...)
	b = append(b, version, byte(h.Codec))
	b = append(b, h.Action[:]...)
	b = append(b, h.Output[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.BodySize))
	b = binary.BigEndian.AppendUint64(b, uint64(h.PayloadSize))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Time.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Cost))
	b = append(b, h.MD5[:]...)
	return append(b, h.KeyID[:]...)
}

// purpose is the purpose of an entry object's signature; see package sign. The
// signature also covers the scope and the header.
const purpose = "larder entry v1"

// sign signs the header, or does nothing if signer has no key.
func (h *Header) sign(signer Signer) {
	if signer.Key != nil {
		h.KeyID = signer.Key.ID()
		h.Signature = signer.Key.Sign(purpose, []byte(signer.Scope), h.appendSignedPart(nil))
	}
}

// check returns an error that wraps ErrCorrupt, ErrTooLarge or sign.ErrUntrusted if h is
// not the header of the entry object that is wanted.
func (h Header) check(want Want) error {
	if h.Action != want.Action {
		return fmt.Errorf("%w: it is action %s's", ErrCorrupt, h.Action)
	}
	// The signature comes first: who can't sign must not make a reader pass an entry over.
	err := want.Trust.Check(h.KeyID, h.Signature, purpose, []byte(want.Scope), h.appendSignedPart(nil))
	if err == nil && h.BodySize > want.MaxSize {
		err = fmt.Errorf("%w: %d bytes, over the limit of %d", ErrTooLarge, h.BodySize, want.MaxSize)
	}
	return err
}

// ParseHeader decodes the header at the start of b. It does not check the signature.
// A header that it accepts encodes to the same bytes again. Its errors wrap
// ErrCorrupt.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, fmt.Errorf("%w: %d bytes, shorter than a header", ErrCorrupt, len(b))
	}
	b = b[:HeaderSize]
	sum := binary.BigEndian.Uint32(b[HeaderSize-4:])
	switch {
	case !bytes.HasPrefix(b, []byte(magic)):
		return Header{}, fmt.Errorf("%w: it does not begin with larder's magic", ErrCorrupt)
	case b[8] != version:
		return Header{}, fmt.Errorf("%w: version %d, want %d", ErrCorrupt, b[8], version)
	case sum != crc32.Checksum(b[:HeaderSize-4], castagnoli):
		return Header{}, fmt.Errorf("%w: the header's checksum is wrong", ErrCorrupt)
	}

	h := Header{Codec: Codec(b[9])}
	b = b[10:]
	next := func(n int) []byte {
		field := b[:n]
		b = b[n:]
		return field
	}
	number := func() int64 { return int64(binary.BigEndian.Uint64(next(8))) }

	copy(h.Action[:], next(32))
	copy(h.Output[:], next(32))
	h.BodySize = number()
	h.PayloadSize = number()
	nanos := number()
	h.Time = time.Unix(0, nanos)
	h.Cost = time.Duration(number())
	copy(h.MD5[:], next(md5.Size))
	copy(h.KeyID[:], next(8))
	copy(h.Signature[:], next(64))

	switch {
	case h.Codec > Zstd:
		return Header{}, fmt.Errorf("%w: unknown codec %d", ErrCorrupt, h.Codec)
	case h.BodySize < 0 || h.PayloadSize < 0 || nanos < 0 || h.Cost < 0:
		return Header{}, fmt.Errorf("%w: a negative size or time", ErrCorrupt)
	case h.Cost > MaxCost:
		return Header{}, fmt.Errorf("%w: a build cost of %v, over the limit of %v", ErrCorrupt, h.Cost, MaxCost)
	case h.Codec == Raw && h.PayloadSize != h.BodySize:
		return Header{}, fmt.Errorf("%w: a raw payload of %d bytes for a body of %d", ErrCorrupt, h.PayloadSize, h.BodySize)
	}
	return h, nil
}
