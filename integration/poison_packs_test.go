package integration

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/pack"
)

// packAttacks returns the attacks on the pack that holds the prey. They do not change
// the manifest.
func packAttacks() []attack {
	// replace replaces the pack.
	replace := func(with func(a *attacker, object []byte, m *pack.Manifest) []byte) func(*attacker) {
		return func(a *attacker) { a.write(a.packKey(), with(a, a.read(a.packKey()), a.manifest())) }
	}
	// repack changes what the pack unpacks to.
	repack := func(change func(a *attacker, m *pack.Manifest, within func(*pack.Entry) []byte)) func(*attacker) {
		return replace(func(a *attacker, b []byte, m *pack.Manifest) []byte {
			return a.repack(b, m, func(within func(*pack.Entry) []byte) { change(a, m, within) })
		})
	}
	// put replaces the prey's entry in the pack.
	put := func(object func(a *attacker, old []byte) []byte) func(*attacker) {
		return repack(func(a *attacker, m *pack.Manifest, within func(*pack.Entry) []byte) {
			at := within(a.preyed(m))
			copy(at, append(object(a, bytes.Clone(at)), make([]byte, len(at))...))
		})
	}
	// frame replaces the frame that holds the prey.
	frame := func(with []byte) func(*attacker) {
		return replace(func(a *attacker, b []byte, m *pack.Manifest) []byte {
			e := a.preyed(m)
			if len(with) > int(e.End()-e.Frame) {
				a.t.Fatalf("a frame of %d bytes is too large to take the place of one of %d", len(with), e.End()-e.Frame)
			}
			clear(b[e.Frame:e.End()])
			copy(b[e.Frame:e.End()], with)
			return b
		})
	}
	attacks := []attack{
		{name: "two entries in each other's place", do: repack(func(a *attacker, m *pack.Manifest, within func(*pack.Entry) []byte) {
			prey, beside := within(a.preyed(m)), within(a.beside(m))
			old := bytes.Clone(prey)
			copy(prey, beside)
			copy(beside, old)
		}), unsigned: corrupt, signed: corrupt},
		{name: "an evil one of this name", do: put(func(a *attacker, _ []byte) []byte { return a.evilFramed(entry.Signer{}) }), unsigned: corrupt, signed: untrusted},
		{name: "an evil one of this name, signed in another scope", do: put(func(a *attacker, _ []byte) []byte {
			return a.evilFramed(entry.Signer{Key: a.trusted(), Scope: "pr-7"})
		}), unsigned: corrupt, signed: untrusted},
		{name: "another one, of the output that the manifest promises", do: put(func(a *attacker, old []byte) []byte { return a.lookalike(old) }), unsigned: corrupt, signed: untrusted},
		{name: "another one, of that output and with the old signature", do: put(func(a *attacker, old []byte) []byte {
			return append(old[:entry.HeaderSize:entry.HeaderSize], a.lookalike(old)[entry.HeaderSize:]...)
		}), unsigned: corrupt, signed: corrupt},
		{name: "the signatures stripped", do: repack(func(a *attacker, m *pack.Manifest, within func(*pack.Entry) []byte) {
			for i := range m.Entries {
				if e := &m.Entries[i]; e.InPack() {
					copy(within(e), a.relabel(bytes.Clone(within(e)), strip))
				}
			}
		}), unsigned: harmless, signed: untrusted},
		{name: "a stranger's signatures", do: put(func(a *attacker, old []byte) []byte { return framedLayout.sign(old, a.key, a.key.ID(), "main") }), unsigned: harmless, signed: untrusted},
		{name: "one of this name as it would stand outside a pack", do: put(func(a *attacker, _ []byte) []byte {
			return a.encode(a.header(a.clean.prey.body), a.clean.prey.body, entry.Signer{Key: a.trusted(), Scope: "main"})
		}), unsigned: corrupt, signed: corrupt},
		{name: "a bomb in it", do: put(func(a *attacker, _ []byte) []byte {
			body := make([]byte, bombSize)
			return framed(a.header(body), body, entry.Signer{})
		}), unsigned: corrupt, signed: untrusted},
		{name: "a frame that is a bomb", do: frame(bombFrame(bombSize, 1<<20)), unsigned: corrupt, signed: corrupt},
		{name: "a frame with an endless window", do: frame(bombFrame(256<<20, 256<<20)), unsigned: corrupt, signed: corrupt},
		{name: "a frame that is none", do: frame([]byte("a frame")), unsigned: corrupt, signed: corrupt},
		{name: "an evil one, and the entry object, too", do: func(a *attacker) {
			put(func(a *attacker, _ []byte) []byte { return a.evilFramed(entry.Signer{}) })(a)
			a.write(a.preyKey(), a.evilObject(entry.Signer{}))
		}, unsigned: evil, lazily: corrupt, signed: untrusted},
		{name: "cut", do: replace(func(_ *attacker, b []byte, _ *pack.Manifest) []byte { return b[:len(b)/2] }), unsigned: corrupt, signed: corrupt},
		{name: "empty", do: replace(func(*attacker, []byte, *pack.Manifest) []byte { return nil }), unsigned: corrupt, signed: corrupt},
		{name: "gone", do: func(a *attacker) { a.remove(a.packKey()) }, unsigned: missed, signed: missed},
		{name: "a directory", do: func(a *attacker) {
			key := a.packKey()
			a.remove(key)
			a.write(key+"/object", a.evilObject(entry.Signer{}))
		}, unsigned: missed, signed: missed},
		// A victim reads no more than the part that it asked for.
		{name: "a good one and no end", answer: endless((*attacker).packKey, keep), unsigned: harmless, signed: harmless},
		{name: "zeros and no end", answer: endless((*attacker).packKey, lose), unsigned: corrupt, signed: corrupt},
	}
	for i := range attacks {
		attacks[i].name = "pack: " + attacks[i].name
		attacks[i].ways = []way{eager, lazy}
	}
	return attacks
}

