package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/entry"
)

// riderAttacks returns the attacks on those that ride in the prey's entry object. The go
// command asks for one of them, what the compiler has printed, and that is nothing.
func riderAttacks() []attack {
	// reload replaces the riders, and corrects what the header says of them.
	reload := func(with func(a *attacker, riders []entry.Rider) []byte) func(*attacker) {
		return func(a *attacker) {
			object := a.read(a.preyKey())
			plain := with(a, a.riders(object))
			a.write(a.preyKey(), a.reloaded(object, plain, int64(len(plain))))
		}
	}
	// relabel changes the header, and corrects its checksum.
	relabel := func(change func(*entry.Header)) func(*attacker) {
		return func(a *attacker) { a.write(a.preyKey(), a.relabel(a.read(a.preyKey()), change)) }
	}
	attacks := []attack{
		{name: "another body", do: func(a *attacker) {
			object := a.read(a.preyKey())
			object[a.parsed(object).FrontSize()-1] ^= 1
			a.write(a.preyKey(), object)
		}, unsigned: corrupt, signed: corrupt},
		{name: "another body, and its digest", do: reload(func(_ *attacker, riders []entry.Rider) []byte {
			rider(riders, "srcfiles").Body = []byte("./evil.go\n")
			return plainRiders(riders)
		}), unsigned: harmless, signed: untrusted},
		{name: "a rider of another action", do: reload(func(a *attacker, riders []entry.Rider) []byte {
			id := a.beside(a.manifest()).Action
			rider(riders, "stdout").Name = "z" + string(id[:])
			return plainRiders(riders) // which stay in the order of their names
		}), unsigned: missed, signed: untrusted},
		{name: "swapped for those of another object", do: func(a *attacker) {
			object, other := a.read(a.preyKey()), a.read(entryKey("main", a.beside(a.manifest()).Action))
			from, h := a.parsed(other), a.parsed(object)
			h.RidersSize, h.RidersStored, h.RidersSum = from.RidersSize, from.RidersStored, from.RidersSum
			front := append(h.Append(nil), other[from.Size():from.FrontSize()]...)
			a.write(a.preyKey(), append(front, a.payload(object)...))
		}, unsigned: harmless, signed: untrusted},
		{name: "swapped for those of another object, under the old digest", do: func(a *attacker) {
			object, other := a.read(a.preyKey()), a.read(entryKey("main", a.beside(a.manifest()).Action))
			from, h := a.parsed(other), a.parsed(object)
			front := append(h.Append(nil), other[from.Size():from.FrontSize()]...)
			a.write(a.preyKey(), append(front, a.payload(object)...))
		}, unsigned: corrupt, signed: corrupt},
		{name: "one under another name", do: reload(func(_ *attacker, riders []entry.Rider) []byte {
			rider(riders, "stdout").Name = "stdouu"
			return plainRiders(riders)
		}), unsigned: missed, signed: untrusted},
		{name: "one twice", do: reload(func(_ *attacker, riders []entry.Rider) []byte {
			return plainRiders(append(riders, riders[len(riders)-1]))
		}), unsigned: corrupt, signed: untrusted},
		{name: "a list that is too long", do: reload(func(*attacker, []entry.Rider) []byte {
			return binary.AppendUvarint(nil, math.MaxInt32)
		}), unsigned: corrupt, signed: untrusted},
		{name: "a body over the limit", do: reload(func(_ *attacker, riders []entry.Rider) []byte {
			riders[0].Body = make([]byte, entry.MaxRider+1)
			return plainRiders(riders)
		}), unsigned: corrupt, signed: untrusted},
		{name: "a size that lies", do: reload(func(_ *attacker, riders []entry.Rider) []byte {
			return append(plainRiders(riders), 0)
		}), unsigned: corrupt, signed: untrusted},
		{name: "all of the greatest size", do: relabel(func(h *entry.Header) {
			h.RidersSize, h.RidersStored = entry.MaxRiders, entry.MaxRiders
		}), unsigned: corrupt, signed: untrusted},
		{name: "all over the limit", do: relabel(func(h *entry.Header) { h.RidersSize = entry.MaxRiders + 1 }), unsigned: corrupt, signed: corrupt},
		{name: "sizes of all ones", do: relabel(func(h *entry.Header) {
			h.RidersSize, h.RidersStored = math.MaxUint32, math.MaxUint32
		}), unsigned: corrupt, signed: corrupt},
		{name: "a bomb that says it is small", do: func(a *attacker) {
			a.write(a.preyKey(), a.reloaded(a.read(a.preyKey()), squeezed(make([]byte, bombSize)), entry.MaxRiders))
		}, unsigned: corrupt, signed: untrusted},
		{name: "a bomb that says so", do: func(a *attacker) {
			a.write(a.preyKey(), a.reloaded(a.read(a.preyKey()), squeezed(make([]byte, bombSize)), bombSize))
		}, unsigned: corrupt, signed: corrupt},
		{name: "cut within", do: func(a *attacker) {
			object := a.read(a.preyKey())
			a.write(a.preyKey(), object[:a.parsed(object).FrontSize()-1])
		}, unsigned: corrupt, signed: corrupt},
	}
	for i := range attacks {
		attacks[i].name = "riders: " + attacks[i].name
		attacks[i].ways = []way{byLookup}
	}
	return attacks
}

// riders returns those that ride in an entry object of the prey's.
func (a *attacker) riders(object []byte) []entry.Rider {
	a.t.Helper()
	_, riders, err := entry.ReadFront(bytes.NewReader(object), entry.Want{Action: a.parsed(object).Action, MaxSize: math.MaxInt64})
	if err != nil || len(riders) == 0 {
		a.t.Fatalf("%d riders, %v", len(riders), err)
	}
	return riders
}

// reloaded returns an entry object with stored in place of its riders. Its header says that
// these have size bytes once they are decompressed.
func (a *attacker) reloaded(object, stored []byte, size int64) []byte {
	a.t.Helper()
	h := a.parsed(object)
	payload := a.payload(object)
	h.RidersSize, h.RidersStored, h.RidersSum = size, int64(len(stored)), sha256.Sum256(stored)
	return append(append(h.Append(nil), stored...), payload...)
}

// plainRiders returns riders as an entry object has them, before their compression.
func plainRiders(riders []entry.Rider) []byte {
	b := binary.AppendUvarint(nil, uint64(len(riders)))
	for _, r := range riders {
		b = append(binary.AppendUvarint(b, uint64(len(r.Name))), r.Name...)
		for _, n := range []int64{r.Time.UnixNano(), int64(r.Cost), int64(len(r.Body))} {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	for _, r := range riders {
		b = append(b, r.Body...)
	}
	return b
}

// rider returns the one of riders that has a name, and panics if there is none.
func rider(riders []entry.Rider, name string) *entry.Rider {
	for i := range riders {
		if riders[i].Name == name {
			return &riders[i]
		}
	}
	panic("no rider is called " + name)
}

// squeezed returns b, compressed.
func squeezed(b []byte) []byte {
	enc, err := zstd.NewWriter(nil, zstd.WithWindowSize(512<<10))
	if err != nil {
		panic(err)
	}
	defer enc.Close()
	return enc.EncodeAll(b, nil)
}
