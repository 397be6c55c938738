package entry_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/sign"
)

// framed returns the entry object of body as it stands in a frame.
func framed(body []byte, by entry.Signer) []byte {
	return append(entry.FramedHeader(header(body), by).Append(nil), body...)
}

// inFrame is want for an object in a frame.
func inFrame(w entry.Want) entry.Want {
	w.Framed = true
	return w
}

// anybody returns what a reader wants who trusts everybody.
func anybody() entry.Want { return entry.Want{Action: action, MaxSize: noLimit} }

// openAll returns the body of an object.
func openAll(object []byte, w entry.Want) ([]byte, error) {
	r, err := entry.Open(bytes.NewReader(object), w)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// TestGoldenFramed pins the format of objects in frames, and what is signed of them.
func TestGoldenFramed(t *testing.T) {
	k := key(t, "ed25519-secret")
	body := []byte("raw")
	for name, by := range map[string]entry.Signer{
		"framed-v4.golden":        {},
		"framed-signed-v4.golden": {Key: k, Scope: "main"},
	} {
		object := framed(body, by)
		kept := golden(t, name, object)
		if !bytes.Equal(kept, object) {
			t.Errorf("the encoder writes other bytes than %s", name)
		}
		if got, err := openAll(kept, inFrame(anybody())); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		got, err := openAll(kept, inFrame(want(k)))
		if signed := by.Key != nil; signed != (err == nil && bytes.Equal(got, body)) || !signed && !errors.Is(err, sign.ErrUntrusted) {
			t.Errorf("%s, where a signature is wanted: %q, %v", name, got, err)
		}
	}
}

// TestFramed has objects that stand where they must not, and such that say of themselves what
// can't be.
func TestFramed(t *testing.T) {
	body := text(300)
	object := framed(body, entry.Signer{})
	for name, test := range map[string]struct {
		object []byte
		want   entry.Want
		reason string // "": the object is good
	}{
		"in a frame":                  {object, inFrame(anybody()), ""},
		"outside a frame":             {object, anybody(), "wrong place"},
		"a compressed one in a frame": {encode(t, body), inFrame(anybody()), "wrong place"},
		"a raw one in a frame":        {encode(t, noise(300)), inFrame(anybody()), "wrong place"},
		"a referral in a frame":       {refer(t, entry.Signer{}), inFrame(anybody()), "wrong place"},
		"with an MD5":                 {forge(t, object, func(h *entry.Header) { h.MD5[3] = 1 }), inFrame(anybody()), "an MD5 in a frame"},
		"of two sizes":                {forge(t, object, func(h *entry.Header) { h.PayloadSize-- }), inFrame(anybody()), "raw payload"},
		"cut":                         {object[:len(object)-1], inFrame(anybody()), "before the payload's end"},
		"with a byte behind":          {append(bytes.Clone(object), 0), inFrame(anybody()), "behind the payload"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := openAll(test.object, test.want)
			switch {
			case test.reason == "" && (err != nil || !bytes.Equal(got, body)):
				t.Errorf("%d bytes, %v", len(got), err)
			case test.reason != "" && (!errors.Is(err, entry.ErrCorrupt) || !strings.Contains(err.Error(), test.reason)):
				t.Errorf("error %v, want %q", err, test.reason)
			}
		})
	}
	for i := range object[:entry.HeaderSize] {
		damaged := bytes.Clone(object)
		damaged[i] ^= 0x10
		if _, err := openAll(damaged, inFrame(anybody())); !errors.Is(err, entry.ErrCorrupt) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
}
