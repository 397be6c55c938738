package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/larderbuild/larder/fields"
)

// encodePayload returns the payload before its compression.
func (m *Manifest) encodePayload() []byte {
	size := 64 * (len(m.Packs) + len(m.Eager))
	for i := range m.Entries {
		size += 96 + len(m.Entries[i].Inline) + len(m.Entries[i].Head)
	}
	b := make([]byte, 0, size) // size is an estimate
	for _, day := range []Day{m.Today, m.Clock, m.Far} {
		b = binary.AppendUvarint(b, uint64(day))
	}
	b = binary.AppendUvarint(b, uint64(len(m.Packs)))
	for _, p := range m.Packs {
		b = binary.AppendUvarint(b, uint64(len(p.Scope)))
		b = append(b, p.Scope...)
		b = append(b, p.ID[:]...)
		b = binary.AppendUvarint(b, uint64(p.Size))
		if p.Own {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(m.Eager)))
	for _, e := range m.Eager {
		b = append(b, e.Command[:]...)
		b = binary.AppendUvarint(b, uint64(e.Used))
	}
	return m.appendEntries(b)
}

// appendEntries appends the numbers of all entries, then the IDs of all entries, then
// the bodies and heads: zstd compresses better if similar data stands together.
func (m *Manifest) appendEntries(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(m.Entries)))
	subkeys := m.subkeys()
	var last int64
	for i := range m.Entries {
		e := &m.Entries[i]
		b = binary.AppendUvarint(b, uint64(subkeys[i].name))
		if subkeys[i].name > 0 {
			b = binary.AppendVarint(b, int64(subkeys[i].parent-i))
		}
		b = binary.AppendUvarint(b, uint64(e.Size))
		b = binary.AppendVarint(b, e.Time.UnixNano()-last)
		last = e.Time.UnixNano()
		b = binary.AppendUvarint(b, uint64(e.Cost))
		b = binary.AppendUvarint(b, uint64(e.Used))
		if !e.InPack() {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(e.Pack)+1)
		b = binary.AppendUvarint(b, uint64(e.Offset))
		b = binary.AppendUvarint(b, uint64(e.Length))
		b = binary.AppendUvarint(b, uint64(e.Offset-e.Frame))
		b = binary.AppendUvarint(b, uint64(e.At))
		b = binary.AppendUvarint(b, uint64(len(e.Head)))
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		if subkeys[i].name == 0 {
			b = append(b, e.Action[:]...)
		}
		if e.InPack() {
			b = append(b, e.Output[:]...)
		}
	}
	for i := range m.Entries {
		b = append(b, m.Entries[i].Inline...)
		b = append(b, m.Entries[i].Head...)
	}
	return b
}

// The smallest sizes in bytes that a pack, an eager command and an entry take in
// the payload. The parser checks counts against them before it allocates memory.
const (
	minPack  = 1 + 32 + 1 + 1
	minEager = 32 + 1
	minEntry = 6
)

// parsePayload decodes a payload. Its errors wrap ErrCorrupt. The manifest shares memory
// with b.
func parsePayload(b []byte) (*Manifest, error) {
	p := &parser{fields.NewParser(b, func(reason string) error { return fmt.Errorf("%w: %s", ErrCorrupt, reason) })}
	m := new(Manifest)
	for _, day := range []*Day{&m.Today, &m.Clock, &m.Far} {
		*day = Day(p.Number(math.MaxUint32))
	}
	m.Packs = make([]Pack, p.count(minPack, math.MaxInt))
	for i := range m.Packs {
		m.Packs[i] = Pack{
			Scope: string(p.Bytes(p.Number(math.MaxInt32))),
			ID:    p.id(),
			Size:  p.Number(math.MaxInt64),
			Own:   p.Number(1) == 1,
		}
	}
	m.Eager = make([]Eager, p.count(minEager, math.MaxInt))
	for i := range m.Eager {
		m.Eager[i] = Eager{Command: p.id(), Used: Day(p.Number(math.MaxUint32))}
	}
	m.Entries = p.entries()
	if p.Err() == nil && p.Len() > 0 {
		p.Fail(fmt.Sprintf("%d bytes behind the last body", p.Len()))
	}
	return m, p.Err()
}

// entries decodes the entries, up to the end of the payload.
func (p *parser) entries() []Entry {
	entries := make([]Entry, p.count(minEntry, MaxEntries))
	subkeys := make([]subkey, len(entries))
	heads := make([]int64, len(entries))
	var last int64
	for i := range entries {
		e := &entries[i]
		if name := p.Number(uint64(len(subkeyNames))); name > 0 {
			subkeys[i] = subkey{int(name), i + int(p.signed())}
		}
		e.Size = p.Number(math.MaxInt64)
		last += p.signed()
		e.Time = time.Unix(0, last)
		e.Cost = time.Duration(p.Number(math.MaxInt64))
		e.Used = Day(p.Number(math.MaxUint32))
		pack := p.Number(math.MaxInt32) // 1 + index; 0: none
		switch {
		case p.Err() != nil:
			return nil
		case pack > 0:
			e.Pack = int(pack - 1)
			e.Offset = p.Number(math.MaxInt64)
			if e.Length = p.Number(math.MaxInt64); e.Length == 0 {
				p.Fail("an entry object of no bytes")
			}
			e.Frame = e.Offset - p.Number(math.MaxInt64)
			e.At = p.Number(math.MaxInt64)
			heads[i] = p.Number(MaxHead)
		case e.Size > MaxInline:
			p.Fail("a body that is too long to stand in it")
		}
	}
	for i := range entries {
		e := &entries[i]
		if subkeys[i].name == 0 {
			e.Action = p.id()
		}
		if e.InPack() {
			e.Output = p.id()
		}
	}
	for i, s := range subkeys {
		if s.name == 0 {
			continue
		}
		if s.parent < 0 || s.parent >= len(subkeys) || subkeys[s.parent].name > 0 {
			p.Fail("a subkey of an action that does not stand in it")
			return nil
		}
		entries[i].Action = s.action(entries[s.parent].Action)
	}
	for i := range entries {
		e := &entries[i]
		if !e.InPack() {
			e.Inline = p.Bytes(e.Size)
			e.Output = sha256.Sum256(e.Inline)
		} else if heads[i] > 0 {
			e.Head = p.Bytes(heads[i])
		}
	}
	return entries
}

// parser reads the fields of a payload.
type parser struct{ *fields.Parser }

func (p *parser) id() (id [32]byte) {
	copy(id[:], p.Bytes(int64(len(id))))
	return id
}

// signed reads a number that may be negative, as binary.AppendVarint writes it.
func (p *parser) signed() int64 {
	v := uint64(p.Number(math.MaxUint64))
	return int64(v>>1) ^ -int64(v&1)
}

// count reads the number of things that take at least size bytes each. It fails if the
// rest of the payload is too short for them.
func (p *parser) count(size int, limit uint64) int64 {
	n := p.Number(limit)
	if n > int64(p.Len()/size) {
		p.Fail("more announced than there is room for")
		return 0
	}
	return n
}
