package sign

import (
	"crypto/ed25519"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
)

// ErrUntrusted says that no trusted key has signed the message that was checked. Errors
// that wrap it say why.
var ErrUntrusted = errors.New("not signed by a trusted key")

// Trust is the set of keys whose signatures are accepted. A nil *Trust accepts
// everything, signed or not; an empty Trust accepts nothing. It is safe for concurrent
// use.
type Trust struct {
	keys map[ID]checker
}

// checker is a key that checks signatures. One of its fields is nil.
type checker struct {
	ed   ed25519.PublicKey
	hmac []byte
}

// ParseTrust parses a text that has one key in each line. Its errors say what is wrong and
// what is allowed, but repeat nothing of the text, which may be secret.
func ParseTrust(text string) (*Trust, error) {
	t := &Trust{keys: make(map[ID]checker)}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := t.add(line); err != nil {
			return nil, err
		}
	}
	if len(t.keys) == 0 {
		return nil, errors.New("no key in it")
	}
	return t, nil
}

// add parses the text of a key and adds it to t.
func (t *Trust) add(text string) error {
	switch {
	case strings.HasPrefix(text, secretKind):
		return errors.New("a secret key has no place among those that are trusted: want the one in the file that ends in .pub")
	case strings.HasPrefix(text, publicKind):
		public, err := decode(text[len(publicKind):], keySize)
		if err == nil {
			t.keys[newID(publicKind, public)] = checker{ed: public}
		}
		return err
	case strings.HasPrefix(text, hmacKind):
		secret, err := decode(text[len(hmacKind):], maxHMAC)
		if err == nil {
			t.keys[newID(hmacKind, secret)] = checker{hmac: secret}
		}
		return err
	}
	return errors.New("want keys that begin with " + publicKind + " or " + hmacKind + ", as larder keygen writes them")
}

// Only returns a Trust that accepts the signatures of k alone.
func Only(k *Key) *Trust {
	c := checker{hmac: k.hmac}
	if k.ed != nil {
		c = checker{ed: k.ed.Public().(ed25519.PublicKey)}
	}
	return &Trust{keys: map[ID]checker{k.id: c}}
}

// Has reports whether t accepts signatures of the key with the given ID.
func (t *Trust) Has(id ID) bool {
	if t == nil {
		return true
	}
	_, ok := t.keys[id]
	return ok
}

// Check returns nil if t has the key with the given ID, and s is that key's signature
// of the message that consists of purpose and parts. It also returns nil if t is nil.
// Otherwise it returns an error that wraps ErrUntrusted.
func (t *Trust) Check(id ID, s Signature, purpose string, parts ...[]byte) error {
	if t == nil {
		return nil
	}
	if id == (ID{}) {
		return fmt.Errorf("%w: it is not signed at all", ErrUntrusted)
	}
	key, known := t.keys[id]
	if !known {
		return fmt.Errorf("%w: key %x is not among them", ErrUntrusted, id)
	}
	if !key.check(s, message(purpose, parts)) {
		return fmt.Errorf("%w: the signature is not key %x's, or of something else", ErrUntrusted, id)
	}
	return nil
}

func (c checker) check(s Signature, message []byte) bool {
	if c.ed != nil {
		return ed25519.Verify(c.ed, message, s[:])
	}
	var want Signature
	copy(want[:], computeHMAC(c.hmac, message))
	return subtle.ConstantTimeCompare(s[:], want[:]) == 1
}
