package entry

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/sign"
)

const (
	// HeaderSize is the length in bytes of the encoded Header of an object without riders.
	HeaderSize = 198

	// MaxHeaderSize is the length in bytes of the longest encoded Header.
	MaxHeaderSize = HeaderSize + ridersFields
)

// ridersFields is the length in bytes of the fields that describe riders.
const ridersFields = 4 + 4 + sha256.Size

const (
	magic      = "larder\r\n"
	version    = 1
	withRiders = 2 // version of an object in which other entries ride
	referring  = 3 // version of a referral
	framed     = 4 // version of an object in a frame
)

// MaxReference is the length in bytes of the longest reference.
const MaxReference = 1 << 10

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

// The codecs. Referrals, and objects in frames, have one of their own.
const (
	Raw       Codec = 0
	Zstd      Codec = 1
	Reference Codec = 2 // of a referral: the payload is no body, but says where that is
	Framed    Codec = 3 // of an object in a frame: the payload is the body, and has no MD5
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
	MD5         [md5.Size]byte // of the payload; zero if that is Framed

	// Those who ride along, as they stand between the header and the payload. The sizes
	// are in bytes; RidersSize is that before compression. All three are zero if none do.
	RidersSize   int64
	RidersStored int64
	RidersSum    [sha256.Size]byte

	KeyID     sign.ID        // of the signer; zero: unsigned
	Signature sign.Signature // zero: unsigned
}

// Size returns the length of the encoded header in bytes.
func (h Header) Size() int64 {
	if h.isLong() {
		return MaxHeaderSize
	}
	return HeaderSize
}

// isLong reports whether the encoded header has fields for riders.
func (h Header) isLong() bool { return h.version() == withRiders || h.version() == referring }

// FrontSize returns the size in bytes of what stands before the payload: the header, and
// the riders.
func (h Header) FrontSize() int64 { return h.Size() + h.RidersStored }

// ObjectSize returns the size in bytes of the whole entry object.
func (h Header) ObjectSize() int64 { return h.FrontSize() + h.PayloadSize }

// version returns the version of the format that h has.
func (h Header) version() byte {
	switch {
	case h.Codec == Reference:
		return referring
	case h.Codec == Framed:
		return framed
	case h.RidersSize > 0:
		return withRiders
	}
	return version
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
	b = append(b, h.version(), byte(h.Codec))
	b = append(b, h.Action[:]...)
	b = append(b, h.Output[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.BodySize))
	b = binary.BigEndian.AppendUint64(b, uint64(h.PayloadSize))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Time.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Cost))
	b = append(b, h.MD5[:]...)
	if h.isLong() {
		b = binary.BigEndian.AppendUint32(b, uint32(h.RidersSize))
		b = binary.BigEndian.AppendUint32(b, uint32(h.RidersStored))
		b = append(b, h.RidersSum[:]...)
	}
	return append(b, h.KeyID[:]...)
}

// purpose returns the purpose of an entry object's signature; see package sign. The
// signature also covers the scope and the header.
func (h Header) purpose() string { return fmt.Sprintf("larder entry v%d", h.version()) }

// sign signs the header, or does nothing if signer has no key.
func (h *Header) sign(signer Signer) {
	if signer.Key != nil {
		h.KeyID = signer.Key.ID()
		h.Signature = signer.Key.Sign(h.purpose(), []byte(signer.Scope), h.appendSignedPart(nil))
	}
}

// check returns an error that wraps ErrCorrupt, ErrTooLarge or sign.ErrUntrusted if h is
// not the header of the entry object that is wanted.
func (h Header) check(want Want) error {
	if h.Action != want.Action {
		return fmt.Errorf("%w: it is action %s's", ErrCorrupt, h.Action)
	}
	if (h.Codec == Framed) != want.Framed {
		return fmt.Errorf("%w: codec %d in the wrong place", ErrCorrupt, h.Codec)
	}
	// The signature comes first: who can't sign must not make a reader pass an entry over.
	err := want.Trust.Check(h.KeyID, h.Signature, h.purpose(), []byte(want.Scope), h.appendSignedPart(nil))
	if err == nil && h.BodySize > want.MaxSize {
		err = fmt.Errorf("%w: %d bytes, over the limit of %d", ErrTooLarge, h.BodySize, want.MaxSize)
	}
	return err
}

