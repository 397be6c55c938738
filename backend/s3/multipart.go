package s3

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/larderbuild/larder/backend"
)

const (
	// largestPut is the size in bytes of the largest object that one request takes.
	// Larger ones are put in parts.
	largestPut = 5 << 30

	// A part has at least smallestPart bytes, unless it is the last one, and an object
	// at most maxParts of them.
	smallestPart = 5 << 20
	usualPart    = 128 << 20
	maxParts     = 10_000

	// abortPatience is how long it may take to remove the parts of an object that was
	// not put.
	abortPatience = 10 * time.Second
)

// putInParts is put for an object that is too large for one request. Nothing is under key
// before the last request. Parts that a killed process leaves stay in the bucket until a
// lifecycle rule for incomplete multipart uploads removes them.
func (s *store) putInParts(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (obj backend.Object, err error) {
	begin := &s3.CreateMultipartUploadInput{
		Bucket:               &s.Bucket,
		Key:                  &key,
		ContentType:          aws.String(contentType),
		RequestPayer:         s.Payer,
		ServerSideEncryption: s.Encryption,
		ACL:                  s.ACL,
		StorageClass:         s.StorageClass,
	}
	if s.KMSKey != "" {
		begin.SSEKMSKeyId = &s.KMSKey
	}
	if s.express {
		begin.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32
	}
	begun, err := s.client.CreateMultipartUpload(ctx, begin)
	if err != nil {
		return backend.Object{}, err
	}
	if begun.UploadId == nil {
		return backend.Object{}, errNoUpload
	}
	defer func() {
		if err != nil {
			s.abort(ctx, key, begun.UploadId)
		}
	}()
	parts, err := s.putParts(ctx, key, begun.UploadId, body, opts)
	if err != nil {
		return backend.Object{}, err
	}
	end := &s3.CompleteMultipartUploadInput{
		Bucket:          &s.Bucket,
		Key:             &key,
		UploadId:        begun.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		RequestPayer:    s.Payer,
	}
	end.IfMatch, end.IfNoneMatch = conditions(opts.If)
	out, err := s.client.CompleteMultipartUpload(ctx, end)
	if err != nil {
		return backend.Object{}, err
	}
	obj = backend.Object{Key: key, Size: opts.Size, Version: version(out.ETag)}
	if obj.Version == "" {
		return backend.Object{}, errNoETag
	}
	return obj, nil
}

// errNoUpload is the error of an answer that names no upload; see errNoETag.
var errNoUpload = errors.New("not a store's answer: it has no upload ID")

// putParts puts the parts of an upload. The store checks the digest of each, and putParts
// that of all.
func (s *store) putParts(ctx context.Context, key string, upload *string, body io.ReadSeeker, opts backend.PutOptions) ([]types.CompletedPart, error) {
	size := max(usualPart, (opts.Size+maxParts-1)/maxParts)
	if s.largestPut < size {
		size = max(s.largestPut, smallestPart)
	}
	var parts []types.CompletedPart
	whole := md5.New()
	for begin := int64(0); begin < opts.Size; begin += size {
		p := backend.NewPart(body, begin, min(size, opts.Size-begin))
		digest, err := p.MD5(whole)
		if err != nil {
			return nil, err
		}
		in := &s3.UploadPartInput{
			Bucket:        &s.Bucket,
			Key:           &key,
			UploadId:      upload,
			PartNumber:    aws.Int32(int32(len(parts) + 1)),
			Body:          p,
			ContentLength: aws.Int64(p.Size()),
			RequestPayer:  s.Payer,
		}
		if s.express {
			in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32
		} else {
			in.ContentMD5 = aws.String(base64.StdEncoding.EncodeToString(digest[:]))
		}
		out, err := s.client.UploadPart(ctx, in, s.unsigned)
		if err != nil {
			return nil, err
		}
		parts = append(parts, types.CompletedPart{PartNumber: in.PartNumber, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
	}
	if [md5.Size]byte(whole.Sum(nil)) != opts.MD5 {
		return nil, backend.ErrDigest
	}
	return parts, nil
}

// abort removes the parts of an upload.
func (s *store) abort(ctx context.Context, key string, upload *string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortPatience)
	defer cancel()
	// Otherwise a lifecycle rule removes them.
	_, _ = s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket: &s.Bucket, Key: &key, UploadId: upload, RequestPayer: s.Payer,
	})
}
