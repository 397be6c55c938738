package entry

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/sign"
)

var decoders = sync.Pool{New: func() any {
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(window))
	if err != nil {
		panic(err) // only for options that contradict each other
	}
	return dec
}}

// Reader decodes the body of one entry object. The caller must close it. It must not
// be used by more than one goroutine at a time.
type Reader struct {
	Header    Header
	Riders    []Rider // in the order of their names; checked as the header is
	Reference string  // of a referral, which has no body; checked against the header

	payload *payload
	body    io.Reader
	decoder *zstd.Decoder // nil for a raw payload
	left    int64         // bytes of the body still to come
}

// Want says which entry object a caller wants, and whose signature it accepts.
type Want struct {
	Action  protocol.ActionID
	Scope   string      // the scope in which the object was found
	MaxSize int64       // the largest size of its body, in bytes
	Trust   *sign.Trust // nil: accept every object, signed or not
	Framed  bool        // the object stands in a frame
}

// ReadHeader reads the header of the entry object in src. It checks that the header is
// intact and belongs to the wanted object. It returns errors of src unchanged; its
// other errors wrap ErrCorrupt, ErrTooLarge or sign.ErrUntrusted.
func ReadHeader(src io.Reader, want Want) (Header, error) {
	b := make([]byte, HeaderSize, MaxHeaderSize)
	n, err := io.ReadFull(src, b)
	if err == nil && isLong(b) {
		var more int
		b = b[:MaxHeaderSize]
		more, err = io.ReadFull(src, b[HeaderSize:])
		n += more
	}
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return Header{}, err
	}
	h, err := ParseHeader(b[:n])
	if err != nil {
		return Header{}, err
	}
	return h, h.check(want)
}

// ReadFront reads the header and the riders of the entry object in src, and checks them as
// Open does. src may end behind the riders. If it ends within them, ReadFront returns the
// header with the error. The header's FrontSize says how much is needed.
func ReadFront(src io.Reader, want Want) (Header, []Rider, error) {
	h, err := ReadHeader(src, want)
	if err != nil {
		return Header{}, nil, err
	}
	riders, err := readRiders(src, h)
	return h, riders, err
}

// Open reads the front of the entry object in src, as ReadFront does, and returns a
// Reader of the object's body. src must end where the object ends. If the object is a
// referral, Open reads all of it, and the Reader has no body to read. The caller must
// close the Reader, and src too if src needs that.
func Open(src io.Reader, want Want) (*Reader, error) {
	h, riders, err := ReadFront(src, want)
	if err != nil {
		return nil, err
	}
	r := &Reader{Header: h, Riders: riders, left: h.BodySize}
	r.payload = &payload{src: src, left: h.PayloadSize}
	if h.Codec != Framed {
		r.payload.sum, r.payload.want = md5.New(), h.MD5
	}
	r.body = r.payload
	switch h.Codec {
	case Reference:
		if r.Reference, err = r.payload.reference(); err != nil {
			return nil, err
		}
		r.body = noBody{}
	case Zstd:
		r.decoder = decoders.Get().(*zstd.Decoder)
		if err := r.decoder.Reset(r.payload); err != nil {
			r.Close()
			return nil, err
		}
		r.body = r.decoder
	}
	return r, nil
}

// Read decodes the body. It returns io.EOF only if the body has its announced size,
// the payload has its announced size and, outside a frame, MD5, and the source ends
// behind the payload. It returns errors of the source unchanged; its other errors wrap
// ErrCorrupt.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.body.Read(p)
	if int64(n) > r.left {
		return 0, fmt.Errorf("%w: the body is longer than its %d bytes", ErrCorrupt, r.Header.BodySize)
	}
	r.left -= int64(n)
	switch {
	case err == nil:
		return n, nil
	case err != io.EOF:
		return n, r.wrap(err)
	case r.left > 0:
		return n, fmt.Errorf("%w: the body ends %d bytes early", ErrCorrupt, r.left)
	}
	return n, r.wrap(r.payload.finish())
}

// wrap returns the error of the source if there was one. Otherwise the object is to
// blame for err, and wrap makes sure that err wraps ErrCorrupt.
func (r *Reader) wrap(err error) error {
	if r.payload.srcErr != nil {
		return r.payload.srcErr
	}
	if err == io.EOF || errors.Is(err, ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// Close frees what the Reader needed for decoding. It does not close the source. It
// always returns nil.
func (r *Reader) Close() error {
	if r.decoder != nil {
		_ = r.decoder.Reset(bytes.NewReader(nil)) // drops the reference to the source
		decoders.Put(r.decoder)
		r.decoder = nil
	}
	r.body = eof{}
	return nil
}

// payload reads the bytes of the payload, and no more, and hashes them if there is a sum.
type payload struct {
	src    io.Reader
	left   int64     // bytes still to come
	sum    hash.Hash // nil: the payload is not hashed
	want   [md5.Size]byte
	srcErr error // the first error of src other than io.EOF
}

func (p *payload) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n, err := p.src.Read(b[:min(int64(len(b)), p.left)])
	if p.sum != nil {
		p.sum.Write(b[:n])
	}
	p.left -= int64(n)
	switch {
	case err == nil || err == io.EOF && p.left == 0:
		return n, nil
	case err == io.EOF:
		return n, fmt.Errorf("%w: cut %d bytes before the payload's end", ErrCorrupt, p.left)
	}
	p.srcErr = err
	return n, err
}

// finish checks the whole payload, after the decoder has returned the last byte of the
// body. It returns io.EOF if everything is right.
func (p *payload) finish() error {
	if p.left > 0 {
		return fmt.Errorf("%w: %d bytes of payload behind the body", ErrCorrupt, p.left)
	}
	if p.sum != nil && !bytes.Equal(p.sum.Sum(nil), p.want[:]) {
		return fmt.Errorf("%w: the payload's MD5 is wrong", ErrCorrupt)
	}
	var b [1]byte
	n, err := io.ReadFull(p.src, b[:])
	switch {
	case n > 0:
		return fmt.Errorf("%w: bytes behind the payload", ErrCorrupt)
	case err != io.EOF:
		p.srcErr = err
		return err
	}
	return io.EOF
}

// reference reads all of the payload as a reference.
func (p *payload) reference() (string, error) {
	b, err := io.ReadAll(p)
	if err == nil {
		err = p.finish()
	}
	if err != io.EOF {
		return "", err
	}
	return string(b), nil
}

// noBody is the body of a referral.
type noBody struct{}

func (noBody) Read([]byte) (int, error) {
	return 0, fmt.Errorf("%w: it has no body, but a reference", ErrCorrupt)
}

// eof is the body of a closed Reader.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
