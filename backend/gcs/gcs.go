// Package gcs stores objects in a bucket of Google Cloud Storage. An object's
// version is its generation. The server checks the MD5 of the bytes that it gets.
//
// The package speaks the JSON API over net/http, with credentials that
// golang.org/x/oauth2/google finds. Every go command would pay for the start of a client.
// In the tests Google's own client reads what this package has written, and the other way
// round.
//
// With an endpoint (a server that is not Google's), requests have credentials
// only if GOOGLE_APPLICATION_CREDENTIALS names some. To an emulator, which
// STORAGE_EMULATOR_HOST names, they never have any. The package does not follow
// redirects.
package gcs

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"

	"github.com/larderbuild/larder/backend"
)

// pageSize is how many objects one request of a List asks for.
const pageSize = 1000

// Traits are those of all stores of this package.
func (Config) Traits() backend.Traits {
	return backend.Traits{}
}

// Open returns the store that cfg names. The store does not use the network before
// the first request. The caller closes it.
func Open(_ context.Context, cfg Config) (backend.Store, error) {
	endpoint, credentials, err := cfg.server()
	if err != nil {
		return nil, err
	}
	transport := backend.NewTransport()
	client := backend.LimitAnswers(transport)
	if credentials {
		client = &authorized{base: client}
	}
	bucket := "/storage/v1/b/" + url.PathEscape(cfg.Bucket) + "/o"
	return backend.WithPrefix(&store{
		client:    client,
		transport: transport,
		objects:   endpoint + bucket,
		uploads:   endpoint + "/upload" + bucket,
		bucket:    cfg.Bucket,
	}, cfg.Prefix), nil
}

type store struct {
	client    http.RoundTripper
	transport *http.Transport
	objects   string // URL of the bucket's objects
	uploads   string // URL to which new ones are sent
	bucket    string

	exists atomic.Bool // whether the bucket is known to exist
}

// missing returns what a 404 means: ErrNotFound if the object is missing, or ErrDenied
// if the bucket is. The two answers look the same, so after the first 404 it sends a
// second request, unless an earlier answer has shown that the bucket exists.
func (s *store) missing(ctx context.Context) error {
	if !s.exists.Load() {
		_, _, err := s.list(ctx, url.Values{"maxResults": {"1"}, "fields": {"nextPageToken"}})
		if status(err) == http.StatusNotFound {
			return fmt.Errorf("%w: there is no bucket %s", backend.ErrDenied, s.bucket)
		}
		if ctx.Err() == nil {
			s.exists.Store(true) // assumed also after another error, such as 403
		}
	}
	return backend.ErrNotFound
}

func (*store) Traits() backend.Traits { return Config{}.Traits() }

func (s *store) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	objectCtx, take := backend.ExpectObject(ctx)
	header := make(http.Header)
	part := r.Header()
	if part != "" {
		header.Set("Range", part)
	}
	res, err := s.send(objectCtx, http.MethodGet, s.address(key), url.Values{"alt": {"media"}}, header)
	switch status(err) {
	case http.StatusNotFound:
		return nil, backend.Object{}, backend.Wrap(ctx, "get", key, s.missing(ctx))
	case http.StatusRequestedRangeNotSatisfiable:
		return http.NoBody, backend.Object{Key: key}, nil
	}
	if err != nil {
		return nil, backend.Object{}, s.wrap(ctx, "get", key, err)
	}
	s.exists.Store(true)
	obj := backend.Object{Key: key, Size: res.ContentLength, Version: res.Header.Get("X-Goog-Generation")}
	if part != "" {
		if obj.Size, err = backend.CheckContentRange(res.Header.Get("Content-Range"), r); err != nil {
			res.Body.Close()
			return nil, backend.Object{}, backend.Wrap(ctx, "get", key, err)
		}
	}
	take()
	return backend.NewBody(ctx, key, res.Body), obj, nil
}

func (s *store) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	if v := opts.If.Version; v != "" && !isGeneration(v) {
		return backend.Object{}, backend.Wrap(ctx, "put", key, backend.ErrConflict)
	}
	upload, err := backend.NewUpload(ctx, body, opts.Size)
	if err != nil {
		return backend.Object{}, backend.Wrap(ctx, "put", key, err)
	}
	defer upload.Release()
	made, err := s.insert(ctx, key, upload, opts)
	if err != nil {
		return backend.Object{}, s.wrapAnswer(ctx, "put", key, err, func(err error) error {
			return classifyPut(err, opts.If)
		})
	}
	s.exists.Store(true)
	return made.object(), nil
}

// isGeneration reports whether version can be that of an object in GCS.
func isGeneration(version string) bool {
	_, err := strconv.ParseInt(version, 10, 64)
	return err == nil
}

func (s *store) Delete(ctx context.Context, key, version string) error {
	query := make(url.Values)
	if version != "" {
		if !isGeneration(version) {
			return backend.Wrap(ctx, "delete", key, backend.ErrConflict)
		}
		query.Set("generation", version) // which leaves no archived object behind, either
	}
	res, err := s.send(ctx, http.MethodDelete, s.address(key), query, nil)
	if err == nil {
		res.Body.Close()
		return nil
	}
	if status(err) == http.StatusNotFound {
		switch err = s.missing(ctx); {
		case err == backend.ErrNotFound && version != "":
			return backend.Wrap(ctx, "delete", key, backend.ErrConflict)
		case err == backend.ErrNotFound:
			return nil
		}
	}
	return s.wrap(ctx, "delete", key, err)
}

func (s *store) List(ctx context.Context, prefix string) iter.Seq2[backend.Object, error] {
	return func(yield func(backend.Object, error) bool) {
		query := url.Values{
			"prefix":     {prefix},
			"maxResults": {strconv.Itoa(pageSize)},
			"fields":     {"nextPageToken,items(name,size,generation,timeCreated)"},
		}
		for {
			page, now, err := s.list(ctx, query)
			if err != nil {
				yield(backend.Object{}, s.wrap(ctx, "list", prefix, err))
				return
			}
			s.exists.Store(true)
			for _, item := range page.Items {
				obj := item.object()
				obj.Written, obj.Listed = item.written(now), now
				if !yield(obj, nil) {
					return
				}
			}
			if page.NextPageToken == "" {
				return
			}
			query.Set("pageToken", page.NextPageToken)
		}
	}
}

func (s *store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}
