package reapi

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/reapi"
)

// majorVersion is that of the API which larder speaks.
const majorVersion = 2

// knowledge is what the server has said of itself. Many goroutines may use it.
type knowledge struct {
	turn   chan struct{} // has an element while somebody asks
	answer atomic.Pointer[reapi.ServerCapabilities]
}

// capabilities returns what the cache can do. It asks the server unless that has answered
// before. Its errors wrap ErrDenied if it is no cache that larder can use.
func (s *store) capabilities(ctx context.Context) (*reapi.CacheCapabilities, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if answer := s.known.answer.Load(); answer != nil {
		return s.usable(answer)
	}
	select {
	case s.known.turn <- struct{}{}:
		defer func() { <-s.known.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if answer := s.known.answer.Load(); answer != nil { // somebody else was faster
		return s.usable(answer)
	}
	answer := new(reapi.ServerCapabilities)
	err := s.call(ctx, reapi.GetCapabilities, &reapi.GetCapabilitiesRequest{InstanceName: s.Instance}, answer)
	if err != nil {
		return nil, s.unplaced(err)
	}
	s.known.answer.Store(answer)
	return s.usable(answer)
}

// usable returns what the cache can do, or why larder can't use it.
func (s *store) usable(c *reapi.ServerCapabilities) (*reapi.CacheCapabilities, error) {
	switch {
	case c.LowAPI.Major > majorVersion || c.HighAPI.Major != 0 && c.HighAPI.Major < majorVersion:
		return nil, fmt.Errorf("%w: the server speaks version %d to %d of the API: want %d", backend.ErrDenied, c.LowAPI.Major, c.HighAPI.Major, majorVersion)
	case c.Cache == nil:
		return nil, fmt.Errorf("%w: %s is no cache", backend.ErrDenied, s.name())
	case !slices.Contains(c.Cache.DigestFunctions, reapi.SHA256):
		return nil, fmt.Errorf("%w: %s does not take SHA-256 for digests", backend.ErrDenied, s.name())
	}
	return c.Cache, nil
}

// batchLimit returns the size of the largest blob that goes in a batch, in bytes.
func batchLimit(c *reapi.CacheCapabilities) int64 {
	if c.MaxBatchTotalSizeBytes > 0 {
		return min(maxBatch, c.MaxBatchTotalSizeBytes)
	}
	return maxBatch
}
