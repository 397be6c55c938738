package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/sign"
)

var update = flag.Bool("update", false, "rewrite the golden file")

const archiveHead = "!<arch>\n" +
	"__.PKGDEF       0           0     0     644     7955      `\n" +
	"go object linux amd64 go1.26.8 GOAMD64=v1 X:regabiwrappers\n" +
	"build id \"b41e5c45250e25c9fd5e/9f9a1de7857ea0d41224\"\n"

// sample returns a manifest with n entries in two packs and inline.
func sample(n int) *Manifest {
	m := &Manifest{Packs: []Pack{
		{Scope: "main", ID: sha256.Sum256([]byte("first")), Size: 1 << 40},
		{Scope: "pr-12", ID: sha256.Sum256([]byte("second")), Size: 1 << 40, Own: true},
	}, Eager: []Eager{{Command: sha256.Sum256([]byte("build")), Used: 20_002}}}
	var offset int64
	for i := range n {
		e := Entry{
			Action: named(i),
			Time:   time.Unix(1_790_000_000, int64(i)),
			Cost:   time.Duration(i) * time.Millisecond,
			Used:   Day(20_000 + i%7),
		}
		switch i % 4 {
		case 0:
			e.Inline = []byte{}
		case 1: // what belongs to the entry before, and to the one behind
			s := subkey{name: 1 + i/4%len(subkeyNames)}
			e.Action = s.of(named(i - 1 + i/4%2*2))
			e.Inline = []byte("the same of all")
		case 2:
			e.Inline = fmt.Append(nil, "a small body, number ", i)
		case 3:
			e.Size, e.Pack, e.Offset, e.Length = 5000+int64(i), i/4%2, offset, entry.HeaderSize+int64(i)
			offset += e.Length
			if i%8 == 7 {
				e.Head = []byte(archiveHead)
			}
		}
		e.Output = protocol.OutputID(sha256.Sum256(e.Inline))
		if !e.InPack() {
			e.Size = int64(len(e.Inline))
		}
		m.Entries = append(m.Entries, e)
	}
	return m
}

func named(i int) protocol.ActionID { return sha256.Sum256(fmt.Append(nil, "action ", i)) }

