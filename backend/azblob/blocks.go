package azblob

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"io"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/larderbuild/larder/backend"
)

const (
	// largestPut is the size in bytes of the largest object that one request puts. Azure
	// itself takes larger ones, but not every server and not every version does.
	largestPut = 256 << 20

	// usualBlock is the size of a block in bytes. An object has at most maxBlocks.
	usualBlock = 64 << 20
	maxBlocks  = 50_000
)

// putInBlocks is put for an object that is too large for one request. Nothing is under the
// key before the last request.
func (s *store) putInBlocks(ctx context.Context, client *blockblob.Client, body io.ReadSeeker, opts backend.PutOptions) (*azcore.ETag, error) {
	blocks, err := s.putBlocks(ctx, client, body, opts)
	if err != nil {
		return nil, err
	}
	out, err := client.CommitBlockList(ctx, blocks, &blockblob.CommitBlockListOptions{
		HTTPHeaders: &blob.HTTPHeaders{
			BlobContentType: to.Ptr(contentType),
			BlobContentMD5:  opts.MD5[:],
		},
		AccessConditions: conditions(opts.If),
	})
	return stored(out.ETag, err)
}

// putBlocks puts the blocks of an object and returns their IDs. The store checks the digest
// of each, and putBlocks that of all.
func (s *store) putBlocks(ctx context.Context, client *blockblob.Client, body io.ReadSeeker, opts backend.PutOptions) (ids []string, err error) {
	size := max(s.block, (opts.Size+maxBlocks-1)/maxBlocks)
	whole := md5.New()
	newID := blockIDs()
	for begin := int64(0); begin < opts.Size; begin += size {
		part := backend.NewPart(body, begin, min(size, opts.Size-begin))
		digest, err := part.MD5(whole)
		if err != nil {
			return nil, err
		}
		id := newID()
		if _, err := client.StageBlock(ctx, id, streaming.NopCloser(part), &blockblob.StageBlockOptions{
			TransactionalValidation: blob.TransferValidationTypeMD5(digest[:]),
		}); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	if [md5.Size]byte(whole.Sum(nil)) != opts.MD5 {
		return nil, backend.ErrDigest
	}
	return ids, nil
}

// blockIDs returns a function that makes the IDs of the blocks of one put. Others may put
// blocks under the same key at the same time, so each put has IDs of its own.
func blockIDs() func() string {
	id := make([]byte, 20)
	_, _ = rand.Read(id[:16]) // never fails
	var n uint32
	return func() string {
		binary.BigEndian.PutUint32(id[16:], n)
		n++
		return base64.StdEncoding.EncodeToString(id)
	}
}
