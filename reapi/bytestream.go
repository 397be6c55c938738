package reapi

import "github.com/larderbuild/larder/protobuf"

// ReadRequest asks for a blob, or a part of it.
type ReadRequest struct {
	ResourceName string
	ReadOffset   int64 // in bytes of the blob itself
	ReadLimit    int64 // in bytes; 0: none
}

func (r *ReadRequest) Marshal() []byte {
	b := protobuf.AppendString(nil, 1, r.ResourceName)
	b = protobuf.AppendInt(b, 2, r.ReadOffset)
	return protobuf.AppendInt(b, 3, r.ReadLimit)
}

func (r *ReadRequest) Unmarshal(data []byte) error {
	*r = ReadRequest{}
	return protobuf.Fields(data, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			r.ResourceName = f.String()
		case 2:
			r.ReadOffset = f.Int()
		case 3:
			r.ReadLimit = f.Int()
		}
		return nil
	})
}

// ReadResponse has the next bytes.
type ReadResponse struct{ Data []byte }

func (r *ReadResponse) Marshal() []byte { return protobuf.AppendBytes(nil, 10, r.Data) }

func (r *ReadResponse) Unmarshal(data []byte) error {
	*r = ReadResponse{}
	return protobuf.Fields(data, func(f protobuf.Field) error {
		if f.Number == 10 {
			r.Data = f.Bytes()
		}
		return nil
	})
}

// WriteRequest has the next bytes of an upload. The first one of a call has the name.
type WriteRequest struct {
	ResourceName string
	WriteOffset  int64 // where Data begins, in bytes
	FinishWrite  bool  // there are no more
	Data         []byte
}

func (r *WriteRequest) Marshal() []byte {
	b := protobuf.AppendString(nil, 1, r.ResourceName)
	b = protobuf.AppendInt(b, 2, r.WriteOffset)
	b = protobuf.AppendBool(b, 3, r.FinishWrite)
	return protobuf.AppendBytes(b, 10, r.Data)
}

func (r *WriteRequest) Unmarshal(data []byte) error {
	*r = WriteRequest{}
	return protobuf.Fields(data, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			r.ResourceName = f.String()
		case 2:
			r.WriteOffset = f.Int()
		case 3:
			r.FinishWrite = f.Bool()
		case 10:
			r.Data = f.Bytes()
		}
		return nil
	})
}

// WriteResponse says how much of an upload is stored.
type WriteResponse struct{ CommittedSize int64 }

func (r *WriteResponse) Marshal() []byte { return protobuf.AppendInt(nil, 1, r.CommittedSize) }

func (r *WriteResponse) Unmarshal(data []byte) error {
	*r = WriteResponse{}
	return protobuf.Fields(data, func(f protobuf.Field) error {
		if f.Number == 1 {
			r.CommittedSize = f.Int()
		}
		return nil
	})
}

// QueryWriteStatusRequest asks how much of an upload is stored.
type QueryWriteStatusRequest struct{ ResourceName string }

func (r *QueryWriteStatusRequest) Marshal() []byte {
	return protobuf.AppendString(nil, 1, r.ResourceName)
}

func (r *QueryWriteStatusRequest) Unmarshal(data []byte) error {
	*r = QueryWriteStatusRequest{}
	return protobuf.Fields(data, func(f protobuf.Field) error {
		if f.Number == 1 {
			r.ResourceName = f.String()
		}
		return nil
	})
}

// QueryWriteStatusResponse says how much of an upload is stored, and whether it is complete.
type QueryWriteStatusResponse struct {
	CommittedSize int64
	Complete      bool
}

func (r *QueryWriteStatusResponse) Marshal() []byte {
	b := protobuf.AppendInt(nil, 1, r.CommittedSize)
	return protobuf.AppendBool(b, 2, r.Complete)
}

func (r *QueryWriteStatusResponse) Unmarshal(data []byte) error {
	*r = QueryWriteStatusResponse{}
	return protobuf.Fields(data, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			r.CommittedSize = f.Int()
		case 2:
			r.Complete = f.Bool()
		}
		return nil
	})
}
