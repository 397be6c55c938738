package reapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/larderbuild/larder/grpc"
	"github.com/larderbuild/larder/reapi"
)

// blobReader reads a blob, or a part of one, from a stream.
type blobReader struct {
	ctx     context.Context
	store   *store
	digest  reapi.Digest
	at      int64 // what comes next, in bytes of the blob
	left    int64 // how many bytes are still to come
	stream  *grpc.Stream
	limited bool      // the server was told where a part ends
	cut     bool      // it was not, so more may come than was asked for
	unread  []byte    // what has come
	sum     hash.Hash // of all that has come; nil: it is a part of the blob
}

// stream returns length bytes of the blob d from begin on.
func (s *store) stream(ctx context.Context, d reapi.Digest, begin, length int64) (io.ReadCloser, error) {
	b := &blobReader{ctx: ctx, store: s, digest: d, at: begin, left: length}
	if length == d.SizeBytes {
		b.sum = sha256.New()
	}
	if err := b.open(); err != nil {
		return nil, err
	}
	if err := b.fetch(); err != nil { // which says whether there is such a blob
		_ = b.Close() // the first error says enough
		return nil, err
	}
	return b, nil
}

// open asks for what is still to come.
func (b *blobReader) open() error {
	request := &reapi.ReadRequest{ResourceName: reapi.Resource{Instance: b.store.Instance, Digest: b.digest}.String(), ReadOffset: b.at}
	part := b.at+b.left < b.digest.SizeBytes
	b.cut = part && b.store.unlimited.Load()
	if b.limited = part && !b.cut; b.limited {
		request.ReadLimit = b.left
	}
	stream, err := b.store.open(b.ctx, reapi.Read, func() (io.Reader, error) { return bytes.NewReader(grpc.Frame(request)), nil })
	if err != nil {
		return b.without(err)
	}
	b.stream = stream
	return nil
}

// without asks again without a limit if err says that the server can't do with one: bazel-remote
// fails unless a limit is where one of its messages ends. Otherwise it returns what err says of
// an object.
func (b *blobReader) without(err error) error {
	if !b.limited || code(err) != grpc.OutOfRange {
		return b.store.missing(err)
	}
	b.store.unlimited.Store(true)
	return b.open()
}

// maxEmpty is how many messages without bytes are taken in a row.
const maxEmpty = 100

var errSurplus = errors.New("more bytes have come than were asked for")

// fetch receives the next bytes, and makes them unread.
func (b *blobReader) fetch() error {
	for range maxEmpty {
		var m reapi.ReadResponse
		err := b.stream.Receive(&m)
		switch {
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			b.stream.Close()
			if err := b.without(failure(err)); err != nil {
				return err
			}
		case int64(len(m.Data)) > b.left && !b.cut:
			return errSurplus
		case len(m.Data) > 0:
			return b.take(m.Data[:min(int64(len(m.Data)), b.left)])
		}
	}
	return io.ErrNoProgress
}

// take makes data unread. It compares a whole blob with its digest before its last bytes are given out.
func (b *blobReader) take(data []byte) error {
	b.at += int64(len(data))
	b.left -= int64(len(data))
	if b.sum != nil {
		b.sum.Write(data)
		if b.left == 0 && hex.EncodeToString(b.sum.Sum(nil)) != b.digest.Hash {
			return errContent
		}
	}
	b.unread = data
	return nil
}

func (b *blobReader) Read(p []byte) (int, error) {
	if len(b.unread) == 0 {
		if b.left == 0 {
			return 0, b.end()
		}
		if err := b.fetch(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.unread)
	b.unread = b.unread[n:]
	return n, nil
}

// end returns io.EOF if nothing follows the last byte.
func (b *blobReader) end() error {
	if b.cut {
		return io.EOF
	}
	var m reapi.ReadResponse
	switch err := b.stream.Receive(&m); {
	case err == io.EOF, err == nil && len(m.Data) == 0, b.limited && code(err) == grpc.OutOfRange:
		return io.EOF
	case err == nil:
		return errSurplus
	default:
		return failure(err)
	}
}

func (b *blobReader) Close() error {
	b.stream.Close()
	return nil
}
