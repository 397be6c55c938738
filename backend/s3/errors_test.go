package s3_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/s3"
	"github.com/larderbuild/larder/testserver"
)

func TestDenied(t *testing.T) {
	server := testserver.S3(t)
	server.Bucket(t, "bucket")
	cfg := s3.Config{Bucket: "bucket", Endpoint: server.Endpoint, Region: server.Region, PathStyle: true}
	for _, test := range []struct {
		name   string
		change func(*testing.T, *s3.Config)
	}{
		{"no such bucket", func(t *testing.T, cfg *s3.Config) { cfg.Bucket = "other" }},
		{"wrong key", func(t *testing.T, cfg *s3.Config) { t.Setenv("AWS_ACCESS_KEY_ID", "nobody") }},
		{"wrong secret", func(t *testing.T, cfg *s3.Config) { t.Setenv("AWS_SECRET_ACCESS_KEY", "guessed") }},
		{"anonymous", func(t *testing.T, cfg *s3.Config) { cfg.Anonymous = true }},
		{"no credentials", func(t *testing.T, cfg *s3.Config) {
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "")
			missing := filepath.Join(t.TempDir(), "missing")
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", missing)
			t.Setenv("AWS_CONFIG_FILE", missing)
			t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server.Setenv(t)
			cfg := cfg
			test.change(t, &cfg)
			s, err := s3.Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			backendtest.WantDenied(t, s)
		})
	}
}

