package integration

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/larderbuild/larder/entry"
)

// objectAttacks returns the attacks on the prey's entry object.
func objectAttacks() []attack {
	// replace replaces the object.
	replace := func(with func(a *attacker, object []byte) []byte) func(*attacker) {
		return func(a *attacker) { a.write(a.preyKey(), with(a, a.read(a.preyKey()))) }
	}
	// relabel changes the header, and corrects the checksum.
	relabel := func(change func(*entry.Header)) func(*attacker) {
		return replace(func(a *attacker, object []byte) []byte { return a.relabel(object, change) })
	}
	// damage changes bytes, and corrects the checksum.
	damage := func(change func(object []byte)) func(*attacker) {
		return replace(func(_ *attacker, object []byte) []byte {
			l := layoutOf(object)
			change(object)
			return l.seal(object)
		})
	}
	attacks := []attack{
		{name: "another body", do: replace(func(a *attacker, object []byte) []byte {
			front := a.parsed(object).FrontSize()
			return append(object[:front:front], a.payload(a.evilObject(entry.Signer{}))...)
		}), unsigned: corrupt, signed: corrupt},
		{name: "another body and its header, with the old signature", do: replace(func(a *attacker, object []byte) []byte {
			old := a.parsed(object)
			return a.relabel(a.evilObject(entry.Signer{}), func(h *entry.Header) { h.KeyID, h.Signature = old.KeyID, old.Signature })
		}), unsigned: evil, signed: untrusted},
		{name: "another body under the old output ID", do: replace(func(a *attacker, _ []byte) []byte {
			return a.relabel(a.evilObject(entry.Signer{}), func(h *entry.Header) { h.Output = a.clean.prey.output })
		}), unsigned: corrupt, signed: untrusted},
		{name: "the signature stripped", do: relabel(strip), unsigned: harmless, signed: untrusted},
		{name: "signed for another action", do: replace(func(a *attacker, _ []byte) []byte {
			return a.read(entryKey("main", a.beside(a.manifest()).Action))
		}), unsigned: corrupt, signed: corrupt},
		{name: "signed for another action, with the action changed", do: replace(func(a *attacker, _ []byte) []byte {
			m := a.manifest()
			return a.relabel(a.read(entryKey("main", a.beside(m).Action)), func(h *entry.Header) { h.Action = a.preyed(m).Action })
		}), unsigned: fails, signed: untrusted},
		{name: "a later time", do: relabel(func(h *entry.Header) { h.Time = h.Time.Add(time.Hour) }), unsigned: harmless, signed: untrusted},
		{name: "a great cost, which the budget counts", do: relabel(func(h *entry.Header) { h.Cost = entry.MaxCost }), unsigned: harmless, signed: untrusted},
		{name: "a cost over the limit", do: relabel(func(h *entry.Header) { h.Cost = math.MaxInt64 }), unsigned: corrupt, signed: corrupt},
		{name: "another size of the body", do: relabel(func(h *entry.Header) { h.BodySize++ }), unsigned: corrupt, signed: untrusted},
		{name: "sizes of all ones", do: relabel(func(h *entry.Header) { h.BodySize, h.PayloadSize = -1, -1 }), unsigned: corrupt, signed: corrupt},
		{name: "the greatest sizes", do: relabel(func(h *entry.Header) { h.BodySize, h.PayloadSize = math.MaxInt64, math.MaxInt64 }), unsigned: missed, signed: untrusted},
		{name: "another version", do: damage(func(b []byte) { b[8] = 0 }), unsigned: corrupt, signed: corrupt},
		{name: "an unknown codec", do: damage(func(b []byte) { b[9] = 7 }), unsigned: corrupt, signed: corrupt},
		{name: "cut in the header", do: replace(func(_ *attacker, b []byte) []byte { return b[:100] }), unsigned: corrupt, signed: corrupt},
		{name: "cut in the payload", do: replace(func(_ *attacker, b []byte) []byte { return b[:len(b)-1] }), unsigned: corrupt, signed: corrupt},
		{name: "empty", do: replace(func(*attacker, []byte) []byte { return nil }), unsigned: corrupt, signed: corrupt},
		{name: "gone", do: func(a *attacker) { a.remove(a.preyKey()) }, unsigned: missed, signed: missed},
		{name: "a directory", do: func(a *attacker) {
			a.remove(a.preyKey())
			a.write(a.preyKey()+"/object", a.evilObject(entry.Signer{}))
		}, unsigned: missed, signed: missed},

		{name: "a bomb that says so", do: replace(func(a *attacker, _ []byte) []byte { return a.bomb(bombSize) }), unsigned: fails, signed: untrusted},
		{name: "a bomb that says it is small", do: replace(func(a *attacker, _ []byte) []byte {
			return a.relabel(a.bomb(bombSize), func(h *entry.Header) { h.BodySize = 1000 })
		}), unsigned: corrupt, signed: untrusted},
		{name: "a bomb over the limit", do: replace(func(a *attacker, _ []byte) []byte {
			return a.relabel(a.bomb(bombSize), func(h *entry.Header) { h.BodySize = 1 << 40 })
		}), unsigned: missed, signed: untrusted},

		{name: "a good one and no end", answer: endless((*attacker).preyKey, keep), unsigned: corrupt, signed: corrupt},
		{name: "zeros and no end", answer: endless((*attacker).preyKey, lose), unsigned: corrupt, signed: corrupt},
		{name: "a header that lets in much, and no end", do: relabel(func(h *entry.Header) {
			h.Codec, h.BodySize, h.PayloadSize = entry.Raw, 256<<20, 256<<20
		}), answer: endless((*attacker).preyKey, keep), unsigned: corrupt, signed: untrusted},

		// A writer of main has once put this object under this action. For a package all
		// such objects have the same body. For what differs, such as the results of tests,
		// the attacker can bring an older one back, with the time that it had.
		{name: "an older one that was signed, in place of a newer", do: replace(func(a *attacker, object []byte) []byte {
			h := a.header(a.clean.prey.body)
			h.Time = time.Unix(1700000000, 0)
			return a.encode(h, a.clean.prey.body, entry.Signer{Key: a.trusted(), Scope: "main"}, a.riders(object)...)
		}), unsigned: harmless, signed: harmless},
		{name: "in a scope that is not read", do: func(a *attacker) {
			a.write(strings.Replace(a.preyKey(), "/main/", "/pr-7/", 1), a.evilObject(entry.Signer{}))
		}, unsigned: harmless, signed: harmless},
	}
	for i := range attacks {
		attacks[i].name = "object: " + attacks[i].name
		attacks[i].ways = []way{byLookup}
	}
	return attacks
}

// bombSize is how many bytes a bomb decodes to.
const bombSize = 64 << 20

// bomb returns an entry object of zeros.
func (a *attacker) bomb(size int) []byte {
	body := make([]byte, size)
	return a.encode(a.header(body), body, entry.Signer{})
}

// zeros is a body without an end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// endless replaces the answer that has the object at a key: it begins with what begin
// makes of the object, and does not end.
func endless(key func(*attacker) string, begin func(object []byte) []byte) func(*attacker, *http.Response) error {
	return func(a *attacker, r *http.Response) error {
		if !strings.HasSuffix(r.Request.URL.Path, "/"+key(a)) {
			return nil
		}
		object, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		r.Header.Del("Content-Length")
		r.ContentLength = -1
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(begin(object)), zeros{}))
		return nil
	}
}

func keep(object []byte) []byte { return object }

func lose([]byte) []byte { return nil }
