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

// encode returns body's entry object, with fixed values in its header.
func encode(t testing.TB, body []byte) []byte {
	t.Helper()
	return encodeFor(t, body, entry.Signer{})
}

// encodeFor is encode, signed.
func encodeFor(t testing.TB, body []byte, by entry.Signer) []byte {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := entry.Encode(f, entry.Header{
		Action:   action,
		Output:   sha256.Sum256(body),
		BodySize: int64(len(body)),
		Time:     time.Unix(1_790_000_000, 123_456_789),
		Cost:     1500 * time.Millisecond,
	}, bytes.NewReader(body), by)
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

// decode returns the body in object.
func decode(src io.Reader, limit int64) (entry.Header, []byte, error) {
	r, err := entry.Open(src, entry.Want{Action: action, MaxSize: limit})
	if err != nil {
		return entry.Header{}, nil, err
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	return r.Header, body, err
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

// Several objects in one file, as a pack holds them, do not disturb each other.
func TestEncodeInARow(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "row"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	bodies := [][]byte{noise(5000), text(70_000), nil, noise(300)}
	var want []byte
	for _, body := range bodies {
		_, err := entry.Encode(f, entry.Header{
			Action:   action,
			Output:   sha256.Sum256(body),
			BodySize: int64(len(body)),
			Time:     time.Unix(1_790_000_000, 123_456_789),
			Cost:     1500 * time.Millisecond,
		}, bytes.NewReader(body), entry.Signer{})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, encode(t, body)...)
	}
	got, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("objects in a row differ from the same objects alone")
	}
}

func TestEncodeRefusesWrongSize(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "object"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = entry.Encode(f, entry.Header{Action: action, BodySize: 7}, strings.NewReader("six by"), entry.Signer{})
	if err == nil || !strings.Contains(err.Error(), "6 bytes, not 7") {
		t.Errorf("error %v", err)
	}
}

// The golden files pin the format. zstd's own output may change with the
// library, so that one is only read.
func TestGolden(t *testing.T) {
	for name, body := range map[string][]byte{
		"raw-v1.golden":  []byte("raw"),
		"zstd-v1.golden": text(300),
	} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, encode(t, body), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		object, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, got, err := decode(bytes.NewReader(object), noLimit); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if name == "raw-v1.golden" && !bytes.Equal(encode(t, body), object) {
			t.Errorf("%s: the encoder writes other bytes", name)
		}
	}
}

// Whatever byte of an object is damaged, wherever it is cut and whatever
// stands behind it, it is refused.
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

// A header can be intact and still lie: nothing then decodes past its sizes.
func TestHostileHeaders(t *testing.T) {
	forge := func(body []byte, change func(*entry.Header)) []byte { return forge(t, encode(t, body), change) }
	bomb := text(64 << 20)
	for name, test := range map[string]struct {
		object []byte
		reason string
	}{
		"another action":        {forge(nil, func(h *entry.Header) { h.Action[3] ^= 1 }), "it is action"},
		"unknown codec":         {forge(nil, func(h *entry.Header) { h.Codec = 2 }), "unknown codec 2"},
		"negative body":         {forge(nil, func(h *entry.Header) { h.BodySize = -1 }), "negative"},
		"endless cost":          {forge(nil, func(h *entry.Header) { h.Cost = entry.MaxCost + 1 }), "cost"},
		"negative time":         {forge(nil, func(h *entry.Header) { h.Time = time.Unix(-1, 0) }), "negative"},
		"body over the limit":   {forge(nil, func(h *entry.Header) { h.Codec, h.BodySize = entry.Zstd, 1<<62 }), "over the limit"},
		"bomb":                  {forge(bomb, func(h *entry.Header) { h.BodySize = 1000 }), "longer than its 1000 bytes"},
		"body announced longer": {forge(text(500), func(h *entry.Header) { h.BodySize = 501 }), "ends 1 bytes early"},
		"payload longer":        {forge(text(500), func(h *entry.Header) { h.PayloadSize++ }), "before the payload's end"},
		"raw sizes differ":      {forge([]byte("x"), func(h *entry.Header) { h.BodySize = 0 }), "raw payload"},
	} {
		t.Run(name, func(t *testing.T) {
			_, body, err := decode(bytes.NewReader(test.object), 1<<30)
			if !errors.Is(err, entry.ErrCorrupt) || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("error %v, want %q", err, test.reason)
			}
			if len(body) > 1<<20 {
				t.Errorf("%d bytes decoded", len(body))
			}
		})
	}
}

// A source that fails is no corrupt object: its error comes back as it is.
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

// FuzzOpen: what is accepted has a header that encodes to the same bytes and a
// payload whose MD5 the header names.
func FuzzOpen(f *testing.F) {
	for _, body := range [][]byte{nil, []byte("raw"), text(300), noise(300)} {
		f.Add(encode(f, body))
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		h, body, err := decode(bytes.NewReader(object), 1<<20)
		if err != nil {
			if !errors.Is(err, entry.ErrCorrupt) {
				t.Errorf("error %v is not ErrCorrupt", err)
			}
			return
		}
		if again := h.Append(nil); !bytes.Equal(again, object[:entry.HeaderSize]) {
			t.Errorf("the header encodes to %x", again)
		}
		if int64(len(body)) != h.BodySize {
			t.Errorf("%d bytes of body, the header says %d", len(body), h.BodySize)
		}
		if md5.Sum(object[entry.HeaderSize:]) != h.MD5 {
			t.Error("accepted a payload with another MD5")
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	body := append(noise(1<<20), text(3<<20)...)
	f, err := os.Create(filepath.Join(b.TempDir(), "object"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			b.Fatal(err)
		}
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
