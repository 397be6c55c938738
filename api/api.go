// Package api has what larder serve and the http driver agree on. It is how larder's own
// objects are read and written over HTTP:
//
//	GET, HEAD  /v1/key              the object, or a range of it; ETag is its version
//	PUT        /v1/key              with Content-MD5; If-Match: version and If-None-Match: *
//	DELETE     /v1/key              with or without If-Match: version
//	GET        /v1/folder/?list=x   all objects whose keys begin with v1/folder/x
//
// Each part of a key is escaped as in the path of a URL. A key is what stands in the path,
// with v1, so a bucket holds the same objects whether machines use it themselves or through
// larder serve.
package api

import (
	"net/url"
	"strings"
	"time"
)

// Every answer of larder serve has the header Header, with the number of this interface. A
// client tells by it that the server minds conditions and can list and delete.
const (
	Header = "Larder-Api"
	Number = "1"
)

// An answer with an error has the header Reason if its status does not say what is wrong.
const (
	Reason = "Larder-Error"

	Digest       = "digest"        // of 400: the body does not have the MD5 or the length that was announced
	NoConditions = "no-conditions" // of 501: the store behind the server has no conditional puts
	Unsupported  = "unsupported"   // of 501: the store behind the server can't list, or can't delete
)

// Signature is the header with the HMAC-SHA256 of a body below /cache, in hexadecimal digits.
const Signature = "X-Content-Signature"

// ListParam is the parameter that makes a GET list. Its value may be empty.
const ListParam = "list"

// Line is a line of a list, in JSON: one about each object, in any order, and a last one.
type Line struct {
	Key     string    `json:"key,omitempty"` // relative to the folder in the path
	Size    int64     `json:"size,omitempty"`
	Version string    `json:"version,omitempty"` // as in ETag
	Written time.Time `json:"written,omitzero"`
	Listed  time.Time `json:"listed,omitzero"` // when the store said so

	End bool `json:"end,omitempty"` // the list is complete
}

// EscapeKey returns key as it stands in the path of a URL.
func EscapeKey(key string) string {
	parts := strings.Split(key, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}
