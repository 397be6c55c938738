// Package gha stores objects in the cache that GitHub has for each repository: the second
// version of the cache service for GitHub Actions. A job needs no credentials of its own.
//
// The service stores entries that never change, can't be listed and can't be deleted. It
// finds the newest one whose key begins in a given way, among those that the job's own
// branch, its base and the default branch have written. So each Put makes a new entry,
// whose key is that of the object and a stamp with the time, and a Get asks for the newest
// one of the object. The service takes no notice of case, so these keys have no capital
// letters. Nobody reserves a key that is needed again: one that a killed job has
// reserved would stay blocked. An object's version is the key of its entry.
//
// Bytes go to Azure Blob Storage and come from there by URLs that the service signs for a
// while. Whoever knows such a URL can use it, so no error has one. They need no client but
// net/http. All parts of an object are read through one of them: the service allows few
// requests. Only a Get from the beginning of an object asks for the newest entry; one of a
// later part goes on with the entry that is known.
//
// The service removes what nobody has read for a week. If a repository has more than 10 GB,
// it also removes what was read last the longest time ago.
//
// ACTIONS_RESULTS_URL says where the service is, and ACTIONS_RUNTIME_TOKEN is the job's
// token. GitHub sets them in actions, and larder's action hands them on to other steps as
// LARDER_ACTIONS_RESULTS_URL and LARDER_ACTIONS_RUNTIME_TOKEN. A token that may only read
// makes Put fail with backend.ErrReader.
package gha

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"time"

	"github.com/larderbuild/larder/backend"
)

// Traits are those of all stores of this package.
func (Config) Traits() backend.Traits {
	return backend.Traits{Scarce: true, Unconditional: true, Unlisted: true, Appends: true, UnreadDays: 7}
}

// Open returns the store that cfg names. Open reads the environment. The store does not use
// the network before the first request. The caller closes it.
func Open(_ context.Context, cfg Config) (backend.Store, error) {
	root, token, err := serviceOf(os.Getenv)
	if err != nil {
		return nil, err
	}
	transport := backend.NewTransport()
	client := backend.NewClient(backend.LimitAnswers(transport))
	return backend.WithPrefix(&store{
		service:    service{client, root, token},
		transport:  transport,
		largestPut: cmp.Or(cfg.largestPut, largestPut),
	}, cfg.Prefix), nil
}

type store struct {
	service    service
	transport  *http.Transport
	locations  locations
	largestPut int64 // in bytes
}

func (*store) Traits() backend.Traits { return Config{}.Traits() }

func (s *store) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	body, obj, known, err := s.get(ctx, key, r, r.Offset == 0)
	if known && needsURL(err) {
		body, obj, _, err = s.get(ctx, key, r, true)
	}
	if err != nil {
		return nil, backend.Object{}, wrap(ctx, "get", key, err)
	}
	return backend.NewBody(ctx, key, body), obj, nil
}

// get is one attempt at a Get. known reports whether it has used a URL that was known
// before.
func (s *store) get(
	ctx context.Context, key string, r backend.Range, fresh bool,
) (body io.ReadCloser, obj backend.Object, known bool, err error) {
	q := query(key)
	if len(q) > maxLabel {
		return nil, backend.Object{}, false, backend.ErrNotFound
	}
	at, known, err := s.locations.find(ctx, q, fresh, s.service.find)
	if err != nil {
		return nil, backend.Object{}, false, err
	}
	obj = backend.Object{Key: key, Version: at.label}
	if isFolder(key) {
		whole := false
		if obj.Key, whole = keyOf(at.label); !whole {
			return nil, backend.Object{}, false, fmt.Errorf("the newest object has too long a key: %w", backend.ErrNotFound)
		}
	}
	body, obj.Size, err = s.read(ctx, at, r)
	return body, obj, known, err
}

func (s *store) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	entry, err := s.put(ctx, key, body, opts)
	if err != nil {
		return backend.Object{}, wrap(ctx, "put", key, err)
	}
	s.locations.forget(query(key))
	return backend.Object{Key: key, Size: opts.Size, Version: entry}, nil
}

// put returns the label of the entry that it has made.
func (s *store) put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (string, error) {
	if opts.If != (backend.Condition{}) {
		return "", backend.ErrNoConditions
	}
	upload, err := backend.NewUpload(ctx, body, opts.Size)
	if err != nil {
		return "", err
	}
	defer upload.Release()
	entry := label(key, time.Now())
	to, err := s.service.create(ctx, entry)
	if err != nil {
		return "", err
	}
	if err := s.upload(ctx, to, upload, opts); err != nil {
		return "", err
	}
	return entry, s.service.finalize(ctx, entry, opts.Size)
}

func (*store) Delete(_ context.Context, key, _ string) error {
	return &backend.OpError{Op: "delete", Key: key, Err: fmt.Errorf("%w: GitHub removes what is old", backend.ErrUnsupported)}
}

func (*store) List(_ context.Context, prefix string) iter.Seq2[backend.Object, error] {
	return func(yield func(backend.Object, error) bool) {
		yield(backend.Object{}, &backend.OpError{Op: "list", Key: prefix, Err: backend.ErrUnsupported})
	}
}

func (s *store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}
