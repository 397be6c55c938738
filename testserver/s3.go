package testserver

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// versitygw is the main package of the server that [S3] and [S3WithIAM] start.
const versitygw = "github.com/versity/versitygw/cmd/versitygw"

// These are the root user's credentials and the server's region.
const (
	rootAccessKey = "larder-test"
	rootSecretKey = "not-a-secret"
	region        = "us-east-1"
)

// S3Server is a running versitygw.
type S3Server struct {
	Endpoint             string // http://host:port
	AccessKey, SecretKey string // of the root user; only [S3WithIAM] has other users
	Region               string
	Dir                  string // its folders are the buckets, the files in them the objects
}

// S3 starts an S3 server without buckets.
func S3(t testing.TB) S3Server {
	t.Helper()
	return startS3(t)
}

// startS3 is S3 with more flags.
func startS3(t testing.TB, flags ...string) S3Server {
	t.Helper()
	s := S3Server{AccessKey: rootAccessKey, SecretKey: rootSecretKey, Region: region, Dir: t.TempDir()}
	addr := start(t, binary(t, versitygw), func(port int) []string {
		return slices.Concat(rootFlags(port), flags, []string{"posix", s.Dir})
	})
	s.Endpoint = "http://" + addr
	return s
}

// rootFlags returns the flags that the S3 server and the IAM server both need.
func rootFlags(port int) []string {
	return []string{
		"--port", "127.0.0.1:" + strconv.Itoa(port), "--keep-alive", "--quiet",
		"--access", rootAccessKey, "--secret", rootSecretKey, "--region", region,
	}
}

// Bucket creates a bucket.
func (s S3Server) Bucket(t testing.TB, name string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(s.Dir, name), 0o777); err != nil {
		t.Fatal(err)
	}
}

// URL returns larder's URL for prefix in a bucket. A test that uses a [Proxy] first sets
// Endpoint to the proxy's.
func (s S3Server) URL(bucket, prefix string) string {
	query := url.Values{"endpoint": {s.Endpoint}, "region": {s.Region}, "path_style": {"true"}}
	return (&url.URL{Scheme: "s3", Host: bucket, Path: prefix, RawQuery: query.Encode()}).String()
}

// Environ returns the variables that have the root user's credentials.
func (s S3Server) Environ() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + s.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s.SecretKey}
}

// Setenv sets the variables of [S3Server.Environ] for the rest of the test.
func (s S3Server) Setenv(t testing.TB) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretKey)
}
