package pack

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
// they are wanted, into chunks in that order. Those that lie in no pack are
// left out.
func (m *Manifest) Chunks(want []int) []Chunk {
	var chunks []Chunk
	size := int64(firstChunk)
	for _, i := range want {
		e := &m.Entries[i]
		if !e.InPack() {
			continue
		}
		if n := len(chunks); n > 0 && chunks[n-1].extend(e, i, size) {
			continue
		}
		if len(chunks) > 0 {
			size = min(2*size, maxChunk)
		}
		chunks = append(chunks, Chunk{Pack: e.Pack, Offset: e.Offset, Length: e.Length, Entries: []int{i}})
	}
	return chunks
}

// extend takes e into the chunk if it lies a little way behind its end and the
// chunk does not get longer than limit by it.
func (c *Chunk) extend(e *Entry, i int, limit int64) bool {
	gap := e.Offset - (c.Offset + c.Length)
	if e.Pack != c.Pack || gap < 0 || gap > maxGap || c.Length+gap+e.Length > limit {
		return false
	}
	c.Length += gap + e.Length
	c.Entries = append(c.Entries, i)
	return true
}
