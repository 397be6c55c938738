package pack

import (
	"reflect"
	"testing"
)

func TestChunks(t *testing.T) {
	const k, m = 1 << 10, 1 << 20
	// in is an entry with a frame of its own, and behind one with what stands before it.
	in := func(pack int, offset, length int64) Entry {
		return Entry{Size: MaxInline + 1, Pack: pack, Span: Span{Frame: offset, Offset: offset, Length: length}}
	}
	behind := func(frame, offset, length int64) Entry {
		return Entry{Size: MaxInline + 1, Span: Span{Frame: frame, Offset: offset, Length: length, At: offset - frame}}
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
		"a frame":           {[]Entry{behind(0, 0, k), behind(0, k, k), behind(0, 9*k, k)}, []int{2, 0}, []Chunk{{0, 0, 10 * k, []int{0, 2}}}},
		"from the frame on": {[]Entry{in(0, 0, k), behind(9*k, 12*k, k)}, []int{1}, []Chunk{{0, 9 * k, 4 * k, []int{1}}}},
		"frames by turns": {
			[]Entry{behind(0, 0, m), in(0, 9*m, k), behind(0, m, m)}, []int{1, 0, 2},
			[]Chunk{{0, 9 * m, k, []int{1}}, {0, 0, 2 * m, []int{0, 2}}},
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
