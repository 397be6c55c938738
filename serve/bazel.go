package serve

import (
	"net/http"
	"strings"

	"github.com/larderbuild/larder/backend"
)

// bazelEndpoint is an action result, or a blob.
type bazelEndpoint struct {
	instance string // whose action cache it is
	kind     string
	digits   string // SHA-256, in lower case
}

// bazelEndpointOf returns what path stands for: ac/{sha256} or cas/{sha256}, with the name of
// an instance before it or without. It returns nil if path is no such path.
func bazelEndpointOf(path string) endpoint {
	parts := strings.Split(path, "/")
	if len(parts) < 2 {
		return nil
	}
	n := len(parts) - 2
	e := bazelEndpoint{strings.Join(parts[:n], "/"), parts[n], parts[n+1]}
	if e.kind != actionCache && e.kind != contentStorage {
		return nil
	}
	return e
}

func (e bazelEndpoint) serve(x *exchange) {
	sum, err := sumOf(e.digits)
	if err == nil {
		err = checkInstance(e.instance)
	}
	if err != nil {
		x.refuse(err)
		return
	}
	if !x.allows(http.MethodGet, http.MethodHead, http.MethodPut) || !x.admits(bazelScope) {
		return
	}
	switch {
	case x.r.Method == http.MethodPut:
		err = e.put(x, sum)
	case e.kind == contentStorage:
		err = x.sendBlob(sum)
	default:
		err = e.sendAction(x)
	}
	if err != nil {
		x.refuse(err)
	}
}

func (e bazelEndpoint) sendAction(x *exchange) error {
	key := actionKey(e.instance, e.digits)
	o, err := x.open(key)
	if err != nil {
		return err
	}
	defer o.close()
	x.uses.note(key)
	o.send(versionTag(o.version))
	return nil
}

// sendBlob answers with a blob.
func (x *exchange) sendBlob(sum []byte) error {
	if isEmptySum(sum) {
		x.sendContent(hexTag(sum), strings.NewReader(""))
		return nil
	}
	o, err := x.openBlob(sum, backend.Range{})
	if err != nil {
		return err
	}
	defer o.close()
	x.w.Header().Add("Vary", "Accept-Encoding")
	if x.r.Method == http.MethodGet && acceptsZstd(x.r.Header) {
		o.sendPacked()
	} else {
		o.send(hexTag(sum))
	}
	return nil
}

// sendPacked answers with the object in zstd.
func (o *object) sendPacked() {
	h := o.x.w.Header()
	h.Set("ETag", strings.TrimSuffix(hexTag(o.sum), `"`)+`-zstd"`) // other bytes have another tag
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Encoding", "zstd")
	if err := pack(o.x.w, o); err != nil {
		panic(http.ErrAbortHandler) // no length says that the answer is not whole
	}
}

// acceptsZstd reports whether the client takes zstd, of a whole blob and without conditions.
func acceptsZstd(h http.Header) bool {
	for _, name := range []string{"Range", "If-Match", "If-None-Match"} {
		if h.Get(name) != "" {
			return false
		}
	}
	for item := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		coding, params, _ := strings.Cut(strings.TrimSpace(item), ";")
		quality := strings.ToLower(strings.ReplaceAll(params, " ", ""))
		if strings.EqualFold(strings.TrimSpace(coding), "zstd") && strings.TrimRight(quality, "0.") != "q=" {
			return true
		}
	}
	return false
}

func (e bazelEndpoint) put(x *exchange, sum []byte) error {
	b, err := x.take()
	if err != nil {
		return err
	}
	defer b.close()
	switch {
	case e.kind == actionCache:
		err = x.put(actionKey(e.instance, e.digits), b.reader(), b.options())
	case string(b.sha256[:]) != string(sum):
		err = bad("the body does not have the SHA-256 in the path")
	default:
		err = x.storeBlob(b)
	}
	if err == nil {
		x.w.WriteHeader(http.StatusCreated)
	}
	return err
}
