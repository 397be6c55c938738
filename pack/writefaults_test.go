package pack

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
)

// An entry that fails leaves nothing in the pack that a reader would meet.
func TestAddFails(t *testing.T) {
	broken := errors.New("connection reset")
	p := newPacked(t)
	fail := func() {
		t.Helper()
		e, h := p.next(noise(1 << 20))
		if _, err := p.Add(h, io.MultiReader(strings.NewReader(noise(300_000)), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
		if _, err := p.Copy(e, io.MultiReader(strings.NewReader("half an object"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
		if _, err := p.Add(h, strings.NewReader("too short")); err == nil {
			t.Error("took a body of another size")
		}
	}
	fail()
	p.add(t, text(0))
	p.add(t, text(1))
	fail()
	p.add(t, text(2))
	fail()
	data := p.finish(t)
	p.check(t, bytes.NewReader(data), 0, 0, 1, 2)
	dec, err := zstd.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	if n, err := io.Copy(io.Discard, dec); err != nil || n != 3*p.entries[0].ObjectSize() {
		t.Errorf("the pack unpacks to %d bytes, %v", n, err)
	}
}

// A frame that can't be ended is no part of the pack, which is not finished either.
func TestEndFails(t *testing.T) {
	p := newPacked(t)
	p.add(t, text(0))
	size := p.Size()
	p.file.Close()
	for range 2 {
		if err := p.EndFrame(); !errors.Is(err, os.ErrClosed) || p.Size() != size {
			t.Errorf("%d bytes, want %d; %v", p.Size(), size, err)
		}
	}
	if _, _, _, err := p.Finish(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("finished: %v", err)
	}
}

// What the file refuses is not passed over, also if the file can be written again.
func TestCutFails(t *testing.T) {
	p := newPacked(t)
	p.add(t, text(0))
	file := p.Writer.file
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	_, h := p.next(noise(1 << 20))
	broken := io.MultiReader(strings.NewReader(noise(200_000)), readerFunc(func([]byte) (int, error) {
		p.Writer.file = closed
		return 0, errors.New("connection reset")
	}))
	for range 2 {
		if _, err := p.Add(h, broken); !errors.Is(err, os.ErrClosed) {
			t.Errorf("error %v", err)
		}
		p.Writer.file = file
	}
	if _, _, _, err := p.Finish(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("finished: %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
