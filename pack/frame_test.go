package pack

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/protocol"
)

// packed is a pack with what a manifest would say of it.
type packed struct {
	*Writer
	file    *os.File
	bodies  []string
	entries []*Entry
}

func newPacked(t testing.TB) *packed {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "pack"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return &packed{Writer: NewWriter(file, entry.Signer{}), file: file}
}

// add adds an entry with a body.
func (p *packed) add(t testing.TB, body string) *Entry {
	t.Helper()
	e, h := p.next(body)
	s, err := p.Add(h, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	p.keep(e, s, body)
	return e
}

// next returns the next entry, which has a body, and its header.
func (p *packed) next(body string) (*Entry, entry.Header) {
	h := entry.Header{
		Action:   protocol.ActionID{byte(len(p.entries))},
		Output:   sha256.Sum256([]byte(body)),
		BodySize: int64(len(body)),
		Time:     time.Unix(1, 0),
	}
	return &Entry{Action: h.Action, Output: h.Output, Size: h.BodySize, Time: h.Time}, h
}

func (p *packed) keep(e *Entry, s Span, body string) {
	e.Span = s
	p.entries, p.bodies = append(p.entries, e), append(p.bodies, body)
}

// finish returns the bytes of the pack.
func (p *packed) finish(t testing.TB) []byte {
	t.Helper()
	id, size, sum, err := p.Finish()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(p.file)
	if err != nil {
		t.Fatal(err)
	}
	if ID(sha256.Sum256(data)) != id || md5.Sum(data) != sum || int64(len(data)) != size {
		t.Errorf("%d bytes are not those of %x", len(data), id)
	}
	return data
}

// check reads those entries that are wanted from a part of the pack that begins at offset. It
// must find the bodies.
func (p *packed) check(t *testing.T, src io.Reader, offset int64, wanted ...int) {
	t.Helper()
	r := NewReader(src, offset)
	defer r.Close()
	for _, i := range wanted {
		if body, err := readNext(r, p.entries[i]); err != nil || body != p.bodies[i] {
			t.Errorf("entry %d: %d bytes, %v", i, len(body), err)
		}
	}
}

// readNext returns the body of e, the next of r.
func readNext(r *Reader, e *Entry) (string, error) {
	object, err := r.Next(e)
	if err != nil {
		return "", err
	}
	body, err := entry.Open(object, entry.Want{Action: e.Action, MaxSize: e.Size, Framed: true})
	if err != nil {
		return "", err
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err == nil && sha256.Sum256(b) != e.Output {
		err = errors.New("another body")
	}
	return string(b), err
}

// text returns a body that compresses well, and noise one that does not.
func text(i int) string { return strings.Repeat(fmt.Sprint("body ", i), 5000) }
func noise(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return string(b)
}

func TestPack(t *testing.T) {
	for name, thorough := range map[string]bool{"fast": false, "thorough": true} {
		t.Run(name, func(t *testing.T) {
			p := newPacked(t)
			p.Thorough = thorough
			for i := range 3 {
				p.add(t, text(i))
			}
			if err := p.EndFrame(); err != nil {
				t.Fatal(err)
			}
			for _, body := range []string{"", noise(3 << 20), noise(1 << 20), noise(6 << 20), text(7)} {
				p.add(t, body)
			}
			data := p.finish(t)

			var frames []int
			for i, e := range p.entries {
				if e.At == 0 {
					frames = append(frames, i)
				}
			}
			if want := []int{0, 3, 5, 6, 7}; fmt.Sprint(frames) != fmt.Sprint(want) {
				t.Errorf("frames begin with entries %v, want %v", frames, want)
			}
			m := &Manifest{Packs: []Pack{{Scope: "main", Size: int64(len(data))}}}
			for _, e := range p.entries {
				m.Entries = append(m.Entries, *e)
			}
			if err := m.check(); err != nil {
				t.Error(err)
			}

			p.check(t, bytes.NewReader(data), 0, 0, 1, 2, 3, 4, 5, 6, 7)
			p.check(t, iotest.HalfReader(bytes.NewReader(data)), 0, 1, 4, 6)
			for i, e := range p.entries { // alone
				p.check(t, bytes.NewReader(data[e.Frame:e.End()]), e.Frame, i)
			}
			// It is a file of zstd as any other.
			dec, err := zstd.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			defer dec.Close()
			var size int64
			for _, e := range p.entries {
				size += e.ObjectSize()
			}
			if n, err := io.Copy(io.Discard, dec); err != nil || n != size {
				t.Errorf("%d bytes, want %d; %v", n, size, err)
			}
		})
	}
}

// What is packed thoroughly, or with others in a frame, is smaller.
func TestSmaller(t *testing.T) {
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	size := func(thorough, alone bool) int {
		p := newPacked(t)
		p.Thorough = thorough
		for from := 0; from < 3<<20; from += 64 << 10 {
			p.add(t, string(program[from:][:64<<10]))
			if alone {
				if err := p.EndFrame(); err != nil {
					t.Fatal(err)
				}
			}
		}
		return len(p.finish(t))
	}
	usual := size(false, false)
	if n := size(true, false); n > usual*98/100 {
		t.Errorf("%d bytes, and %d in a hurry", n, usual)
	}
	if n := size(false, true); usual > n*98/100 {
		t.Errorf("%d bytes, and %d each alone", usual, n)
	}
}

// Two manifests may name a pack, and contradict each other. The reader refuses what it can't
// read any more, and goes on.
func TestContradiction(t *testing.T) {
	p := newPacked(t)
	for i := range 3 {
		p.add(t, text(i))
	}
	r := NewReader(bytes.NewReader(p.finish(t)), 0)
	defer r.Close()
	for _, i := range []int{1, 0, 2} {
		body, err := readNext(r, p.entries[i])
		if i == 0 && !errors.Is(err, entry.ErrCorrupt) || i != 0 && (err != nil || body != p.bodies[i]) {
			t.Errorf("entry %d: %d bytes, %v", i, len(body), err)
		}
	}
}

// An object that is copied from another pack is the same one.
func TestCopy(t *testing.T) {
	from, to := newPacked(t), newPacked(t)
	for i := range 3 {
		from.add(t, text(i))
	}
	data := from.finish(t)
	r := NewReader(bytes.NewReader(data), 0)
	defer r.Close()
	for _, i := range []int{0, 2} {
		e := *from.entries[i]
		object, err := r.Next(&e)
		if err != nil {
			t.Fatal(err)
		}
		s, err := to.Copy(&e, object)
		if err != nil {
			t.Fatal(err)
		}
		to.keep(&e, s, from.bodies[i])
	}
	to.check(t, bytes.NewReader(to.finish(t)), 0, 0, 1)
}

// TestDamagedPack changes each byte of a pack with two frames, and cuts it at each. A body
// is read as it was or not at all, and a frame does not suffer for the other one.
func TestDamagedPack(t *testing.T) {
	p := newPacked(t)
	p.add(t, text(0)[:50])
	p.add(t, noise(100))
	if err := p.EndFrame(); err != nil {
		t.Fatal(err)
	}
	second := p.Size()
	p.add(t, text(2)[:50])
	data := p.finish(t)
	read := func(data []byte) (right []bool) {
		r := NewReader(bytes.NewReader(data), 0)
		defer r.Close()
		for i, e := range p.entries {
			body, err := readNext(r, e)
			if err != nil && err.Error() != "another body" && !errors.Is(err, entry.ErrCorrupt) {
				t.Fatalf("entry %d: error %v", i, err)
			}
			right = append(right, err == nil && body == p.bodies[i])
		}
		return right
	}
	for i := range data {
		damaged := bytes.Clone(data)
		damaged[i] ^= 0x10
		right := read(damaged)
		if int64(i) >= second && (!right[0] || !right[1]) {
			t.Errorf("byte %d: the frame before is damaged", i)
		}
		for j, right := range read(data[:i]) {
			if right != (int64(i) >= p.entries[j].End()) {
				t.Errorf("cut at %d: entry %d is right: %v", i, j, right)
			}
		}
	}
	// Garbage that is no frame, and one that unpacks to something else, spare the next one.
	for _, garbage := range [][]byte{bytes.Repeat([]byte{'x'}, int(second)), append(bytes.Clone(data[second:]), make([]byte, second)...)[:second]} {
		if right := read(append(garbage, data[second:]...)); right[0] || right[1] || !right[2] {
			t.Errorf("behind garbage: %v", right)
		}
	}
}

// A source may return its end together with its last bytes, as bodies of net/http do.
func TestEndWithBytes(t *testing.T) {
	p := newPacked(t)
	p.add(t, noise(200_000))
	data := p.finish(t)[:p.entries[0].End()]
	p.check(t, &atOnce{data}, 0, 0)
}

// atOnce returns io.EOF with the last of its bytes.
type atOnce struct{ rest []byte }

func (a *atOnce) Read(b []byte) (n int, err error) {
	n = copy(b, a.rest)
	if a.rest = a.rest[n:]; len(a.rest) == 0 {
		err = io.EOF
	}
	return n, err
}

// The error of a source comes back unchanged, and ends the reader.
func TestReaderFault(t *testing.T) {
	p := newPacked(t)
	p.add(t, noise(200_000)[:100_000])
	p.add(t, noise(200_000)[100_000:])
	data := p.finish(t)
	fault := errors.New("connection reset")
	for _, n := range []int{0, 3, 50_000, 100_000, 150_000, len(data) - 4} {
		r := NewReader(io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(fault)), 0)
		var err error
		for _, e := range p.entries {
			if _, err = readNext(r, e); err != nil {
				break
			}
		}
		if !errors.Is(err, fault) || errors.Is(err, entry.ErrCorrupt) || !errors.Is(r.Err(), fault) {
			t.Errorf("after %d bytes: %v, and %v", n, err, r.Err())
		}
		r.Close()
	}
}
