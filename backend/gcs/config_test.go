package gcs_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/gcs"
	"github.com/larderbuild/larder/testserver"
)

// TestEmulator: STORAGE_EMULATOR_HOST names a server that gets no credentials.
func TestEmulator(t *testing.T) {
	server := testserver.GCS(t)
	server.Bucket(t, "bucket")
	for _, host := range []string{server.Endpoint, strings.TrimPrefix(server.Endpoint, "http://"), server.Endpoint + "/"} {
		t.Setenv("STORAGE_EMULATOR_HOST", host)
		t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "/missing")
		s, err := gcs.Open(t.Context(), gcs.Config{Bucket: "bucket"})
		if err != nil {
			t.Fatal(err)
		}
		backendtest.PutBytes(t, s, "key", []byte("data"))
		s.Close()
	}
}

// TestEndpointAndEmulator: the URL's endpoint counts more than the environment.
func TestEndpointAndEmulator(t *testing.T) {
	t.Setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:1")
	server := testserver.GCS(t)
	s := open(t, server, "")
	defer s.Close()
	backendtest.PutBytes(t, s, "key", []byte("data"))
}

func TestWrongEmulator(t *testing.T) {
	for _, host := range []string{"http://", "https://user:hunter2@host", "ftp://host", "host:port:port"} {
		t.Setenv("STORAGE_EMULATOR_HOST", host)
		_, err := gcs.Open(t.Context(), gcs.Config{Bucket: "bucket"})
		if err == nil || !strings.Contains(err.Error(), "STORAGE_EMULATOR_HOST must be of the form host:port") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// TestPathOfEndpoint: all requests go below the path of the endpoint.
func TestPathOfEndpoint(t *testing.T) {
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer server.Close()
	s := openAt(t, server.URL+"/gcs")
	defer s.Close()
	s.Get(t.Context(), "key", backend.Range{})
	s.Put(t.Context(), "key", strings.NewReader(""), backend.OptionsOf(nil))
	s.Delete(t.Context(), "key", "")
	for range s.List(t.Context(), "") {
	}
	if len(paths) != 4 {
		t.Errorf("%d requests, want 4", len(paths))
	}
	for _, path := range paths {
		if !strings.HasPrefix(path, "/gcs/storage/v1/b/bucket/o") && !strings.HasPrefix(path, "/gcs/upload/storage/v1/b/bucket/o") {
			t.Errorf("a request for %s", path)
		}
	}
}
