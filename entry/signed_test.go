package entry_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/sign"
)

// key returns a signing key of a kind, the same one each time.
func key(t testing.TB, kind string) *sign.Key {
	t.Helper()
	k, err := sign.ParseKey(kind + ":" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// want returns what a reader of the scope main wants if it trusts only k.
func want(k *sign.Key) entry.Want {
	return entry.Want{Action: action, Scope: "main", MaxSize: noLimit, Trust: sign.Only(k)}
}

// forge returns object with a changed header.
func forge(t testing.TB, object []byte, change func(*entry.Header)) []byte {
	t.Helper()
	h, err := entry.ParseHeader(object)
	if err != nil {
		t.Fatal(err)
	}
	change(&h)
	return append(h.Append(nil), object[entry.HeaderSize:]...)
}

// reseal returns object with the right checksum of its header.
func reseal(object []byte) []byte {
	end := entry.HeaderSize
	if object[8] > 1 {
		end = entry.MaxHeaderSize
	}
	sum := crc32.Checksum(object[:end-4], crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(object[end-4:], sum)
	return object
}

// TestSigned checks that a signature counts only for its header and its scope. Golden
// files pin both kinds of signature.
func TestSigned(t *testing.T) {
	for _, kind := range []string{"ed25519-secret", "hmac"} {
		t.Run(kind, func(t *testing.T) {
			k := key(t, kind)
			object := encodeSigned(t, []byte("raw"), entry.Signer{Key: k, Scope: "main"})
			if !bytes.Equal(golden(t, "signed-"+kind+"-v1.golden", object), object) {
				t.Error("the encoder writes other bytes than the golden file")
			}
			for _, test := range []struct {
				name   string
				object []byte
				want   entry.Want
				err    error
			}{
				{"as it is", object, want(k), nil},
				{"by anybody", object, entry.Want{Action: action, MaxSize: noLimit}, nil},
				{"in another scope", object, entry.Want{Action: action, Scope: "pr-7", MaxSize: noLimit, Trust: sign.Only(k)}, sign.ErrUntrusted},
				{"for another action", forge(t, object, func(h *entry.Header) { h.Action[0] ^= 1 }), want(k), entry.ErrCorrupt},
				{"with another time", forge(t, object, func(h *entry.Header) { h.Time = h.Time.Add(1) }), want(k), sign.ErrUntrusted},
				{"with another cost", forge(t, object, func(h *entry.Header) { h.Cost++ }), want(k), sign.ErrUntrusted},
				{"with another body", forge(t, object, func(h *entry.Header) { h.Output[0] ^= 1 }), want(k), sign.ErrUntrusted},
				{"with another payload", forge(t, object, func(h *entry.Header) { h.MD5[0] ^= 1 }), want(k), sign.ErrUntrusted},
				{"of another size", forge(t, object, func(h *entry.Header) { h.BodySize++; h.PayloadSize++ }), want(k), sign.ErrUntrusted},
				{"stripped", forge(t, object, func(h *entry.Header) { h.KeyID, h.Signature = sign.ID{}, sign.Signature{} }), want(k), sign.ErrUntrusted},
				{"never signed", encode(t, []byte("raw")), want(k), sign.ErrUntrusted},
			} {
				t.Run(test.name, func(t *testing.T) {
					h, err := entry.ReadHeader(bytes.NewReader(test.object), test.want)
					if !errors.Is(err, test.err) {
						t.Errorf("error %v, want %v", err, test.err)
					}
					if err == nil && h.BodySize != 3 {
						t.Errorf("header %+v", h)
					}
				})
			}
		})
	}
}

// FuzzHeader checks that an accepted header encodes to the same bytes, and that a
// reader who trusts one key accepts only the header that this key has signed.
func FuzzHeader(f *testing.F) {
	k := key(f, "ed25519-secret")
	by := entry.Signer{Key: k, Scope: "main"}
	signed := encodeSigned(f, []byte("raw"), by)[:entry.HeaderSize]
	ridden := encodeWith(f, []byte("raw"), by, few...)[:entry.MaxHeaderSize]
	referring := refer(f, by)[:entry.MaxHeaderSize]
	inFrame := framed([]byte("raw"), by)[:entry.HeaderSize]
	f.Add(ridden)
	f.Add(referring)
	f.Add(inFrame)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := entry.ParseHeader(b)
		if err != nil {
			if !errors.Is(err, entry.ErrCorrupt) {
				t.Errorf("error %v is not ErrCorrupt", err)
			}
			return
		}
		b = b[:h.Size()]
		if again := h.Append(nil); !bytes.Equal(again, b) {
			t.Errorf("the header encodes to %x", again)
		}
		w := want(k)
		w.Action = h.Action
		w.Framed = h.Codec == entry.Framed
		_, err = entry.ReadHeader(bytes.NewReader(b), w)
		isSigned := func(header []byte) bool { return bytes.Equal(b, header) }
		if err == nil && !slices.ContainsFunc([][]byte{signed, ridden, referring, inFrame}, isSigned) {
			t.Error("accepted without a signature")
		}
	})
}

// BenchmarkTrust measures how much checking a signature adds to reading a header.
func BenchmarkTrust(b *testing.B) {
	k := key(b, "ed25519-secret")
	object := encodeSigned(b, []byte(strings.Repeat("x", 1000)), entry.Signer{Key: k, Scope: "main"})
	for name, w := range map[string]entry.Want{"anybody": {Action: action, MaxSize: noLimit}, "signed": want(k)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := entry.ReadHeader(bytes.NewReader(object), w); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
