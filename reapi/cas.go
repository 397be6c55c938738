package reapi

import (
	"github.com/larderbuild/larder/grpc"
	"github.com/larderbuild/larder/protobuf"
)

// Digest names a blob.
type Digest struct {
	Hash      string // SHA-256 in hexadecimal digits, in lower case
	SizeBytes int64
}

func (d Digest) Marshal() []byte {
	b := protobuf.AppendString(nil, 1, d.Hash)
	return protobuf.AppendInt(b, 2, d.SizeBytes)
}

func (d *Digest) Unmarshal(data []byte) error {
	*d = Digest{}
	return protobuf.Fields(data, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			d.Hash = f.String()
		case 2:
			d.SizeBytes = f.Int()
		}
		return nil
	})
}

// SHA256 is the one digest function that is used. 0 stands for it as well, by the length of a
// hash.
const SHA256 = 1

// Compressor is how data is compressed.
type Compressor int64

const (
	Identity Compressor = 0
	Zstd     Compressor = 1
)

// FindMissingBlobsRequest asks which blobs are not there.
type FindMissingBlobsRequest struct {
	InstanceName   string
	BlobDigests    []Digest
	DigestFunction int64
}

func (r *FindMissingBlobsRequest) Marshal() []byte {
	b := protobuf.AppendString(nil, 1, r.InstanceName)
	b = appendAll(b, 2, r.BlobDigests)
	return protobuf.AppendInt(b, 3, r.DigestFunction)
}

func (r *FindMissingBlobsRequest) Unmarshal(data []byte) error {
	*r = FindMissingBlobsRequest{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			r.InstanceName = f.String()
		case 2:
			r.BlobDigests, err = appendParsed(r.BlobDigests, f)
		case 3:
			r.DigestFunction = f.Int()
		}
		return err
	})
}

// FindMissingBlobsResponse says which of the blobs are not there.
type FindMissingBlobsResponse struct{ MissingBlobDigests []Digest }

func (r *FindMissingBlobsResponse) Marshal() []byte { return appendAll(nil, 2, r.MissingBlobDigests) }

func (r *FindMissingBlobsResponse) Unmarshal(data []byte) error {
	*r = FindMissingBlobsResponse{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		if f.Number == 2 {
			r.MissingBlobDigests, err = appendParsed(r.MissingBlobDigests, f)
		}
		return err
	})
}

// BatchUpdateBlobsRequest has blobs to store.
type BatchUpdateBlobsRequest struct {
	InstanceName   string
	Requests       []BlobUpdate
	DigestFunction int64
}

// BlobUpdate is a blob to store. Digest is that of the blob before it is compressed.
type BlobUpdate struct {
	Digest     Digest
	Data       []byte
	Compressor Compressor
}

func (r *BatchUpdateBlobsRequest) Marshal() []byte {
	b := protobuf.AppendString(nil, 1, r.InstanceName)
	b = appendAll(b, 2, r.Requests)
	return protobuf.AppendInt(b, 5, r.DigestFunction)
}

func (r *BatchUpdateBlobsRequest) Unmarshal(data []byte) error {
	*r = BatchUpdateBlobsRequest{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			r.InstanceName = f.String()
		case 2:
			r.Requests, err = appendParsed(r.Requests, f)
		case 5:
			r.DigestFunction = f.Int()
		}
		return err
	})
}

func (u BlobUpdate) Marshal() []byte {
	b := protobuf.AppendMessage(nil, 1, u.Digest)
	b = protobuf.AppendBytes(b, 2, u.Data)
	return protobuf.AppendInt(b, 3, int64(u.Compressor))
}

func (u *BlobUpdate) Unmarshal(data []byte) error {
	*u = BlobUpdate{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			u.Digest, err = protobuf.Parse[Digest](f)
		case 2:
			u.Data = f.Bytes()
		case 3:
			u.Compressor = Compressor(f.Int())
		}
		return err
	})
}

// BatchUpdateBlobsResponse says of each blob whether it is stored.
type BatchUpdateBlobsResponse struct{ Responses []BlobUpdated }

// BlobUpdated says whether a blob is stored.
type BlobUpdated struct {
	Digest Digest
	Status grpc.Status
}

func (r *BatchUpdateBlobsResponse) Marshal() []byte { return appendAll(nil, 1, r.Responses) }

func (r *BatchUpdateBlobsResponse) Unmarshal(data []byte) error {
	*r = BatchUpdateBlobsResponse{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		if f.Number == 1 {
			r.Responses, err = appendParsed(r.Responses, f)
		}
		return err
	})
}

func (u BlobUpdated) Marshal() []byte {
	b := protobuf.AppendMessage(nil, 1, u.Digest)
	return protobuf.AppendMessage(b, 2, &u.Status)
}

func (u *BlobUpdated) Unmarshal(data []byte) error {
	*u = BlobUpdated{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			u.Digest, err = protobuf.Parse[Digest](f)
		case 2:
			u.Status, err = protobuf.Parse[grpc.Status](f)
		}
		return err
	})
}

// BatchReadBlobsRequest asks for blobs.
type BatchReadBlobsRequest struct {
	InstanceName          string
	Digests               []Digest
	AcceptableCompressors []Compressor // besides Identity
	DigestFunction        int64
}

func (r *BatchReadBlobsRequest) Marshal() []byte {
	b := protobuf.AppendString(nil, 1, r.InstanceName)
	b = appendAll(b, 2, r.Digests)
	b = appendNumbers(b, 3, r.AcceptableCompressors)
	return protobuf.AppendInt(b, 4, r.DigestFunction)
}

func (r *BatchReadBlobsRequest) Unmarshal(data []byte) error {
	*r = BatchReadBlobsRequest{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			r.InstanceName = f.String()
		case 2:
			r.Digests, err = appendParsed(r.Digests, f)
		case 3:
			r.AcceptableCompressors, err = appendParsedNumbers(r.AcceptableCompressors, f)
		case 4:
			r.DigestFunction = f.Int()
		}
		return err
	})
}

// BatchReadBlobsResponse has the blobs.
type BatchReadBlobsResponse struct{ Responses []BlobRead }

// BlobRead is a blob, or why it does not come.
type BlobRead struct {
	Digest     Digest
	Data       []byte
	Compressor Compressor
	Status     grpc.Status
}

func (r *BatchReadBlobsResponse) Marshal() []byte { return appendAll(nil, 1, r.Responses) }

func (r *BatchReadBlobsResponse) Unmarshal(data []byte) error {
	*r = BatchReadBlobsResponse{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		if f.Number == 1 {
			r.Responses, err = appendParsed(r.Responses, f)
		}
		return err
	})
}

func (r BlobRead) Marshal() []byte {
	b := protobuf.AppendMessage(nil, 1, r.Digest)
	b = protobuf.AppendBytes(b, 2, r.Data)
	b = protobuf.AppendMessage(b, 3, &r.Status)
	return protobuf.AppendInt(b, 4, int64(r.Compressor))
}

func (r *BlobRead) Unmarshal(data []byte) error {
	*r = BlobRead{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			r.Digest, err = protobuf.Parse[Digest](f)
		case 2:
			r.Data = f.Bytes()
		case 3:
			r.Status, err = protobuf.Parse[grpc.Status](f)
		case 4:
			r.Compressor = Compressor(f.Int())
		}
		return err
	})
}
