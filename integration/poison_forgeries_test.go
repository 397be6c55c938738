package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/sign"
)

// layout is where a header has its signature, and the purpose that the signature
// names. The key's name stands before the signature, the checksum behind it.
type layout struct {
	purpose   string
	signature int
}

var (
	entryLayout    = layout{"larder entry v1", 130}
	riddenLayout   = layout{"larder entry v2", 170} // of an entry object with riders
	framedLayout   = layout{"larder entry v4", 130} // of an entry object in a frame
	manifestLayout = layout{"larder manifest v5", 66}
)

const manifestHeader = 134 // bytes

// layoutOf returns the layout of an entry object.
func layoutOf(object []byte) layout {
	if object[8] == 2 {
		return riddenLayout
	}
	return entryLayout
}

// forgery is a signature that the attacker can give to the object at a place.
type forgery struct {
	name string
	sign func(a *attacker, l layout, object []byte, place ...string) []byte
}

// forgeries returns the evil archive, as an entry object and in a manifest, with each
// of the signatures that an attacker can give it.
func forgeries() []attack {
	return forge(
		forgery{"not signed", func(_ *attacker, _ layout, object []byte, _ ...string) []byte { return object }},
		forgery{"the trusted key's name alone", func(a *attacker, l layout, object []byte, _ ...string) []byte {
			return l.name(object, a.trusted().ID())
		}},
		forgery{"signed by a stranger", func(a *attacker, l layout, object []byte, place ...string) []byte {
			return l.sign(object, a.key, a.key.ID(), place...)
		}},
		forgery{"signed by a stranger in the trusted key's name", func(a *attacker, l layout, object []byte, place ...string) []byte {
			return l.sign(object, a.key, a.trusted().ID(), place...)
		}},
		forgery{"signed with the public key as a shared one, in its name", func(a *attacker, l layout, object []byte, place ...string) []byte {
			return l.sign(object, a.publicAsShared(), a.trusted().ID(), place...)
		}},
		forgery{"signed with the public key as a shared one, in that one's name", func(a *attacker, l layout, object []byte, place ...string) []byte {
			return l.sign(object, a.publicAsShared(), a.publicAsShared().ID(), place...)
		}},
		// The job of a pull request runs its author's code. If it has a key, that code can
		// sign anything for the scope of the pull request.
		forgery{"signed by the trusted key for another scope", func(a *attacker, l layout, object []byte, place ...string) []byte {
			return l.sign(object, a.trusted(), a.trusted().ID(), append([]string{"pr-7"}, place[1:]...)...)
		}},
		forgery{"signed by the trusted key for another purpose", func(a *attacker, l layout, object []byte, place ...string) []byte {
			l.purpose += " and more"
			return l.sign(object, a.trusted(), a.trusted().ID(), place...)
		}},
	)
}

// sharedKeyForgeries returns the same where the trusted key is an hmac one.
func sharedKeyForgeries() []attack {
	return forge(
		forgery{"not signed", func(_ *attacker, _ layout, object []byte, _ ...string) []byte { return object }},
		forgery{"the shared key's name alone", func(a *attacker, l layout, object []byte, _ ...string) []byte {
			return l.name(object, a.trusted().ID())
		}},
		forgery{"signed with the shared key's name as the key", func(a *attacker, l layout, object []byte, place ...string) []byte {
			return l.sign(object, a.nameAsShared(), a.trusted().ID(), place...)
		}},
		forgery{"signed by Ed25519 in the shared key's name", func(a *attacker, l layout, object []byte, place ...string) []byte {
			return l.sign(object, a.key, a.trusted().ID(), place...)
		}},
		forgery{"signed by Ed25519 in its own name", func(a *attacker, l layout, object []byte, place ...string) []byte {
			return l.sign(object, a.key, a.key.ID(), place...)
		}},
	)
}

func forge(forgeries ...forgery) (attacks []attack) {
	for _, f := range forgeries {
		attacks = append(attacks, attack{
			name: "object: " + f.name,
			ways: []way{byLookup},
			do: func(a *attacker) {
				a.write(a.preyKey(), f.sign(a, entryLayout, a.evilObject(entry.Signer{}), "main"))
			},
			unsigned: evil, signed: untrusted,
		}, attack{
			name: "riders: evil and " + f.name,
			ways: []way{byLookup},
			do: func(a *attacker) {
				object := a.encode(a.header(a.evil.prey.body), a.evil.prey.body, entry.Signer{}, a.riders(a.read(a.preyKey()))...)
				a.write(a.preyKey(), f.sign(a, riddenLayout, object, "main"))
			},
			unsigned: evil, signed: untrusted,
		}, attack{
			name: "manifest: " + f.name,
			ways: []way{lazy},
			do: func(a *attacker) {
				a.publish(victimManifest(), f.sign(a, manifestLayout, a.unsigned(a.inlineEvil()), "main", victimManifest().Name))
			},
			unsigned: evil, signed: untrusted,
		})
	}
	return attacks
}

// sign signs object for a place, by one key in the name of another.
func (l layout) sign(object []byte, by *sign.Key, as sign.ID, place ...string) []byte {
	object = l.name(object, as)
	var parts [][]byte
	for _, part := range place {
		parts = append(parts, []byte(part))
	}
	s := by.Sign(l.purpose, append(parts, object[:l.signature])...)
	copy(object[l.signature:], s[:])
	return l.seal(object)
}

// name returns object with another signer's name.
func (l layout) name(object []byte, id sign.ID) []byte {
	object = bytes.Clone(object)
	copy(object[l.signature-len(id):], id[:])
	return l.seal(object)
}

// seal corrects the checksum of a header.
func (l layout) seal(object []byte) []byte {
	end := l.signature + len(sign.Signature{})
	binary.BigEndian.PutUint32(object[end:], crc32.Checksum(object[:end], crc32.MakeTable(crc32.Castagnoli)))
	return object
}

// describe corrects what a manifest's header says of its payload.
func (l layout) describe(object []byte) []byte {
	payload := object[manifestHeader:]
	binary.BigEndian.PutUint64(object[18:], uint64(len(payload)))
	sum := sha256.Sum256(payload)
	copy(object[26:], sum[:])
	return l.seal(object)
}

// publicAsShared returns the shared key that has the bytes of the trusted public key.
func (a *attacker) publicAsShared() *sign.Key {
	a.t.Helper()
	_, public, _ := strings.Cut(a.trust, ":")
	return a.parse("hmac:" + public)
}

// nameAsShared returns the shared key that consists of the trusted key's name and
// zeros.
func (a *attacker) nameAsShared() *sign.Key {
	a.t.Helper()
	id := a.trusted().ID()
	return a.parse("hmac:" + base64.StdEncoding.EncodeToString(append(id[:], make([]byte, 24)...)))
}

func (a *attacker) parse(text string) *sign.Key {
	a.t.Helper()
	key, err := sign.ParseKey(text)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}
