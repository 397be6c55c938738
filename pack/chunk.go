package pack

import (
	"cmp"
	"slices"
)

// Chunk is a part of a pack that one request fetches, with the wanted entries in it. It
// begins with a frame. It may hold entries between the wanted ones that are not wanted.
type Chunk struct {
	Pack           int   // index in Manifest.Packs
	Offset, Length int64 // in bytes
	Entries        []int // indices in Manifest.Entries, ordered by offset
}

const (
	// maxGap is the largest number of unwanted bytes between two frames of a chunk. A
	// request takes about as long as transferring this many bytes.
	maxGap = 128 << 10

	// The first batch of frames has at most firstChunk bytes, because a build
	// waits for what it asks for first. The limit doubles with each batch, up to
	// maxChunk. A frame that is larger is a batch of its own. A full frame has about
	// 1 MiB, so the first limits act only where frames are short or little of one is wanted.
	firstChunk = 256 << 10
	maxChunk   = 4 << 20
)

// Chunks returns the chunks that hold the wanted entries of m, in about the order in
// which the entries are wanted. It leaves out entries that lie in no pack. want has
// indices in m.Entries, in the order in which they are wanted.
//
// Each build asks for the same entries in a slightly different order, and from several
// packs by turns. So Chunks takes one batch of frames after the other, in the order
// in which they are wanted; only within a batch does it follow the order in the packs.
func (m *Manifest) Chunks(want []int) []Chunk {
	var chunks []Chunk
	limit := int64(firstChunk)
	var batch []Chunk
	var size int64
	flush := func() {
		if len(batch) > 0 {
			chunks = append(chunks, merge(batch)...)
			batch, size, limit = nil, 0, min(2*limit, maxChunk)
		}
	}
	for _, frame := range m.frames(want) {
		if size+frame.Length > limit {
			flush()
		}
		batch = append(batch, frame)
		size += frame.Length
	}
	flush()
	return chunks
}

// frames returns a chunk for each frame that holds wanted entries: the frame up to the last
// of these. The chunks stand in the order in which the first entry of each is wanted.
func (m *Manifest) frames(want []int) []Chunk {
	type place struct {
		pack  int
		frame int64
	}
	var frames []Chunk
	found := make(map[place]int) // in frames
	for _, i := range want {
		e := &m.Entries[i]
		if !e.InPack() {
			continue
		}
		at := place{e.Pack, e.Frame}
		f, ok := found[at]
		if !ok {
			f = len(frames)
			found[at] = f
			frames = append(frames, Chunk{Pack: e.Pack, Offset: e.Frame})
		}
		frames[f].Entries = append(frames[f].Entries, i)
		frames[f].Length = max(frames[f].Length, e.End()-e.Frame)
	}
	for _, f := range frames {
		slices.SortFunc(f.Entries, func(i, j int) int { return cmp.Compare(m.Entries[i].Offset, m.Entries[j].Offset) })
	}
	return frames
}

// merge returns the chunks of a batch, of which it makes one where they lie one behind the
// other. It orders them by what is wanted first in each. The chunks of batch stand in the
// order in which they are wanted.
func merge(batch []Chunk) []Chunk {
	type ranked struct {
		Chunk
		rank int // 0: wanted first
	}
	var byPlace []ranked
	for rank, c := range batch {
		byPlace = append(byPlace, ranked{c, rank})
	}
	slices.SortFunc(byPlace, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.Pack, b.Pack), cmp.Compare(a.Offset, b.Offset))
	})
	merged := byPlace[:0]
	for _, c := range byPlace {
		if n := len(merged); n > 0 && merged[n-1].extend(c.Chunk) {
			merged[n-1].rank = min(merged[n-1].rank, c.rank)
			continue
		}
		merged = append(merged, c)
	}
	slices.SortFunc(merged, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
	chunks := make([]Chunk, len(merged))
	for i, c := range merged {
		chunks[i] = c.Chunk
	}
	return chunks
}

// extend adds next, which lies behind the chunk, to it. It does nothing and returns false if
// next lies in another pack or too far behind, or if the chunk would get too long.
func (c *Chunk) extend(next Chunk) bool {
	gap := next.Offset - (c.Offset + c.Length)
	if next.Pack != c.Pack || gap > maxGap || c.Length+gap+next.Length > maxChunk+maxGap {
		return false
	}
	c.Length = max(c.Length, next.Offset+next.Length-c.Offset)
	c.Entries = append(c.Entries, next.Entries...)
	return true
}
