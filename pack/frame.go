package pack

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/entry"
)

// maxFrame is the size in bytes of the entry objects in one frame, unless that holds one
// object alone. It is also the size of zstd's window, and bounds the memory that packing
// or unpacking takes.
const maxFrame = 4 << 20

// Span says where in a pack an entry object lies.
type Span struct {
	Frame  int64 // where the frame begins that holds the object, in bytes of the pack
	Offset int64 // of the part of the frame that unpacks to the object, in bytes of the pack
	Length int64 // of that part, in bytes; 0: the object lies in no pack
	At     int64 // where the object begins in what the frame unpacks to, in bytes
}

// End returns where the part of the frame ends that unpacks to the object. Who wants to
// read the object needs the bytes from Frame to End.
func (s Span) End() int64 { return s.Offset + s.Length }

// ObjectSize returns the size in bytes of the entry object of e, which lies in a pack, once it
// is unpacked.
func (e *Entry) ObjectSize() int64 { return entry.HeaderSize + e.Size }

// checkBehind returns an error that wraps ErrCorrupt if e, which lies in a pack, can't lie
// there behind before. before is nil if e is the first.
func (e *Entry) checkBehind(before *Entry) error {
	switch {
	// Before an object stand objects of at most maxFrame bytes. They never take twice that.
	case e.Frame < 0 || e.Frame > e.Offset || e.Offset-e.Frame > 2*maxFrame:
		return fmt.Errorf("%w: action %s lies outside its frame", ErrCorrupt, e.Action)
	case (e.At == 0) != (e.Offset == e.Frame):
		return fmt.Errorf("%w: action %s begins in two places of its frame", ErrCorrupt, e.Action)
	case e.At < 0 || e.At > 0 && e.At > maxFrame-e.ObjectSize():
		return fmt.Errorf("%w: action %s lies past the end of its frame", ErrCorrupt, e.Action)
	case before == nil || before.Pack != e.Pack:
		return nil
	case before.End() > e.Offset,
		before.Frame == e.Frame && before.At+before.ObjectSize() > e.At,
		before.Frame != e.Frame && before.End() > e.Frame:
		return fmt.Errorf("%w: actions %s and %s overlap", ErrCorrupt, before.Action, e.Action)
	}
	return nil
}

// newEncoder returns an encoder of frames.
func newEncoder(level zstd.EncoderLevel) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil,
		zstd.WithEncoderLevel(level),
		zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(maxFrame),
		zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderCRC(false)) // each body is hashed for its output ID
}

var decoders = sync.Pool{New: func() any {
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxFrame))
	if err != nil {
		panic(err) // only for options that contradict each other
	}
	return dec
}}

// Reader reads entry objects from a part of a pack, which begins with a frame. The caller
// must close it. It must not be used by more than one goroutine at a time.
type Reader struct {
	src     source
	frame   int64 // where the frame in hand begins in the pack; -1: none
	at      int64 // how many bytes of what the frame unpacks to were read
	damage  error // what is wrong with the frame in hand
	decoder *zstd.Decoder
}

// NewReader returns a Reader of the part of a pack that begins at offset and that src holds.
// src remains the caller's to close.
func NewReader(src io.Reader, offset int64) *Reader {
	return &Reader{
		src:     source{r: bufio.NewReaderSize(src, 32<<10), at: offset},
		frame:   -1,
		decoder: decoders.Get().(*zstd.Decoder),
	}
}

// Next returns the entry object of e, which must lie behind that of the call before. The
// object can be read until the next call, and ends where the object ends. Errors that wrap
// entry.ErrCorrupt say that the object can't be read, and nothing behind it in its frame if that
// is damaged. All other errors are those of the source. Objects of later frames can be read as
// long as Err returns nil.
func (r *Reader) Next(e *Entry) (io.Reader, error) {
	if r.src.err != nil {
		return nil, r.src.err
	}
	isBehind := e.Frame >= r.src.at
	if e.Frame == r.frame {
		isBehind = e.At >= r.at
	}
	if !isBehind { // a compaction reads what two manifests say of a pack
		return nil, fmt.Errorf("%w: it overlaps the one before", entry.ErrCorrupt)
	}
	if e.Frame != r.frame {
		r.src.skipTo(e.Frame)
		r.frame, r.at, r.damage = e.Frame, 0, nil
		if err := r.decoder.Reset(&r.src); err != nil {
			r.damage = err
		}
	}
	r.src.end = e.End()
	if _, err := io.CopyN(io.Discard, unpacked{r}, e.At-r.at); err != nil {
		return nil, err
	}
	return io.LimitReader(unpacked{r}, e.ObjectSize()), nil
}

// Err returns the error that keeps the Reader from reading on: that of its source, or one
// that wraps entry.ErrCorrupt if the pack ends before what was asked for.
func (r *Reader) Err() error { return r.src.err }

// Close frees what the Reader needed. It does not close the source. It always returns nil.
// Everything else returns os.ErrClosed then.
func (r *Reader) Close() error {
	r.src.err = os.ErrClosed
	if r.decoder != nil {
		_ = r.decoder.Reset(bytes.NewReader(nil)) // drops the reference to the source
		decoders.Put(r.decoder)
		r.decoder = nil
	}
	return nil
}

// unpacked reads what the frame in hand unpacks to.
type unpacked struct{ *Reader }

func (u unpacked) Read(b []byte) (int, error) {
	if err := u.broken(); err != nil {
		return 0, err
	}
	n, err := u.decoder.Read(b)
	u.at += int64(n)
	if err != nil {
		u.damage = err
	}
	if n > 0 {
		return n, nil
	}
	return 0, u.broken()
}

// broken returns the error that keeps the frame in hand from being read on, if there is one.
func (r *Reader) broken() error {
	switch {
	case r.src.err != nil:
		return r.src.err
	case r.damage != nil:
		return fmt.Errorf("%w: its frame: %w", entry.ErrCorrupt, r.damage)
	}
	return nil
}

// source is a pack from a certain place on.
type source struct {
	r   *bufio.Reader
	at  int64 // in the pack
	end int64 // where Read ends: behind the object that is wanted
	err error // that ended it

	pending error // that came together with the last bytes
}

func (s *source) Read(b []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.at >= s.end {
		return 0, io.EOF
	}
	if s.pending != nil {
		s.fail(s.pending)
		return 0, s.err
	}
	n, err := s.r.Read(b[:min(int64(len(b)), s.end-s.at)])
	s.at += int64(n)
	if n > 0 {
		s.pending = err
		return n, nil
	}
	s.fail(err)
	return n, err
}

// skipTo moves on to a place in the pack, which must not lie before that where the source is.
func (s *source) skipTo(place int64) {
	for s.err == nil && s.at < place {
		n, err := s.r.Discard(int(min(place-s.at, 1<<20)))
		s.at += int64(n)
		s.fail(err)
	}
}

// fail keeps the error that ended the source.
func (s *source) fail(err error) {
	if err == io.EOF {
		err = fmt.Errorf("%w: the pack is cut", entry.ErrCorrupt)
	}
	if err != nil {
		s.err = err
	}
}
