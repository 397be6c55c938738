package serve

import "github.com/larderbuild/larder/reapi"

// capabilities says what the server can do, and whether the caller may update the action cache.
func (c *call) capabilities(q *reapi.GetCapabilitiesRequest) (*reapi.ServerCapabilities, error) {
	if err := checkAsked(q.InstanceName, 0); err != nil {
		return nil, err
	}
	return &reapi.ServerCapabilities{
		Cache: &reapi.CacheCapabilities{
			DigestFunctions:        []int64{reapi.SHA256},
			UpdateEnabled:          c.Access.rights(c.r).writes(bazelScope),
			MaxBatchTotalSizeBytes: maxBatch,
			AbsoluteSymlinks:       true,
			Compressors:            []reapi.Compressor{reapi.Zstd},
			BatchUpdateCompressors: []reapi.Compressor{reapi.Zstd},
			MaxBlobSizeBytes:       c.MaxObject,
		},
		LowAPI:  reapi.Version{Major: 2},
		HighAPI: reapi.Version{Major: 2, Minor: 3},
	}, nil
}
