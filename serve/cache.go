package serve

import (
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/backend"
)

// cacheScope is the name under which rules allow what is below /cache.
const cacheScope = "@cache"

// cacheEndpoint is an entry of the HTTP build cache.
type cacheEndpoint struct{ key string }

func (e cacheEndpoint) serve(x *exchange) {
	if e.key == "" || strings.Contains(e.key, "/") {
		fail(x.w, http.StatusNotFound, "the path has to be /cache/{key}, with a key of one part")
		return
	}
	if !x.allows(http.MethodGet, http.MethodHead, http.MethodPut) || !x.admits(cacheScope) {
		return
	}
	var err error
	if x.r.Method == http.MethodPut {
		err = e.put(x)
	} else {
		err = e.get(x)
	}
	if err != nil {
		x.refuse(err)
		return
	}
	x.uses.note(e.name())
}

// cacheFolder is how the keys of these objects begin in the store.
const cacheFolder = "cache/"

func (e cacheEndpoint) name() string { return cacheFolder + e.key }

func (e cacheEndpoint) get(x *exchange) error {
	o, err := x.openHeaded(e.name(), backend.Range{})
	if err != nil {
		return err
	}
	defer o.close()
	if x.HMACKey == nil {
		o.send(hexTag(o.sum))
		return nil
	}
	b, err := x.readAll(o) // the signature goes before the body
	if err != nil {
		return err
	}
	defer b.close()
	x.w.Header().Set(api.Signature, hex.EncodeToString(b.mac))
	x.sendContent(hexTag(o.sum), b.reader())
	return nil
}

// contention is how often a conditional PUT begins again because of another one.
const contention = 8

func (e cacheEndpoint) put(x *exchange) error {
	c, b, err := x.takeOn()
	if err != nil {
		return err
	}
	defer b.close()
	if err := x.checkSignature(b); err != nil {
		return err
	}
	for range contention {
		var replaced bool
		if replaced, err = e.store(x, b, c); err == nil {
			x.w.Header().Set("ETag", hexTag(b.sha256[:]))
			if replaced {
				x.w.WriteHeader(http.StatusNoContent)
			} else {
				x.w.WriteHeader(http.StatusCreated)
			}
			return nil
		}
		if !errors.Is(err, errLost) {
			return err
		}
	}
	return err
}

// errLost says that another PUT came first, after the condition was found to hold.
var errLost error = &backend.Busy{Object: true}

// store stores b if c holds. It reports whether it replaced an entry.
func (e cacheEndpoint) store(x *exchange, b *intake, c condition) (replaced bool, err error) {
	var tag, version string
	switch o, err := x.openHeaded(e.name(), backend.Range{Length: int64(headSize)}); {
	case err == nil:
		o.close()
		tag, version, replaced = hexTag(o.sum), o.version, true
	case errors.Is(err, errHead):
		version = o.version // it gives way
	case !errors.Is(err, backend.ErrNotFound):
		return false, err
	}
	if !c.holds(tag) {
		return false, backend.ErrConflict
	}
	body, opts, err := b.headed()
	if err != nil {
		return false, err
	}
	if !c.isNone() {
		opts.If = backend.Condition{Absent: version == "", Version: version}
	}
	_, err = x.Store.Put(x.r.Context(), e.name(), body, opts)
	if !c.isNone() && errors.Is(err, backend.ErrConflict) {
		err = errLost
	}
	return replaced, err
}
