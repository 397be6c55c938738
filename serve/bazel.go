package serve

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/backend"
)

// bazelScope is the name under which rules allow what Bazel and its kin store.
const bazelScope = "@bazel"

const (
	actionCache    = "ac"
	contentStorage = "cas"
)

// bazelEndpoint is an action result, or a blob.
type bazelEndpoint struct {
	instance string // whose action cache it is; blobs are all instances'
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

// key returns where it lies in the store.
func (e bazelEndpoint) key() string {
	if e.instance == "" || e.kind == contentStorage {
		return e.kind + "/" + e.digits
	}
	return e.kind + "/" + e.instanceName() + "/" + e.digits
}

// instanceName returns the part of a key that stands for the instance.
func (e bazelEndpoint) instanceName() string { return "@" + url.QueryEscape(e.instance) }

func (e bazelEndpoint) serve(x *exchange) {
	sum, err := hex.DecodeString(e.digits)
	switch {
	case err != nil, len(sum) != sha256.Size, strings.ToLower(e.digits) != e.digits:
		fail(x.w, http.StatusBadRequest, "the path has to end with a SHA-256, 64 digits in lower case")
		return
	case len(url.QueryEscape(e.instanceName())) > maxName:
		fail(x.w, http.StatusBadRequest, "the name of the instance is too long")
		return
	}
	if !x.allows(http.MethodGet, http.MethodHead, http.MethodPut) || !x.admits(bazelScope) {
		return
	}
	if x.r.Method == http.MethodPut {
		err = e.put(x, sum)
	} else {
		err = e.get(x, sum)
	}
	if err != nil {
		x.refuse(err)
		return
	}
	x.uses.note(e.key())
}

func (e bazelEndpoint) get(x *exchange, sum []byte) error {
	if e.kind == actionCache {
		o, err := x.open(e.key())
		if err != nil {
			return err
		}
		defer o.close()
		o.send(versionTag(o.version))
		return nil
	}
	if bytes.Equal(sum, emptySum[:]) { // which everybody has
		x.sendContent(hexTag(sum), strings.NewReader(""))
		return nil
	}
	o := &object{x: x, key: e.key(), sum: sum}
	if err := o.openAt(x.r.Context(), backend.Range{}); err != nil {
		return err
	}
	defer o.close()
	if o.isLost() {
		return fmt.Errorf("%w: %w", backend.ErrNotFound, o.fault(errDamaged))
	}
	x.w.Header().Add("Vary", "Accept-Encoding")
	if x.r.Method == http.MethodGet && acceptsZstd(x.r.Header) {
		return o.sendCompressed()
	}
	o.send(hexTag(sum))
	return nil
}

// sendCompressed answers with the object in zstd.
func (o *object) sendCompressed() error {
	h := o.x.w.Header()
	h.Set("ETag", strings.TrimSuffix(hexTag(o.sum), `"`)+`-zstd"`) // other bytes have another tag
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Encoding", "zstd")
	compressed, err := zstd.NewWriter(o.x.w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		return err
	}
	if _, err := compressed.ReadFrom(o); err != nil {
		panic(http.ErrAbortHandler) // no length says that the answer is not whole
	}
	if err := compressed.Close(); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
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
	if e.kind == contentStorage && !bytes.Equal(b.sha256[:], sum) {
		return bad("the body does not have the SHA-256 in the path")
	}
	_, err = x.Store.Put(x.r.Context(), e.key(), b.reader(), b.options())
	if err == nil {
		x.w.WriteHeader(http.StatusCreated)
	}
	return err
}
