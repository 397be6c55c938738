package pack

import (
	"cmp"
	"slices"
)

// Chunk is a part of a pack that one request fetches, with the wanted entries in it. It
// may hold entries between them that are not wanted.
type Chunk struct {
	Pack           int   // index in Manifest.Packs
	Offset, Length int64 // in bytes
	Entries        []int // indices in Manifest.Entries, ordered by offset
}

const (
	// maxGap is the largest number of unwanted bytes between two wanted entries of
	// a chunk. A request takes about as long as transferring this many bytes.
	maxGap = 128 << 10

	// The first batch of entries has at most firstChunk bytes, because a build
	// waits for what it asks for first. The limit doubles with each batch, up to
	// maxChunk. A larger entry is a batch of its own.
	firstChunk = 256 << 10
	maxChunk   = 4 << 20
)

// Chunks returns the chunks that hold the wanted entries of m, in about the order in
// which the entries are wanted. It leaves out entries that lie in no pack. want has
// indices in m.Entries, in the order in which they are wanted.
//
// Each build asks for the same entries in a slightly different order, and from several
// packs by turns. So Chunks takes one batch of entries after the other, in the order
// in which they are wanted; only within a batch does it follow the order in the packs.
func (m *Manifest) Chunks(want []int) []Chunk {
	var chunks []Chunk
	limit := int64(firstChunk)
	var batch []int
	var size int64
	flush := func() {
		if len(batch) > 0 {
			chunks = m.appendChunks(chunks, batch)
			batch, size, limit = batch[:0], 0, min(2*limit, maxChunk)
		}
	}
	for _, i := range want {
		e := &m.Entries[i]
		if !e.InPack() {
			continue
		}
		if size+e.Length > limit {
			flush()
		}
		batch = append(batch, i)
		size += e.Length
	}
	flush()
	return chunks
}

// appendChunks appends the chunks that hold the entries in batch. It orders the chunks by
// the entry of each that is wanted first, and it sorts batch.
func (m *Manifest) appendChunks(chunks []Chunk, batch []int) []Chunk {
	rank := make(map[int]int, len(batch)) // by index in m.Entries; 0: wanted first
	for r, i := range batch {
		rank[i] = r
	}
	slices.SortFunc(batch, func(i, j int) int {
		a, b := &m.Entries[i], &m.Entries[j]
		return cmp.Or(cmp.Compare(a.Pack, b.Pack), cmp.Compare(a.Offset, b.Offset))
	})
	begin := len(chunks)
	for _, i := range batch {
		e := &m.Entries[i]
		if n := len(chunks); n > begin && chunks[n-1].extend(e, i) {
			continue
		}
		chunks = append(chunks, Chunk{Pack: e.Pack, Offset: e.Offset, Length: e.Length, Entries: []int{i}})
	}
	first := func(c Chunk) int {
		r := len(batch)
		for _, i := range c.Entries {
			r = min(r, rank[i])
		}
		return r
	}
	slices.SortStableFunc(chunks[begin:], func(a, b Chunk) int { return cmp.Compare(first(a), first(b)) })
	return chunks
}

// extend adds entry e to the chunk. e has index i and lies behind the chunk. extend does
// nothing and returns false if e lies in another pack or too far behind, or if the chunk
// would get too long.
func (c *Chunk) extend(e *Entry, i int) bool {
	gap := e.Offset - (c.Offset + c.Length)
	if e.Pack != c.Pack || gap > maxGap || c.Length+gap+e.Length > maxChunk+maxGap {
		return false
	}
	c.Length += gap + e.Length
	c.Entries = append(c.Entries, i)
	return true
}
