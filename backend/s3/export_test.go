package s3

// InParts returns c for a store that puts each object over smallest in parts.
func (c Config) InParts(smallest int64) Config {
	c.largestPut = smallest
	return c
}
