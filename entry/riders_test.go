package entry_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/sign"
)

var when = time.Unix(1_790_000_000, 5)

// few are riders that zstd does not make smaller, and many are some that it does.
var (
	few = []entry.Rider{
		{Name: "srcfiles", Time: when, Body: []byte("./a.go\n")},
		{Name: "stdout", Time: when.Add(1), Cost: time.Second},
	}
	many = append([]entry.Rider{{Name: "_cgo_gotypes.go", Time: when, Body: text(50_000)}}, few...)
)

// encodeWith returns the entry object of body with riders.
func encodeWith(t testing.TB, body []byte, signer entry.Signer, riders ...entry.Rider) []byte {
	t.Helper()
	f := create(t)
	h, err := entry.Encode(f, header(body), bytes.NewReader(body), signer, riders...)
	if err != nil {
		t.Fatal(err)
	}
	object, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(object)) != h.ObjectSize() {
		t.Fatalf("the object has %d bytes, want %d", len(object), h.ObjectSize())
	}
	return object
}

// open returns the riders and the body of an entry object.
func open(object io.Reader) (riders []entry.Rider, body []byte, err error) {
	r, err := entry.Open(object, entry.Want{Action: action, MaxSize: noLimit})
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	body, err = io.ReadAll(r)
	return r.Riders, body, err
}

func TestRidersComeBack(t *testing.T) {
	for name, riders := range map[string][]entry.Rider{"raw": few, "compressed": many} {
		for _, body := range [][]byte{nil, text(3000), noise(3000)} {
			t.Run(fmt.Sprintf("%s/%d", name, len(body)), func(t *testing.T) {
				backwards := append([]entry.Rider{riders[len(riders)-1]}, riders[:len(riders)-1]...)
				object := encodeWith(t, body, entry.Signer{}, backwards...)
				h, err := entry.ParseHeader(object)
				if err != nil || (h.RidersStored < h.RidersSize) != (name == "compressed") {
					t.Errorf("%d bytes stand for %d, %v", h.RidersStored, h.RidersSize, err)
				}
				got, gotBody, err := open(iotest.HalfReader(bytes.NewReader(object)))
				if err != nil || !bytes.Equal(gotBody, body) {
					t.Fatalf("%d bytes of body, %v", len(gotBody), err)
				}
				wantRiders(t, got, riders)
				front, got, err := entry.ReadFront(bytes.NewReader(object[:h.FrontSize()]), entry.Want{Action: action, MaxSize: noLimit})
				if err != nil || front != h {
					t.Errorf("front: %+v, %v", front, err)
				}
				wantRiders(t, got, riders)
			})
		}
	}
}

func wantRiders(t *testing.T, got, want []entry.Rider) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d riders, want %d", len(got), len(want))
	}
	for i, r := range got {
		w := want[i]
		if r.Name != w.Name || !bytes.Equal(r.Body, w.Body) || !r.Time.Equal(w.Time) || r.Cost != w.Cost {
			t.Errorf("rider %d is %q, want %q", i, r.Name, w.Name)
		}
		if r.Action(action) != action.Subkey(w.Name) || r.Output() != sha256.Sum256(w.Body) {
			t.Errorf("rider %q has another action or output", r.Name)
		}
	}
}

// Without riders an object is what it was before there were any.
func TestWithoutRiders(t *testing.T) {
	if object := encodeWith(t, text(300), entry.Signer{}); object[8] != 1 || !bytes.Equal(object, encode(t, text(300))) {
		t.Errorf("version %d", object[8])
	}
}

