package backend

import (
	"context"
	"io"
	"iter"
	"strings"
)

// WithPrefix returns the part of s under prefix, as a store whose keys do not have
// the prefix. A slash separates the prefix from the key. Slashes at either end of
// prefix are ignored.
func WithPrefix(s Store, prefix string) Store {
	prefix = strings.Trim(prefix, "/")
	if prefix == "" {
		return s
	}
	return &prefixed{s, prefix + "/"}
}

type prefixed struct {
	Store
	prefix string
}

func (p *prefixed) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	body, obj, err := p.Store.Get(ctx, p.prefix+key, r)
	return body, p.strip(obj), err
}

func (p *prefixed) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	obj, err := p.Store.Put(ctx, p.prefix+key, body, opts)
	return p.strip(obj), err
}

func (p *prefixed) Delete(ctx context.Context, key, version string) error {
	return p.Store.Delete(ctx, p.prefix+key, version)
}

func (p *prefixed) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for obj, err := range p.Store.List(ctx, p.prefix+prefix) {
			if !yield(p.strip(obj), err) {
				return
			}
		}
	}
}

func (p *prefixed) strip(obj Object) Object {
	obj.Key = strings.TrimPrefix(obj.Key, p.prefix)
	return obj
}
