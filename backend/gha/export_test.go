package gha

// InBlocks returns c for a store that puts an object in blocks of the given size, if it has
// more bytes than that.
func (c Config) InBlocks(size int64) Config {
	c.largestPut = size
	return c
}

var (
	Label = label
	Query = query
	KeyOf = keyOf
)