// TestEncodeRefusesRiders has riders that no object may have.
func TestEncodeRefusesRiders(t *testing.T) {
	large := entry.Rider{Name: "a", Time: when, Body: make([]byte, entry.MaxRider)}
	var all []entry.Rider
	for i := range entry.MaxRiders / entry.MaxRider {
		r := large
		r.Name = fmt.Sprint(i)
		all = append(all, r)
	}
	for name, riders := range map[string][]entry.Rider{
		"no name":      {{Time: when}},
		"a long name":  {{Name: strings.Repeat("n", 256), Time: when}},
		"a name twice": {few[0], few[0]},
		"a large body": {{Name: "a", Time: when, Body: make([]byte, entry.MaxRider+1)}},
		"a large sum":  all,
		"an old time":  {{Name: "a", Time: time.Unix(-1, 0)}},
	} {
		if _, err := entry.Encode(create(t), header(nil), bytes.NewReader(nil), entry.Signer{}, riders...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := entry.Encode(create(t), header(nil), bytes.NewReader(nil), entry.Signer{}, large); err != nil {
		t.Errorf("the largest: %v", err)
	}
}

// Whoever adds riders as long as their sizes allow it gets an object.
func TestSizeOfRider(t *testing.T) {
	for _, r := range append(many, entry.Rider{Name: "a", Time: time.Unix(0, math.MaxInt64), Cost: entry.MaxCost}) {
		h, err := entry.ParseHeader(encodeWith(t, nil, entry.Signer{}, r))
		if err != nil || h.RidersSize > int64(r.Size())+1 {
			t.Errorf("%s takes %d bytes, %v; it says %d", r.Name, h.RidersSize-1, err, r.Size())
		}
	}
}

// TestGoldenRiders pins the format. The output of zstd may change with the library, so the
// test does not compare the encoder with that file.
func TestGoldenRiders(t *testing.T) {
	k := key(t, "ed25519-secret")
	for name, test := range map[string]struct {
		riders []entry.Rider
		signer entry.Signer
	}{
		"riders-v2.golden":        {few, entry.Signer{}},
		"riders-zstd-v2.golden":   {many, entry.Signer{}},
		"riders-signed-v2.golden": {few, entry.Signer{Key: k, Scope: "main"}},
	} {
		object := encodeWith(t, []byte("raw"), test.signer, test.riders...)
		kept := golden(t, name, object)
		riders, body, err := open(bytes.NewReader(kept))
		if err != nil || string(body) != "raw" {
			t.Errorf("%s: %q, %v", name, body, err)
		}
		wantRiders(t, riders, test.riders)
		if !strings.Contains(name, "zstd") && !bytes.Equal(kept, object) {
			t.Errorf("%s: the encoder writes other bytes", name)
		}
	}
}

// TestDamagedRiders changes each byte of an object, cuts it at each byte, and appends one: it
// must be refused each time.
func TestDamagedRiders(t *testing.T) {
	for name, riders := range map[string][]entry.Rider{"raw": few, "compressed": many} {
		object := encodeWith(t, []byte("the body"), entry.Signer{}, riders...)
		for i := range object {
			for _, mask := range []byte{0x01, 0x80, 0xff} {
				damaged := bytes.Clone(object)
				damaged[i] ^= mask
				if _, _, err := open(bytes.NewReader(damaged)); !errors.Is(err, entry.ErrCorrupt) {
					t.Errorf("%s: byte %d ^ %#x: error %v", name, i, mask, err)
				}
			}
			if _, _, err := open(bytes.NewReader(object[:i])); !errors.Is(err, entry.ErrCorrupt) {
				t.Errorf("%s: cut at %d: error %v", name, i, err)
			}
		}
		if _, _, err := open(bytes.NewReader(append(object, 'x'))); !errors.Is(err, entry.ErrCorrupt) {
			t.Errorf("%s: a byte behind: error %v", name, err)
		}
	}
}

// plain returns what stands for riders in an object, before its compression: their number,
// and for each its name and three numbers, and then their bodies.
func plain(count int, riders ...entry.Rider) []byte {
	b := binary.AppendUvarint(nil, uint64(count))
	for _, r := range riders {
		b = append(binary.AppendUvarint(b, uint64(len(r.Name))), r.Name...)
		for _, n := range []int64{r.Time.UnixNano(), int64(r.Cost), int64(len(r.Body))} {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	for _, r := range riders {
		b = append(b, r.Body...)
	}
	return b
}

// TestHostileRiders has riders with the right digest that lie. Nothing may be decoded beyond
// what the header announces.
func TestHostileRiders(t *testing.T) {
	squeeze := func(b []byte) []byte {
		enc, err := zstd.NewWriter(nil, zstd.WithWindowSize(512<<10))
		if err != nil {
			t.Fatal(err)
		}
		defer enc.Close()
		return enc.EncodeAll(b, nil)
	}
	bomb := squeeze(make([]byte, 64<<20))
	one := plain(1, few[0])
	for name, test := range map[string]struct {
		stored []byte
		size   int // 0: as stored
	}{
		"none":                        {plain(0), 0},
		"more than there are":         {plain(3, few...), 0},
		"a list that is too long":     {binary.AppendUvarint(nil, math.MaxInt32), 0},
		"a list without an end":       {binary.AppendUvarint(nil, math.MaxUint64), 0},
		"fewer than there are":        {plain(1, few...), 0},
		"one twice":                   {plain(2, few[0], few[0]), 0},
		"not in order":                {plain(2, few[1], few[0]), 0},
		"without a name":              {plain(1, entry.Rider{Time: when}), 0},
		"an endless cost":             {plain(1, entry.Rider{Name: "a", Time: when, Cost: entry.MaxCost + 1}), 0},
		"a body over the limit":       {plain(1, entry.Rider{Name: "a", Time: when, Body: make([]byte, entry.MaxRider+1)}), 0},
		"a body that is cut":          {one[:len(one)-1], 0},
		"a number in a long form":     {append([]byte{0x81, 0x00}, one[1:]...), 0},
		"bytes behind":                {append(one, 0), 0},
		"no zstd":                     {one, len(one) + 1},
		"a bomb that says it's small": {bomb, len(bomb) + 1000},
		"a bomb that says the most":   {bomb, entry.MaxRiders},
		"a bomb that says so":         {bomb, 64 << 20},
		"shorter than it says":        {squeeze(make([]byte, 1000)), 2000},
		"smaller than it is":          {one, len(one) - 1},
	} {
		t.Run(name, func(t *testing.T) {
			object := encodeWith(t, []byte("the body"), entry.Signer{}, few...)
			h, err := entry.ParseHeader(object)
			if err != nil {
				t.Fatal(err)
			}
			payload := object[h.FrontSize():]
			h.RidersStored, h.RidersSize, h.RidersSum = int64(len(test.stored)), int64(len(test.stored)), sha256.Sum256(test.stored)
			if test.size > 0 {
				h.RidersSize = int64(test.size)
			}
			lying := append(append(h.Append(nil), test.stored...), payload...)
			if riders, _, err := open(bytes.NewReader(lying)); !errors.Is(err, entry.ErrCorrupt) {
				t.Errorf("%d riders, error %v", len(riders), err)
			}
		})
	}
}

// TestSignedRiders checks that a signature covers the riders.
func TestSignedRiders(t *testing.T) {
	k := key(t, "ed25519-secret")
	object := encodeWith(t, []byte("raw"), entry.Signer{Key: k, Scope: "main"}, few...)
	h, err := entry.ParseHeader(object)
	if err != nil {
		t.Fatal(err)
	}
	others := encodeWith(t, []byte("raw"), entry.Signer{}, entry.Rider{Name: "stdout", Time: when, Body: []byte("evil")})
	from, err := entry.ParseHeader(others)
	if err != nil {
		t.Fatal(err)
	}
	swapped := h
	swapped.RidersSize, swapped.RidersStored, swapped.RidersSum = from.RidersSize, from.RidersStored, from.RidersSum
	swappedObject := append(swapped.Append(nil), others[from.Size():]...)
	stripped := h
	stripped.RidersSize, stripped.RidersStored, stripped.RidersSum = 0, 0, [sha256.Size]byte{}
	for name, test := range map[string]struct {
		object []byte
		err    error
	}{
		"as it is":         {object, nil},
		"other riders":     {swappedObject, sign.ErrUntrusted},
		"riders taken off": {append(stripped.Append(nil), object[h.FrontSize():]...), sign.ErrUntrusted},
		"another scope's":  {encodeWith(t, []byte("raw"), entry.Signer{Key: k, Scope: "pr-7"}, few...), sign.ErrUntrusted},
	} {
		if _, _, err := entry.ReadFront(bytes.NewReader(test.object), want(k)); !errors.Is(err, test.err) {
			t.Errorf("%s: error %v, want %v", name, err, test.err)
		}
	}
}

// TestFaultInRiders has a source that fails within the riders: its error must come back.
func TestFaultInRiders(t *testing.T) {
	fault := errors.New("connection reset")
	object := encodeWith(t, nil, entry.Signer{}, few...)
	for _, n := range []int{entry.HeaderSize, entry.HeaderSize + 1, entry.MaxHeaderSize, entry.MaxHeaderSize + 5} {
		src := io.MultiReader(bytes.NewReader(object[:n]), iotest.ErrReader(fault))
		if _, _, err := open(src); !errors.Is(err, fault) || errors.Is(err, entry.ErrCorrupt) {
			t.Errorf("after %d bytes: error %v", n, err)
		}
	}
}

// FuzzRiders checks that the riders of an accepted object, encoded once more, are accepted
// and the same.
func FuzzRiders(f *testing.F) {
	for _, riders := range [][]entry.Rider{few, many, few[1:]} {
		f.Add(encodeWith(f, []byte("raw"), entry.Signer{}, riders...))
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		riders, body, err := open(bytes.NewReader(object))
		if err != nil {
			if !errors.Is(err, entry.ErrCorrupt) {
				t.Errorf("error %v is not ErrCorrupt", err)
			}
			return
		}
		again, _, err := open(bytes.NewReader(encodeWith(t, body, entry.Signer{}, riders...)))
		if err != nil || !reflect.DeepEqual(again, riders) {
			t.Errorf("%d riders come back as %d, %v", len(riders), len(again), err)
		}
	})
}
