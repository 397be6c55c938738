package serve

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/reapi"
)

// What Bazel and its kin store, over HTTP and over gRPC: action results, which each instance has
// for itself, and blobs, which are all instances'.

// bazelScope is the name under which rules allow what Bazel and its kin store.
const bazelScope = "@bazel"

const (
	actionCache    = "ac"
	contentStorage = "cas"
)

// blobKey returns where the blob with a SHA-256, in hexadecimal digits, lies in the store.
func blobKey(digits string) string { return contentStorage + "/" + digits }

// actionKey returns where the result of an action lies in the store.
func actionKey(instance, digits string) string {
	if instance == "" {
		return actionCache + "/" + digits
	}
	return actionCache + "/" + instanceName(instance) + "/" + digits
}

// instanceName returns the part of a key that stands for an instance.
func instanceName(instance string) string { return "@" + url.QueryEscape(instance) }

// checkInstance returns an error unless instance is short enough to be a part of a key.
func checkInstance(instance string) error {
	if len(url.QueryEscape(instanceName(instance))) > maxName {
		return bad("the name of the instance is too long")
	}
	return nil
}

// sumOf returns the SHA-256 that digits stand for.
func sumOf(digits string) ([]byte, error) {
	if err := (reapi.Digest{Hash: digits}).Check(); err != nil {
		return nil, bad("%v", err)
	}
	return hex.DecodeString(digits)
}

// isEmptySum reports whether sum is that of the empty blob, which everybody has.
func isEmptySum(sum []byte) bool { return bytes.Equal(sum, emptySum[:]) }

// openBlob opens a range of a blob that is not the empty one.
func (x *exchange) openBlob(sum []byte, r backend.Range) (*object, error) {
	o := &object{x: x, key: blobKey(hex.EncodeToString(sum)), sum: sum, pos: r.Offset}
	if err := o.openAt(x.r.Context(), r); err != nil {
		return nil, err
	}
	if o.isLost() {
		o.close()
		return nil, fmt.Errorf("%w: %w", backend.ErrNotFound, o.damaged())
	}
	x.uses.note(o.key)
	return o, nil
}

// damaged notes that o does not have its SHA-256. A blob of that kind is removed: clients do not
// put again what seems to be there.
func (o *object) damaged() error {
	if strings.HasPrefix(o.key, contentStorage+"/") {
		if err := o.x.Store.Delete(o.x.r.Context(), o.key, o.version); err != nil && !errors.Is(err, backend.ErrConflict) {
			o.x.Log.Error("a damaged blob stays", "key", o.key, "err", err)
		}
	}
	return o.fault(errDamaged)
}

// storeBlob stores a blob that has come as a whole, and has its SHA-256.
func (x *exchange) storeBlob(b *intake) error {
	return x.put(blobKey(hex.EncodeToString(b.sha256[:])), b.reader(), b.options())
}

// put stores an action result or a blob.
func (x *exchange) put(key string, body io.ReadSeeker, opts backend.PutOptions) error {
	_, err := x.Store.Put(x.r.Context(), key, body, opts)
	if err == nil {
		x.uses.note(key)
	}
	return err
}

// has reports whether a blob is there, in its size.
func (x *exchange) has(d reapi.Digest) (bool, error) {
	if d.Hash == emptyDigest.Hash {
		return d.SizeBytes == 0, nil
	}
	key := blobKey(d.Hash)
	body, obj, err := x.Store.Get(x.r.Context(), key, backend.Range{Length: 1})
	if err != nil && !errors.Is(err, backend.ErrNotFound) && !errors.Is(err, backend.ErrDenied) {
		body, obj, err = x.Store.Get(x.r.Context(), key, backend.Range{}) // nothing may be left of it, and so no first byte
	}
	switch {
	case errors.Is(err, backend.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	_ = body.Close() // only the size matters
	if obj.Size != d.SizeBytes || obj.Size == 0 {
		return false, nil
	}
	x.uses.note(key)
	return true, nil
}

// emptyDigest is that of the empty blob.
var emptyDigest = reapi.Digest{Hash: hex.EncodeToString(emptySum[:])}

// readBlob returns a blob as a whole. The caller has limited its size.
func (x *exchange) readBlob(d reapi.Digest) ([]byte, error) {
	sum, err := sumOf(d.Hash)
	if err != nil {
		return nil, err
	}
	if d == emptyDigest {
		return nil, nil
	}
	if isEmptySum(sum) {
		return nil, backend.ErrNotFound
	}
	o, err := x.openBlob(sum, backend.Range{})
	if err != nil {
		return nil, err
	}
	defer o.close()
	if o.size != d.SizeBytes {
		return nil, backend.ErrNotFound
	}
	data := make([]byte, o.size)
	_, err = io.ReadFull(o, data)
	return data, err
}

// pack writes what is in plain to w, in zstd.
func pack(w io.Writer, plain io.Reader) error {
	packed, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20), zstd.WithZeroFrames(true))
	if err != nil {
		return err
	}
	if _, err := packed.ReadFrom(plain); err != nil {
		return err
	}
	return packed.Close()
}

// packer packs what is in memory. Many goroutines may use it.
var packer = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(atOnce), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
})

// unpacker unpacks what is in memory, into the capacity of a slice. Unlike what unpack returns, it
// takes no memory for the window of a frame, which a few bytes may claim to have 8 MiB. Many
// goroutines may use it.
var unpacker = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(atOnce), zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
})
