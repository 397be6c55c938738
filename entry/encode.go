package entry

import (
	"crypto/md5"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/sign"
)

// window is the size in bytes of zstd's window. It bounds the memory that encoding or
// decoding one body takes. With 4 MiB, zstd's default at this level, the bodies of a
// build are 0.1 % smaller, but a helper that downloads two of them at a time needs
// 20 MiB more.
const window = 512 << 10

var encoders = sync.Pool{New: func() any {
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(window),
		zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderCRC(false)) // the payload's MD5 covers it
	if err != nil {
		panic(err) // only for options that contradict each other
	}
	return enc
}}

// Signer says how entry objects are signed.
type Signer struct {
	Key   *sign.Key // nil: the objects stay unsigned
	Scope string    // the scope in which the objects will lie
}

// Encode makes dst the entry object of body, and signs it as signer says. What dst held before
// goes. Encode does not move the position of dst. After an error, what dst holds is undefined.
//
// Encode reads body from its current position to the end, in constant memory, and
// reads it twice if compression does not make it smaller. The caller sets the
// fields Action, Output, BodySize, Time and Cost of h; Encode returns h with all
// fields set. Encode fails if body does not have BodySize bytes, or if the riders are more
// than an object may have. It does not check that Output is the SHA-256 of body.
func Encode(dst *os.File, h Header, body io.ReadSeeker, signer Signer, riders ...Rider) (Header, error) {
	bodyStart, err := body.Seek(0, io.SeekCurrent)
	if err != nil {
		return Header{}, err
	}

	stored, err := encodeRiders(&h, riders)
	if err != nil {
		return Header{}, err
	}

	writePayload := func(codec Codec) error {
		if _, err := body.Seek(bodyStart, io.SeekStart); err != nil {
			return err
		}
		sum := md5.New()
		out := &counter{w: io.MultiWriter(io.NewOffsetWriter(dst, h.FrontSize()), sum)}
		n, err := encodePayload(out, codec, body)
		if err != nil {
			return err
		}
		if n != h.BodySize {
			return fmt.Errorf("the body has %d bytes, not %d", n, h.BodySize)
		}
		h.Codec, h.PayloadSize = codec, out.n
		sum.Sum(h.MD5[:0])
		return nil
	}
	if err := writePayload(Zstd); err != nil {
		return Header{}, fmt.Errorf("encode entry %s: %w", h.Action, err)
	}
	if h.PayloadSize >= h.BodySize {
		if err := writePayload(Raw); err != nil {
			return Header{}, fmt.Errorf("encode entry %s: %w", h.Action, err)
		}
	}

	h.sign(signer)

	if err := dst.Truncate(h.ObjectSize()); err != nil {
		return Header{}, err
	}
	_, err = dst.WriteAt(append(h.Append(nil), stored...), 0)
	return h, err
}

// EncodeReferral returns the entry object that has reference in place of its body, signed
// as signer says. The caller sets the same fields of h as for Encode: Output and BodySize
// are those of the body.
func EncodeReferral(h Header, reference string, signer Signer, riders ...Rider) ([]byte, error) {
	if reference == "" || len(reference) > MaxReference {
		return nil, fmt.Errorf("encode entry %s: a reference of %d bytes, want 1 to %d", h.Action, len(reference), MaxReference)
	}
	h.Codec, h.PayloadSize, h.MD5 = Reference, int64(len(reference)), md5.Sum([]byte(reference))
	stored, err := encodeRiders(&h, riders)
	if err != nil {
		return nil, err
	}
	h.sign(signer)
	return slices.Concat(h.Append(nil), stored, []byte(reference)), nil
}

// FramedHeader returns h as the header of an object in a frame, signed as signer says. The body
// follows it as it is. The caller sets the same fields of h as for Encode.
func FramedHeader(h Header, signer Signer) Header {
	h.Codec, h.PayloadSize = Framed, h.BodySize
	h.sign(signer)
	return h
}

// encodePayload writes the payload of body to dst and returns the size of body.
func encodePayload(dst io.Writer, codec Codec, body io.Reader) (n int64, err error) {
	// The wrapper hides body's WriteTo, for which CopyBuffer would leave its
	// buffer unused.
	body = struct{ io.Reader }{body}
	if codec == Raw {
		return io.CopyBuffer(dst, body, make([]byte, 64<<10))
	}
	enc := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(enc)
	enc.Reset(dst)
	n, err = enc.ReadFrom(body)
	if closeErr := enc.Close(); err == nil {
		err = closeErr
	}
	return n, err
}

// counter counts the bytes written through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
