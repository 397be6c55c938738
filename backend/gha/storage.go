package gha

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/larderbuild/larder/backend"
)

const (
	// largestPut is the size in bytes of the largest object that goes up in one request.
	// A larger one goes up in blocks of that size.
	largestPut = 64 << 20

	contentType = "application/octet-stream"
)

// read opens a part of the entry at a location. size is that of the whole entry in bytes.
func (s *store) read(ctx context.Context, at location, r backend.Range) (body io.ReadCloser, size int64, err error) {
	objectCtx, take := backend.ExpectObject(ctx)
	req, err := http.NewRequestWithContext(objectCtx, http.MethodGet, at.url.String(), nil)
	if err != nil {
		return nil, 0, hideURL(err)
	}
	if part := r.Header(); part != "" {
		req.Header.Set("Range", part)
	}
	res, err := s.service.client.Do(req)
	if err != nil {
		return nil, 0, hideURL(err)
	}
	switch {
	case res.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		res.Body.Close()
		return http.NoBody, 0, nil
	case res.StatusCode == http.StatusOK && r == (backend.Range{}):
		size = res.ContentLength
	case res.StatusCode == http.StatusOK, res.StatusCode == http.StatusPartialContent:
		size, err = backend.CheckContentRange(res.Header.Get("Content-Range"), r)
	default:
		err = newStorageRefusal(res)
	}
	if err != nil {
		res.Body.Close()
		return nil, 0, err
	}
	take()
	return res.Body, size, nil
}

// upload sends the bytes of an entry to the signed URL for them.
func (s *store) upload(ctx context.Context, to *url.URL, body *backend.Upload, opts backend.PutOptions) error {
	if opts.Size <= s.largestPut {
		return s.send(ctx, to, nil, body, opts.Size, opts.MD5)
	}
	whole := md5.New()
	list := blockList{}
	for begin := int64(0); begin < opts.Size; begin += s.largestPut {
		part := backend.NewPart(body, begin, min(s.largestPut, opts.Size-begin))
		sum, err := part.MD5(whole)
		if err != nil {
			return err
		}
		id := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%08d", len(list.Latest)))
		if err := s.send(ctx, to, url.Values{"comp": {"block"}, "blockid": {id}}, part, part.Size(), sum); err != nil {
			return err
		}
		list.Latest = append(list.Latest, id)
	}
	if [md5.Size]byte(whole.Sum(nil)) != opts.MD5 {
		return backend.ErrDigest
	}
	text, err := xml.Marshal(list)
	if err != nil {
		return err
	}
	return s.send(ctx, to, url.Values{"comp": {"blocklist"}}, bytes.NewReader(text), int64(len(text)), md5.Sum(text))
}

// blockList says of which blocks an object is made.
type blockList struct {
	XMLName xml.Name `xml:"BlockList"`
	Latest  []string
}

// send puts size bytes to a signed URL, to which it adds params.
func (s *store) send(ctx context.Context, to *url.URL, params url.Values, body io.Reader, size int64, sum [md5.Size]byte) error {
	target := *to
	if len(params) > 0 {
		target.RawQuery += "&" + params.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, target.String(), io.NopCloser(body))
	if err != nil {
		return hideURL(err)
	}
	if req.ContentLength = size; size == 0 {
		req.Body = http.NoBody
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
	if len(params) == 0 {
		req.Header.Set("X-Ms-Blob-Type", "BlockBlob")
	}
	res, err := s.service.client.Do(req)
	if err != nil {
		return hideURL(err)
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusCreated && res.Header.Get("X-Ms-Request-Id") != "":
		return nil
	case res.StatusCode < 300:
		return errors.New("not the storage's answer")
	}
	return newStorageRefusal(res)
}
