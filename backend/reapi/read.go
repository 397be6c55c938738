package reapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/grpc"
	"github.com/larderbuild/larder/reapi"
)

// get returns the part r of the object under key, and the digest of the whole object.
func (s *store) get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, reapi.Digest, error) {
	c, err := s.capabilities(ctx)
	if err != nil {
		return nil, reapi.Digest{}, err
	}
	file, err := s.result(ctx, key, r == backend.Range{})
	if err != nil {
		return nil, reapi.Digest{}, err
	}
	body, err := s.read(ctx, file, r, batchLimit(c))
	return body, file.Digest, err
}

// result asks for the output file of the action that stands for key. The file's contents may
// come along if inline is true.
func (s *store) result(ctx context.Context, key string, inline bool) (reapi.OutputFile, error) {
	request := &reapi.GetActionResultRequest{InstanceName: s.Instance, ActionDigest: action(key), DigestFunction: reapi.SHA256}
	if inline {
		request.InlineOutputFiles = []string{outputPath}
	}
	var result reapi.ActionResult
	if err := s.call(ctx, reapi.GetActionResult, request, &result); err != nil {
		return reapi.OutputFile{}, s.missing(err)
	}
	for _, file := range result.OutputFiles {
		if file.Path == outputPath {
			return file, file.Digest.Check()
		}
	}
	return reapi.OutputFile{}, fmt.Errorf("%w: its action has made something else", backend.ErrNotFound)
}

// missing returns err, of a call that reads, as what it says of an object.
func (s *store) missing(err error) error {
	switch code(err) {
	case grpc.NotFound:
		return fmt.Errorf("%w: %w", backend.ErrNotFound, err)
	case grpc.InvalidArgument:
		return s.refused(err)
	}
	return err
}

var errContent = errors.New("the blob is not what its digest says")

// read returns the part r of file. A whole file of no more than batch bytes is fetched at once.
func (s *store) read(ctx context.Context, file reapi.OutputFile, r backend.Range, batch int64) (io.ReadCloser, error) {
	d := file.Digest
	begin := min(r.Offset, d.SizeBytes)
	length := d.SizeBytes - begin
	if r.Length > 0 {
		length = min(length, r.Length)
	}
	whole := length == d.SizeBytes
	data := file.Contents
	var err error
	switch {
	case whole && (len(data) > 0 || length == 0):
	case length == 0:
		return io.NopCloser(bytes.NewReader(nil)), nil
	case whole && length <= batch:
		if data, err = s.readBatch(ctx, d); err != nil {
			return nil, err
		}
	default:
		return s.stream(ctx, d, begin, length)
	}
	if digestOf(data) != d {
		return nil, errContent
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// readBatch fetches the blob d.
func (s *store) readBatch(ctx context.Context, d reapi.Digest) ([]byte, error) {
	request := &reapi.BatchReadBlobsRequest{InstanceName: s.Instance, Digests: []reapi.Digest{d}, DigestFunction: reapi.SHA256}
	var answer reapi.BatchReadBlobsResponse
	if err := s.call(ctx, reapi.BatchReadBlobs, request, &answer); err != nil {
		return nil, s.missing(err)
	}
	for _, blob := range answer.Responses {
		if blob.Digest != d {
			continue
		}
		if err := failure(blob.Status.Err()); err != nil {
			return nil, s.missing(err)
		}
		if blob.Compressor != reapi.Identity {
			return nil, errors.New("the server has compressed the blob, which nobody asked for")
		}
		return blob.Data, nil
	}
	return nil, errors.New("the answer has not the blob that was asked for")
}
