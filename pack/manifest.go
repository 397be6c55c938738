package pack

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/sign"
)

const (
	// MaxInline is the size in bytes of the largest body that may stand in a
	// manifest.
	MaxInline = 32 << 10

	// MaxManifest is the size in bytes of the largest manifest, before and
	// after its compression.
	MaxManifest = 256 << 20

	// MaxEntries is the largest number of entries in a manifest.
	MaxEntries = 1 << 20

	window     = 8 << 20 // bytes that a decoder may need in any case
	headerSize = 134
	magic      = "larder\r\nm"
	version    = 3
)

// ErrCorrupt says that bytes are not an intact manifest that this version can
// read. Errors that wrap it carry the reason.
var ErrCorrupt = errors.New("not an intact manifest")

// ID names a pack: the SHA-256 of its bytes.
type ID [32]byte

// Pack is one pack that a manifest's entries lie in.
type Pack struct {
	Scope string
	ID    ID
	Size  int64 // in bytes

	// Own says that the manifest's own profile wrote the pack. Others are
	// lent by the manifest that the profile began with.
	Own bool
}

// Entry is one cache entry of a manifest.
type Entry struct {
	Action protocol.ActionID
	Output protocol.OutputID
	Size   int64         // of the body, in bytes
	Time   time.Time     // of the original put
	Cost   time.Duration // to build it; 0 unknown
	Used   Day

	// Inline is the body where that stands in the manifest: one of at most
	// MaxInline bytes, whose SHA-256 is Output. It shares memory with the
	// manifest it was read from.
	Inline []byte

	// Otherwise the entry object is these bytes of a pack, and Length is not 0.
	Pack           int // index in Manifest.Packs
	Offset, Length int64

	// Head is the head of the body where that is an archive; see [Head]. It
	// shares memory with the manifest, too.
	Head []byte
}

// InPack reports whether the entry lies in a pack.
func (e *Entry) InPack() bool { return e.Length > 0 }

// Day counts days since the Unix epoch, in UTC.
type Day uint32

// DayOf returns the day that t lies in.
func DayOf(t time.Time) Day { return Day(max(0, t.Unix()) / (24 * 60 * 60)) }

// Eager is a go command that reads archives even where nothing has changed, as one
// that links does.
type Eager struct {
	Command [sha256.Size]byte // digest of its command line
	Used    Day
}

// Manifest says what a profile's last builds used.
type Manifest struct {
	Packs   []Pack
	Eager   []Eager
	Entries []Entry // in the order in which a build first asked for them
}

