package serve

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/grpc"
)

// inMemory is the size in bytes of the largest body that is held in memory.
const inMemory = 1 << 20

// intake is a body that comes. What is written to it lies in memory or, if it is large, in a
// temporary file. Once finish was called, it has come as a whole.
type intake struct {
	size   int64 // in bytes
	md5    [md5.Size]byte
	sha256 [sha256.Size]byte
	mac    []byte // HMAC-SHA256; nil without a key

	tempDir string
	begin   bytes.Buffer // all of it, unless there is a file
	file    *os.File
	md, sha hash.Hash
	signer  hash.Hash // nil without a key
}

// newIntake returns an empty body. The caller closes it.
func (x *exchange) newIntake() *intake {
	b := &intake{tempDir: x.TempDir, md: md5.New(), sha: sha256.New()}
	if x.HMACKey != nil {
		b.signer = hmac.New(sha256.New, x.HMACKey)
	}
	return b
}

// Write appends p. Its errors are those of the temporary file.
func (b *intake) Write(p []byte) (n int, err error) {
	if b.file == nil && b.size+int64(len(p)) > inMemory {
		if err := b.spill(); err != nil {
			return 0, err
		}
	}
	if b.file == nil {
		n, _ = b.begin.Write(p)
	} else {
		n, err = b.file.Write(p)
	}
	b.size += int64(n)
	for _, h := range []hash.Hash{b.md, b.sha, b.signer} {
		if h != nil {
			_, _ = h.Write(p[:n])
		}
	}
	return n, err
}

// spill moves what is in memory to a temporary file.
func (b *intake) spill() (err error) {
	if b.file != nil {
		return nil
	}
	if b.file, err = os.CreateTemp(b.tempDir, "larder-serve-"); err != nil {
		return err
	}
	_, err = b.file.Write(b.begin.Bytes())
	b.begin = bytes.Buffer{}
	return err
}

// finish sets the digests. More may be written afterwards, and then finish called again.
func (b *intake) finish() {
	b.md.Sum(b.md5[:0])
	b.sha.Sum(b.sha256[:0])
	if b.signer != nil {
		b.mac = b.signer.Sum(nil)
	}
}

func (b *intake) ReadAt(p []byte, off int64) (int, error) {
	if b.file != nil {
		return b.file.ReadAt(p, off)
	}
	return bytes.NewReader(b.begin.Bytes()).ReadAt(p, off)
}

// close removes what Write has made.
func (b *intake) close() {
	if b.file != nil {
		_ = b.file.Close()
		_ = os.Remove(b.file.Name()) // a temporary file, which the system removes else
	}
}

// reader returns the body. It is a new one each time.
func (b *intake) reader() *io.SectionReader { return io.NewSectionReader(b, 0, b.size) }

// options returns those of a Put of the body.
func (b *intake) options() backend.PutOptions { return backend.PutOptions{Size: b.size, MD5: b.md5} }

// take reads the body of a PUT, and decodes it. If the request has Content-MD5, the body has
// that before it is decoded. The caller closes what take returns.
func (x *exchange) take() (*intake, error) {
	sum, announced, err := contentMD5(x.r.Header)
	if err != nil {
		return nil, err
	}
	if x.r.ContentLength > x.MaxObject {
		return nil, x.tooLarge()
	}
	sent := md5.New() // of what is sent, as Content-MD5 is
	body := io.TeeReader(io.LimitReader(progressing{x, x.r.Body}, x.MaxObject+1), sent)
	switch strings.ToLower(strings.Join(x.r.Header.Values("Content-Encoding"), ",")) {
	case "", "identity":
	case "zstd":
		plain, err := unpack(body)
		if err != nil {
			return nil, err
		}
		defer plain.Close()
		body = plain
	default:
		return nil, &verdict{status: http.StatusUnsupportedMediaType, text: "Content-Encoding may be zstd or missing"}
	}
	b, err := x.readAll(io.LimitReader(body, x.MaxObject+1))
	if err != nil {
		return nil, bodyError(err)
	}
	switch {
	case b.size > x.MaxObject:
		b.close()
		return nil, x.tooLarge()
	case announced && [md5.Size]byte(sent.Sum(nil)) != sum:
		b.close()
		return nil, backend.ErrDigest
	}
	x.pause()
	return b, nil
}

// takeOn is take for a PUT that has to have Content-MD5 and may have conditions.
func (x *exchange) takeOn() (condition, *intake, error) {
	if x.r.Header.Get("Content-Md5") == "" {
		return condition{}, nil, bad("Content-MD5 is missing: the MD5 of the body, in base64")
	}
	c, err := conditionOf(x.r.Header)
	if err != nil {
		return condition{}, nil, err
	}
	b, err := x.take()
	return c, b, err
}

// maxWindow is how many bytes a compressed body may have its decoder remember.
const maxWindow = 8 << 20

func (x *exchange) tooLarge() error {
	return &verdict{status: http.StatusRequestEntityTooLarge, code: grpc.InvalidArgument, text: fmt.Sprintf("a body may have %d bytes", x.MaxObject)}
}

// readAll reads body to its end.
func (x *exchange) readAll(body io.Reader) (*intake, error) {
	b := x.newIntake()
	if _, err := io.Copy(b, body); err != nil {
		b.close()
		return nil, err
	}
	b.finish()
	return b, nil
}

// unpack returns what is in packed, in zstd. The caller closes it.
func unpack(packed io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecoderLowmem(true))
}

// bodyError returns what err, of reading the body of a PUT, means.
func bodyError(err error) error {
	var path *os.PathError
	switch {
	case errors.As(err, &path): // the temporary file's
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &verdict{status: http.StatusRequestTimeout, text: "the body does not come"}
	}
	return bad("the body breaks off or is malformed: %v", err)
}

// progressing is a body. Each read is progress.
type progressing struct {
	x *exchange
	io.ReadCloser
}

func (p progressing) Read(b []byte) (int, error) {
	p.x.goOn()
	return p.ReadCloser.Read(b)
}

// contentMD5 returns the MD5 in the header Content-MD5, if there is one.
func contentMD5(h http.Header) (sum [md5.Size]byte, ok bool, err error) {
	values := h.Values("Content-Md5")
	if len(values) == 0 {
		return sum, false, nil
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(values[0])
	if err != nil || len(raw) != md5.Size || len(values) > 1 {
		return sum, false, bad("malformed Content-MD5: want 16 bytes in base64, once")
	}
	return [md5.Size]byte(raw), true, nil
}

// checkSignature returns an error if the request has a signature that is not that of b.
func (x *exchange) checkSignature(b *intake) error {
	given := x.r.Header.Get(api.Signature)
	if given == "" || x.HMACKey == nil {
		return nil
	}
	raw, err := hex.DecodeString(given)
	if err != nil || !hmac.Equal(raw, b.mac) {
		return bad("%s is not the body's HMAC-SHA256 in hexadecimal digits, under the server's key", api.Signature)
	}
	return nil
}
