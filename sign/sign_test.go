package sign

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// seeded returns a key of a kind, the same one for the same b.
func seeded(t testing.TB, kind string, b byte) *Key {
	t.Helper()
	k, err := ParseKey(kind + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune(b)), 32))))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// trusted returns the text of the key that checks what k signs.
func trusted(k *Key) string {
	if public, ok := k.Public(); ok {
		return public
	}
	return k.Text()
}

// trust returns a Trust in the given keys.
func trust(t testing.TB, keys ...*Key) *Trust {
	t.Helper()
	var text strings.Builder
	for _, k := range keys {
		text.WriteString("# a key\n\n " + trusted(k) + " \r\n")
	}
	trust, err := ParseTrust(text.String())
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func TestCheck(t *testing.T) {
	old, next, shared, stranger := seeded(t, secretKind, 'a'), seeded(t, secretKind, 'b'), seeded(t, hmacKind, 'c'), seeded(t, secretKind, 'd')
	parts := [][]byte{[]byte("main"), []byte("a header")}
	good := old.Sign("entry", parts...)
	// An attacker may use the public key, which everybody can read, as an hmac key.
	public, err := ParseKey(hmacKind + strings.TrimPrefix(trusted(old), publicKind))
	if err != nil {
		t.Fatal(err)
	}
	shortened := shared.Sign("entry", parts...)
	shortened[63] = 1
	for _, test := range []struct {
		name    string
		trust   *Trust
		id      ID
		sig     Signature
		purpose string
		parts   [][]byte
		want    bool
	}{
		{"signed", trust(t, old), old.ID(), good, "entry", parts, true},
		{"rotation, by the old key", trust(t, next, old), old.ID(), good, "entry", parts, true},
		{"rotation, by the new key", trust(t, next, old), next.ID(), next.Sign("entry", parts...), "entry", parts, true},
		{"rotation is over", trust(t, next), old.ID(), good, "entry", parts, false},
		{"hmac", trust(t, shared), shared.ID(), shared.Sign("entry", parts...), "entry", parts, true},
		{"both kinds", trust(t, shared, old), old.ID(), good, "entry", parts, true},
		{"only its own key", Only(old), old.ID(), good, "entry", parts, true},
		{"only its own hmac key", Only(shared), shared.ID(), shared.Sign("entry", parts...), "entry", parts, true},
		{"everybody is trusted", nil, ID{}, Signature{}, "entry", parts, true},
		{"nobody is trusted", new(Trust), old.ID(), good, "entry", parts, false},
		{"unsigned", trust(t, old), ID{}, Signature{}, "entry", parts, false},
		{"the signature is stripped", trust(t, old), old.ID(), Signature{}, "entry", parts, false},
		{"a stranger's key", trust(t, old), stranger.ID(), stranger.Sign("entry", parts...), "entry", parts, false},
		{"a stranger's signature under a trusted name", trust(t, old), old.ID(), stranger.Sign("entry", parts...), "entry", parts, false},
		{"another trusted key's name", trust(t, old, next), next.ID(), good, "entry", parts, false},
		{"another purpose", trust(t, old), old.ID(), good, "manifest", parts, false},
		{"another scope", trust(t, old), old.ID(), good, "entry", [][]byte{[]byte("pr-7"), parts[1]}, false},
		{"the same bytes cut elsewhere", trust(t, old), old.ID(), good, "entry", [][]byte{[]byte("maina"), []byte(" header")}, false},
		{"a part less", trust(t, old), old.ID(), good, "entry", parts[:1], false},
		{"hmac of the public key under its name", trust(t, old), old.ID(), public.Sign("entry", parts...), "entry", parts, false},
		{"hmac of the public key under its own name", trust(t, old), public.ID(), public.Sign("entry", parts...), "entry", parts, false},
		{"Ed25519 under an hmac key's name", trust(t, shared), shared.ID(), good, "entry", parts, false},
		{"hmac with something in its zeros", trust(t, shared), shared.ID(), shortened, "entry", parts, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.trust.Check(test.id, test.sig, test.purpose, test.parts...)
			if (err == nil) != test.want || err != nil && !errors.Is(err, ErrUntrusted) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestDamagedSignature flips each bit of a signature: it must not be accepted.
func TestDamagedSignature(t *testing.T) {
	for _, k := range []*Key{seeded(t, secretKind, 'a'), seeded(t, hmacKind, 'b')} {
		s := k.Sign("entry", []byte("header"))
		for bit := range 8 * len(s) {
			damaged := s
			damaged[bit/8] ^= 1 << (bit % 8)
			if Only(k).Check(k.ID(), damaged, "entry", []byte("header")) == nil {
				t.Errorf("accepted with bit %d turned", bit)
			}
		}
	}
}

// TestFormat pins the message and the ID that doc.go describes.
func TestFormat(t *testing.T) {
	k := seeded(t, secretKind, 'a')
	message := "\x0flarder entry v1\x04main\x02ab"
	if got := k.Sign("larder entry v1", []byte("main"), []byte("ab")); !ed25519.Verify(k.ed.Public().(ed25519.PublicKey), []byte(message), got[:]) {
		t.Error("the message is another")
	}
	const id = "45fa0a1abbcdb771"
	if got := k.ID(); hex.EncodeToString(got[:]) != id {
		t.Errorf("ID %s, want %s", hex.EncodeToString(got[:]), id)
	}
}

func TestGenerate(t *testing.T) {
	for name, generate := range map[string]func() (*Key, error){"ed25519": Generate, "hmac": GenerateHMAC} {
		t.Run(name, func(t *testing.T) {
			one, err := generate()
			if err != nil {
				t.Fatal(err)
			}
			two, err := generate()
			if err != nil {
				t.Fatal(err)
			}
			if one.Text() == two.Text() || one.ID() == two.ID() {
				t.Error("two keys are the same")
			}
			again, err := ParseKey(one.Text() + "\n")
			if err != nil || again.ID() != one.ID() || again.Sign("x") != one.Sign("x") {
				t.Errorf("it came back changed, %v", err)
			}
		})
	}
}

// TestMistakes checks that errors say what is wrong and do not repeat the text.
func TestMistakes(t *testing.T) {
	secret := seeded(t, secretKind, 's')
	encoded := strings.TrimPrefix(secret.Text(), secretKind)
	public := trusted(secret)
	parseKey := func(text string) error { _, err := ParseKey(text); return err }
	parseTrust := func(text string) error { _, err := ParseTrust(text); return err }
	for _, test := range []struct {
		name  string
		parse func(string) error
		text  string
		want  string
	}{
		{"no key", parseKey, "", "begins with ed25519-secret: or hmac:"},
		{"no kind", parseKey, encoded, "begins with ed25519-secret: or hmac:"},
		{"a public key", parseKey, public, "can't sign"},
		{"not base64", parseKey, secretKind + "%" + encoded[1:], "not base64"},
		{"a short seed", parseKey, secretKind + "c3Nz", "stands for 3 bytes, want 32"},
		{"a short hmac key", parseKey, hmacKind + "c3Nz", "stands for 3 bytes, want 32"},
		{"a long hmac key", parseKey, hmacKind + base64.StdEncoding.EncodeToString(make([]byte, 65)), "stands for 65 bytes"},
		{"no trusted key", parseTrust, "\n# none\n", "no key in it"},
		{"a secret key", parseTrust, secret.Text(), ".pub"},
		{"one of two is none", parseTrust, public + "\n" + encoded, "begin with ed25519: or hmac:"},
		{"a cut public key", parseTrust, public[:len(public)-4], "stands for"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.parse(test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			} else if strings.Contains(err.Error(), encoded[:8]) {
				t.Errorf("the error repeats what it was given: %v", err)
			}
		})
	}
}

// FuzzCheck checks that a signature is accepted only for the message that was signed, and
// only by the ID of the key that signed it.
func FuzzCheck(f *testing.F) {
	keys := []*Key{seeded(f, secretKind, 'a'), seeded(f, hmacKind, 'b')}
	both := trust(f, keys...)
	f.Fuzz(func(t *testing.T, id, signature []byte, purpose string, scope, header []byte) {
		const signed = "larder entry v1"
		if purpose == signed && string(scope) == "main" && string(header) == "header" {
			return
		}
		for _, k := range keys {
			s := k.Sign(signed, []byte("main"), []byte("header"))
			if both.Check(k.ID(), s, purpose, scope, header) == nil {
				t.Errorf("accepted for %q, %q, %q", purpose, scope, header)
			}
			own := k.Sign(purpose, scope, header)
			if err := both.Check(k.ID(), own, purpose, scope, header); err != nil {
				t.Error(err)
			}
			var forged Signature
			copy(forged[:], signature)
			if forged != own && both.Check(k.ID(), forged, purpose, scope, header) == nil {
				t.Errorf("accepted with the signature %x", forged)
			}
			var name ID
			copy(name[:], id)
			if name != k.ID() && both.Check(name, own, purpose, scope, header) == nil {
				t.Errorf("accepted under the name %x", name)
			}
		}
	})
}

// FuzzParse checks that the text of an accepted key is what was parsed, without the white
// space around it.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := ParseKey(text); err == nil && k.Text() != strings.TrimSpace(text) {
			t.Errorf("%q became %q", text, k.Text())
		}
		if trust, err := ParseTrust(text); err == nil && len(trust.keys) == 0 {
			t.Errorf("%q is a trust in nobody", text)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	benchmark(b, func(k *Key, h []byte) { k.Sign("larder entry v1", h) })
}

func BenchmarkCheck(b *testing.B) {
	signatures := make(map[ID]Signature)
	benchmark(b, func(k *Key, h []byte) {
		s, ok := signatures[k.ID()]
		if !ok {
			s = k.Sign("larder entry v1", h)
			signatures[k.ID()] = s
		}
		if Only(k).Check(k.ID(), s, "larder entry v1", h) != nil {
			b.Fatal("not accepted")
		}
	})
}

func benchmark(b *testing.B, f func(*Key, []byte)) {
	header := make([]byte, 130)
	if _, err := rand.Read(header); err != nil {
		b.Fatal(err)
	}
	for _, kind := range []string{secretKind, hmacKind} {
		b.Run(strings.TrimSuffix(kind, ":"), func(b *testing.B) {
			k := seeded(b, kind, 'a')
			for b.Loop() {
				f(k, header)
			}
		})
	}
}
