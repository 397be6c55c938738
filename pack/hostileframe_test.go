package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/entry"
)

// alone returns a pack whose only frame was made with options, and its entry.
func alone(t *testing.T, body string, options ...zstd.EOption) ([]byte, *packed) {
	t.Helper()
	p := newPacked(t)
	e, h := p.next(body)
	var data bytes.Buffer
	enc, err := zstd.NewWriter(&data, options...)
	if err != nil {
		t.Fatal(err)
	}
	object := append(entry.FramedHeader(h, entry.Signer{}).Append(nil), body...)
	if _, err := enc.Write(object); err != nil {
		t.Fatal(err)
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	p.keep(e, Span{Length: int64(data.Len())}, body)
	return data.Bytes(), p
}

// A reader takes a frame whose window is as large as a frame may be, and none that would have
// it hold more memory, or something that it does not have.
func TestHostileFrames(t *testing.T) {
	body := noise(6 << 20) // more than any of the windows
	dictionary := zstd.WithEncoderDictRaw(7, []byte(strings.Repeat("a dictionary ", 10)))
	skippable := binary.LittleEndian.AppendUint32([]byte{0x50, 0x2a, 0x4d, 0x18}, 1<<20)
	for name, test := range map[string]struct {
		options []zstd.EOption
		before  []byte // the frame
		right   bool
	}{
		"a window of 4 MiB":                {[]zstd.EOption{zstd.WithWindowSize(maxFrame)}, nil, true},
		"a window of 8 MiB":                {[]zstd.EOption{zstd.WithWindowSize(2 * maxFrame)}, nil, false},
		"an unknown dictionary":            {[]zstd.EOption{zstd.WithWindowSize(maxFrame), dictionary}, nil, false},
		"a skippable frame, and no frame":  {[]zstd.EOption{zstd.WithWindowSize(maxFrame)}, skippable, false},
		"a frame of another kind, and one": {[]zstd.EOption{zstd.WithWindowSize(maxFrame)}, []byte("PK\x03\x04"), false},
	} {
		t.Run(name, func(t *testing.T) {
			data, p := alone(t, body, test.options...)
			data = append(test.before, data...)
			r := NewReader(bytes.NewReader(data), 0)
			defer r.Close()
			got, err := readNext(r, p.entries[0])
			if right := err == nil && got == body; right != test.right {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if !test.right && !errors.Is(err, entry.ErrCorrupt) {
				t.Errorf("error %v is not ErrCorrupt", err)
			}
		})
	}
}

// A frame that one manifest places within what another one has had read is refused. What lies
// behind it is not.
func TestContradictingFrames(t *testing.T) {
	p := newPacked(t)
	for i := range 3 {
		p.add(t, text(i))
		if err := p.EndFrame(); err != nil {
			t.Fatal(err)
		}
	}
	data := p.finish(t)
	within := *p.entries[1]
	within.Frame = p.entries[0].End() - 1
	within.Offset = within.Frame
	r := NewReader(bytes.NewReader(data), 0)
	defer r.Close()
	for i, test := range []struct {
		e    *Entry
		body string // "": refused
	}{{p.entries[0], p.bodies[0]}, {&within, ""}, {p.entries[0], ""}, {p.entries[1], p.bodies[1]}, {p.entries[2], p.bodies[2]}} {
		body, err := readNext(r, test.e)
		if body != test.body || (test.body == "") != errors.Is(err, entry.ErrCorrupt) || r.Err() != nil {
			t.Errorf("step %d: %d bytes, %v, and %v", i, len(body), err, r.Err())
		}
	}
}

// Who closes a Reader twice leaves others their decoders.
func TestCloseTwice(t *testing.T) {
	p := newPacked(t)
	p.add(t, text(0))
	data := p.finish(t)
	closed := NewReader(bytes.NewReader(data), 0)
	closed.Close()
	closed.Close()
	if _, err := closed.Next(p.entries[0]); err != os.ErrClosed {
		t.Errorf("read: %v", err)
	}
	one, other := NewReader(bytes.NewReader(data), 0), NewReader(bytes.NewReader(data), 0)
	defer one.Close()
	defer other.Close()
	if one.decoder == other.decoder {
		t.Error("two readers share a decoder")
	}
}

// TestGoldenPack pins the format with a golden file. The output of zstd may change with the
// library, so the test reads the file but does not compare the writer with it.
func TestGoldenPack(t *testing.T) {
	p := newPacked(t)
	p.add(t, "package fmt")
	p.add(t, strings.Repeat("text ", 100))
	if err := p.EndFrame(); err != nil {
		t.Fatal(err)
	}
	p.add(t, "")
	p.add(t, "package net")
	object := golden(t, "pack.golden", p.finish(t))
	for i, s := range []Span{{0, 0, 89, 0}, {0, 89, 70, 209}, {162, 162, 75, 0}, {162, 237, 73, 198}} {
		if e := p.entries[i]; *update && e.Span != s {
			t.Errorf("entry %d lies at %+v in the new file", i, e.Span)
		}
		p.entries[i].Span = s
	}
	p.check(t, bytes.NewReader(object), 0, 0, 1, 2, 3)
}

// FuzzReader has a pack of any bytes, an entry that lies anywhere in it, and one that it may
// contradict. The reader must return no more than an entry has, and no errors but its own.
func FuzzReader(f *testing.F) {
	p := newPacked(f)
	p.add(f, text(0)[:300])
	p.add(f, noise(200))
	if err := p.EndFrame(); err != nil {
		f.Fatal(err)
	}
	p.add(f, text(2)[:300])
	p.finish(f)
	f.Fuzz(func(t *testing.T, data []byte, frame, offset, length, at, size int64) {
		e := &Entry{Span: Span{Frame: frame, Offset: offset, Length: length, At: at}, Size: size}
		if size < 0 || size > maxFrame || length <= 0 || e.checkBehind(nil) != nil {
			return // no manifest says so
		}
		r := NewReader(bytes.NewReader(data), 0)
		defer r.Close()
		for _, e := range []*Entry{e, p.entries[1]} {
			object, err := r.Next(e)
			var n int64
			if err == nil {
				n, err = io.Copy(io.Discard, object)
			}
			if n > e.ObjectSize() || err != nil && !errors.Is(err, entry.ErrCorrupt) {
				t.Errorf("%d bytes, want at most %d; %v", n, e.ObjectSize(), err)
			}
		}
	})
}
