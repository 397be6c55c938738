package reapi

import "github.com/larderbuild/larder/protobuf"

// GetCapabilitiesRequest asks what a server can do.
type GetCapabilitiesRequest struct{ InstanceName string }

func (r *GetCapabilitiesRequest) Marshal() []byte {
	return protobuf.AppendString(nil, 1, r.InstanceName)
}

func (r *GetCapabilitiesRequest) Unmarshal(data []byte) error {
	*r = GetCapabilitiesRequest{}
	return protobuf.Fields(data, func(f protobuf.Field) error {
		if f.Number == 1 {
			r.InstanceName = f.String()
		}
		return nil
	})
}

// ServerCapabilities says what a server can do.
type ServerCapabilities struct {
	Cache           *CacheCapabilities // nil: it is no cache
	LowAPI, HighAPI Version            // the oldest and the newest version of the API
}

// Version is a version of the API.
type Version struct{ Major, Minor int64 }

// CacheCapabilities says what a cache can do.
type CacheCapabilities struct {
	DigestFunctions        []int64
	UpdateEnabled          bool         // UpdateActionResult is allowed
	MaxBatchTotalSizeBytes int64        // of the blobs of a batch; 0: the server does not say
	AbsoluteSymlinks       bool         // they may be absolute
	Compressors            []Compressor // of ByteStream, besides Identity
	BatchUpdateCompressors []Compressor // of BatchUpdateBlobs, besides Identity
	MaxBlobSizeBytes       int64        // 0: the server does not say
}

func (c *ServerCapabilities) Marshal() []byte {
	var b []byte
	if c.Cache != nil {
		b = protobuf.AppendMessage(b, 1, c.Cache)
	}
	b = protobuf.AppendMessage(b, 4, c.LowAPI)
	return protobuf.AppendMessage(b, 5, c.HighAPI)
}

func (c *ServerCapabilities) Unmarshal(data []byte) error {
	*c = ServerCapabilities{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			c.Cache = new(CacheCapabilities)
			err = c.Cache.Unmarshal(f.Bytes())
		case 4:
			c.LowAPI, err = protobuf.Parse[Version](f)
		case 5:
			c.HighAPI, err = protobuf.Parse[Version](f)
		}
		return err
	})
}

func (v Version) Marshal() []byte {
	b := protobuf.AppendInt(nil, 1, v.Major)
	return protobuf.AppendInt(b, 2, v.Minor)
}

func (v *Version) Unmarshal(data []byte) error {
	*v = Version{}
	return protobuf.Fields(data, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			v.Major = f.Int()
		case 2:
			v.Minor = f.Int()
		}
		return nil
	})
}

// Numbers of the enum SymlinkAbsolutePathStrategy.
const (
	symlinksDisallowed = 1
	symlinksAllowed    = 2
)

func (c *CacheCapabilities) Marshal() []byte {
	b := protobuf.AppendInts(nil, 1, c.DigestFunctions...)
	b = protobuf.AppendMessage(b, 2, actionCacheUpdate(c.UpdateEnabled))
	b = protobuf.AppendInt(b, 4, c.MaxBatchTotalSizeBytes)
	symlinks := int64(symlinksDisallowed)
	if c.AbsoluteSymlinks {
		symlinks = symlinksAllowed
	}
	b = protobuf.AppendInt(b, 5, symlinks)
	b = appendNumbers(b, 6, c.Compressors)
	b = appendNumbers(b, 7, c.BatchUpdateCompressors)
	return protobuf.AppendInt(b, 8, c.MaxBlobSizeBytes)
}

func (c *CacheCapabilities) Unmarshal(data []byte) error {
	*c = CacheCapabilities{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			c.DigestFunctions, err = appendParsedNumbers(c.DigestFunctions, f)
		case 2:
			var u actionCacheUpdate
			u, err = protobuf.Parse[actionCacheUpdate](f)
			c.UpdateEnabled = bool(u)
		case 4:
			c.MaxBatchTotalSizeBytes = f.Int()
		case 5:
			c.AbsoluteSymlinks = f.Int() == symlinksAllowed
		case 6:
			c.Compressors, err = appendParsedNumbers(c.Compressors, f)
		case 7:
			c.BatchUpdateCompressors, err = appendParsedNumbers(c.BatchUpdateCompressors, f)
		case 8:
			c.MaxBlobSizeBytes = f.Int()
		}
		return err
	})
}

// actionCacheUpdate is the message ActionCacheUpdateCapabilities: whether updates are enabled.
type actionCacheUpdate bool

func (u actionCacheUpdate) Marshal() []byte { return protobuf.AppendBool(nil, 1, bool(u)) }

func (u *actionCacheUpdate) Unmarshal(data []byte) error {
	*u = false
	return protobuf.Fields(data, func(f protobuf.Field) error {
		if f.Number == 1 {
			*u = actionCacheUpdate(f.Bool())
		}
		return nil
	})
}
