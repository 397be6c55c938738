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

// How the text of keys begins.
const (
	secretKind = "ed25519-secret:"
	publicKind = "ed25519:"
	hmacKind   = "hmac:"
)

// Sizes in bytes. An hmac key that is shorter could be guessed from what it has
// signed; a longer one would be hashed first.
const (
	keySize = 32
	maxHMAC = 64
)

// ID names a key. The zero ID is that of what is unsigned.
type ID [8]byte

// Signature is a signature of either kind. The zero Signature is none.
type Signature [64]byte

// Key signs. It is safe for concurrent use.
type Key struct {
	id   ID
	ed   ed25519.PrivateKey // nil: hmac
	hmac []byte
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
	return &Key{id: idOf(publicKind, ed.Public().(ed25519.PublicKey)), ed: ed}
}

func newHMAC(secret []byte) *Key { return &Key{id: idOf(hmacKind, secret), hmac: secret} }

func idOf(kind string, key []byte) (id ID) {
	sum := sha256.Sum256(append([]byte(kind+"\n"), key...))
	copy(id[:], sum[:])
	return id
}

// ParseKey reads the text of a key that signs. Its errors say what is wrong and
// what is allowed, and nothing of the text.
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

// IsKey reports whether text is meant as a key, rather than as the name of a file.
func IsKey(text string) bool {
	for _, kind := range []string{secretKind, publicKind, hmacKind} {
		if strings.HasPrefix(text, kind) {
			return true
		}
	}
	return false
}

// decode returns a key of keySize bytes or more, to a limit.
func decode(text string, limit int) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	switch {
	case err != nil:
		return nil, errors.New("what follows the colon is not base64")
	case len(b) < keySize || len(b) > limit:
		return nil, fmt.Errorf("what follows the colon stands for %d bytes, want %d", len(b), keySize)
	}
	return b, nil
}

// ID returns the key's name.
func (k *Key) ID() ID { return k.id }

// Text returns the key as a line, which is secret.
func (k *Key) Text() string {
	if k.ed == nil {
		return hmacKind + base64.StdEncoding.EncodeToString(k.hmac)
	}
	return secretKind + base64.StdEncoding.EncodeToString(k.ed.Seed())
}

// Public returns, as a line, the key that checks what k signs. ok is false for
// hmac, which has no such key besides itself.
func (k *Key) Public() (text string, ok bool) {
	if k.ed == nil {
		return "", false
	}
	return publicKind + base64.StdEncoding.EncodeToString(k.ed.Public().(ed25519.PublicKey)), true
}

// Sign signs parts for a purpose.
func (k *Key) Sign(purpose string, parts ...[]byte) (s Signature) {
	m := message(purpose, parts)
	if k.ed != nil {
		copy(s[:], ed25519.Sign(k.ed, m))
	} else {
		copy(s[:], sum(k.hmac, m))
	}
	return s
}

func sum(secret, message []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write(message)
	return h.Sum(nil)
}

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
