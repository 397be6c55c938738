package azblob_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/azblob"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/testserver"
)

func TestFaultsOnTheWay(t *testing.T) {
	server := testserver.Azure(t)
	server.Setenv(t)
	server.Container(t, "container")
	link := testserver.Proxy(t, server.Endpoint)
	server.Endpoint = link.Endpoint
	backendtest.RunFaults(t, openURL(t, server.URL("container", "")), map[string]func(){
		"down": link.Down, "reset": link.Reset, "cut": func() { link.Cut(100_000) },
	}, link.Heal)
}

func TestAnswers(t *testing.T) {
	backendtest.RunAnswers(t, openAt)
}

// openAt returns a store at endpoint. Its requests have a signature.
func openAt(t *testing.T, endpoint string) backend.Store {
	t.Helper()
	t.Setenv("AZURE_STORAGE_KEY", "c2VjcmV0")
	s, err := azblob.Open(t.Context(), azblob.Config{Account: "account", Container: "container", Endpoint: endpoint + "/account"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// answering returns a store whose server always gives the same answer, one that no real
// server gives on demand.
func answering(t *testing.T, status int, code, message string, header http.Header) backend.Store {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for name := range header {
			w.Header().Set(name, header.Get(name))
		}
		w.WriteHeader(status)
		if code != "" {
			fmt.Fprintf(w, "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
		}
	}))
	t.Cleanup(server.Close)
	s := openAt(t, server.URL)
	t.Cleanup(func() { s.Close() })
	return s
}

// TestMeanings: what Azure may say. Most of it no real server says on demand.
func TestMeanings(t *testing.T) {
	for _, test := range []struct {
		status                          int
		code, message                   string
		get, conditional, unconditional string
	}{
		{404, "BlobNotFound", "", "not found", "conflict", "failed"},
		{404, "ContainerNotFound", "", "denied", "denied", "denied"},
		{404, "ResourceNotFound", "", "denied", "denied", "denied"},
		{404, "", "", "denied", "denied", "denied"},
		{401, "NoAuthenticationInformation", "", "denied", "denied", "denied"},
		{400, "InvalidAuthenticationInfo", "", "denied", "denied", "denied"},
		{403, "AuthenticationFailed", "", "denied", "denied", "denied"},
		{403, "AuthorizationPermissionMismatch", "", "denied", "denied", "denied"},
		{403, "", "", "denied", "denied", "denied"},
		{409, "ContainerBeingDeleted", "", "denied", "denied", "denied"},
		{409, "BlobArchived", "", "denied", "denied", "denied"},
		{409, "BlobImmutableDueToPolicy", "", "denied", "denied", "denied"},
		{409, "BlobAlreadyExists", "", "conflict", "conflict", "contention"},
		{409, "SomethingNew", "", "failed", "conflict", "contention"},
		{412, "ConditionNotMet", "", "conflict", "conflict", "contention"},
		{412, "LeaseIdMissing", "", "conflict", "conflict", "contention"},
		{400, "InvalidBlockList", "", "failed", "conflict", "contention"},
		{400, "InvalidBlobOrBlock", "", "failed", "conflict", "contention"},
		{400, "ConditionHeadersNotSupported", "", "failed", "no conditions", "failed"},
		{400, "UnsupportedHeader", "", "failed", "no conditions", "failed"},
		{501, "", "", "failed", "no conditions", "failed"},
		{400, "Md5Mismatch", "", "digest", "digest", "digest"},
		{400, "InvalidOperation", "Provided contentMD5 doesn't match.", "digest", "digest", "digest"},
		{400, "InvalidOperation", "Something else.", "failed", "failed", "failed"},
		{429, "TooManyRequests", "", "busy", "contention", "contention"},
		{503, "ServerBusy", "", "busy", "busy", "busy"},
		{503, "", "", "busy", "busy", "busy"},
		{500, "OperationTimedOut", "", "failed", "failed", "failed"},
		{307, "", "", "failed", "failed", "failed"},
	} {
		t.Run(fmt.Sprint(test.status, test.code, test.message), func(t *testing.T) {
			s := answering(t, test.status, test.code, test.message, nil)
			_, _, err := s.Get(t.Context(), "key", backend.Range{})
			if got := meaning(err); got != test.get {
				t.Errorf("get: %s (%v), want %s", got, err, test.get)
			}
			for cond, want := range map[backend.Condition]string{
				{}:             test.unconditional,
				{Absent: true}: test.conditional,
				{Version: "x"}: test.conditional,
			} {
				opts := backend.OptionsOf([]byte("data"))
				opts.If = cond
				_, err := s.Put(t.Context(), "key", strings.NewReader("data"), opts)
				if got := meaning(err); got != want {
					t.Errorf("%+v: %s (%v), want %s", cond, got, err, want)
				}
			}
		})
	}
}

// meaning says in a word or two how an error is to be understood.
func meaning(err error) string {
	var busy *backend.Busy
	switch {
	case err == nil:
		return "success"
	case errors.As(err, &busy) && busy.Object:
		return "contention"
	case busy != nil:
		return "busy"
	}
	for word, sentinel := range map[string]error{
		"not found": backend.ErrNotFound, "conflict": backend.ErrConflict, "digest": backend.ErrDigest,
		"denied": backend.ErrDenied, "no conditions": backend.ErrNoConditions,
	} {
		if errors.Is(err, sentinel) {
			return word
		}
	}
	return "failed"
}

func TestRetryAfter(t *testing.T) {
	s := answering(t, 503, "ServerBusy", "", http.Header{"Retry-After": {"7"}})
	_, _, err := s.Get(t.Context(), "key", backend.Range{})
	var busy *backend.Busy
	if !errors.As(err, &busy) || busy.Object || busy.After != 7*time.Second {
		t.Errorf("got %+v of %v", busy, err)
	}
}

// TestOneAttempt: each call sends one request, whatever is answered.
func TestOneAttempt(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		requests.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	s := openAt(t, server.URL)
	defer s.Close()
	for op, call := range map[string]func() error{
		"get": func() error { _, _, err := s.Get(t.Context(), "key", backend.Range{}); return err },
		"put": func() error {
			_, err := s.Put(t.Context(), "key", strings.NewReader(""), backend.OptionsOf(nil))
			return err
		},
		"delete": func() error { return s.Delete(t.Context(), "key", "") },
		"list": func() (err error) {
			for _, err = range s.List(t.Context(), "") {
			}
			return err
		},
	} {
		requests.Store(0)
		if err := call(); meaning(err) != "busy" || requests.Load() != 1 {
			t.Errorf("%s: %d requests, %v", op, requests.Load(), err)
		}
	}
}

func TestRangeIgnored(t *testing.T) {
	s := answering(t, 200, "everything", "", nil)
	if _, _, err := s.Get(t.Context(), "key", backend.Range{Offset: 2, Length: 3}); err == nil {
		t.Error("a part was asked for, the whole accepted")
	}
}

// TestNotTheStore: what answers in the store's place, such as a login page, has stored and
// removed nothing, and lists nothing, whatever its status.
func TestNotTheStore(t *testing.T) {
	for name, s := range map[string]backend.Store{
		"a page":  answering(t, 200, "!doctype html", "Welcome", nil),
		"nothing": answering(t, 200, "", "", nil),
		"created": answering(t, 201, "", "", nil),
	} {
		_, err := s.Put(t.Context(), "key", strings.NewReader("data"), backend.OptionsOf([]byte("data")))
		if meaning(err) != "failed" {
			t.Errorf("%s: put: %v, want a fault", name, err)
		}
		if err := s.Delete(t.Context(), "key", ""); meaning(err) != "failed" {
			t.Errorf("%s: delete: %v, want a fault", name, err)
		}
		err = nil
		for _, err = range s.List(t.Context(), "") {
		}
		if meaning(err) != "failed" {
			t.Errorf("%s: list: %v, want a fault", name, err)
		}
	}
}

// TestFolders: an account with a hierarchical namespace lists folders, too.
func TestFolders(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `<EnumerationResults><Blobs>
			<Blob><Name>v1</Name><Properties><Content-Length>0</Content-Length><Etag>0x1</Etag><ResourceType>directory</ResourceType></Properties></Blob>
			<Blob><Name>v1/key</Name><Properties><Content-Length>4</Content-Length><Etag>0x2</Etag><ResourceType>file</ResourceType></Properties></Blob>
			</Blobs><NextMarker /></EnumerationResults>`)
	}))
	defer server.Close()
	var keys []string
	for obj, err := range openAt(t, server.URL).List(t.Context(), "") {
		if err != nil || obj.Version != "0x2" || obj.Size != 4 {
			t.Errorf("%+v, %v", obj, err)
		}
		keys = append(keys, obj.Key)
	}
	if len(keys) != 1 {
		t.Errorf("listed %q", keys)
	}
}

