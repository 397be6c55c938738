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
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/backend"
)

// inMemory is the size in bytes of the largest body that is held in memory.
const inMemory = 1 << 20

// intake is the body of a PUT, which has come as a whole.
type intake struct {
	io.ReaderAt
	size   int64 // in bytes
	md5    [md5.Size]byte
	sha256 [sha256.Size]byte
	mac    []byte // HMAC-SHA256; nil without a key
	file   *os.File
}

// close removes what take has made.
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
		plain, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		defer plain.Close()
		body = plain
	default:
		return nil, &badRequest{http.StatusUnsupportedMediaType, "", "Content-Encoding may be zstd or missing"}
	}
	b, err := x.readAll(io.LimitReader(body, x.MaxObject+1))
	if err != nil {
		return nil, x.bodyError(err)
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
	return &badRequest{http.StatusRequestEntityTooLarge, "", fmt.Sprintf("a body may have %d bytes", x.MaxObject)}
}

// readAll reads body to memory or, if it is large, to a temporary file.
func (x *exchange) readAll(body io.Reader) (*intake, error) {
	b := new(intake)
	md, sha, mac := md5.New(), sha256.New(), hmac.New(sha256.New, x.HMACKey)
	body = io.TeeReader(body, io.MultiWriter(md, sha, mac))
	var begin bytes.Buffer
	_, err := io.CopyN(&begin, body, inMemory)
	b.ReaderAt, b.size = bytes.NewReader(begin.Bytes()), int64(begin.Len())
	if err == nil { // there may be more
		if b.file, err = os.CreateTemp(x.TempDir, "larder-serve-"); err == nil {
			b.ReaderAt = b.file
			b.size, err = io.Copy(b.file, io.MultiReader(&begin, body))
		}
	}
	if err != nil && err != io.EOF {
		b.close()
		return nil, err
	}
	md.Sum(b.md5[:0])
	sha.Sum(b.sha256[:0])
	if x.HMACKey != nil {
		b.mac = mac.Sum(nil)
	}
	return b, nil
}

// bodyError returns what err, of reading the body of a PUT, means.
func (x *exchange) bodyError(err error) error {
	var path *os.PathError
	switch {
	case errors.As(err, &path): // the temporary file's
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		_ = x.control.SetWriteDeadline(time.Now().Add(x.Progress)) // which has passed, too
		return &badRequest{http.StatusRequestTimeout, "", "the body does not come"}
	}
	return bad("the body breaks off or is malformed: %v", err)
}

// progressing is a body. Each read is progress.
type progressing struct {
	x    *exchange
	body io.Reader
}

func (p progressing) Read(b []byte) (int, error) {
	p.x.goOn()
	return p.body.Read(b)
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
