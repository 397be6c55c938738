package serve

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/backend"
)

// objectEndpoint is an object of larder's own, or a folder of them if path ends with a slash.
type objectEndpoint struct{ path string }

func (e objectEndpoint) serve(x *exchange) {
	isFolder := e.path == "v1" || strings.HasSuffix(e.path, "/")
	if isFolder {
		if x.allows(http.MethodGet, http.MethodHead) {
			e.list(x)
		}
		return
	}
	if !x.allows(http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete) || !x.admits(scopeOf(e.path)) {
		return
	}
	var err error
	switch x.r.Method {
	case http.MethodPut:
		err = e.put(x)
	case http.MethodDelete:
		err = e.delete(x)
	default:
		err = e.get(x)
	}
	if err != nil {
		x.refuse(err)
	}
}

// scopeOf returns the scope of a key, or of the beginning of one: "" stands for all.
func scopeOf(key string) string {
	_, rest, _ := strings.Cut(key, "/")
	scope, _, whole := strings.Cut(rest, "/")
	if !whole && strings.HasSuffix(key, "/") {
		return ""
	}
	return scope
}

func (e objectEndpoint) get(x *exchange) error {
	o, err := x.open(e.path)
	if err != nil {
		return err
	}
	defer o.close()
	o.send(versionTag(o.version))
	return nil
}

func (e objectEndpoint) put(x *exchange) error {
	c, b, err := x.takeOn()
	if err != nil {
		return err
	}
	defer b.close()
	opts := b.options()
	if opts.If, err = c.storeCondition(func() (string, error) { return x.version(e.path) }); err != nil {
		return err
	}
	stored, err := x.Store.Put(x.r.Context(), e.path, b.reader(), opts)
	if err != nil {
		return err
	}
	if stored.Version != "" {
		x.w.Header().Set("ETag", versionTag(stored.Version))
	}
	x.w.WriteHeader(http.StatusCreated)
	return nil
}

// version returns the version of the object under key, or "" if there is none.
func (x *exchange) version(key string) (string, error) {
	body, obj, err := x.Store.Get(x.r.Context(), key, backend.Range{Length: 1})
	if errors.Is(err, backend.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return obj.Version, body.Close()
}

func (e objectEndpoint) delete(x *exchange) error {
	c, err := conditionOf(x.r.Header)
	if err != nil {
		return err
	}
	cond, err := c.storeCondition(func() (string, error) { return x.version(e.path) })
	if err != nil {
		return err
	}
	if cond.Absent { // then there is nothing to do
		var version string
		if version, err = x.version(e.path); err == nil && version != "" {
			err = backend.ErrConflict
		}
	} else {
		err = x.Store.Delete(x.r.Context(), e.path, cond.Version)
	}
	if err == nil {
		x.w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// list answers with the objects whose keys begin with e.path and what the request says.
func (e objectEndpoint) list(x *exchange) {
	folder := strings.TrimSuffix(e.path, "/") + "/"
	query := x.r.URL.Query()
	if !query.Has(api.ListParam) {
		fail(x.w, http.StatusNotFound, "a folder: ?"+api.ListParam+"= lists it")
		return
	}
	prefix := folder + query.Get(api.ListParam)
	scope := scopeOf(prefix)
	if strings.Count(prefix, "/") < 2 {
		scope = "" // its name may go on
	}
	if !x.admits(scope) {
		return
	}
	x.w.Header().Set("Content-Type", "application/x-ndjson")
	lines := json.NewEncoder(x.w)
	begun := false
	for obj, err := range x.Store.List(x.r.Context(), prefix) {
		if err != nil && !begun {
			x.refuse(err)
			return
		}
		if err == nil {
			x.goOn()
			begun = true
			err = lines.Encode(api.Line{
				Key: strings.TrimPrefix(obj.Key, folder), Size: obj.Size, Version: versionTag(obj.Version),
				Written: obj.Written, Listed: obj.Listed,
			})
		}
		if err != nil {
			x.Log.Error("a list breaks off", "prefix", prefix, "err", err)
			return // without the last line
		}
	}
	_ = lines.Encode(api.Line{End: true}) // to whoever still listens
}
