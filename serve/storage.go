package serve

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/reapi"
)

// The service ContentAddressableStorage.

func (c *call) findMissing(q *reapi.FindMissingBlobsRequest) (*reapi.FindMissingBlobsResponse, error) {
	if err := checkAsked(q.InstanceName, q.DigestFunction); err != nil {
		return nil, err
	}
	for _, d := range q.BlobDigests {
		if err := d.Check(); err != nil {
			return nil, bad("%v", err)
		}
	}
	there := make([]bool, len(q.BlobDigests))
	err := each(len(there), func(i int) (err error) {
		there[i], err = c.has(q.BlobDigests[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	a := new(reapi.FindMissingBlobsResponse)
	for i, d := range q.BlobDigests {
		if !there[i] {
			a.MissingBlobDigests = append(a.MissingBlobDigests, d)
		}
	}
	return a, nil
}

func (c *call) updateBlobs(q *reapi.BatchUpdateBlobsRequest) (*reapi.BatchUpdateBlobsResponse, error) {
	err := checkAsked(q.InstanceName, q.DigestFunction)
	if err == nil {
		err = checkBatch(len(q.Requests), func(i int) reapi.Digest { return q.Requests[i].Digest })
	}
	if err != nil {
		return nil, err
	}
	a := &reapi.BatchUpdateBlobsResponse{Responses: make([]reapi.BlobUpdated, len(q.Requests))}
	err = each(len(q.Requests), func(i int) error {
		u := &q.Requests[i]
		a.Responses[i] = reapi.BlobUpdated{Digest: u.Digest, Status: *c.status(c.updateBlob(u))}
		return nil
	})
	return a, err
}

// updateBlob stores a blob. It does so also if one seems to be there: that may be damaged.
func (c *call) updateBlob(u *reapi.BlobUpdate) error {
	if err := u.Digest.Check(); err != nil {
		return bad("%v", err)
	}
	if u.Digest.SizeBytes > c.MaxObject {
		return c.tooLarge()
	}
	data, err := blobOf(u)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	if int64(len(data)) != u.Digest.SizeBytes || hex.EncodeToString(sum[:]) != u.Digest.Hash {
		return errMismatch
	}
	if len(data) == 0 {
		return nil // everybody has it
	}
	return c.put(blobKey(u.Digest.Hash), bytes.NewReader(data), backend.OptionsOf(data))
}

var errMismatch = bad("the data does not have the digest")

// blobOf returns the blob itself. Its size was checked to be that of a batch at most.
func blobOf(u *reapi.BlobUpdate) ([]byte, error) {
	switch u.Compressor {
	case reapi.Identity:
		return u.Data, nil
	case reapi.Zstd:
		p, err := unpacker()
		if err != nil {
			return nil, err
		}
		data, err := p.DecodeAll(u.Data, make([]byte, 0, u.Digest.SizeBytes))
		switch {
		case errors.Is(err, zstd.ErrDecoderSizeExceeded):
			return nil, errMismatch
		case err != nil:
			return nil, bad("malformed zstd: %v", err)
		}
		return data, nil
	}
	return nil, bad("the compressor is number %d: want IDENTITY or ZSTD", u.Compressor)
}

func (c *call) readBlobs(q *reapi.BatchReadBlobsRequest) (*reapi.BatchReadBlobsResponse, error) {
	err := checkAsked(q.InstanceName, q.DigestFunction)
	if err == nil {
		err = checkBatch(len(q.Digests), func(i int) reapi.Digest { return q.Digests[i] })
	}
	if err != nil {
		return nil, err
	}
	packs := slices.Contains(q.AcceptableCompressors, reapi.Zstd)
	a := &reapi.BatchReadBlobsResponse{Responses: make([]reapi.BlobRead, len(q.Digests))}
	err = each(len(q.Digests), func(i int) error {
		a.Responses[i] = c.blobRead(q.Digests[i], packs)
		return nil
	})
	return a, err
}

// blobRead returns a blob, in zstd if packs says so, or why it does not come.
func (c *call) blobRead(d reapi.Digest, packs bool) reapi.BlobRead {
	r := reapi.BlobRead{Digest: d}
	data, err := c.readBlob(d)
	if err == nil {
		r.Data, r.Compressor, err = packIf(packs, data)
	}
	r.Status = *c.status(err)
	return r
}

// packIf returns data in zstd if packs says so and that is smaller.
func packIf(packs bool, data []byte) ([]byte, reapi.Compressor, error) {
	if packs {
		p, err := packer()
		if err != nil {
			return nil, 0, err
		}
		if packed := p.EncodeAll(data, nil); len(packed) < len(data) {
			return packed, reapi.Zstd, nil
		}
	}
	return data, reapi.Identity, nil
}

// besides is more than what an answer has for a blob besides its data, in bytes.
const besides = 200

// checkBatch returns an error if the blobs of a batch are too large together, or too many for an
// answer.
func checkBatch(n int, digest func(i int) reapi.Digest) error {
	var total int64
	for i := range n {
		size := max(0, digest(i).SizeBytes)
		if size > math.MaxInt64-total {
			size = math.MaxInt64 - total
		}
		total += size
	}
	if total > maxBatch || total+int64(n)*besides > maxMessage {
		return bad("%d blobs of %d bytes: a batch may have %d bytes, or fewer if there are many blobs", n, total, int64(maxBatch))
	}
	return nil
}
