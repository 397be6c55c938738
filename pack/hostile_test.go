package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDamage changes each byte of a manifest, cuts it at each byte, and appends a byte: it
// must be refused each time.
func TestDamage(t *testing.T) {
	object := encode(t, sample(12))
	for i := range object {
		damaged := bytes.Clone(object)
		damaged[i] ^= 0x10
		if _, err := Decode(damaged, Place{}, nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d: %v", i, err)
		}
		if _, err := Decode(object[:i], Place{}, nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	if _, err := Decode(append(object, 0), Place{}, nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a byte behind: %v", err)
	}
}

// TestHostileManifests has manifests whose header is right and whose payload is not.
func TestHostileManifests(t *testing.T) {
	change := func(f func(*Manifest)) []byte {
		m := sample(8)
		f(m)
		return seal(m.encodePayload())
	}
	// derived returns a manifest of two entries, both subkeys. The first has the
	// given name and distance to its parent.
	derived := func(name uint64, distance int64) []byte {
		b := binary.AppendUvarint([]byte{0, 0, 0, 0, 0, 2}, name)
		b = binary.AppendVarint(b, distance)
		b = append(b, 0, 0, 0, 0, 0)
		return seal(append(b, 1, 1, 0, 0, 0, 0, 0))
	}
	// late is an entry whose time is as far as possible after that of the entry before.
	late := append(binary.AppendVarint([]byte{0, 0}, math.MaxInt64), 0, 0, 0)
	// In sample(8), entries 3 and 7 lie in packs 0 and 1.
	for name, test := range map[string]struct {
		object []byte
		reason string
	}{
		"an action twice":      {change(func(m *Manifest) { m.Entries[1].Action = m.Entries[6].Action }), "twice"},
		"an unknown pack":      {change(func(m *Manifest) { m.Entries[3].Pack = 2 }), "does not name"},
		"past the end":         {change(func(m *Manifest) { m.Entries[3].Frame, m.Entries[3].Offset = 1<<40-10, 1<<40-10 }), "outside"},
		"far past the end":     {change(func(m *Manifest) { m.Entries[3].Frame, m.Entries[3].Offset = 1<<63-1, 1<<63-1 }), "outside"},
		"before its pack":      {change(func(m *Manifest) { m.Entries[3].Frame = -1 }), "outside its frame"},
		"far behind its frame": {change(func(m *Manifest) { m.Entries[3].Offset, m.Entries[3].At = 2*maxFrame+1, 1 }), "outside its frame"},
		"at another beginning": {change(func(m *Manifest) { m.Entries[3].At = 1 }), "two places"},
		"at no beginning":      {change(func(m *Manifest) { m.Entries[3].Offset = 1 }), "two places"},
		"past the frame's end": {change(func(m *Manifest) { m.Entries[3].Offset, m.Entries[3].At = 1, maxFrame-5000 }), "past the end of its frame"},
		"at an endless place":  {change(func(m *Manifest) { m.Entries[3].Offset, m.Entries[3].At = 1, math.MaxInt64 }), "past the end of its frame"},
		"a large body in a frame": {change(func(m *Manifest) {
			m.Entries[3].Offset, m.Entries[3].At, m.Entries[3].Size = 1, 1, maxFrame
		}), "past the end of its frame"},
		"an endless body": {change(func(m *Manifest) { m.Entries[3].Size = math.MaxInt64 }), "can't be"},
		"overlap in a frame": {change(func(m *Manifest) {
			e := &m.Entries[7]
			e.Pack, e.Frame, e.At = 0, m.Entries[3].Frame, m.Entries[3].ObjectSize()-1
		}), "overlap"},
		"a frame in another": {change(func(m *Manifest) {
			e := &m.Entries[7]
			e.Pack, e.Frame, e.At = 0, m.Entries[3].Frame+1, m.Entries[3].ObjectSize()
		}), "overlap"},
		"overlap":         {change(func(m *Manifest) { m.Entries[7].Pack, m.Entries[7].Frame, m.Entries[7].Offset = 0, 1, 1 }), "overlap"},
		"negative offset": {change(func(m *Manifest) { m.Entries[3].Frame, m.Entries[3].Offset = -1, -1 }), "too large"},
		"negative size":   {change(func(m *Manifest) { m.Entries[3].Size = -1 << 63 }), "too large"},
		"a long body in it": {change(func(m *Manifest) {
			e := &m.Entries[3]
			e.Length, e.Inline, e.Size = 0, make([]byte, MaxInline+1), MaxInline+1
		}), "too long"},
		"a head that is none":  {change(func(m *Manifest) { m.Entries[7].Head = []byte("go object") }), "head"},
		"a head and more":      {change(func(m *Manifest) { m.Entries[7].Head = []byte(archiveHead + "export") }), "head"},
		"an endless head":      {change(func(m *Manifest) { m.Entries[7].Head = make([]byte, MaxHead+1) }), "too large"},
		"a million announced":  {seal(binary.AppendUvarint([]byte{0, 0, 0, 0, 0}, 1_000_000)), "room"},
		"commands announced":   {seal(binary.AppendUvarint([]byte{0, 0, 0, 0}, 1_000_000)), "room"},
		"packs announced":      {seal(binary.AppendUvarint([]byte{0, 0, 0}, 1<<62)), "room"},
		"a longer number":      {seal([]byte{0x80, 0x00, 0x00}), "shortest"},
		"something behind":     {seal([]byte{0, 0, 0, 0, 0, 0, 7}), "behind"},
		"too many entries":     {seal(binary.AppendUvarint([]byte{0, 0, 0, 0, 0}, MaxEntries+1)), "too large"},
		"an unknown subkey":    {derived(4, 0), "too large"},
		"a subkey of itself":   {derived(1, 0), "subkey of an action"},
		"a subkey of another":  {derived(1, 1), "subkey of an action"},
		"of what is not there": {derived(1, 2), "subkey of an action"},
		"of what is before":    {derived(1, -1), "subkey of an action"},
		"of what is far":       {derived(1, math.MaxInt64), "subkey of an action"},
		"an endless cost":      {change(func(m *Manifest) { m.Entries[2].Cost = math.MaxInt64 }), "cost"},
		"before the epoch":     {change(func(m *Manifest) { m.Entries[2].Time = time.Unix(0, -1) }), "can't be"},
		"after all time":       {seal(slices.Concat([]byte{0, 0, 0, 0, 0, 2}, late, late, bytes.Repeat([]byte{1}, 32), make([]byte, 32))), "can't be"},
		"nothing":              {seal(nil), "cut"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(test.object, Place{}, nil)
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("error %v, want %q", err, test.reason)
			}
		})
	}
}

// TestBomb has a payload that is far longer than its header says. Decode must give up
// before it has decompressed it.
func TestBomb(t *testing.T) {
	object := seal(make([]byte, 64<<20))
	binary.BigEndian.PutUint64(object[10:], 1000)
	setCRC(object)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Decode(object, Place{}, nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("error %v", err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 48<<20 {
		t.Errorf("%d bytes allocated", n)
	}
}
