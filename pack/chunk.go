package pack

import (
	"cmp"
	"slices"
)

// Chunk is a part of one pack that is worth one request, with the entries that
// lie in it. The parts between them belong to entries that are not wanted.
type Chunk struct {
	Pack           int // index in Manifest.Packs
	Offset, Length int64
	Entries        []int // indices in Manifest.Entries, by their offset
}

const (
	// A request costs about as much as it takes to carry this many bytes, so
	// it is worth carrying as many that are not wanted.
	maxGap = 128 << 10

	// The first chunks are small, as a build waits for what it asks first;
	// each is twice as long as the one before, up to this many bytes.
	firstChunk = 256 << 10
	maxChunk   = 4 << 20
)

// Chunks groups the entries of m that want names, indices in the order in which
// they are wanted, into chunks in about that order. Those that lie in no pack
// are left out.
//
// Builds ask for the same things in a slightly different order each time, and
// from several packs by turns. So it takes as many of the next entries as make
// a chunk, and only those in the order in which they lie.
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

// appendChunks appends chunks of the entries in batch, which it sorts: the one
// with the entry that is wanted first is the first.
func (m *Manifest) appendChunks(chunks []Chunk, batch []int) []Chunk {
	place := make(map[int]int, len(batch)) // of an entry, in the order of the wants
	for at, i := range batch {
		place[i] = at
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
		at := len(batch)
		for _, i := range c.Entries {
			at = min(at, place[i])
		}
		return at
	}
	slices.SortStableFunc(chunks[begin:], func(a, b Chunk) int { return cmp.Compare(first(a), first(b)) })
	return chunks
}

// extend takes e, which lies behind it, into the chunk if it lies no more than
// a little way behind, and not so far that the chunk gets too long.
func (c *Chunk) extend(e *Entry, i int) bool {
	gap := e.Offset - (c.Offset + c.Length)
	if e.Pack != c.Pack || gap > maxGap || c.Length+gap+e.Length > maxChunk+maxGap {
		return false
	}
	c.Length += gap + e.Length
	c.Entries = append(c.Entries, i)
	return true
}