// evilFramed returns the evil archive under the prey's action, as it would stand in a frame.
func (a *attacker) evilFramed(by entry.Signer) []byte {
	return framed(a.header(a.evil.prey.body), a.evil.prey.body, by)
}

// framed returns the entry object of body as it stands in a frame.
func framed(h entry.Header, body []byte, by entry.Signer) []byte {
	return append(entry.FramedHeader(h, by).Append(nil), body...)
}

// lookalike returns an intact entry object with the prey's header, but not signed, and with its
// length. Only its body differs.
func (a *attacker) lookalike(object []byte) []byte {
	a.t.Helper()
	body := bytes.Clone(a.clean.prey.body)
	body[len(body)-1] ^= 1
	h := a.parsed(object)
	strip(&h)
	return framed(h, body, entry.Signer{})
}

// unpackedFrame is what a frame of a pack unpacks to.
type unpackedFrame struct {
	entries []*pack.Entry // in their order
	data    []byte
}

// within returns the entry object of e.
func (f *unpackedFrame) within(e *pack.Entry) []byte {
	return f.data[e.At:][:e.ObjectSize()]
}

// pack compresses the frame, and returns where each object ends in it.
func (f *unpackedFrame) pack(opts ...zstd.EOption) (frame []byte, ends []int64) {
	var objects [][]byte
	for _, e := range f.entries {
		objects = append(objects, f.within(e))
	}
	return compress(objects, opts...)
}

// unpack unpacks the frames of the pack b that m names, in their order. The pack is the i-th of
// m.
func unpack(t *testing.T, b []byte, m *pack.Manifest, i int) (frames []*unpackedFrame) {
	t.Helper()
	var entries []*pack.Entry
	for j := range m.Entries {
		if e := &m.Entries[j]; e.InPack() && e.Pack == i {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b *pack.Entry) int { return cmp.Compare(a.Offset, b.Offset) })
	for _, e := range entries {
		if e.At == 0 {
			frames = append(frames, &unpackedFrame{})
		}
		f := frames[len(frames)-1]
		f.entries = append(f.entries, e)
	}
	for _, f := range frames {
		last := f.entries[len(f.entries)-1]
		f.data = decompress(t, b[last.Frame:last.End()])
	}
	return frames
}

// repack unpacks the frames of the prey's pack, has change change their entry objects, and
// packs them again, so that each lies where it lay. The function within returns the object of
// an entry.
func (a *attacker) repack(b []byte, m *pack.Manifest, change func(within func(*pack.Entry) []byte)) []byte {
	a.t.Helper()
	frames := unpack(a.t, b, m, a.preyed(m).Pack)
	change(func(e *pack.Entry) []byte {
		i := slices.IndexFunc(frames, func(f *unpackedFrame) bool { return f.entries[0].Frame == e.Frame })
		return frames[i].within(e)
	})
	for _, f := range frames {
		frame, ends := f.pack(zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(1<<20))
		for i, e := range f.entries {
			if e.Frame+ends[i] > e.End() {
				a.t.Fatalf("an entry object ends at %d of its frame, and did at %d", ends[i], e.End()-e.Frame)
			}
		}
		last := f.entries[len(f.entries)-1]
		clear(b[last.Frame:last.End()])
		copy(b[last.Frame:last.End()], frame)
	}
	return b
}

// loosen compresses the victims' packs less, so that what attackers put into a frame fits where
// something else was.
func (p *poisoned) loosen(t *testing.T) {
	t.Helper()
	a := &attacker{poisoned: p, t: t}
	write := func(key string, object []byte) {
		file := filepath.Join(p.filled, filepath.FromSlash(key))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, object, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	m := a.manifest()
	for i := range m.Packs {
		from := &m.Packs[i]
		var loose []byte
		for _, f := range unpack(t, readFile(t, filepath.Join(p.filled, packKey(from.Scope, from.ID))), m, i) {
			frame, ends := f.pack(zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(zstd.MinWindowSize))
			begin := int64(len(loose))
			at := begin
			for j, e := range f.entries {
				e.Frame, e.Offset, e.Length = begin, at, begin+ends[j]-at
				at = e.End()
			}
			loose = append(loose, frame...)
		}
		from.ID, from.Size = sha256.Sum256(loose), int64(len(loose))
		write(packKey(from.Scope, from.ID), loose)
	}
	write(objectKey(victimManifest()), a.signed(m, victimManifest()))
}

// compress returns a frame of zstd with some data, and where what each unpacks from ends in it.
func compress(data [][]byte, opts ...zstd.EOption) (frame []byte, ends []int64) {
	var out bytes.Buffer
	enc, err := zstd.NewWriter(&out, opts...)
	if err != nil {
		panic(err) // only for options that contradict each other
	}
	for _, d := range data {
		if _, err := enc.Write(d); err != nil {
			panic(err) // a Buffer takes everything
		}
		if err := enc.Flush(); err != nil {
			panic(err)
		}
		ends = append(ends, int64(out.Len()))
	}
	if err := enc.Close(); err != nil {
		panic(err)
	}
	return out.Bytes(), ends
}

// bombFrame returns a frame of zstd that unpacks to size zeros, with a window.
func bombFrame(size, window int) []byte {
	frame, _ := compress([][]byte{make([]byte, size)}, zstd.WithWindowSize(window))
	return frame
}

// decompress returns what a frame of zstd unpacks to, up to where it is cut.
func decompress(t *testing.T, frame []byte) []byte {
	t.Helper()
	dec, err := zstd.NewReader(bytes.NewReader(frame), zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	data, err := io.ReadAll(dec)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return data
}
