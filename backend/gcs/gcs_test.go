package gcs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/gcs"
	"github.com/larderbuild/larder/testserver"
)

func TestStore(t *testing.T) {
	server := testserver.GCS(t)
	backendtest.Run(t, func(t *testing.T) backend.Store { return open(t, server, "some/prefix") })
}

// open creates a bucket for the test and returns the store under prefix in it.
func open(t *testing.T, server testserver.GCSServer, prefix string) backend.Store {
	t.Helper()
	bucket := strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
	server.Bucket(t, bucket)
	cfg, err := gcs.ParseConfig(server.URL(bucket, prefix))
	if err != nil {
		t.Fatal(err)
	}
	s, err := gcs.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSilent: Google's clients log nothing to stderr, also if the environment asks for it.
func TestSilent(t *testing.T) {
	server := testserver.GCS(t)
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	defer func(was *os.File) { os.Stderr = was }(os.Stderr)
	os.Stderr = stderr
	t.Setenv("GOOGLE_SDK_GO_LOGGING_LEVEL", "debug")
	backendtest.PutBytes(t, open(t, server, ""), "key", []byte("data"))
	if said, err := os.ReadFile(stderr.Name()); err != nil || len(said) > 0 {
		t.Errorf("%s (%v)", said, err)
	}
}
