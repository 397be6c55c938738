package collect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/collect"
	"github.com/larderbuild/larder/pack"
)

// between is a store in which something happens before a request.
type between struct {
	*remote
	list, delete func(key string)
}

func (b between) List(ctx context.Context, prefix string) iter.Seq2[backend.Object, error] {
	if b.list != nil {
		b.list(prefix)
	}
	return b.remote.List(ctx, prefix)
}

func (b between) Delete(ctx context.Context, key, version string) error {
	if b.delete != nil {
		b.delete(key)
	}
	return b.remote.Delete(ctx, key, version)
}

// TestPublishedMeanwhile: somebody publishes between two steps of a run.
func TestPublishedMeanwhile(t *testing.T) {
	t.Parallel()
	loose := packOf("main", "loose", 10)
	for name, test := range map[string]struct {
		old  bool // there is a manifest that has expired
		when func(r *remote, op, key string) bool
	}{
		"after the first reading": {false, func() func(*remote, string, string) bool {
			n := 0
			return func(_ *remote, op, key string) bool {
				if op == "list" && key == "v1/main/m/" {
					n++
				}
				return n == 2
			}
		}()},
		"before its old manifest goes": {true, func(_ *remote, op, key string) bool {
			return op == "delete" && strings.Contains(key, module)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRemote(t)
			r.putPack(loose)
			if test.old {
				r.publish("main", "linux", nil, loose)
			}
			r.put("v1/main"+module+"@profiles", []byte("linux"))
			r.after(31 * day)
			published := false
			happen := func(op string) func(string) {
				return func(key string) {
					if !published && test.when(r, op, key) {
						published = true
						r.publish("main", "linux", nil, loose)
					}
				}
			}
			s := between{r, happen("list"), happen("delete")}
			if _, err := collect.Run(t.Context(), r.config(), s); err != nil || !published {
				t.Errorf("%v, published: %v", err, published)
			}
			r.want(name, true, packKey(loose), "v1/main"+module+"linux")
		})
	}
}

// A pack that somebody puts again is young again, even if its version is the same.
func TestPackPutAgain(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	p := packOf("main", "p", 10)
	r.putPack(p)
	r.after(3 * day)
	again := putAgain{r, p}
	result, err := collect.Run(t.Context(), r.config(), again)
	if err != nil || result.Packs != 0 {
		t.Errorf("%+v, %v", result, err)
	}
	r.want("put again", true, packKey(p))
}

// putAgain is a store whose objects keep their version when the same bytes are put again, as
// on S3, and in which that happens to a pack in the middle of a run.
type putAgain struct {
	*remote
	pack pack.Pack
}

func (p putAgain) List(ctx context.Context, prefix string) iter.Seq2[backend.Object, error] {
	if prefix == packKey(p.pack) {
		p.putPack(p.pack)
	}
	return func(yield func(backend.Object, error) bool) {
		for obj, err := range p.remote.List(ctx, prefix) {
			obj.Version = fmt.Sprint(obj.Size)
			if !yield(obj, err) {
				return
			}
		}
	}
}

func (p putAgain) Delete(ctx context.Context, key, _ string) error {
	return p.remote.Delete(ctx, key, "")
}

// A manifest that somebody publishes after it was read stays, although the server minds no
// versions.
func TestManifestPutAgain(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	r.publish("main", "linux", nil)
	r.after(31 * day)
	result, err := collect.Run(t.Context(), r.config(), &republished{remote: r})
	if err != nil || result.Manifests != 0 {
		t.Errorf("%+v, %v", result, err)
	}
	r.want("put again", true, "v1/main"+module+"linux")
}

// republished is a store that minds no versions, in which a manifest is published once it was
// read.
type republished struct {
	*remote
	read bool
}

func (p *republished) Get(ctx context.Context, key string, part backend.Range) (io.ReadCloser, backend.Object, error) {
	body, obj, err := p.remote.Get(ctx, key, part)
	if !p.read {
		p.read = true
		p.publish("main", "linux", nil)
	}
	return body, obj, err
}

func (p *republished) Delete(ctx context.Context, key, _ string) error {
	return p.remote.Delete(ctx, key, "")
}

