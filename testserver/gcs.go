package testserver

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// GCSServer is a running fake-gcs-server. It asks for no credentials.
type GCSServer struct {
	Endpoint string // http://host:port
}

// GCS starts a GCS server without buckets. It keeps its objects in memory. Its answers
// are the same through a [Proxy]: larder uses only the JSON API, whose addresses are
// relative to the one that the client has used.
func GCS(t testing.TB) GCSServer {
	t.Helper()
	file := binary(t, "github.com/fsouza/fake-gcs-server")
	addr := start(t, file, func(port int) []string {
		addr := "127.0.0.1:" + strconv.Itoa(port)
		return []string{
			"-scheme", "http", "-host", "127.0.0.1", "-port", strconv.Itoa(port),
			"-backend", "memory", "-log-level", "error",
			"-external-url", "http://" + addr, "-public-host", addr,
		}
	})
	return GCSServer{Endpoint: "http://" + addr}
}

// Bucket creates a bucket.
func (s GCSServer) Bucket(t testing.TB, name string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(s.Endpoint+"/storage/v1/b?project=test", "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(res.Body)
		t.Fatalf("create bucket %s: %s: %s", name, res.Status, answer)
	}
}

// URL returns larder's URL for prefix in a bucket. A test that uses a [Proxy] first sets
// Endpoint to the proxy's.
func (s GCSServer) URL(bucket, prefix string) string {
	query := url.Values{"endpoint": {s.Endpoint}}
	return (&url.URL{Scheme: "gs", Host: bucket, Path: prefix, RawQuery: query.Encode()}).String()
}