// FindEager returns the eager command with the given digest, if there is one.
func (m *Manifest) FindEager(command [sha256.Size]byte) (Eager, bool) {
	i := slices.IndexFunc(m.Eager, func(l Eager) bool { return l.Command == command })
	if i < 0 {
		return Eager{}, false
	}
	return m.Eager[i], true
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Place is where a manifest lies, and for which it is signed.
type Place struct {
	Scope string
	Name  string // its key below the scope
}

// purpose is what a manifest's signature is for, besides which it covers the place
// and the header.
const purpose = "larder manifest v3"

// Offsets in the header.
const (
	keyAt       = 58
	signatureAt = keyAt + len(sign.ID{})
	crcAt       = signatureAt + len(sign.Signature{})
)

// Encode returns the manifest's object for a place, signed with key unless that is
// nil. The manifest must be one that Decode would accept.
func (m *Manifest) Encode(at Place, key *sign.Key) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	for i := range m.Entries {
		if e := &m.Entries[i]; !e.InPack() && sha256.Sum256(e.Inline) != e.Output {
			return nil, fmt.Errorf("%w: action %s has another body than its output", ErrCorrupt, e.Action)
		}
	}
	payload := m.payload()
	if len(payload) > MaxManifest {
		return nil, fmt.Errorf("a manifest of %d bytes is over the limit of %d", len(payload), MaxManifest)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	object := make([]byte, headerSize, headerSize+len(payload)/2)
	object = enc.EncodeAll(payload, object)

	h := object[:0] // which it fills
	h = append(h, magic...)
	h = append(h, version)
	h = binary.BigEndian.AppendUint64(h, uint64(len(payload)))
	h = binary.BigEndian.AppendUint64(h, uint64(len(object)-headerSize))
	sum := sha256.Sum256(object[headerSize:])
	h = append(h, sum[:]...)
	if key == nil {
		h = h[:crcAt] // the key ID and the signature stay zero
	} else {
		id := key.ID()
		h = append(h, id[:]...)
		s := key.Sign(purpose, []byte(at.Scope), []byte(at.Name), h)
		h = append(h, s[:]...)
	}
	binary.BigEndian.AppendUint32(h, crc32.Checksum(h, castagnoli))
	return object, nil
}

// Read reads a manifest's object, which was found at a place, from src and decodes
// it as Decode does. It reads no further than the header where trust does not
// believe that, nor more than one byte over what the header says. The errors of src
// come back as they are.
func Read(src io.Reader, at Place, trust *sign.Trust) (m *Manifest, object []byte, err error) {
	object, err = io.ReadAll(io.LimitReader(src, headerSize))
	if err != nil {
		return nil, nil, err
	}
	h, err := parseHeader(object, at, trust)
	if err != nil {
		return nil, nil, err
	}
	compressed, err := io.ReadAll(io.LimitReader(src, int64(h.compressed)+1))
	if err != nil {
		return nil, nil, err
	}
	m, err = h.decode(compressed)
	return m, append(object, compressed...), err
}

// Decode decodes a manifest's object, which was found at a place. Errors wrap
// ErrCorrupt, or sign.ErrUntrusted: what is not signed as trust wants it is not even
// decompressed. The time and memory it takes grow with the size of what it is given,
// not with what that claims.
func Decode(object []byte, at Place, trust *sign.Trust) (*Manifest, error) {
	h, err := parseHeader(object, at, trust)
	if err != nil {
		return nil, err
	}
	return h.decode(object[headerSize:])
}

// header is what a manifest's header says of its payload.
type header struct {
	size, compressed uint64 // in bytes
	sum              [sha256.Size]byte
}

// parseHeader decodes the header at the start of b, and checks all that it says
// without the payload.
func parseHeader(b []byte, at Place, trust *sign.Trust) (h header, err error) {
	if len(b) < headerSize || string(b[:len(magic)]) != magic {
		return h, fmt.Errorf("%w: it does not begin as one", ErrCorrupt)
	}
	if b[len(magic)] != version {
		return h, fmt.Errorf("%w: version %d, want %d", ErrCorrupt, b[len(magic)], version)
	}
	if binary.BigEndian.Uint32(b[crcAt:]) != crc32.Checksum(b[:crcAt], castagnoli) {
		return h, fmt.Errorf("%w: the header's checksum is wrong", ErrCorrupt)
	}
	h = header{binary.BigEndian.Uint64(b[10:]), binary.BigEndian.Uint64(b[18:]), [sha256.Size]byte(b[26:])}
	if n := max(h.size, h.compressed); n > MaxManifest {
		return h, fmt.Errorf("%w: a payload of %d bytes, over the limit of %d", ErrCorrupt, n, MaxManifest)
	}
	return h, trust.Check(sign.ID(b[keyAt:]), sign.Signature(b[signatureAt:]), purpose, []byte(at.Scope), []byte(at.Name), b[:signatureAt])
}

// decode decodes the payload.
func (h header) decode(compressed []byte) (*Manifest, error) {
	switch {
	case uint64(len(compressed)) != h.compressed:
		return nil, fmt.Errorf("%w: %d bytes of payload, the header says %d", ErrCorrupt, len(compressed), h.compressed)
	case sha256.Sum256(compressed) != h.sum:
		return nil, fmt.Errorf("%w: the payload's digest is wrong", ErrCorrupt)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(max(h.size, window)))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	payload, err := dec.DecodeAll(compressed, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if uint64(len(payload)) != h.size {
		return nil, fmt.Errorf("%w: a payload of %d bytes, the header says %d", ErrCorrupt, len(payload), h.size)
	}
	m, err := parsePayload(payload)
	if err != nil {
		return nil, err
	}
	return m, m.check()
}

// check reports what is wrong with the manifest as a whole.
func (m *Manifest) check() error {
	if len(m.Entries) > MaxEntries {
		return fmt.Errorf("%w: %d entries, over the limit of %d", ErrCorrupt, len(m.Entries), MaxEntries)
	}
	for _, p := range m.Packs {
		if err := CheckScope(p.Scope); err != nil {
			return fmt.Errorf("%w: scope of a pack: %w", ErrCorrupt, err)
		}
	}
	seen := make(map[protocol.ActionID]bool, len(m.Entries))
	var ranges []*Entry
	for i := range m.Entries {
		e := &m.Entries[i]
		if seen[e.Action] {
			return fmt.Errorf("%w: action %s stands in it twice", ErrCorrupt, e.Action)
		}
		seen[e.Action] = true
		switch {
		case e.Size < 0 || e.Cost < 0 || e.Time.UnixNano() < 0:
			return fmt.Errorf("%w: action %s has a negative size or time", ErrCorrupt, e.Action)
		case e.Cost > entry.MaxCost:
			return fmt.Errorf("%w: action %s has a build cost over the limit of %v", ErrCorrupt, e.Action, entry.MaxCost)
		case len(e.Head) > 0 && (!e.InPack() || len(Head(e.Head)) != len(e.Head)):
			return fmt.Errorf("%w: action %s has a head that is no archive's", ErrCorrupt, e.Action)
		case !e.InPack():
			if int64(len(e.Inline)) != e.Size || e.Size > MaxInline {
				return fmt.Errorf("%w: action %s has %d bytes of its body's %d", ErrCorrupt, e.Action, len(e.Inline), e.Size)
			}
		case e.Pack < 0 || e.Pack >= len(m.Packs):
			return fmt.Errorf("%w: action %s lies in a pack that it does not name", ErrCorrupt, e.Action)
		case e.Offset < 0 || e.Length < entry.HeaderSize || e.Length > m.Packs[e.Pack].Size-e.Offset:
			return fmt.Errorf("%w: action %s lies outside its pack", ErrCorrupt, e.Action)
		default:
			ranges = append(ranges, e)
		}
	}
	slices.SortFunc(ranges, func(a, b *Entry) int {
		return cmp.Or(cmp.Compare(a.Pack, b.Pack), cmp.Compare(a.Offset, b.Offset))
	})
	for i, e := range ranges[min(1, len(ranges)):] {
		if before := ranges[i]; before.Pack == e.Pack && before.Offset+before.Length > e.Offset {
			return fmt.Errorf("%w: actions %s and %s overlap", ErrCorrupt, before.Action, e.Action)
		}
	}
	return nil
}
