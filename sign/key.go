package sign

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The beginnings of the text of keys.
const (
	secretKind = "ed25519-secret:"
	publicKind = "ed25519:"
	hmacKind   = "hmac:"
)

const (
	// keySize is the size of a key in bytes, for an hmac key the smallest. A
	// shorter hmac key could be guessed from what it has signed.
	keySize = 32

	// maxHMAC is the largest size of an hmac key in bytes. HMAC-SHA256 would hash a
	// longer one first.
	maxHMAC = 64
)

// ID identifies a key. Unsigned objects have the zero ID.
type ID [8]byte

// Signature is a signature by a key of either kind. Unsigned objects have the zero
// Signature.
type Signature [64]byte

// Key is a key that signs. It is safe for concurrent use.
type Key struct {
	id   ID
	ed   ed25519.PrivateKey // nil for an hmac key
	hmac []byte             // nil for an Ed25519 key
}

// Generate returns a new Ed25519 key.
func Generate() (*Key, error) {
	seed := make([]byte, keySize)
	if _, err := io.ReadFull(rand.Reader, seed); err != nil {
		return nil, err
	}
	return newEd25519(seed), nil
}

// GenerateHMAC returns a new hmac key.
func GenerateHMAC() (*Key, error) {
	secret := make([]byte, keySize)
	if _, err := io.ReadFull(rand.Reader, secret); err != nil {
		return nil, err
	}
	return newHMAC(secret), nil
}

func newEd25519(seed []byte) *Key {
	ed := ed25519.NewKeyFromSeed(seed)
	return &Key{id: newID(publicKind, ed.Public().(ed25519.PublicKey)), ed: ed}
}

func newHMAC(secret []byte) *Key { return &Key{id: newID(hmacKind, secret), hmac: secret} }

// newID returns the ID of a key of the given kind.
func newID(kind string, key []byte) (id ID) {
	sum := sha256.Sum256(append([]byte(kind+"\n"), key...))
	copy(id[:], sum[:])
	return id
}

// ParseKey parses the text of a key that signs. Its errors say what is wrong and what is
// allowed, but repeat nothing of the text, which may be secret.
func ParseKey(text string) (*Key, error) {
	text = strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, secretKind):
		seed, err := decode(text[len(secretKind):], keySize)
		if err != nil {
			return nil, err
		}
		return newEd25519(seed), nil
	case strings.HasPrefix(text, hmacKind):
		secret, err := decode(text[len(hmacKind):], maxHMAC)
		if err != nil {
			return nil, err
		}
		return newHMAC(secret), nil
	case strings.HasPrefix(text, publicKind):
		return nil, errors.New("a public key can't sign: want the key in the file without .pub")
	}
	return nil, errors.New("want a key that begins with " + secretKind + " or " + hmacKind + ", as larder keygen writes them")
}

// IsKey reports whether text is meant as a key and not as the name of a file.
func IsKey(text string) bool {
	for _, kind := range []string{secretKind, publicKind, hmacKind} {
		if strings.HasPrefix(text, kind) {
			return true
		}
	}
	return false
}

// decode decodes the base64 of a key of keySize to limit bytes.
func decode(text string, limit int) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	switch {
	case err != nil, strings.ContainsAny(text, "\r\n"): // the decoder passes over line breaks
		return nil, errors.New("what follows the colon is not base64")
	case len(b) < keySize || len(b) > limit:
		return nil, fmt.Errorf("what follows the colon stands for %d bytes, want %d", len(b), keySize)
	}
	return b, nil
}

// ID returns the ID of the key.
func (k *Key) ID() ID { return k.id }

// Text returns the text of the key, without a line break. The text is secret.
func (k *Key) Text() string {
	if k.ed == nil {
		return hmacKind + base64.StdEncoding.EncodeToString(k.hmac)
	}
	return secretKind + base64.StdEncoding.EncodeToString(k.ed.Seed())
}

// Public returns the text of the public key that checks what k signs, without a line
// break. ok is false if k is an hmac key, which has no public key.
func (k *Key) Public() (text string, ok bool) {
	if k.ed == nil {
		return "", false
	}
	return publicKind + base64.StdEncoding.EncodeToString(k.ed.Public().(ed25519.PublicKey)), true
}

// Sign returns the signature of the message that consists of purpose and parts.
func (k *Key) Sign(purpose string, parts ...[]byte) (s Signature) {
	m := message(purpose, parts)
	if k.ed != nil {
		copy(s[:], ed25519.Sign(k.ed, m))
	} else {
		copy(s[:], computeHMAC(k.hmac, m))
	}
	return s
}

// computeHMAC returns the HMAC-SHA256 of message.
func computeHMAC(secret, message []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write(message)
	return h.Sum(nil)
}

// message returns the message that a signature covers.
func message(purpose string, parts [][]byte) []byte {
	m := appendPart(nil, []byte(purpose))
	for _, part := range parts {
		m = appendPart(m, part)
	}
	return m
}

func appendPart(m, part []byte) []byte {
	m = binary.AppendUvarint(m, uint64(len(part)))
	return append(m, part...)
}