func TestFaultsOnTheWay(t *testing.T) {
	server := testserver.S3(t)
	server.Setenv(t)
	server.Bucket(t, "bucket")
	link := testserver.Proxy(t, server.Endpoint)
	s, err := s3.Open(t.Context(), s3.Config{Bucket: "bucket", Endpoint: link.Endpoint, PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	backendtest.RunFaults(t, s, map[string]func(){
		"down": link.Down, "reset": link.Reset, "cut": func() { link.Cut(100_000) },
	}, link.Heal)
}

// recorder answers each request as S3 answers a Put, and keeps the request's header.
func recorder(t *testing.T, header *http.Header) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		*header = r.Header.Clone()
		w.Header().Set("ETag", `"etag"`)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestDigestHeaders looks at the headers of requests, because no server that the tests
// have supports directory buckets.
func TestDigestHeaders(t *testing.T) {
	testserver.S3Server{AccessKey: "id", SecretKey: "secret"}.Setenv(t)
	t.Setenv("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "true")
	data := []byte("data")
	var header http.Header
	endpoint := recorder(t, &header)
	for bucket, express := range map[string]bool{"bucket": false, "bucket--use1-az4--x-s3": true} {
		s, err := s3.Open(t.Context(), s3.Config{Bucket: bucket, Endpoint: endpoint, PathStyle: true})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		backendtest.PutBytes(t, s, "key", data)
		crc := header.Get("X-Amz-Checksum-Crc32") + header.Get("X-Amz-Trailer")
		if (crc != "") != express || (header.Get("Content-Md5") != "") == express {
			t.Errorf("%s: Content-MD5 %q, CRC32 %q", bucket, header.Get("Content-Md5"), crc)
		}
		_, err = s.Put(t.Context(), "key", strings.NewReader("atad"), backend.OptionsOf(data))
		if express && !errors.Is(err, backend.ErrDigest) {
			t.Errorf("%s: wrong MD5: %v", bucket, err)
		}
	}
}

// TestListOfADirectoryBucket: such a bucket refuses a prefix that does not end in a slash.
func TestListOfADirectoryBucket(t *testing.T) {
	testserver.S3Server{AccessKey: "id", SecretKey: "secret"}.Setenv(t)
	t.Setenv("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "true")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if prefix := r.FormValue("prefix"); prefix != "" && !strings.HasSuffix(prefix, "/") {
			http.Error(w, prefix, http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, "<ListBucketResult>")
		for _, key := range []string{"folder/other", "folder/key", "folder/keys"} {
			if strings.HasPrefix(key, r.FormValue("prefix")) {
				fmt.Fprintf(w, "<Contents><Key>%s</Key><ETag>1</ETag><Size>1</Size></Contents>", key)
			}
		}
		fmt.Fprint(w, "</ListBucketResult>")
	}))
	defer server.Close()
	s, err := s3.Open(t.Context(), s3.Config{Bucket: "bucket--use1-az4--x-s3", Endpoint: server.URL, PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for prefix, want := range map[string]int{"": 3, "fol": 3, "folder/": 3, "folder/key": 2, "folder/keys": 1, "other": 0} {
		n := 0
		for obj, err := range s.List(t.Context(), prefix) {
			if n++; err != nil || !strings.HasPrefix(obj.Key, prefix) {
				t.Errorf("prefix %q: %+v, %v", prefix, obj, err)
			}
		}
		if n != want {
			t.Errorf("prefix %q: %d objects, want %d", prefix, n, want)
		}
	}
}

func TestAnswers(t *testing.T) {
	backendtest.RunAnswers(t, openAt)
}

// openAt returns a store at endpoint, to which its requests send a session token.
func openAt(t *testing.T, endpoint string) backend.Store {
	testserver.S3Server{AccessKey: "id", SecretKey: "secret"}.Setenv(t)
	t.Setenv("AWS_SESSION_TOKEN", "token")
	s, err := s3.Open(t.Context(), s3.Config{Bucket: "bucket", Endpoint: endpoint, PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRefusedObject tests that a Get ends when the SDK rejects a header of an endless
// answer: then the SDK discards the body.
func TestRefusedObject(t *testing.T) {
	server := backendtest.NewEndless(200, http.Header{"Last-Modified": {"never"}})
	s := openAt(t, server.URL)
	_, _, err := s.Get(t.Context(), "key", backend.Range{})
	s.Close()
	if sent := server.Stop(); sent >= backendtest.MaxEndless {
		t.Errorf("took %d bytes", sent)
	}
	if err == nil || errors.Is(err, backend.ErrNotFound) {
		t.Errorf("got %v, want another error", err)
	}
}

// TestNotTheStore: what answers in the store's place, such as a login page, has stored
// nothing, whatever its status.
func TestNotTheStore(t *testing.T) {
	for name, page := range map[string]string{"a page": "<!doctype html><title>Welcome</title>", "nothing": ""} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, page) }))
		t.Cleanup(server.Close)
		_, err := openAt(t, server.URL).Put(t.Context(), "key", strings.NewReader("data"), backend.OptionsOf([]byte("data")))
		if err == nil || errors.Is(err, backend.ErrDenied) {
			t.Errorf("%s: got %v, want a fault", name, err)
		}
	}
}

// TestWeakETag: a condition holds although a proxy marks ETags as weak.
func TestWeakETag(t *testing.T) {
	server := testserver.S3(t)
	server.Setenv(t)
	server.Bucket(t, "bucket")
	to, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // which is signed
		},
		ModifyResponse: func(res *http.Response) error {
			if etag := res.Header.Get("ETag"); etag != "" {
				res.Header.Set("ETag", "W/"+etag)
			}
			return nil
		},
	})
	t.Cleanup(proxy.Close)
	s, err := s3.Open(t.Context(), s3.Config{Bucket: "bucket", Endpoint: proxy.URL, Region: server.Region, PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put := backendtest.PutBytes(t, s, "key", []byte("one"))
	body, got, err := s.Get(t.Context(), "key", backend.Range{})
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
	if put.Version != got.Version {
		t.Errorf("put version %s, got %s", put.Version, got.Version)
	}
	opts := backend.OptionsOf([]byte("two"))
	opts.If.Version = got.Version
	if _, err := s.Put(t.Context(), "key", strings.NewReader("two"), opts); err != nil {
		t.Error(err)
	}
}
