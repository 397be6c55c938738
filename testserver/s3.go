package testserver

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// S3Server is a running versitygw.
type S3Server struct {
	Endpoint             string // http://host:port
	AccessKey, SecretKey string // of its root user; no other exists
	Region               string
	Dir                  string // buckets are its folders, objects the files in them
}

// S3 starts an S3 server without buckets.
func S3(t testing.TB) S3Server {
	t.Helper()
	s := S3Server{
		AccessKey: "larder-test",
		SecretKey: "not-a-secret",
		Region:    "us-east-1",
		Dir:       t.TempDir(),
	}
	file := binary(t, "github.com/versity/versitygw/cmd/versitygw")
	addr := start(t, file, func(port int) []string {
		return []string{
			"--port", fmt.Sprintf("127.0.0.1:%d", port), "--keep-alive", "--quiet",
			"--access", s.AccessKey, "--secret", s.SecretKey, "--region", s.Region,
			"posix", s.Dir,
		}
	})
	s.Endpoint = "http://" + addr
	return s
}

// Bucket creates a bucket.
func (s S3Server) Bucket(t testing.TB, name string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(s.Dir, name), 0o777); err != nil {
		t.Fatal(err)
	}
}

// URL returns the address of a bucket, and of a prefix in it, for larder. A
// test that goes through a [Proxy] sets Endpoint to the proxy's first.
func (s S3Server) URL(bucket, prefix string) string {
	query := url.Values{"endpoint": {s.Endpoint}, "region": {s.Region}, "path_style": {"true"}}
	return (&url.URL{Scheme: "s3", Host: bucket, Path: prefix, RawQuery: query.Encode()}).String()
}

// Environ returns the variables by which the server's root user is known.
func (s S3Server) Environ() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + s.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s.SecretKey}
}

// Setenv sets the variables of [S3Server.Environ] for the rest of the test.
func (s S3Server) Setenv(t testing.TB) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretKey)
}
