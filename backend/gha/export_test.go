package gha

import "net/url"

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

// Signed returns the error for a signed URL that a service at root has answered.
func Signed(root *url.URL, raw string) error {
	_, err := (&service{root: root}).signed(raw)
	return err
}
