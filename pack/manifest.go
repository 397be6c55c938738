package pack

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
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

	minMemory  = 8 << 20 // bytes that zstd may use to decode even the smallest payload
	headerSize = 134
	magic      = "larder\r\nm"
)

// Version is the version of the format of manifests. It stands in their keys, too, so that
// two versions of larder keep apart.
const Version = 5

// ErrCorrupt says that the bytes are not an intact manifest that this version can read.
// Errors that wrap it say why.
var ErrCorrupt = errors.New("not an intact manifest")

// ErrNewer says that a manifest is of a later version. An error that wraps it wraps
// ErrCorrupt, too.
var ErrNewer = errors.New("a later version of larder wrote it")

// ID identifies a pack. It is the SHA-256 of the pack's bytes.
type ID [32]byte

// Pack is a pack in which entries of a manifest lie.
type Pack struct {
	Scope string // the scope in which the pack lies
	ID    ID
	Size  int64 // in bytes

	// Own says that the manifest's profile wrote the pack. Otherwise the pack is
	// lent: another profile wrote it, and the manifest with which this profile
	// began named it.
	Own bool
}

// Entry is one cache entry of a manifest. It stands in the manifest itself or in a pack.
type Entry struct {
	Action protocol.ActionID
	Output protocol.OutputID
	Size   int64         // of the body, in bytes
	Time   time.Time     // of the original put
	Cost   time.Duration // of building it; 0 unknown
	Used   Day           // the day of its last use

	// Inline is the body of an entry that stands in the manifest itself. It has at
	// most MaxInline bytes, and Output is its SHA-256. It shares memory with the
	// payload from which it was decoded.
	Inline []byte

	// Pack and Span say where the entry object of an entry in a pack lies.
	Pack int // index in Manifest.Packs
	Span

	// Head is the head of the body, see [Head], if the entry lies in a pack and its
	// body is an archive. It shares memory with the payload, too.
	Head []byte
}

// InPack reports whether the entry lies in a pack.
func (e *Entry) InPack() bool { return e.Length > 0 }

// Day counts days since the Unix epoch, in UTC. In a manifest's entries it counts them as
// Manifest.Today does, which may differ.
type Day uint32

// DayOf returns the day of t. A time before the epoch counts as day 0.
func DayOf(t time.Time) Day { return Day(max(0, t.Unix()) / (24 * 60 * 60)) }

// Eager is a go command that reads archives even when nothing has changed. A command
// that links is one.
type Eager struct {
	Command [sha256.Size]byte // SHA-256 of its command line
	Used    Day               // the day of its last use
}

// Manifest says what the last builds of a profile used.
type Manifest struct {
	// Today is the day of the publication, by which entries expire. Clock and Far are
	// days by the clocks of publishers, from which the next publication derives its own:
	// the one that advanced Today last, and the last one, if that is far from Clock.
	Today, Clock, Far Day

	Packs   []Pack
	Eager   []Eager
	Entries []Entry // in the order in which a build first asked for them
}

