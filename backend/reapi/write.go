package reapi

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/grpc"
	"github.com/larderbuild/larder/reapi"
)

// put stores body under key, and returns its digest.
func (s *store) put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (d reapi.Digest, err error) {
	if opts.If != (backend.Condition{}) {
		return d, backend.ErrNoConditions
	}
	upload, err := backend.NewUpload(ctx, body, opts.Size)
	if err != nil {
		return d, err
	}
	defer upload.Release()
	if d, err = check(upload, opts); err != nil {
		return d, err
	}
	c, err := s.capabilities(ctx)
	switch {
	case err != nil:
		return d, err
	case !c.UpdateEnabled:
		return d, fmt.Errorf("%w: %s takes no results of actions", backend.ErrReader, s.name())
	case c.MaxBlobSizeBytes > 0 && d.SizeBytes > c.MaxBlobSizeBytes:
		return d, fmt.Errorf("%w: an object of %d bytes: the server takes %d", backend.ErrUnsupported, d.SizeBytes, c.MaxBlobSizeBytes)
	case d.SizeBytes <= batchLimit(c):
		err = s.writeBatch(ctx, d, upload)
	default:
		err = s.writeStream(ctx, d, upload)
	}
	if err != nil {
		return d, err
	}
	return d, s.update(ctx, key, d)
}

// check returns the digest of upload. It returns ErrDigest if opts do not fit it.
func check(upload *backend.Upload, opts backend.PutOptions) (reapi.Digest, error) {
	sum, other := sha256.New(), md5.New()
	n, err := io.Copy(io.MultiWriter(sum, other), upload)
	if err != nil {
		return reapi.Digest{}, err
	}
	if n != opts.Size || [md5.Size]byte(other.Sum(nil)) != opts.MD5 {
		return reapi.Digest{}, backend.ErrDigest
	}
	return reapi.Digest{Hash: hex.EncodeToString(sum.Sum(nil)), SizeBytes: n}, nil
}

// mismatch returns err, of the upload of one blob, as what it says of the bytes.
func (s *store) mismatch(err error) error {
	if code(err) == grpc.InvalidArgument {
		return fmt.Errorf("%w: %w", backend.ErrDigest, err)
	}
	return s.unplaced(err)
}

// unplaced returns err, of a call before or with an upload, as what it says of the instance.
func (s *store) unplaced(err error) error {
	switch code(err) {
	case grpc.NotFound, grpc.InvalidArgument:
		return s.refused(err)
	}
	return err
}

// writeBatch uploads the blob d in one message.
func (s *store) writeBatch(ctx context.Context, d reapi.Digest, upload *backend.Upload) error {
	body, err := upload.Attempt()
	if err != nil {
		return err
	}
	data := make([]byte, d.SizeBytes)
	if _, err := io.ReadFull(body, data); err != nil {
		return err
	}
	request := &reapi.BatchUpdateBlobsRequest{
		InstanceName: s.Instance, Requests: []reapi.BlobUpdate{{Digest: d, Data: data}}, DigestFunction: reapi.SHA256,
	}
	var answer reapi.BatchUpdateBlobsResponse
	if err := s.call(ctx, reapi.BatchUpdateBlobs, request, &answer); err != nil {
		return s.unplaced(err)
	}
	for _, blob := range answer.Responses {
		if blob.Digest == d {
			return s.mismatch(failure(blob.Status.Err()))
		}
	}
	return errors.New("the answer does not say whether the blob is stored")
}

// writeStream uploads the blob d in many messages, unless the cache has it.
func (s *store) writeStream(ctx context.Context, d reapi.Digest, upload *backend.Upload) error {
	request := &reapi.FindMissingBlobsRequest{InstanceName: s.Instance, BlobDigests: []reapi.Digest{d}, DigestFunction: reapi.SHA256}
	var answer reapi.FindMissingBlobsResponse
	if err := s.call(ctx, reapi.FindMissingBlobs, request, &answer); err != nil {
		return s.unplaced(err)
	}
	if len(answer.MissingBlobDigests) == 0 {
		return nil
	}
	stream, err := s.open(ctx, reapi.Write, func() (io.Reader, error) {
		body, err := upload.Attempt()
		name := reapi.Resource{Instance: s.Instance, Upload: newUUID(), Digest: d}.String()
		return &chunks{body: body, name: name, size: d.SizeBytes}, err
	})
	if err != nil {
		return s.mismatch(err)
	}
	defer stream.Close()
	var written reapi.WriteResponse
	if err := stream.ReceiveOnly(&written); err != nil {
		return s.mismatch(failure(err))
	}
	if written.CommittedSize != d.SizeBytes {
		return fmt.Errorf("the server has stored %d bytes of %d", written.CommittedSize, d.SizeBytes)
	}
	return nil
}

// chunkSize is how many bytes of a blob go in a message.
const chunkSize = 256 << 10

// chunks reads a body as the messages of an upload.
type chunks struct {
	body     io.Reader
	name     string // of the resource
	at, size int64  // in bytes of the body
	frame    []byte // what was not read yet of a message
	buffer   []byte
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.frame) == 0 {
		if c.at == c.size {
			return 0, io.EOF
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.frame)
	c.frame = c.frame[n:]
	return n, nil
}

// next makes frame the next message.
func (c *chunks) next() error {
	if c.buffer == nil {
		c.buffer = make([]byte, chunkSize)
	}
	data := c.buffer[:min(chunkSize, c.size-c.at)]
	if _, err := io.ReadFull(c.body, data); err != nil {
		return err
	}
	m := &reapi.WriteRequest{WriteOffset: c.at, Data: data}
	if c.at == 0 {
		m.ResourceName = c.name
	}
	c.at += int64(len(data))
	m.FinishWrite = c.at == c.size
	c.frame = grpc.Frame(m)
	return nil
}

// newUUID returns a random UUID, of version 4.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// update says that the blob d is what the action for key has made.
func (s *store) update(ctx context.Context, key string, d reapi.Digest) error {
	request := &reapi.UpdateActionResultRequest{
		InstanceName: s.Instance, ActionDigest: action(key), DigestFunction: reapi.SHA256,
		ActionResult: &reapi.ActionResult{OutputFiles: []reapi.OutputFile{{Path: outputPath, Digest: d}}},
	}
	err := s.call(ctx, reapi.UpdateActionResult, request, new(reapi.ActionResult))
	if code(err) == grpc.InvalidArgument {
		return s.refused(err)
	}
	return err
}
