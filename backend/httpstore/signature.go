package httpstore

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"

	"github.com/larderbuild/larder/api"
)

func newMAC(key []byte) hash.Hash { return hmac.New(sha256.New, key) }

var errSignature = errors.New("the object does not have the signature (" + api.Signature + ") that " + hmacVariable + " demands")

// checked returns the body of res, a whole object. If bodies are signed, reading it to its end fails
// unless the signature is right.
func (s *store) checked(res *http.Response) io.ReadCloser {
	if s.hmacKey == nil {
		return res.Body
	}
	want, err := hex.DecodeString(res.Header.Get(api.Signature))
	if err != nil {
		want = nil // what is malformed is wrong
	}
	return &signed{res.Body, newMAC(s.hmacKey), want}
}

// signed is a body that is compared with its signature at its end.
type signed struct {
	io.ReadCloser
	mac  hash.Hash
	want []byte
}

func (b *signed) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	_, _ = b.mac.Write(p[:n])
	if err == io.EOF && !hmac.Equal(b.mac.Sum(nil), b.want) {
		err = errSignature
	}
	return n, err
}
