package httpstore

import (
	"bufio"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/backend"
)

// store is one store on an HTTP server.
type store struct {
	Config
	transport *http.Transport
	client    *http.Client
	headers   http.Header
	bearer    *backend.Bearer
	opened    backend.Connections // of HTTP/2
	hmacKey   []byte              // nil: bodies are not signed
	kind      kind
}

// Open returns the store that cfg names. It reads the files of certificates that the
// environment names, and does not use the network.
func Open(_ context.Context, cfg Config) (backend.Store, error) {
	s := &store{Config: cfg, transport: backend.NewTransport(), bearer: backend.NewBearer(cfg.Base)}
	var err error
	if s.headers, err = backend.Headers(headersVariable); err != nil {
		return nil, err
	}
	if s.transport.TLSClientConfig, err = backend.TLSConfig(); err != nil {
		return nil, err
	}
	if key := strings.TrimSpace(os.Getenv(hmacVariable)); key != "" {
		s.hmacKey = []byte(key)
	}
	if cfg.HTTP2 {
		s.transport.Protocols.SetHTTP2(true)
		s.opened.Track(s.transport)
	}
	s.client = backend.NewClient(backend.LimitAnswers(s.transport))
	s.client.CheckRedirect = s.checkRedirect
	return s, nil
}

func (s *store) Close() error {
	s.transport.CloseIdleConnections()
	s.opened.Close()
	return nil
}

func (s *store) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	body, obj, err := s.get(ctx, key, r)
	if err != nil {
		return nil, backend.Object{}, backend.Wrap(ctx, "get", key, err)
	}
	return backend.NewBody(ctx, key, body), obj, nil
}

func (s *store) get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	ctx, take := backend.ExpectObject(ctx)
	req, err := s.objectRequest(ctx, http.MethodGet, key)
	if err != nil {
		return nil, backend.Object{}, err
	}
	if r != (backend.Range{}) {
		req.Header.Set("Range", r.Header())
	}
	res, err := s.do(req)
	if err != nil {
		return nil, backend.Object{}, err
	}
	body, size, err := s.read(res, r)
	if err != nil {
		res.Body.Close()
		return nil, backend.Object{}, err
	}
	take()
	return body, backend.Object{Key: key, Size: size, Version: version(res.Header)}, nil
}

func (s *store) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	obj, err := s.put(ctx, key, body, opts)
	return obj, backend.Wrap(ctx, "put", key, err)
}

func (s *store) put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	conditional := opts.If != backend.Condition{}
	if conditional {
		if err := s.wantLarder(ctx, backend.ErrNoConditions); err != nil {
			return backend.Object{}, err
		}
	}
	upload, err := backend.NewUpload(ctx, body, opts.Size)
	if err != nil {
		return backend.Object{}, err
	}
	defer upload.Release()
	signature, err := s.check(upload, opts)
	if err != nil {
		return backend.Object{}, err
	}
	req, err := s.objectRequest(ctx, http.MethodPut, key)
	if err != nil {
		return backend.Object{}, err
	}
	req.ContentLength, req.Body = opts.Size, http.NoBody
	if opts.Size > 0 {
		req.GetBody = upload.Attempt
		if req.Body, err = upload.Attempt(); err != nil {
			return backend.Object{}, err
		}
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(opts.MD5[:]))
	if signature != "" {
		req.Header.Set(api.Signature, signature)
	}
	if opts.If.Absent {
		req.Header.Set("If-None-Match", "*")
	}
	if opts.If.Version != "" {
		req.Header.Set("If-Match", opts.If.Version)
	}
	res, err := s.do(req)
	if err != nil {
		return backend.Object{}, err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return backend.Object{}, putRefusal(res, conditional)
	}
	return backend.Object{Key: key, Size: opts.Size, Version: version(res.Header)}, nil
}

// check returns the signature of upload, or "" if bodies are not signed. It returns ErrDigest
// if opts do not fit upload. It need not read what the server will check.
func (s *store) check(upload *backend.Upload, opts backend.PutOptions) (signature string, err error) {
	if s.hmacKey == nil && s.kind.isLarder() {
		return "", nil
	}
	sum, mac := md5.New(), newMAC(s.hmacKey)
	if _, err := io.Copy(io.MultiWriter(sum, mac), upload); err != nil {
		return "", err
	}
	if [md5.Size]byte(sum.Sum(nil)) != opts.MD5 {
		return "", backend.ErrDigest
	}
	if s.hmacKey != nil {
		signature = hex.EncodeToString(mac.Sum(nil))
	}
	_, err = upload.Seek(0, io.SeekStart)
	return signature, err
}

func (s *store) Delete(ctx context.Context, key, version string) error {
	return backend.Wrap(ctx, "delete", key, s.delete(ctx, key, version))
}