// recording returns a store whose server notes the version and the query of each request.
func recording(t *testing.T, version *string, query *url.Values) backend.Store {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*version, *query = r.Header.Get("X-Ms-Version"), r.URL.Query()
	}))
	t.Cleanup(server.Close)
	s, err := azblob.Open(t.Context(), azblob.Config{Account: "account", Container: "container", Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestWeakETag: a condition holds although a proxy marks ETags as weak.
func TestWeakETag(t *testing.T) {
	server := testserver.Azure(t)
	server.Setenv(t)
	server.Container(t, "container")
	to, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(res *http.Response) error {
			if etag := res.Header.Get("ETag"); etag != "" {
				res.Header.Set("ETag", "W/"+etag)
			}
			return nil
		},
	})
	t.Cleanup(proxy.Close)
	server.Endpoint = proxy.URL
	s := openURL(t, server.URL("container", ""))
	put := backendtest.PutBytes(t, s, "key", []byte("one"))
	body, got, err := s.Get(t.Context(), "key", backend.Range{})
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
	opts := backend.OptionsOf([]byte("two"))
	opts.If.Version = got.Version
	if _, err := s.Put(t.Context(), "key", strings.NewReader("two"), opts); err != nil || put.Version != got.Version {
		t.Errorf("put version %s, got %s; %v", put.Version, got.Version, err)
	}
}