func encode(t testing.TB, m *Manifest) []byte {
	t.Helper()
	object, err := m.Encode(Place{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// seal makes a manifest's object of any payload: intact, whatever it says.
func seal(payload []byte) []byte {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	defer enc.Close()
	compressed := enc.EncodeAll(payload, nil)
	sum := sha256.Sum256(compressed)
	h := append([]byte(magic), version)
	h = binary.BigEndian.AppendUint64(h, uint64(len(payload)))
	h = binary.BigEndian.AppendUint64(h, uint64(len(compressed)))
	h = append(h, sum[:]...)
	h = append(h, make([]byte, 72)...)
	h = binary.BigEndian.AppendUint32(h, crc32.Checksum(h, castagnoli))
	return append(h, compressed...)
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 4, 1000} {
		want := sample(n)
		got, err := Decode(encode(t, want), Place{}, nil)
		if err != nil {
			t.Fatalf("%d entries: %v", n, err)
		}
		if len(got.Entries) != n || n > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%d entries came back changed", n)
		}
	}
}

// The golden file pins the format. zstd's own output may change with the
// library, so it is only read.
func TestGolden(t *testing.T) {
	file := filepath.Join("testdata", "manifest-v3.golden")
	if *update {
		if err := os.WriteFile(file, encode(t, sample(8)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	object, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(object, Place{}, nil)
	if err != nil || !reflect.DeepEqual(got, sample(8)) {
		t.Errorf("%+v, %v", got, err)
	}
	again := encode(t, got)
	if !bytes.Equal(again[:18], object[:18]) || !bytes.Equal(again[26:headerSize-4], object[26:headerSize-4]) {
		t.Errorf("the header is now %x", again[:headerSize])
	}
}

// Whatever byte is damaged and wherever it is cut, a manifest is refused.
func TestDamage(t *testing.T) {
	object := encode(t, sample(12))
	for i := range object {
		damaged := bytes.Clone(object)
		damaged[i] ^= 0x10
		if _, err := Decode(damaged, Place{}, nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d: %v", i, err)
		}
		if _, err := Decode(object[:i], Place{}, nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	if _, err := Decode(append(object, 0), Place{}, nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a byte behind: %v", err)
	}
}

func TestHostileManifests(t *testing.T) {
	change := func(f func(*Manifest)) []byte {
		m := sample(8)
		f(m)
		return seal(m.payload())
	}
	// derived is of two subkeys, of which the first has a name and a distance.
	derived := func(name uint64, distance int64) []byte {
		b := binary.AppendUvarint([]byte{0, 0, 2}, name)
		b = binary.AppendVarint(b, distance)
		b = append(b, 0, 0, 0, 0, 0)
		return seal(append(b, 1, 1, 0, 0, 0, 0, 0))
	}
	late := append(binary.AppendVarint([]byte{0, 0}, math.MaxInt64), 0, 0, 0) // than the one before
	// In sample(8), entries 3 and 7 lie in packs 0 and 1.
	for name, test := range map[string]struct {
		object []byte
		reason string
	}{
		"an action twice":       {change(func(m *Manifest) { m.Entries[1].Action = m.Entries[6].Action }), "twice"},
		"an unknown pack":       {change(func(m *Manifest) { m.Entries[3].Pack = 2 }), "does not name"},
		"past the end":          {change(func(m *Manifest) { m.Entries[3].Offset = 1<<40 - 10 }), "outside"},
		"far past the end":      {change(func(m *Manifest) { m.Entries[3].Offset = 1<<63 - 1 }), "outside"},
		"shorter than a header": {change(func(m *Manifest) { m.Entries[3].Length = 7 }), "outside"},
		"overlap":               {change(func(m *Manifest) { m.Entries[7].Pack, m.Entries[7].Offset = 0, m.Entries[3].Offset+1 }), "overlap"},
		"negative offset":       {change(func(m *Manifest) { m.Entries[3].Offset = -1 }), "too large"},
		"negative size":         {change(func(m *Manifest) { m.Entries[3].Size = -1 << 63 }), "too large"},
		"a long body in it": {change(func(m *Manifest) {
			e := &m.Entries[3]
			e.Length, e.Inline, e.Size = 0, make([]byte, MaxInline+1), MaxInline+1
		}), "too long"},
		"a head that is none":  {change(func(m *Manifest) { m.Entries[7].Head = []byte("go object") }), "head"},
		"a head and more":      {change(func(m *Manifest) { m.Entries[7].Head = []byte(archiveHead + "export") }), "head"},
		"an endless head":      {change(func(m *Manifest) { m.Entries[7].Head = make([]byte, MaxHead+1) }), "too large"},
		"a million announced":  {seal(binary.AppendUvarint([]byte{0, 0}, 1_000_000)), "room"},
		"commands announced":   {seal(binary.AppendUvarint([]byte{0}, 1_000_000)), "room"},
		"packs announced":      {seal(binary.AppendUvarint(nil, 1<<62)), "room"},
		"a longer number":      {seal([]byte{0x80, 0x00, 0x00}), "shortest"},
		"something behind":     {seal([]byte{0, 0, 0, 7}), "behind"},
		"too many entries":     {seal(binary.AppendUvarint([]byte{0, 0}, MaxEntries+1)), "too large"},
		"an unknown subkey":    {derived(4, 0), "too large"},
		"a subkey of itself":   {derived(1, 0), "subkey of an action"},
		"a subkey of another":  {derived(1, 1), "subkey of an action"},
		"of what is not there": {derived(1, 2), "subkey of an action"},
		"of what is before":    {derived(1, -1), "subkey of an action"},
		"of what is far":       {derived(1, math.MaxInt64), "subkey of an action"},
		"an endless cost":      {change(func(m *Manifest) { m.Entries[2].Cost = math.MaxInt64 }), "cost"},
		"before the epoch":     {change(func(m *Manifest) { m.Entries[2].Time = time.Unix(0, -1) }), "negative"},
		"after all time":       {seal(slices.Concat([]byte{0, 0, 2}, late, late, bytes.Repeat([]byte{1}, 32), make([]byte, 32))), "negative"},
		"nothing":              {seal(nil), "cut"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(test.object, Place{}, nil)
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("error %v, want %q", err, test.reason)
			}
		})
	}
}

// A payload that is longer than its header says ends as soon as that shows.
func TestBomb(t *testing.T) {
	object := seal(make([]byte, 64<<20))
	binary.BigEndian.PutUint64(object[10:], 1000)
	binary.BigEndian.PutUint32(object[headerSize-4:], crc32.Checksum(object[:headerSize-4], castagnoli))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Decode(object, Place{}, nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("error %v", err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 48<<20 {
		t.Errorf("%d bytes allocated", n)
	}
}

// A signature is for the place where a manifest lies, and for all of it.
func TestSigned(t *testing.T) {
	k, err := sign.ParseKey("ed25519-secret:" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	at := Place{Scope: "main", Name: "m/example.com%2Fm/linux"}
	signed := func(at Place, key *sign.Key) []byte {
		object, err := sample(9).Encode(at, key)
		if err != nil {
			t.Fatal(err)
		}
		return object
	}
	object := signed(at, k)
	file := filepath.Join("testdata", "signed-manifest-v3.golden")
	if *update {
		if err := os.WriteFile(file, object, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	stripped := bytes.Clone(object)
	clear(stripped[keyAt:crcAt])
	binary.BigEndian.PutUint32(stripped[crcAt:], crc32.Checksum(stripped[:crcAt], castagnoli))
	forged := seal(sample(8).payload()) // with a signature of the right one
	copy(forged[keyAt:crcAt], object[keyAt:])
	binary.BigEndian.PutUint32(forged[crcAt:], crc32.Checksum(forged[:crcAt], castagnoli))
	for _, test := range []struct {
		name   string
		object []byte
		at     Place
		trust  *sign.Trust
		want   error
	}{
		{"as it is", object, at, sign.Only(k), nil},
		{"the golden file", golden, at, sign.Only(k), nil},
		{"by whoever", object, Place{}, nil, nil},
		{"in another scope", object, Place{"pr-7", at.Name}, sign.Only(k), sign.ErrUntrusted},
		{"under another name", object, Place{"main", "m/example.com%2Fm/darwin"}, sign.Only(k), sign.ErrUntrusted},
		{"at a place that reads the same", object, Place{"mainm", at.Name[1:]}, sign.Only(k), sign.ErrUntrusted},
		{"never signed", encode(t, sample(9)), at, sign.Only(k), sign.ErrUntrusted},
		{"stripped", stripped, at, sign.Only(k), sign.ErrUntrusted},
		{"by a stranger", signed(at, stranger), at, sign.Only(k), sign.ErrUntrusted},
		{"of another manifest", forged, at, sign.Only(k), sign.ErrUntrusted},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Decode(test.object, test.at, test.trust); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

// Of what goes on for ever no more is read than a header says that is trusted.
func TestReadEnds(t *testing.T) {
	key, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	at := Place{Scope: "main", Name: "m/example.com%2Fm/linux"}
	object, err := sample(9).Encode(at, key)
	if err != nil {
		t.Fatal(err)
	}
	failing := errors.New("the connection is gone")
	for _, test := range []struct {
		name  string
		trust *sign.Trust
		src   io.Reader
		want  error
		read  int
	}{
		{"as it is", sign.Only(key), bytes.NewReader(object), nil, len(object)},
		{"with no end", sign.Only(key), io.MultiReader(bytes.NewReader(object), zeros{}), ErrCorrupt, len(object) + 1},
		{"of zeros", nil, zeros{}, ErrCorrupt, headerSize},
		{"not trusted, with no end", new(sign.Trust), io.MultiReader(bytes.NewReader(object), zeros{}), sign.ErrUntrusted, headerSize},
		{"cut", nil, bytes.NewReader(object[:len(object)-1]), ErrCorrupt, len(object) - 1},
		{"empty", nil, bytes.NewReader(nil), ErrCorrupt, 0},
		{"broken off", nil, io.MultiReader(bytes.NewReader(object[:200]), iotest.ErrReader(failing)), failing, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			src := &counter{Reader: test.src}
			m, read, err := Read(src, at, test.trust)
			if !errors.Is(err, test.want) || src.n != test.read {
				t.Errorf("error %v after %d bytes, want %v after %d", err, src.n, test.want, test.read)
			}
			if err == nil && (!reflect.DeepEqual(m, sample(9)) || !bytes.Equal(read, object)) {
				t.Errorf("got %d bytes, and %+v", len(read), m)
			}
		})
	}
}

type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += n
	return n, err
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestScope(t *testing.T) {
	for name, want := range map[string]bool{
		"main": true, "pr-123": true, "branch-Fix_1.2": true, "0": true, strings.Repeat("x", 100): true,
		"": false, ".": false, "..": false, "-x": false, "a/b": false, "a b": false, "ä": false, "a\n": false, strings.Repeat("x", 101): false,
	} {
		if err := CheckScope(name); (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
	m := sample(4)
	m.Packs[1].Scope = "../pr-12"
	if _, err := Decode(seal(m.payload()), Place{}, nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a manifest that names a pack in a scope that can't be one: %v", err)
	}
}

// FuzzDecode works on payloads, since no fuzzer finds a digest: what is
// accepted encodes to the same payload.
func FuzzDecode(f *testing.F) {
	for _, n := range []int{0, 1, 4, 9} {
		f.Add(sample(n).payload())
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, err := Decode(seal(payload), Place{}, nil)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("error %v is not ErrCorrupt", err)
			}
			return
		}
		if again := m.payload(); !bytes.Equal(again, payload) {
			t.Errorf("%x became %x", payload, again)
		}
		if _, err := Decode(encode(t, m), Place{}, nil); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			object := encode(b, sample(n))
			b.SetBytes(int64(len(object)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(object, Place{}, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := sample(n)
			b.ReportAllocs()
			for b.Loop() {
				encode(b, m)
			}
		})
	}
}
