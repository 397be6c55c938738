package reapi

import "github.com/larderbuild/larder/grpc"

// GetTreeRequest asks for a folder with all that is in it.
type GetTreeRequest struct {
	InstanceName   string
	RootDigest     Digest
	PageSize       int64  // how many folders an answer may have; 0: the server decides
	PageToken      string // of an earlier answer; "": from the beginning
	DigestFunction int64
}

func (r *GetTreeRequest) Marshal() []byte {
	b := grpc.AppendString(nil, 1, r.InstanceName)
	b = grpc.AppendMessage(b, 2, r.RootDigest)
	b = grpc.AppendInt(b, 3, r.PageSize)
	b = grpc.AppendString(b, 4, r.PageToken)
	return grpc.AppendInt(b, 5, r.DigestFunction)
}

func (r *GetTreeRequest) Unmarshal(data []byte) error {
	*r = GetTreeRequest{}
	return grpc.Fields(data, func(f grpc.Field) (err error) {
		switch f.Number {
		case 1:
			r.InstanceName = f.String()
		case 2:
			r.RootDigest, err = grpc.Parse[Digest](f)
		case 3:
			r.PageSize = f.Int()
		case 4:
			r.PageToken = f.String()
		case 5:
			r.DigestFunction = f.Int()
		}
		return err
	})
}

// GetTreeResponse has the next folders.
type GetTreeResponse struct {
	Directories   [][]byte // each a Directory, as it is stored
	NextPageToken string   // "": there are no more
}

func (r *GetTreeResponse) Marshal() []byte {
	var b []byte
	for _, d := range r.Directories {
		b = grpc.AppendMessage(b, 1, encoded(d))
	}
	return grpc.AppendString(b, 2, r.NextPageToken)
}

func (r *GetTreeResponse) Unmarshal(data []byte) error {
	*r = GetTreeResponse{}
	return grpc.Fields(data, func(f grpc.Field) error {
		switch f.Number {
		case 1:
			r.Directories = append(r.Directories, f.Bytes())
		case 2:
			r.NextPageToken = f.String()
		}
		return nil
	})
}

// encoded is a message that is encoded already.
type encoded []byte

func (e encoded) Marshal() []byte { return e }
