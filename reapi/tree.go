package reapi

import "github.com/larderbuild/larder/protobuf"

// GetTreeRequest asks for a folder with all that is in it.
type GetTreeRequest struct {
	InstanceName   string
	RootDigest     Digest
	PageSize       int64  // how many folders an answer may have; 0: the server decides
	PageToken      string // of an earlier answer; "": from the beginning
	DigestFunction int64
}

func (r *GetTreeRequest) Marshal() []byte {
	b := protobuf.AppendString(nil, 1, r.InstanceName)
	b = protobuf.AppendMessage(b, 2, r.RootDigest)
	b = protobuf.AppendInt(b, 3, r.PageSize)
	b = protobuf.AppendString(b, 4, r.PageToken)
	return protobuf.AppendInt(b, 5, r.DigestFunction)
}

func (r *GetTreeRequest) Unmarshal(data []byte) error {
	*r = GetTreeRequest{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			r.InstanceName = f.String()
		case 2:
			r.RootDigest, err = protobuf.Parse[Digest](f)
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
		b = protobuf.AppendData(b, 1, d)
	}
	return protobuf.AppendString(b, 2, r.NextPageToken)
}

func (r *GetTreeResponse) Unmarshal(data []byte) error {
	*r = GetTreeResponse{}
	return protobuf.Fields(data, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			r.Directories = append(r.Directories, f.Bytes())
		case 2:
			r.NextPageToken = f.String()
		}
		return nil
	})
}
