package pack

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/protocol"
)

func TestWriter(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "pack"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := NewWriter(file, entry.Signer{})
	type part struct{ offset, length int64 }
	var parts []part
	add := func(offset, length int64, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part{offset, length})
	}
	header := func(i int) entry.Header {
		return entry.Header{Action: protocol.ActionID{byte(i)}, BodySize: int64(len(body(i))), Time: time.Unix(1, 0)}
	}
	for i := range 3 {
		add(w.Add(header(i), strings.NewReader(body(i))))
	}
	// An entry that fails leaves no trace in the pack.
	broken := errors.New("connection reset")
	if _, _, err := w.Copy(io.MultiReader(strings.NewReader("half an object"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Fatalf("error %v", err)
	}
	if _, _, err := w.Add(header(9), strings.NewReader("too short")); err == nil {
		t.Fatal("took a body of another size")
	}
	add(w.Copy(io.NewSectionReader(file, parts[1].offset, parts[1].length)))

	id, size, sum, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	if ID(sha256.Sum256(got)) != id || md5.Sum(got) != sum || int64(len(got)) != size {
		t.Errorf("%d bytes are not those of %x", len(got), id)
	}
	for i, p := range parts {
		object := bytes.NewReader(got[p.offset : p.offset+p.length])
		i %= 3
		if p == parts[3] {
			i = 1
		}
		r, err := entry.Open(object, entry.Want{Action: protocol.ActionID{byte(i)}, MaxSize: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); err != nil || string(b) != body(i) {
			t.Errorf("part %d: %d bytes, %v", i, len(b), err)
		}
		r.Close()
	}
	if last := parts[3]; last.offset+last.length != size {
		t.Errorf("the last part ends at %d of %d", last.offset+last.length, size)
	}
}

// body returns the body of entry i.
func body(i int) string { return strings.Repeat(fmt.Sprint("body ", i), 5000) }

func TestChunks(t *testing.T) {
	const k, m = 1 << 10, 1 << 20
	in := func(pack int, offset, length int64) Entry {
		return Entry{Size: MaxInline + 1, Pack: pack, Offset: offset, Length: length}
	}
	inline := Entry{Size: 0}
	var small []Entry // 200 entries of 100 KiB each, back to back
	for i := range int64(200) {
		small = append(small, in(0, i*100*k, 100*k))
	}
	for name, test := range map[string]struct {
		entries []Entry
		want    []int
		chunks  []Chunk
	}{
		"nothing":          {nil, nil, nil},
		"inline alone":     {[]Entry{inline, inline}, []int{0, 1}, nil},
		"back to back":     {[]Entry{in(0, 0, k), inline, in(0, k, k)}, []int{0, 1, 2}, []Chunk{{0, 0, 2 * k, []int{0, 2}}}},
		"a small gap":      {[]Entry{in(0, 0, k), in(0, k, k), in(0, 2*k, k)}, []int{0, 2}, []Chunk{{0, 0, 3 * k, []int{0, 2}}}},
		"a large gap":      {[]Entry{in(0, 0, k), in(0, 130*k, k)}, []int{0, 1}, []Chunk{{0, 0, k, []int{0}}, {0, 130 * k, k, []int{1}}}},
		"another pack":     {[]Entry{in(0, 0, k), in(1, k, k)}, []int{0, 1}, []Chunk{{0, 0, k, []int{0}}, {1, k, k, []int{1}}}},
		"in another order": {[]Entry{in(0, k, k), in(0, 0, k)}, []int{0, 1}, []Chunk{{0, 0, 2 * k, []int{1, 0}}}},
		"by turns": {
			[]Entry{in(1, 0, k), in(0, 0, k), in(1, k, k), in(0, k, k)}, []int{0, 1, 2, 3},
			[]Chunk{{1, 0, 2 * k, []int{0, 2}}, {0, 0, 2 * k, []int{1, 3}}},
		},
		"one that is large": {[]Entry{in(0, 0, 9*m), in(0, 9*m, k)}, []int{0, 1}, []Chunk{{0, 0, 9 * m, []int{0}}, {0, 9 * m, k, []int{1}}}},
	} {
		t.Run(name, func(t *testing.T) {
			manifest := &Manifest{Entries: test.entries}
			if got := manifest.Chunks(test.want); !reflect.DeepEqual(got, test.chunks) {
				t.Errorf("%+v, want %+v", got, test.chunks)
			}
		})
	}

	t.Run("growing", func(t *testing.T) {
		var all []int
		for i := range small {
			all = append(all, i)
		}
		var sizes []int64
		for _, c := range (&Manifest{Entries: small}).Chunks(all) {
			sizes = append(sizes, c.Length/k)
		}
		if want := []int64{200, 500, 1000, 2000, 4000, 4000, 4000, 4000, 300}; !reflect.DeepEqual(sizes, want) {
			t.Errorf("chunks of %v KiB, want %v", sizes, want)
		}
	})
}