// A manifest that is listed, but is not there when it is first read, keeps its packs: a store
// may answer by what it knew a moment ago.
func TestManifestNotThereYet(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	p := packOf("main", "p", 10)
	r.putPack(p)
	r.after(2 * day)
	r.publish("main", "linux", nil, p)
	asked := false
	store := backendtest.Faulty(r.Store, func(op, _ string) backendtest.Fault {
		if op != "get" || asked {
			return backendtest.Fault{}
		}
		asked = true
		return backendtest.Fault{Err: backend.ErrNotFound}
	})
	if _, err := collect.Run(t.Context(), r.config(), store); err != nil || !asked {
		t.Error(err)
	}
	r.want("not there yet", true, packKey(p))
}

// TestDenied: what one scope denies says nothing of the others.
func TestDenied(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"delete", "get"} {
		t.Run(op, func(t *testing.T) {
			r := newRemote(t)
			mine, other := packOf("pr-1", "mine", 10), packOf("main", "other", 10)
			r.putPack(mine)
			r.putPack(other)
			r.after(2 * day)
			r.publish("main", "linux", nil)
			store := backendtest.Faulty(r.Store, func(o, key string) backendtest.Fault {
				if o == op && strings.HasPrefix(key, "v1/main/") {
					return backendtest.Fault{Err: backend.ErrDenied}
				}
				return backendtest.Fault{}
			})
			result, err := collect.Run(t.Context(), r.config(), store)
			if !errors.Is(err, backend.ErrDenied) || !strings.HasPrefix(err.Error(), "nothing is removed from main: ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v", err)
			}
			r.want(op, true, packKey(other))
			r.want(op, false, packKey(mine))
			r.wantCounted(result)
		})
	}
}

// A store that can't list, or that fails, ends the run with one error.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range []error{backend.ErrUnsupported, errors.New("connection lost")} {
		for _, op := range []string{"list", "delete", "get"} {
			r := newRemote(t)
			for i := range 100 {
				r.putPack(packOf("main", fmt.Sprint(i), 10))
				r.putEntry("main", fmt.Sprint(i))
			}
			r.after(40 * day)
			r.publish("main", "linux", nil)
			store := backendtest.Faulty(r.Store, func(o, key string) backendtest.Fault {
				if o == op {
					return backendtest.Fault{Err: fault}
				}
				return backendtest.Fault{}
			})
			result, err := collect.Run(t.Context(), r.config(), store)
			if !errors.Is(err, fault) || strings.Contains(err.Error(), "\n") || result.Packs > 0 {
				t.Errorf("%s: %+v, %v", op, result, err)
			}
		}
	}
}

func TestDaily(t *testing.T) {
	t.Parallel()
	empty := newRemote(t)
	if _, ran, err := collect.Daily(t.Context(), empty.config(), empty.Store); ran || err != nil {
		t.Errorf("empty: %v, %v", ran, err)
	}
	empty.want("empty", false, "v1/@gc")
	for _, test := range []struct {
		name string
		last string // what the note of the last call holds
		ran  bool
		gone bool // a pack that was loose for ten days
	}{
		{"never", "", false, false},
		{"yesterday", fmt.Sprint(time.Now().Add(-25 * time.Hour).Unix()), true, true},
		{"today", fmt.Sprint(time.Now().Add(-23 * time.Hour).Unix()), false, false},
		{"by a clock that is a little ahead", fmt.Sprint(time.Now().Add(time.Hour).Unix()), false, false},
		{"a week ago", fmt.Sprint(time.Now().Add(-7 * day).Unix()), true, true},
		{"by a clock that is far behind, or this one is ahead", fmt.Sprint(time.Now().Add(-300 * day).Unix()), true, false},
		{"by a clock that is far ahead", fmt.Sprint(time.Now().Add(8 * day).Unix()), false, false},
		{"by what is no clock", "yesterday", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRemote(t)
			p := packOf("main", "p", 10)
			r.putPack(p)
			r.after(10 * day)
			if test.last != "" {
				r.put("v1/@gc", []byte(test.last))
			}
			_, ran, err := collect.Daily(t.Context(), r.config(), r.Store)
			if err != nil || ran != test.ran {
				t.Errorf("ran: %v, %v", ran, err)
			}
			r.want(test.name, !test.gone, packKey(p))
			if _, again, err := collect.Daily(t.Context(), r.config(), r.Store); again || err != nil {
				t.Errorf("again: %v, %v", again, err)
			}
		})
	}
}
