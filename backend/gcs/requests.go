package gcs

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"time"

	"github.com/larderbuild/larder/backend"
)

// This file has the requests of the JSON API, and what it says of an object.
// See https://cloud.google.com/storage/docs/json_api/v1.

// resource is an object as the API describes it, as far as larder asks.
type resource struct {
	Name        string `json:"name"`
	Size        int64  `json:"size,string"`
	Generation  int64  `json:"generation,string"`
	TimeCreated string `json:"timeCreated"` // of this generation, as RFC 3339 says
}

func (r resource) object() backend.Object {
	return backend.Object{Key: r.Name, Size: r.Size, Version: strconv.FormatInt(r.Generation, 10)}
}

// written returns when the generation of r was made, or now if the server does not say it.
func (r resource) written(now time.Time) time.Time {
	t, err := time.Parse(time.RFC3339Nano, r.TimeCreated)
	if err != nil {
		return now
	}
	return t
}

// page is one page of a list.
type page struct {
	Items         []resource `json:"items"`
	NextPageToken string     `json:"nextPageToken"`
}

// address returns the URL of the object under key.
func (s *store) address(key string) string { return s.objects + "/" + url.PathEscape(key) }

// send sends a request without a body, and returns the server's answer, whose body the caller
// closes. An answer that is no success is a *refusal. header may be nil.
func (s *store) send(ctx context.Context, method, address string, query url.Values, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	return s.do(req)
}

// do sends req as send does.
func (s *store) do(req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", "larder")
	res, err := s.client.RoundTrip(req) // which follows no redirects
	if err != nil {
		return nil, err
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, refused(res)
	}
	return res, nil
}

// decode reads res into v, and closes its body.
func decode(res *http.Response, v any) error {
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("not a store's answer: %w", err)
	}
	return nil
}

// list asks for a page of the objects that query says. now is the server's time.
func (s *store) list(ctx context.Context, query url.Values) (p page, now time.Time, err error) {
	res, err := s.send(ctx, http.MethodGet, s.objects, query, nil)
	if err != nil {
		return page{}, time.Time{}, err
	}
	if err := decode(res, &p); err != nil {
		return page{}, time.Time{}, err
	}
	if now, err = http.ParseTime(res.Header.Get("Date")); err != nil {
		now = time.Now()
	}
	return p, now, nil
}

// insert puts body under key, in one request whose first part describes the object. The
// server stores nothing unless body has opts.MD5.
func (s *store) insert(ctx context.Context, key string, body io.Reader, opts backend.PutOptions) (resource, error) {
	query := url.Values{"uploadType": {"multipart"}, "fields": {"name,size,generation"}}
	switch {
	case opts.If.Absent:
		query.Set("ifGenerationMatch", "0")
	case opts.If.Version != "":
		query.Set("ifGenerationMatch", opts.If.Version)
	}
	var frame bytes.Buffer
	parts := multipart.NewWriter(&frame)
	if err := describe(parts, key, opts); err != nil {
		return resource{}, err
	}
	begin := frame.Len()
	if err := parts.Close(); err != nil {
		return resource{}, err
	}
	head, tail := frame.Bytes()[:begin], frame.Bytes()[begin:]
	whole := io.MultiReader(bytes.NewReader(head), body, bytes.NewReader(tail))

	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.uploads+"?"+query.Encode(), whole)
	if err != nil {
		return resource{}, err
	}
	req.ContentLength = int64(frame.Len()) + opts.Size
	req.Header.Set("Content-Type", "multipart/related; boundary="+parts.Boundary())
	res, err := s.do(req)
	if err != nil {
		return resource{}, err
	}
	var made resource
	if err := decode(res, &made); err != nil {
		return resource{}, err
	}
	if made.Generation == 0 {
		return resource{}, errNoGeneration
	}
	return made, nil
}

// errNoGeneration is the error of a Put whose answer has no generation. A store's answer
// has one: a proxy or a login page has answered in its place, and stored nothing.
var errNoGeneration = errors.New("not a store's answer: it has no generation")

// describe writes the part that describes an object, and the beginning of the one that has
// its bytes.
func describe(parts *multipart.Writer, key string, opts backend.PutOptions) error {
	description, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/json"}})
	if err != nil {
		return err
	}
	err = json.NewEncoder(description).Encode(map[string]string{
		"name":    key,
		"md5Hash": base64.StdEncoding.EncodeToString(opts.MD5[:]),
	})
	if err != nil {
		return err
	}
	_, err = parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/octet-stream"}})
	return err
}