// FindEager returns the eager command with the given digest. ok is false if m has none.
func (m *Manifest) FindEager(command [sha256.Size]byte) (eager Eager, ok bool) {
	i := slices.IndexFunc(m.Eager, func(e Eager) bool { return e.Command == command })
	if i < 0 {
		return Eager{}, false
	}
	return m.Eager[i], true
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Place says where a manifest lies in a remote. A signature counts for one place only.
type Place struct {
	Scope string
	Name  string // the manifest's key below the scope
}

// purpose is the purpose of a manifest's signature; see package sign. The signature also
// covers the place and the header.
const purpose = "larder manifest v5"

// Offsets in the header.
const (
	keyOffset       = 58
	signatureOffset = keyOffset + len(sign.ID{})
	crcOffset       = signatureOffset + len(sign.Signature{})
)

// Encode returns the object of the manifest, to be written to place. It signs the object
// with key, or leaves it unsigned if key is nil. It fails if m is not a manifest that
// Decode accepts.
func (m *Manifest) Encode(place Place, key *sign.Key) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	for i := range m.Entries {
		if e := &m.Entries[i]; !e.InPack() && sha256.Sum256(e.Inline) != e.Output {
			return nil, fmt.Errorf("%w: action %s has another body than its output", ErrCorrupt, e.Action)
		}
	}
	payload := m.encodePayload()
	if len(payload) > MaxManifest {
		return nil, fmt.Errorf("a manifest of %d bytes is over the limit of %d", len(payload), MaxManifest)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	object := make([]byte, headerSize, headerSize+len(payload)/2)
	object = enc.EncodeAll(payload, object)

	h := object[:0] // the header, which lies in front of the payload
	h = append(h, magic...)
	h = append(h, Version)
	h = binary.BigEndian.AppendUint64(h, uint64(len(payload)))
	h = binary.BigEndian.AppendUint64(h, uint64(len(object)-headerSize))
	sum := sha256.Sum256(object[headerSize:])
	h = append(h, sum[:]...)
	if key == nil {
		h = h[:crcOffset] // the key ID and the signature stay zero
	} else {
		id := key.ID()
		h = append(h, id[:]...)
		signature := key.Sign(purpose, []byte(place.Scope), []byte(place.Name), h)
		h = append(h, signature[:]...)
	}
	binary.BigEndian.AppendUint32(h, crc32.Checksum(h, castagnoli))
	return object, nil
}

// Read reads the object of a manifest, which was found at place, from src and decodes it
// as Decode does. It also returns the object. It reads only the header if it refuses
// that, and never more than one byte beyond the end that the header announces. It
// returns errors of src unchanged. src remains the caller's to close.
func Read(src io.Reader, place Place, trust *sign.Trust) (m *Manifest, object []byte, err error) {
	object, err = io.ReadAll(io.LimitReader(src, headerSize))
	if err != nil {
		return nil, nil, err
	}
	h, err := parseHeader(object, place, trust)
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

// Decode decodes the object of a manifest, which was found at place. It checks the
// signature before it decompresses anything. Its errors wrap ErrCorrupt or
// sign.ErrUntrusted. Its time and memory grow with the size of object, not with the
// sizes that object claims.
func Decode(object []byte, place Place, trust *sign.Trust) (*Manifest, error) {
	h, err := parseHeader(object, place, trust)
	if err != nil {
		return nil, err
	}
	return h.decode(object[headerSize:])
}

// header has the fields of a manifest's header that describe the payload.
type header struct {
	size, compressed uint64            // of the payload, in bytes
	sum              [sha256.Size]byte // of the compressed payload
}

// parseHeader decodes the header at the start of b, and checks everything that it can
// check without the payload.
func parseHeader(b []byte, place Place, trust *sign.Trust) (h header, err error) {
	if len(b) < headerSize || string(b[:len(magic)]) != magic {
		return h, fmt.Errorf("%w: it does not begin as one", ErrCorrupt)
	}
	switch v := b[len(magic)]; {
	case v > Version:
		return h, fmt.Errorf("%w: %w: version %d, want %d", ErrCorrupt, ErrNewer, v, Version)
	case v < Version:
		return h, fmt.Errorf("%w: version %d, want %d", ErrCorrupt, v, Version)
	}
	if binary.BigEndian.Uint32(b[crcOffset:]) != crc32.Checksum(b[:crcOffset], castagnoli) {
		return h, fmt.Errorf("%w: the header's checksum is wrong", ErrCorrupt)
	}
	h = header{binary.BigEndian.Uint64(b[10:]), binary.BigEndian.Uint64(b[18:]), [sha256.Size]byte(b[26:])}
	if n := max(h.size, h.compressed); n > MaxManifest {
		return h, fmt.Errorf("%w: a payload of %d bytes, over the limit of %d", ErrCorrupt, n, MaxManifest)
	}
	err = trust.Check(sign.ID(b[keyOffset:]), sign.Signature(b[signatureOffset:]),
		purpose, []byte(place.Scope), []byte(place.Name), b[:signatureOffset])
	return h, err
}

// decode checks the compressed payload against the header and decodes it.
func (h header) decode(compressed []byte) (*Manifest, error) {
	switch {
	case uint64(len(compressed)) != h.compressed:
		return nil, fmt.Errorf("%w: %d bytes of payload, the header says %d", ErrCorrupt, len(compressed), h.compressed)
	case sha256.Sum256(compressed) != h.sum:
		return nil, fmt.Errorf("%w: the payload's digest is wrong", ErrCorrupt)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(max(h.size, minMemory)))
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

// check returns an error that wraps ErrCorrupt if something is wrong with the manifest.
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
		case e.Size < 0 || e.Size > math.MaxInt64-entry.HeaderSize || e.Cost < 0 || e.Time.UnixNano() < 0:
			return fmt.Errorf("%w: action %s has a size or time that can't be", ErrCorrupt, e.Action)
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
		case e.Offset < 0 || e.Length > m.Packs[e.Pack].Size-e.Offset:
			return fmt.Errorf("%w: action %s lies outside its pack", ErrCorrupt, e.Action)
		default:
			ranges = append(ranges, e)
		}
	}
	slices.SortFunc(ranges, func(a, b *Entry) int {
		return cmp.Or(cmp.Compare(a.Pack, b.Pack), cmp.Compare(a.Offset, b.Offset))
	})
	var before *Entry
	for _, e := range ranges {
		if err := e.checkBehind(before); err != nil {
			return err
		}
		before = e
	}
	return nil
}