// ParseHeader decodes the header at the start of b. It does not check the signature.
// A header that it accepts encodes to the same bytes again. Its errors wrap
// ErrCorrupt.
func ParseHeader(b []byte) (Header, error) {
	size := HeaderSize
	if isLong(b) {
		size = MaxHeaderSize
	}
	if len(b) < size {
		return Header{}, fmt.Errorf("%w: %d bytes, shorter than a header", ErrCorrupt, len(b))
	}
	b = b[:size]
	sum := binary.BigEndian.Uint32(b[size-4:])
	switch {
	case !bytes.HasPrefix(b, []byte(magic)):
		return Header{}, fmt.Errorf("%w: it does not begin with larder's magic", ErrCorrupt)
	case b[8] < version || b[8] > framed:
		return Header{}, fmt.Errorf("%w: version %d, want %d to %d", ErrCorrupt, b[8], version, framed)
	case sum != crc32.Checksum(b[:size-4], castagnoli):
		return Header{}, fmt.Errorf("%w: the header's checksum is wrong", ErrCorrupt)
	}

	h := Header{Codec: Codec(b[9])}
	written, long := b[8], isLong(b)
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
	h.Time = time.Unix(0, number())
	h.Cost = time.Duration(number())
	copy(h.MD5[:], next(md5.Size))
	if long {
		h.RidersSize = int64(binary.BigEndian.Uint32(next(4)))
		h.RidersStored = int64(binary.BigEndian.Uint32(next(4)))
		copy(h.RidersSum[:], next(sha256.Size))
	}
	copy(h.KeyID[:], next(8))
	copy(h.Signature[:], next(64))
	return h, h.checkNumbers(written)
}

// isLong reports whether the header that begins with b has fields for riders.
func isLong(b []byte) bool {
	return len(b) > len(magic) && (b[len(magic)] == withRiders || b[len(magic)] == referring)
}

// checkNumbers returns an error that wraps ErrCorrupt if a number in h, which was written in
// a version of the format, can't be right.
func (h Header) checkNumbers(written byte) error {
	switch {
	case h.Codec > Framed || (h.Codec == Reference) != (written == referring) || (h.Codec == Framed) != (written == framed):
		return fmt.Errorf("%w: codec %d in version %d", ErrCorrupt, h.Codec, written)
	case h.BodySize < 0 || h.PayloadSize < 0 || h.Time.UnixNano() < 0 || h.Cost < 0:
		return fmt.Errorf("%w: a negative size or time", ErrCorrupt)
	case h.Cost > MaxCost:
		return fmt.Errorf("%w: a build cost of %v, over the limit of %v", ErrCorrupt, h.Cost, MaxCost)
	case (h.Codec == Raw || h.Codec == Framed) && h.PayloadSize != h.BodySize:
		return fmt.Errorf("%w: a raw payload of %d bytes for a body of %d", ErrCorrupt, h.PayloadSize, h.BodySize)
	case h.Codec == Framed && h.MD5 != [md5.Size]byte{}:
		return fmt.Errorf("%w: an MD5 in a frame", ErrCorrupt)
	case h.Codec == Reference && (h.PayloadSize == 0 || h.PayloadSize > MaxReference):
		return fmt.Errorf("%w: a reference of %d bytes, want 1 to %d", ErrCorrupt, h.PayloadSize, MaxReference)
	case written == version, written == framed:
		return nil
	case written == referring && h.RidersSize == 0 && h.RidersStored == 0 && h.RidersSum == [sha256.Size]byte{}:
		return nil
	case h.RidersSize == 0 || h.RidersSize > MaxRiders:
		return fmt.Errorf("%w: riders of %d bytes, want 1 to %d", ErrCorrupt, h.RidersSize, MaxRiders)
	case h.RidersStored == 0 || h.RidersStored > h.RidersSize:
		return fmt.Errorf("%w: %d bytes for riders of %d", ErrCorrupt, h.RidersStored, h.RidersSize)
	}
	return nil
}
