package gcs_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/gcs"
	"github.com/larderbuild/larder/testserver"
)

func TestDenied(t *testing.T) {
	server := testserver.GCS(t)
	server.Bucket(t, "bucket")
	garbage := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(garbage, []byte("garbage"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, bucket, credentials string
	}{
		{"no such bucket", "other", ""},
		{"missing credentials file", "bucket", filepath.Join(t.TempDir(), "credentials.json")},
		{"damaged credentials file", "bucket", garbage},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", test.credentials)
			s, err := gcs.Open(t.Context(), gcs.Config{Bucket: test.bucket, Endpoint: server.Endpoint})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			backendtest.WantDenied(t, s)
		})
	}
}

func TestFaultsOnTheWay(t *testing.T) {
	server := testserver.GCS(t)
	server.Bucket(t, "bucket")
	link := testserver.Proxy(t, server.Endpoint)
	s, err := gcs.Open(t.Context(), gcs.Config{Bucket: "bucket", Endpoint: link.Endpoint})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	backendtest.RunFaults(t, s, map[string]func(){
		"down": link.Down, "reset": link.Reset, "cut": func() { link.Cut(100_000) },
	}, link.Heal)
}

// answering returns a store whose server always gives the same answer, one that no real
// server gives on demand.
func answering(t *testing.T, code int, body string) backend.Store {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(code)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	s := openAt(t, server.URL)
	t.Cleanup(func() { s.Close() })
	return s
}

func openAt(t *testing.T, endpoint string) backend.Store {
	t.Helper()
	s, err := gcs.Open(t.Context(), gcs.Config{Bucket: "bucket", Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnswers(t *testing.T) {
	backendtest.RunAnswers(t, openAt)
}

func TestSentinels(t *testing.T) {
	sentinels := []error{backend.ErrNotFound, backend.ErrConflict, backend.ErrDigest, backend.ErrDenied}
	for _, test := range []struct {
		name string
		code int
		body string
		want error // nil: a fault
	}{
		{"unauthorized", 401, "", backend.ErrDenied},
		{"forbidden", 403, `{"error":{"errors":[{"reason":"forbidden"}]}}`, backend.ErrDenied},
		{"too fast", 403, `{"error":{"errors":[{"reason":"userRateLimitExceeded"}]}}`, nil},
		{"too many", 429, "", nil},
		{"broken", 500, "", nil},
		{"overloaded", 503, "", nil},
		{"redirect", 307, "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := answering(t, test.code, test.body).Get(t.Context(), "key", backend.Range{})
			if err == nil {
				t.Fatal("no error")
			}
			for _, sentinel := range sentinels {
				if errors.Is(err, sentinel) != (sentinel == test.want) {
					t.Errorf("%v is %v, want %v", err, sentinel, test.want)
				}
			}
		})
	}
}

// TestBusy: what a server says that has too many requests, or too many writes of an object.
func TestBusy(t *testing.T) {
	for _, test := range []struct {
		name string
		code int
		body string
		get  *backend.Busy
		put  *backend.Busy
	}{
		{"too many", 429, "", &backend.Busy{}, &backend.Busy{Object: true}},
		{"overloaded", 503, "", &backend.Busy{}, &backend.Busy{}},
		{"too fast", 403, `{"error":{"errors":[{"reason":"userRateLimitExceeded"}]}}`, &backend.Busy{}, &backend.Busy{}},
		{"at the same time", 409, "", nil, &backend.Busy{Object: true}},
		{"broken", 500, "", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := answering(t, test.code, test.body)
			_, _, errGet := s.Get(t.Context(), "key", backend.Range{})
			_, errPut := s.Put(t.Context(), "key", strings.NewReader("data"), backend.OptionsOf([]byte("data")))
			for _, got := range []struct {
				err  error
				want *backend.Busy
			}{{errGet, test.get}, {errPut, test.put}} {
				var busy *backend.Busy
				if errors.As(got.err, &busy) != (got.want != nil) || busy != nil && *busy != *got.want {
					t.Errorf("got %+v of %v, want %+v", busy, got.err, got.want)
				}
			}
		})
	}
}

// TestNoConditions: a server in Google's place may refuse conditions.
func TestNoConditions(t *testing.T) {
	opts := backend.OptionsOf([]byte("data"))
	opts.If.Absent = true
	_, err := answering(t, 501, "").Put(t.Context(), "key", strings.NewReader("data"), opts)
	if !errors.Is(err, backend.ErrNoConditions) {
		t.Errorf("got %v", err)
	}
}

func TestRangeIgnored(t *testing.T) {
	s := answering(t, 200, "everything")
	if _, _, err := s.Get(t.Context(), "key", backend.Range{Offset: 2, Length: 3}); err == nil {
		t.Error("a part was asked for, the whole accepted")
	}
}

// TestNotTheStore: what answers in the store's place, such as a login page, has stored
// nothing, whatever its status.
func TestNotTheStore(t *testing.T) {
	for name, answer := range map[string]backend.Store{
		"a page":     answering(t, 200, "<!doctype html><title>Welcome</title>"),
		"nothing":    answering(t, 200, ""),
		"no content": answering(t, 204, ""),
		"JSON":       answering(t, 200, "{}"),
	} {
		_, err := answer.Put(t.Context(), "key", strings.NewReader("data"), backend.OptionsOf([]byte("data")))
		if err == nil || errors.Is(err, backend.ErrDenied) {
			t.Errorf("%s: got %v, want a fault", name, err)
		}
	}
}
