package s3_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	openurl "github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/backend/s3"
	"github.com/larderbuild/larder/testserver"
)

// openURL returns the store at a URL.
func openURL(t *testing.T, rawURL string) backend.Store {
	t.Helper()
	s, err := openurl.Store(t.Context(), rawURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestHeaders: each parameter is a header of the requests that it concerns, and no
// request signs a header that proxies rewrite.
func TestHeaders(t *testing.T) {
	testserver.S3Server{AccessKey: "id", SecretKey: "secret"}.Setenv(t)
	var header http.Header
	endpoint := recorder(t, &header)
	s := openURL(t, "s3://bucket?path_style=true&sse=aws:kms&kms_key=k&acl=bucket-owner-full-control&storage_class=STANDARD_IA"+
		"&requester_pays=true&endpoint="+url.QueryEscape(endpoint))
	ofPut := map[string]string{
		"X-Amz-Server-Side-Encryption":                "aws:kms",
		"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "k",
		"X-Amz-Acl":           "bucket-owner-full-control",
		"X-Amz-Storage-Class": "STANDARD_IA",
	}
	for _, request := range []struct {
		name string
		send func()
		puts bool
	}{
		{"put", func() { backendtest.PutBytes(t, s, "key", []byte("data")) }, true},
		{"get", func() {
			if body, _, err := s.Get(t.Context(), "key", backend.Range{}); err == nil {
				body.Close()
			}
		}, false},
		{"list", func() {
			for range s.List(t.Context(), "") {
			}
		}, false},
		{"delete", func() { s.Delete(t.Context(), "key", "") }, false},
	} {
		header = nil
		request.send()
		if got := header.Get("X-Amz-Request-Payer"); got != "requester" {
			t.Errorf("%s: payer %q", request.name, got)
		}
		for name, want := range ofPut {
			if !request.puts {
				want = ""
			}
			if got := header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", request.name, name, got, want)
			}
		}
		_, signed, _ := strings.Cut(header.Get("Authorization"), "SignedHeaders=")
		if signed == "" || strings.Contains(signed, "accept-encoding") {
			t.Errorf("%s: signed %s", request.name, signed)
		}
		if got := header.Get("Accept-Encoding"); got != "" {
			t.Errorf("%s: Accept-Encoding %q", request.name, got)
		}
	}
}

// TestParametersAtAServer: a server takes requests with all of them.
func TestParametersAtAServer(t *testing.T) {
	server := testserver.S3(t)
	server.Setenv(t)
	server.Bucket(t, "bucket")
	s := openURL(t, server.URL("bucket", "prefix")+"&sse=AES256&storage_class=STANDARD&requester_pays=true&acl=private")
	backendtest.PutBytes(t, s, "key", []byte("data"))
}

// TestConfiguredEndpoint: a server that the environment or a shared file names is
// treated as one that the URL names.
func TestConfiguredEndpoint(t *testing.T) {
	server := testserver.S3(t)
	server.Bucket(t, "bucket")
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("[default]\nendpoint_url = "+server.Endpoint+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var header http.Header
	endpoint := recorder(t, &header)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.Endpoint, "AWS_ENDPOINT_URL_S3": server.Endpoint, "AWS_CONFIG_FILE": file,
	} {
		t.Run(name, func(t *testing.T) {
			server.Setenv(t)
			t.Setenv("AWS_REGION", "")
			t.Setenv("AWS_DEFAULT_REGION", "")
			t.Setenv(name, value)
			backendtest.PutBytes(t, openURL(t, "s3://bucket?path_style=true"), strings.ToLower(name), []byte("data"))

			if name == "AWS_CONFIG_FILE" {
				return
			}
			t.Setenv(name, endpoint)
			backendtest.PutBytes(t, openURL(t, "s3://bucket?path_style=true"), "key", []byte("data"))
			if sum := header.Get("X-Amz-Checksum-Crc32") + header.Get("X-Amz-Trailer"); sum != "" {
				t.Errorf("a checksum that many servers reject: %s", sum)
			}
		})
	}
}

// TestNamesOfBuckets: a name that is more than one is sent as it has to be.
func TestNamesOfBuckets(t *testing.T) {
	testserver.S3Server{AccessKey: "id", SecretKey: "secret"}.Setenv(t)
	t.Setenv("AWS_REGION", "us-west-1")
	elsewhere()
	for rawURL, want := range map[string]string{
		"s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/my-ap/pre?endpoint=http://s3.example":      "my-ap-123456789012.s3.example/pre/key eu-west-1",
		"s3://arn:aws:s3:eu-west-1:123456789012:accesspoint:my-ap?region=x&endpoint=http://s3.example": "my-ap-123456789012.s3.example/key eu-west-1",
		"s3://tenant:bucket/pre?endpoint=http://s3.example":                                            "s3.example/tenant:bucket/pre/key us-west-1",
		"s3://tenant:bucket?endpoint=http://s3.example&region=x":                                       "s3.example/tenant:bucket/key x",
	} {
		body, _, err := openURL(t, rawURL).Get(t.Context(), "key", backend.Range{})
		if err == nil {
			body.Close()
		}
		var got []string
		for _, r := range elsewhere() {
			scope := strings.Split(r.Header.Get("Authorization"), "/") // Credential=id/date/region/…
			got = append(got, fmt.Sprintf("%s%s %s", r.Host, r.URL.Path, scope[2]))
		}
		if !slices.Equal(got, []string{want}) {
			t.Errorf("%s: asked %q, want %s (%v)", rawURL, got, want, err)
		}
	}
}

// TestOtherRegion: the error of a bucket in another region names that.
func TestOtherRegion(t *testing.T) {
	const malformed = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>%s</Message>%s</Error>"
	for name, answer := range map[string]func(http.ResponseWriter){
		"header of a redirect": func(w http.ResponseWriter) {
			w.Header().Set("X-Amz-Bucket-Region", "eu-west-1")
			w.WriteHeader(http.StatusMovedPermanently)
		},
		"header, with a body": func(w http.ResponseWriter) {
			w.Header().Set("X-Amz-Bucket-Region", "eu-west-1")
			w.WriteHeader(http.StatusMovedPermanently)
			fmt.Fprint(w, "<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>")
		},
		"body": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, malformed, "wrong", "<Region>eu-west-1</Region>")
		},
		"message": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, malformed, "the region 'us-east-1' is wrong; expecting &apos;eu-west-1&apos;", "")
		},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
		t.Cleanup(server.Close)
		_, _, err := openAt(t, server.URL).Get(t.Context(), "key", backend.Range{})
		if !errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), "region=eu-west-1") {
			t.Errorf("%s: %v", name, err)
		}
	}

	server := testserver.S3(t)
	server.Setenv(t)
	server.Bucket(t, "bucket")
	right := server.Region
	server.Region = "eu-north-1"
	_, _, err := openURL(t, server.URL("bucket", "")).Get(t.Context(), "key", backend.Range{})
	if !errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), "region="+right) {
		t.Errorf("a server: %v", err)
	}
}

// TestNoMetadata: where nobody answers as a machine of Amazon's does, nobody is asked
// twice, however many requests need credentials.
func TestNoMetadata(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				close(asked)
				return
			}
			asked <- conn
		}
	}()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	for _, name := range []string{"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"} {
		t.Setenv(name, filepath.Join(t.TempDir(), "missing"))
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+silent.Addr().String())
	s, err := s3.Open(t.Context(), s3.Config{Bucket: "bucket", Endpoint: "http://127.0.0.1:1", PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		if _, _, err := s.Get(t.Context(), "key", backend.Range{}); !errors.Is(err, backend.ErrDenied) {
			t.Errorf("%v, want %v", err, backend.ErrDenied)
		}
	}
	silent.Close()
	n := 0
	for conn := range asked {
		conn.Close()
		n++
	}
	if n != 1 {
		t.Errorf("asked %d times", n)
	}
}