func (s *store) delete(ctx context.Context, key, version string) error {
	if err := s.wantLarder(ctx, backend.ErrUnsupported); err != nil {
		return err
	}
	req, err := s.objectRequest(ctx, http.MethodDelete, key)
	if err != nil {
		return err
	}
	if version != "" {
		req.Header.Set("If-Match", version)
	}
	res, err := s.do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode < 300 {
		return nil
	}
	if err = refusal(res); errors.Is(err, backend.ErrNotFound) {
		return nil
	}
	return err
}

func (s *store) List(ctx context.Context, prefix string) iter.Seq2[backend.Object, error] {
	return func(yield func(backend.Object, error) bool) {
		if err := s.list(ctx, prefix, yield); err != nil {
			yield(backend.Object{}, backend.Wrap(ctx, "list", prefix, err))
		}
	}
}

func (s *store) list(ctx context.Context, prefix string, yield func(backend.Object, error) bool) error {
	if err := s.wantLarder(ctx, backend.ErrUnsupported); err != nil {
		return err
	}
	ctx, take := backend.ExpectObject(ctx) // a list may be longer than any other answer
	folder := prefix[:strings.LastIndexByte(prefix, '/')+1]
	req, err := s.request(ctx, http.MethodGet, folder)
	if err != nil {
		return err
	}
	req.URL.RawQuery = url.Values{api.ListParam: {prefix[len(folder):]}}.Encode()
	res, err := s.do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return listRefusal(res)
	}
	take()
	lines := bufio.NewScanner(res.Body) // of up to 64 KiB
	for lines.Scan() {
		var l api.Line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return err
		}
		if l.End || !yield(backend.Object{Key: folder + l.Key, Size: l.Size, Version: l.Version, Written: l.Written, Listed: l.Listed}, nil) {
			return nil
		}
	}
	return cmp.Or(lines.Err(), io.ErrUnexpectedEOF) // the last line is missing
}

// objectRequest returns a request for the object under key.
func (s *store) objectRequest(ctx context.Context, method, key string) (*http.Request, error) {
	if err := backend.CheckKey(key); err != nil {
		return nil, err
	}
	return s.request(ctx, method, key)
}

// request returns a request for what lies at path below the URL of the store: an object, or a
// folder, whose path is empty or ends with a slash.
func (s *store) request(ctx context.Context, method, path string) (*http.Request, error) {
	target := *s.Base
	target.Path = s.Base.Path + "/" + path
	target.RawPath = s.Base.EscapedPath() + "/" + api.EscapeKey(path)
	req, err := http.NewRequestWithContext(ctx, method, "", nil)
	if err != nil {
		return nil, err
	}
	req.URL, req.Host = &target, target.Host
	return req, nil
}

// do sends req with credentials, once more with other ones if the server refuses those.
func (s *store) do(req *http.Request) (*http.Response, error) {
	res, token, err := s.send(req)
	if err != nil || res.StatusCode != http.StatusUnauthorized || !s.bearer.Refused(token) {
		return res, err
	}
	res.Body.Close()
	req = req.Clone(req.Context()) // the first one may still be sent
	if req.GetBody != nil {
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	res, _, err = s.send(req)
	return res, err
}

// send sends req with credentials. It returns the token that was among them.
func (s *store) send(req *http.Request) (res *http.Response, token string, err error) {
	for name, values := range s.headers {
		req.Header[name] = values
	}
	req.Header.Set("Accept-Encoding", "identity")
	if token, err = s.bearer.Authorize(req.Context(), req.Header, s.User); err != nil {
		return nil, "", err
	}
	if res, err = s.client.Do(req); err != nil {
		return nil, "", hideURL(err)
	}
	s.kind.learn(res)
	return res, token, nil
}

const maxRedirects = 5

var errRedirects = fmt.Errorf("more than %d redirects", maxRedirects)

// isElsewhere reports whether req is for another host or port, or by another scheme, than those
// of the store.
func (s *store) isElsewhere(req *http.Request) bool {
	return req.URL.Host != s.Base.Host || req.URL.Scheme != s.Base.Scheme
}

// checkRedirect lets only a Get follow a redirect. Elsewhere, and back again, the request has
// no credentials.
func (s *store) checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case via[0].Method != http.MethodGet || req.URL.Path == via[len(via)-1].URL.Path+"/": // a folder
		return http.ErrUseLastResponse
	case len(via) > maxRedirects:
		return errRedirects
	case s.isElsewhere(req) || slices.ContainsFunc(via, s.isElsewhere):
		kept := http.Header{"Accept-Encoding": {"identity"}}
		if r := req.Header.Get("Range"); r != "" {
			kept.Set("Range", r)
		}
		req.Header = kept
	}
	return nil
}

// version returns the version of the object that an answer with the header h is about. A proxy
// may have marked an ETag as weak.
func version(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" {
		return strings.TrimPrefix(tag, "W/")
	}
	return h.Get("Last-Modified")
}
