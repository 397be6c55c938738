package entry

import (
	"crypto/md5"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/sign"
)

// window bounds what a coder keeps in memory for one body, in bytes. One of
// 4 MiB, zstd's own at this level, makes a build's bodies 0.1 % smaller and a
// helper that downloads them, two at a time, 20 MiB larger.
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

// Signer signs entry objects for the scope in which they will lie.
type Signer struct {
	Key   *sign.Key // nil: they stay unsigned
	Scope string
}

// Encode writes the entry object of body, signed by by, to dst, from dst's current position
// on, and leaves the position behind it. It reads body from its current
// position to the end, twice where compression does not pay, and in constant
// memory. The caller sets h's Action, Output, BodySize, Time and Cost; Encode
// returns h with the rest. It checks that body has BodySize bytes, not what
// they hash to.
func Encode(dst *os.File, h Header, body io.ReadSeeker, by Signer) (Header, error) {
	start, err := dst.Seek(0, io.SeekCurrent)
	if err != nil {
		return Header{}, err
	}
	bodyStart, err := body.Seek(0, io.SeekCurrent)
	if err != nil {
		return Header{}, err
	}

	payload := func(codec Codec) error {
		if _, err := dst.Seek(start+HeaderSize, io.SeekStart); err != nil {
			return err
		}
		if _, err := body.Seek(bodyStart, io.SeekStart); err != nil {
			return err
		}
		sum := md5.New()
		out := &counter{w: io.MultiWriter(dst, sum)}
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
	if err := payload(Zstd); err != nil {
		return Header{}, fmt.Errorf("encode entry %s: %w", h.Action, err)
	}
	if h.PayloadSize >= h.BodySize {
		if err := payload(Raw); err != nil {
			return Header{}, fmt.Errorf("encode entry %s: %w", h.Action, err)
		}
	}

	h.sign(by)

	end := start + HeaderSize + h.PayloadSize
	if err := dst.Truncate(end); err != nil {
		return Header{}, err
	}
	if _, err := dst.WriteAt(h.Append(nil), start); err != nil {
		return Header{}, err
	}
	_, err = dst.Seek(end, io.SeekStart)
	return h, err
}

func encodePayload(dst io.Writer, codec Codec, body io.Reader) (n int64, err error) {
	// The wrapper hides that a body may be a file: io.Copy would hand it to
	// the kernel, past the MD5.
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
