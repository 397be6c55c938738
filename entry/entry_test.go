package entry_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/protocol"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const noLimit = 1 << 40

var action = protocol.ActionID(sha256.Sum256([]byte("an action")))

// header returns a header for body, with fixed values.
func header(body []byte) entry.Header {
	return entry.Header{
		Action:   action,
		Output:   sha256.Sum256(body),
		BodySize: int64(len(body)),
		Time:     time.Unix(1_790_000_000, 123_456_789),
		Cost:     1500 * time.Millisecond,
	}
}

// create returns a new file that is closed at the end of the test.
func create(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "object"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// encode returns the unsigned entry object of body, with fixed values in its header.
func encode(t testing.TB, body []byte) []byte {
	t.Helper()
	return encodeSigned(t, body, entry.Signer{})
}

// encodeSigned is encode with a signature.
func encodeSigned(t testing.TB, body []byte, signer entry.Signer) []byte {
	t.Helper()
	f := create(t)
	h, err := entry.Encode(f, header(body), bytes.NewReader(body), signer)
	if err != nil {
		t.Fatal(err)
	}
	object, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if want := entry.HeaderSize + h.PayloadSize; int64(len(object)) != want {
		t.Fatalf("the object has %d bytes, want %d", len(object), want)
	}
	return object
}

// decode returns the header and the body of the entry object in src.
func decode(src io.Reader, limit int64) (entry.Header, []byte, error) {
	r, err := entry.Open(src, entry.Want{Action: action, MaxSize: limit})
	if err != nil {
		return entry.Header{}, nil, err
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	return r.Header, body, err
}

// golden returns the contents of a golden file. With -update it writes object to the file
// first.
func golden(t *testing.T, name string, object []byte) []byte {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, object, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	contents, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return contents
}

func text(n int) []byte {
	return bytes.Repeat([]byte("go object linux amd64 go1.26.8\n"), n/31+1)[:n]
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestRoundTrip(t *testing.T) {
	for name, test := range map[string]struct {
		body  []byte
		codec entry.Codec
	}{
		"empty":          {nil, entry.Raw},
		"one byte":       {[]byte("x"), entry.Raw},
		"short text":     {text(200), entry.Zstd},
		"long text":      {text(20 << 20), entry.Zstd},
		"noise":          {noise(100_000), entry.Raw},
		"noise and text": {append(noise(1<<20), text(6<<20)...), entry.Zstd},
	} {
		t.Run(name, func(t *testing.T) {
			h, body, err := decode(iotest.HalfReader(bytes.NewReader(encode(t, test.body))), noLimit)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(body, test.body) {
				t.Error("the body came back changed")
			}
			if h.Codec != test.codec {
				t.Errorf("codec %d, want %d", h.Codec, test.codec)
			}
			if want := time.Unix(1_790_000_000, 123_456_789); !h.Time.Equal(want) {
				t.Errorf("time %v, want %v", h.Time, want)
			}
			if h.Cost != 1500*time.Millisecond {
				t.Errorf("cost %v", h.Cost)
			}
		})
	}
}

// An object takes the place of what the file held before.
func TestEncodeAgain(t *testing.T) {
	f := create(t)
	for _, body := range [][]byte{noise(5000), text(70_000), nil, noise(300)} {
		if _, err := entry.Encode(f, header(body), bytes.NewReader(body), entry.Signer{}); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, encode(t, body)) {
			t.Errorf("%d bytes, %v, are not the object of a body of %d", len(got), err, len(body))
		}
	}
}

func TestEncodeRefusesWrongSize(t *testing.T) {
	_, err := entry.Encode(create(t), entry.Header{Action: action, BodySize: 7}, strings.NewReader("six by"), entry.Signer{})
	if err == nil || !strings.Contains(err.Error(), "6 bytes, not 7") {
		t.Errorf("error %v", err)
	}
}

// TestGolden pins the format with golden files. The output of zstd may change with the
// library, so the test decodes that file but does not compare the encoder with it.
func TestGolden(t *testing.T) {
	for name, body := range map[string][]byte{
		"raw-v1.golden":  []byte("raw"),
		"zstd-v1.golden": text(300),
	} {
		object := golden(t, name, encode(t, body))
		if _, got, err := decode(bytes.NewReader(object), noLimit); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if name == "raw-v1.golden" && !bytes.Equal(encode(t, body), object) {
			t.Errorf("%s: the encoder writes other bytes", name)
		}
	}
}

// TestDamage changes each byte of an object, cuts the object at each byte, and appends a
// byte: it must be refused each time.
func TestDamage(t *testing.T) {
	for name, body := range map[string][]byte{"raw": noise(300), "zstd": text(3000), "empty": nil} {
		object := encode(t, body)
		for i := range object {
			for _, mask := range []byte{0x01, 0x80, 0xff} {
				damaged := bytes.Clone(object)
				damaged[i] ^= mask
				if _, _, err := decode(bytes.NewReader(damaged), noLimit); !errors.Is(err, entry.ErrCorrupt) {
					t.Errorf("%s: byte %d ^ %#x: error %v", name, i, mask, err)
				}
			}
			if _, _, err := decode(bytes.NewReader(object[:i]), noLimit); !errors.Is(err, entry.ErrCorrupt) {
				t.Errorf("%s: cut at %d: error %v", name, i, err)
			}
		}
		if _, _, err := decode(bytes.NewReader(append(object, 'x')), noLimit); !errors.Is(err, entry.ErrCorrupt) {
			t.Errorf("%s: a byte behind: error %v", name, err)
		}
	}
}

// TestHostileHeaders has headers that are intact but lie: they must be refused, and
// nothing may be decoded beyond the sizes that they announce.
func TestHostileHeaders(t *testing.T) {
	forged := func(body []byte, change func(*entry.Header)) []byte { return forge(t, encode(t, body), change) }
	bomb := text(64 << 20)
	for name, test := range map[string]struct {
		object []byte
		reason string
	}{
		"another action":        {forged(nil, func(h *entry.Header) { h.Action[3] ^= 1 }), "it is action"},
		"unknown codec":         {forged(nil, func(h *entry.Header) { h.Codec = 4 }), "codec 4"},
		"negative body":         {forged(nil, func(h *entry.Header) { h.BodySize = -1 }), "negative"},
		"endless cost":          {forged(nil, func(h *entry.Header) { h.Cost = entry.MaxCost + 1 }), "cost"},
		"negative time":         {forged(nil, func(h *entry.Header) { h.Time = time.Unix(-1, 0) }), "negative"},
		"body over the limit":   {forged(nil, func(h *entry.Header) { h.Codec, h.BodySize = entry.Zstd, 1<<62 }), "over the limit"},
		"bomb":                  {forged(bomb, func(h *entry.Header) { h.BodySize = 1000 }), "longer than its 1000 bytes"},
		"body announced longer": {forged(text(500), func(h *entry.Header) { h.BodySize = 501 }), "ends 1 bytes early"},
		"payload longer":        {forged(text(500), func(h *entry.Header) { h.PayloadSize++ }), "before the payload's end"},
		"raw sizes differ":      {forged([]byte("x"), func(h *entry.Header) { h.BodySize = 0 }), "raw payload"},
	} {
		t.Run(name, func(t *testing.T) {
			_, body, err := decode(bytes.NewReader(test.object), 1<<30)
			want := entry.ErrCorrupt
			if name == "body over the limit" {
				want = entry.ErrTooLarge
			}
			if !errors.Is(err, want) || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("error %v, want %q", err, test.reason)
			}
			if len(body) > 1<<20 {
				t.Errorf("%d bytes decoded", len(body))
			}
		})
	}
}

// TestSourceFault has sources that fail: their errors must come back unchanged, and not
// as ErrCorrupt.
func TestSourceFault(t *testing.T) {
	fault := errors.New("connection reset")
	object := encode(t, text(100_000))
	for _, n := range []int{0, 10, entry.HeaderSize, entry.HeaderSize + 20, len(object)} {
		src := io.MultiReader(bytes.NewReader(object[:n]), iotest.ErrReader(fault))
		if _, _, err := decode(src, noLimit); !errors.Is(err, fault) || errors.Is(err, entry.ErrCorrupt) {
			t.Errorf("after %d bytes: error %v", n, err)
		}
	}
}

// FuzzOpen checks that the header of an accepted object encodes to the same bytes, and
// that it names the payload's MD5, unless the object stands in a frame.
func FuzzOpen(f *testing.F) {
	for _, body := range [][]byte{nil, []byte("raw"), text(300), noise(300)} {
		f.Add(encode(f, body))
	}
	f.Add(encodeWith(f, text(300), entry.Signer{}, few...))
	f.Add(refer(f, entry.Signer{}, few...))
	f.Add(framed(text(300), entry.Signer{}))
	f.Fuzz(func(t *testing.T, object []byte) {
		h, _ := entry.ParseHeader(object)
		r, err := entry.Open(bytes.NewReader(object), entry.Want{Action: action, MaxSize: 4 << 20, Framed: h.Codec == entry.Framed})
		var body []byte
		if err == nil && r.Reference == "" {
			defer r.Close()
			body, err = io.ReadAll(r)
		}
		if err != nil {
			if !errors.Is(err, entry.ErrCorrupt) && !errors.Is(err, entry.ErrTooLarge) {
				t.Errorf("error %v is not ErrCorrupt", err)
			}
			return
		}
		h = r.Header
		if again := h.Append(nil); !bytes.Equal(again, object[:h.Size()]) {
			t.Errorf("the header encodes to %x", again)
		}
		if r.Reference == "" && int64(len(body)) != h.BodySize {
			t.Errorf("%d bytes of body, the header says %d", len(body), h.BodySize)
		}
		if h.Codec != entry.Framed && md5.Sum(object[h.FrontSize():]) != h.MD5 {
			t.Error("accepted a payload with another MD5")
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	body := append(noise(1<<20), text(3<<20)...)
	f := create(b)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		h := entry.Header{Action: action, BodySize: int64(len(body)), Time: time.Unix(1, 0)}
		if _, err := entry.Encode(f, h, bytes.NewReader(body), entry.Signer{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	body := append(noise(1<<20), text(3<<20)...)
	object := encode(b, body)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r, err := entry.Open(bytes.NewReader(object), entry.Want{Action: action, MaxSize: noLimit})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}
