package entry

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/fields"
	"github.com/larderbuild/larder/protocol"
)

const (
	// MaxRider is the size in bytes of the largest body that may ride in an entry object.
	MaxRider = 64 << 10

	// MaxRiders is how many bytes all riders of one object may take, by [Rider.Size].
	MaxRiders = 256 << 10

	// MaxRiderName is the length in bytes of the longest name of a rider.
	MaxRiderName = 255

	// minRider is how many bytes a rider takes at least: a name of one byte, and a byte
	// for each of its four numbers.
	minRider = 5
)

// Rider is a small entry that rides in the entry object of another entry. Its action is a
// subkey of that entry's action.
type Rider struct {
	Name string        // of the subkey
	Time time.Time     // of the original put
	Cost time.Duration // as in Header
	Body []byte
}

// Action returns the action of r in an object of parent.
func (r Rider) Action(parent protocol.ActionID) protocol.ActionID { return parent.Subkey(r.Name) }

// Output returns the output ID of r's body.
func (r Rider) Output() protocol.OutputID { return sha256.Sum256(r.Body) }

// Size returns how many bytes r takes among the riders of an object, at most.
func (r Rider) Size() int { return len(r.Name) + len(r.Body) + 4*binary.MaxVarintLen64 }

// encodeRiders returns the riders as a header announces them: in the order of their names,
// and compressed if that makes them smaller. It sets the fields of h that describe them.
func encodeRiders(h *Header, riders []Rider) ([]byte, error) {
	if len(riders) == 0 {
		return nil, nil
	}
	riders = slices.SortedFunc(slices.Values(riders), func(a, b Rider) int { return cmp.Compare(a.Name, b.Name) })
	plain := appendRiders(nil, riders)
	if _, err := parseRiders(plain); err != nil {
		return nil, fmt.Errorf("the riders of %s: %w", h.Action, err)
	}
	stored := plain
	enc := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(enc)
	if small := enc.EncodeAll(plain, nil); len(small) < len(plain) {
		stored = small
	}
	h.RidersSize, h.RidersStored, h.RidersSum = int64(len(plain)), int64(len(stored)), sha256.Sum256(stored)
	return stored, nil
}

// readRiders reads the riders that h announces. It returns errors of src unchanged; its
// other errors wrap ErrCorrupt.
func readRiders(src io.Reader, h Header) ([]Rider, error) {
	if h.RidersSize == 0 {
		return nil, nil
	}
	stored := make([]byte, h.RidersStored) // ParseHeader has checked that this is not much
	switch _, err := io.ReadFull(src, stored); {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return nil, fmt.Errorf("%w: cut within the riders", ErrCorrupt)
	case err != nil:
		return nil, err
	}
	if sha256.Sum256(stored) != h.RidersSum {
		return nil, fmt.Errorf("%w: the SHA-256 of the riders is wrong", ErrCorrupt)
	}
	plain := stored
	if h.RidersStored < h.RidersSize {
		var err error
		if plain, err = inflateRiders(stored, h.RidersSize); err != nil {
			return nil, err
		}
	}
	return parseRiders(plain)
}

// inflateRiders decompresses riders that take size bytes then, and decodes no more.
func inflateRiders(stored []byte, size int64) ([]byte, error) {
	dec := decoders.Get().(*zstd.Decoder)
	defer func() {
		_ = dec.Reset(bytes.NewReader(nil)) // drops the reference to stored
		decoders.Put(dec)
	}()
	if err := dec.Reset(bytes.NewReader(stored)); err != nil {
		return nil, fmt.Errorf("%w: the riders: %w", ErrCorrupt, err)
	}
	plain, err := io.ReadAll(io.LimitReader(dec, size+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the riders: %w", ErrCorrupt, err)
	case int64(len(plain)) != size:
		return nil, fmt.Errorf("%w: the riders have another size than %d bytes", ErrCorrupt, size)
	}
	return plain, nil
}

// appendRiders appends the riders, not compressed, to b.
func appendRiders(b []byte, riders []Rider) []byte {
	b = binary.AppendUvarint(b, uint64(len(riders)))
	for _, r := range riders {
		b = binary.AppendUvarint(b, uint64(len(r.Name)))
		b = append(b, r.Name...)
		b = binary.AppendUvarint(b, uint64(r.Time.UnixNano()))
		b = binary.AppendUvarint(b, uint64(r.Cost))
		b = binary.AppendUvarint(b, uint64(len(r.Body)))
	}
	for _, r := range riders {
		b = append(b, r.Body...)
	}
	return b
}

// parseRiders decodes what appendRiders has made. What it accepts, appendRiders makes
// again. Its errors wrap ErrCorrupt. The bodies share memory with b.
func parseRiders(b []byte) ([]Rider, error) {
	p := fields.NewParser(b, func(reason string) error { return fmt.Errorf("%w: the riders: %s", ErrCorrupt, reason) })
	if len(b) > MaxRiders {
		p.Fail("they are too large")
	}
	count := p.Number(math.MaxInt32)
	if count == 0 || count > int64(p.Len()/minRider) {
		p.Fail("more announced than there is room for, or none")
	}
	if p.Err() != nil {
		return nil, p.Err()
	}
	riders := make([]Rider, count)
	sizes := make([]int64, count)
	for i := range riders {
		r := &riders[i]
		r.Name = string(p.Bytes(p.Number(MaxRiderName)))
		r.Time = time.Unix(0, p.Number(math.MaxInt64))
		r.Cost = time.Duration(p.Number(uint64(MaxCost)))
		sizes[i] = p.Number(MaxRider)
		if r.Name == "" || i > 0 && r.Name <= riders[i-1].Name {
			p.Fail("a name is empty, or stands twice, or in the wrong place")
		}
	}
	for i := range riders {
		riders[i].Body = p.Bytes(sizes[i])
	}
	if p.Len() > 0 {
		p.Fail("bytes behind the last body")
	}
	return riders, p.Err()
}
