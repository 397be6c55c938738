package reapi

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The methods of the API, as gRPC has them in paths.
const (
	GetCapabilities    = "/build.bazel.remote.execution.v2.Capabilities/GetCapabilities"
	GetActionResult    = "/build.bazel.remote.execution.v2.ActionCache/GetActionResult"
	UpdateActionResult = "/build.bazel.remote.execution.v2.ActionCache/UpdateActionResult"
	FindMissingBlobs   = "/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs"
	BatchUpdateBlobs   = "/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs"
	BatchReadBlobs     = "/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchReadBlobs"
	GetTree            = "/build.bazel.remote.execution.v2.ContentAddressableStorage/GetTree"
	Read               = "/google.bytestream.ByteStream/Read"
	Write              = "/google.bytestream.ByteStream/Write"
	QueryWriteStatus   = "/google.bytestream.ByteStream/QueryWriteStatus"
)

// Resource is what the name of a resource of ByteStream says: a blob to read, or to write.
type Resource struct {
	Instance string
	Upload   string // UUID of an upload; "": the name is one to read
	Zstd     bool   // what is sent is compressed
	Digest   Digest // of the blob itself
}

const (
	blobsPart      = "blobs"
	compressedPart = "compressed-blobs"
	uploadsPart    = "uploads"
	zstdPart       = "zstd"
)

// String returns the name of r.
func (r Resource) String() string {
	var parts []string
	if r.Instance != "" {
		parts = append(parts, r.Instance)
	}
	if r.Upload != "" {
		parts = append(parts, uploadsPart, r.Upload)
	}
	if r.Zstd {
		parts = append(parts, compressedPart, zstdPart)
	} else {
		parts = append(parts, blobsPart)
	}
	return strings.Join(append(parts, r.Digest.Hash, strconv.FormatInt(r.Digest.SizeBytes, 10)), "/")
}

var errResource = errors.New("want {instance}/blobs/{hash}/{size} or {instance}/compressed-blobs/zstd/{hash}/{size}, behind uploads/{uuid}/ to write, with the SHA-256 in lower case")

// ParseResource reads a name. Behind the name of one to write there may be metadata, which it
// leaves out.
func ParseResource(name string) (Resource, error) {
	parts := strings.Split(strings.TrimPrefix(name, "/"), "/") // some clients have it behind an empty instance
	i := slices.IndexFunc(parts, isKeyword)
	if i < 0 || i == 1 && parts[0] == "" {
		return Resource{}, errResource
	}
	r := Resource{Instance: strings.Join(parts[:i], "/")}
	if err := CheckInstance(r.Instance); err != nil {
		return Resource{}, err
	}
	parts = parts[i:]
	if parts[0] == uploadsPart {
		if len(parts) < 3 || parts[1] == "" {
			return Resource{}, errResource
		}
		r.Upload, parts = parts[1], parts[2:]
	}
	switch {
	case parts[0] == blobsPart:
		parts = parts[1:]
	case parts[0] == compressedPart && len(parts) > 1 && parts[1] == zstdPart:
		r.Zstd, parts = true, parts[2:]
	default:
		return Resource{}, errResource
	}
	if len(parts) < 2 || len(parts) > 2 && r.Upload == "" {
		return Resource{}, errResource
	}
	size, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || strconv.FormatInt(size, 10) != parts[1] {
		return Resource{}, errResource
	}
	r.Digest = Digest{parts[0], size}
	if err := r.Digest.Check(); err != nil {
		return Resource{}, err
	}
	return r, nil
}

func isKeyword(part string) bool {
	switch part {
	case blobsPart, uploadsPart, "actions", "actionResults", "operations", "capabilities", compressedPart:
		return true
	}
	return false
}

// CheckInstance returns an error unless name can be that of an instance. It may be empty.
func CheckInstance(name string) error {
	if name == "" {
		return nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || isKeyword(part) {
			return fmt.Errorf("the instance is %.100q: a part of it may be neither empty nor a word of the API, such as %s", name, part)
		}
	}
	return nil
}

// Check returns an error unless d is a SHA-256 and a size.
func (d Digest) Check() error {
	sum, err := hex.DecodeString(d.Hash)
	if err != nil || len(sum) != 32 || strings.ToLower(d.Hash) != d.Hash {
		return fmt.Errorf("the hash is %.100q: want a SHA-256, 64 digits in lower case", d.Hash)
	}
	if d.SizeBytes < 0 {
		return fmt.Errorf("the size is %d bytes", d.SizeBytes)
	}
	return nil
}
