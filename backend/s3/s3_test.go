package s3_test

import (
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/s3"
	"github.com/larderbuild/larder/testserver"
)

func TestStore(t *testing.T) {
	server := testserver.S3(t)
	server.Setenv(t)
	backendtest.Run(t, func(t *testing.T) backend.Store { return open(t, server, "some/prefix") })
}

// TestStoreInParts has the store put in parts what it puts at once as long as objects are
// not huge.
func TestStoreInParts(t *testing.T) {
	server := testserver.S3(t)
	server.Setenv(t)
	backendtest.Run(t, func(t *testing.T) backend.Store {
		return open(t, server, "some/prefix", func(c s3.Config) s3.Config { return c.InParts(1) })
	})
}

// open creates a bucket and returns the store under prefix in it.
func open(t *testing.T, server testserver.S3Server, prefix string, change ...func(s3.Config) s3.Config) backend.Store {
	t.Helper()
	bucket := bucketName(t)
	server.Bucket(t, bucket)
	cfg, err := s3.ParseConfig(server.URL(bucket, prefix))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		cfg = c(cfg)
	}
	s, err := s3.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// bucketName returns a legal bucket name made from the test's name.
func bucketName(t *testing.T) string {
	name := strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
	return strings.ReplaceAll(name, "_", "-")
}
