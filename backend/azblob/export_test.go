package azblob

import (
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// NewLogin returns the credential of a store whose requests go through rt.
func NewLogin(rt http.RoundTripper) (azcore.TokenCredential, error) { return newLogin(rt, "") }

// InBlocks returns c for a store that puts each object over largest bytes in blocks of the
// given size.
func (c Config) InBlocks(largest, block int64) Config {
	c.largestPut, c.block = largest, block
	return c
}
