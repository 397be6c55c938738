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

// Reader decodes the body of one entry object. It must be closed; it is for one
// goroutine at a time.
type Reader struct {
	Header Header

	payload *payload
	body    io.Reader
	decoder *zstd.Decoder // nil for a raw payload
	left    int64         // bytes of the body still to come
}

// Want says which entry object is wanted, and from whom.
type Want struct {
	Action  protocol.ActionID
	Scope   string      // where it lies, and for which it is signed
	MaxSize int64       // of its body, in bytes
	Trust   *sign.Trust // nil: in everything, signed or not
}

// ReadHeader reads the header of the entry object in src and checks that it is
// intact and is what w wants. The errors of src come back as they are. Others
// wrap ErrCorrupt, or sign.ErrUntrusted.
func ReadHeader(src io.Reader, w Want) (Header, error) {
	var b [HeaderSize]byte
	n, err := io.ReadFull(src, b[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return Header{}, err
	}
	h, err := ParseHeader(b[:n])
	if err != nil {
		return Header{}, err
	}
	return h, h.check(w)
}

// Open returns the body of the entry object in src, whose header it reads as
// ReadHeader does. src must end where the object ends; it remains the caller's to
// close.
func Open(src io.Reader, w Want) (*Reader, error) {
	h, err := ReadHeader(src, w)
	if err != nil {
		return nil, err
	}
	r := &Reader{Header: h, left: h.BodySize}
	r.payload = &payload{src: src, left: h.PayloadSize, sum: md5.New(), want: h.MD5}
	r.body = r.payload
	if h.Codec == Zstd {
		r.decoder = decoders.Get().(*zstd.Decoder)
		if err := r.decoder.Reset(r.payload); err != nil {
			r.Close()
			return nil, err
		}
		r.body = r.decoder
	}
	return r, nil
}

// Read decodes the body. It returns io.EOF only when the body has its announced
// size, the payload its announced size and MD5, and the object nothing behind
// it; a fault of the source comes back as it is, and everything else wraps
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
		return n, r.fault(err)
	case r.left > 0:
		return n, fmt.Errorf("%w: the body ends %d bytes early", ErrCorrupt, r.left)
	}
	return n, r.fault(r.payload.finish())
}

// fault tells the source's own errors from what a decoder says of bad bytes.
func (r *Reader) fault(err error) error {
	if r.payload.fault != nil {
		return r.payload.fault
	}
	if err == io.EOF || errors.Is(err, ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// Close gives back what decoding needed. It does not close the source.
func (r *Reader) Close() error {
	if r.decoder != nil {
		_ = r.decoder.Reset(bytes.NewReader(nil)) // let go of the source
		decoders.Put(r.decoder)
		r.decoder = nil
	}
	r.body = eof{}
	return nil
}

// payload reads exactly the payload's bytes and hashes them.
type payload struct {
	src   io.Reader
	left  int64
	sum   hash.Hash
	want  [md5.Size]byte
	fault error // the source's, not the object's
}

func (p *payload) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n, err := p.src.Read(b[:min(int64(len(b)), p.left)])
	p.sum.Write(b[:n])
	p.left -= int64(n)
	switch {
	case err == nil || err == io.EOF && p.left == 0:
		return n, nil
	case err == io.EOF:
		return n, fmt.Errorf("%w: cut %d bytes before the payload's end", ErrCorrupt, p.left)
	}
	p.fault = err
	return n, err
}

// finish checks what can be known only once the decoder has what it wants. It
// returns io.EOF where all is well.
func (p *payload) finish() error {
	if p.left > 0 {
		return fmt.Errorf("%w: %d bytes of payload behind the body", ErrCorrupt, p.left)
	}
	if !bytes.Equal(p.sum.Sum(nil), p.want[:]) {
		return fmt.Errorf("%w: the payload's MD5 is wrong", ErrCorrupt)
	}
	var b [1]byte
	n, err := io.ReadFull(p.src, b[:])
	switch {
	case n > 0:
		return fmt.Errorf("%w: bytes behind the payload", ErrCorrupt)
	case err != io.EOF:
		p.fault = err
		return err
	}
	return io.EOF
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
