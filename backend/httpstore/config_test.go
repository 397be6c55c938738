package httpstore_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/httpstore"
)

func TestParseConfig(t *testing.T) {
	for _, test := range []struct {
		url, base      string
		user, password string
		plain, http2   bool
	}{
		{url: "http://host", base: "http://host"},
		{url: "http://host/", base: "http://host"},
		{url: "HTTPS://Host:8443/Path//", base: "https://Host:8443/Path"},
		{url: "http://[::1]:80/a/b/", base: "http://[::1]:80/a/b"},
		{url: "http://127.0.0.1:1/a", base: "http://127.0.0.1:1/a"},
		{url: "http://host/a%2Fb/c%20d/%40e/", base: "http://host/a%2Fb/c%20d/%40e"},
		{url: "http://host/ünï", base: "http://host/%C3%BCn%C3%AF"},
		{url: "http://user:p%40ss%2F%3A%23w@host/a", base: "http://host/a", user: "user", password: "p@ss/:#w"},
		{url: "http://us%20er@host", base: "http://host", user: "us er"},
		{url: "http://:pass@host", base: "http://host", password: "pass"},
		{url: "http://host/a?plain=true", base: "http://host/a", plain: true},
		{url: "http://host?plain=false&http2=false", base: "http://host"},
		{url: "https://host?http2=true&plain=true", base: "https://host", plain: true, http2: true},
	} {
		c, err := httpstore.ParseConfig(test.url)
		if err != nil {
			t.Errorf("%s: %v", test.url, err)
			continue
		}
		password, _ := c.User.Password()
		if c.Base.String() != test.base || c.User.Username() != test.user || password != test.password || c.Plain != test.plain || c.HTTP2 != test.http2 {
			t.Errorf("%s: %+v, user %q, password %q; want %+v", test.url, c, c.User.Username(), password, test)
		}
		if (c.User != nil) != strings.Contains(test.url, "@") {
			t.Errorf("%s: user %v", test.url, c.User)
		}
		if want := (backend.Traits{Unconditional: test.plain, Unlisted: test.plain}); c.Traits() != want {
			t.Errorf("%s: %+v, want %+v", test.url, c.Traits(), want)
		}
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for url, reason := range map[string]string{
		"http://":                                "the host is missing: write http://host",
		"https://:443/path":                      "the host is missing: write https://host",
		"http:///path":                           "the host is missing",
		"http:host":                              "two slashes",
		"http://user:hunter2@":                   "the host is missing",
		"http://user:hunter2@host:port":          "malformed URL",
		"http://user:hunter2@[::1":               "malformed URL",
		"http://user:hunter2%zz@host":            "malformed URL",
		"http://user:12/hunter2@host":            "malformed URL",
		"http://user:12/../hunter2@host":         "malformed URL",
		"http://user:12?hunter2@host=1":          "malformed URL",
		"http://user:12#hunter2@host":            "malformed URL",
		"http://user:hunter2@host/%zz":           "malformed URL",
		"http://user:hunter2@host/a\x00b":        "malformed URL",
		"http://user:hunter2@host/a\r\nb":        "malformed URL",
		"http://user:hunter2@host/a%0Ab":         "control characters",
		"http://user:hunter2@host/a/../b":        "must not contain . or ..",
		"http://user:hunter2@host/%2e%2e":        "must not contain . or ..",
		"http://user:hunter2@host/a%2F..%2Fb":    "must not contain . or ..",
		"http://user:hunter2@host/a#":            "fragment",
		"http://host/#hunter2":                   "fragment",
		"http://user:hunter2@host?token=hunter2": `unknown parameter "token"`,
		"http://host?hunter2":                    "malformed parameters",
		"http://host?plain=%zz":                  "malformed parameters",
		"http://host?plain=true&plain=true":      "2 times",
		"http://host?plain=":                     "empty",
		"http://host?plain=hunter2":              "true or false",
		"https://host?http2=1":                   "true or false",
		"http://user:hunter2@host?http2=true":    "http2 is for https:// alone",
	} {
		if _, err := httpstore.ParseConfig(url); err == nil || !strings.Contains(err.Error(), reason) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", url, err, reason)
		}
	}
}

// TestPaths: keys lie below the path of the URL, each of their parts escaped.
func TestPaths(t *testing.T) {
	server := serving(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	for base, want := range map[string]string{"": "/", "/": "/", "/a%2Fb/c%20d/": "/a%2Fb/c%20d/"} {
		s := openFor(t, server.url+base)
		for key, escaped := range map[string]string{"x/y z": "x/y%20z", "q?#%41": "q%3F%23%2541", "ü": "%C3%BC"} {
			s.Get(t.Context(), key, backend.Range{})
			if got := server.lines(); got != "GET "+want+escaped {
				t.Errorf("%s, key %s: %s", base, key, got)
			}
		}
		for _, key := range []string{".", "..", "a/../b", "a//b", "/a", "a/", `a\b`, "a\x00", "\xff"} {
			if _, _, err := s.Get(t.Context(), key, backend.Range{}); err == nil || !strings.Contains(err.Error(), "not a key") {
				t.Errorf("key %q: %v", key, err)
			}
		}
		server.requests()
	}
}

func TestHeaders(t *testing.T) {
	server := serving(t, func(w http.ResponseWriter, _ *http.Request) {})
	t.Setenv("LARDER_HTTP_HEADERS", " x-team = build%2C a , X-Share=100%25,,X-Empty=,X-Team=b=c,")
	s := openFor(t, server.url)
	if _, _, err := get(t, s, backend.Range{}); err != nil {
		t.Fatal(err)
	}
	if _, err := put(t, s, "data", backend.Condition{}); err != nil {
		t.Fatal(err)
	}
	seen := server.requests()
	if len(seen) != 2 {
		t.Fatalf("%d requests, want 2", len(seen))
	}
	for _, r := range seen {
		if got := strings.Join(r.Header.Values("X-Team"), ";"); got != "build, a;b=c" || r.Header.Get("X-Share") != "100%" || len(r.Header["X-Empty"]) != 1 {
			t.Errorf("%s has %v", r.Method, r.Header)
		}
	}
}

func TestHeadersRefused(t *testing.T) {
	for value, name := range map[string]string{
		"hunter2":                  "want name=value",
		"X-A=1,hunter2":            "want name=value",
		"=hunter2":                 "want name=value",
		"X A=hunter2":              "want name=value",
		"X-A:hunter2=x":            "want name=value",
		"X-A\r\nhunter2=x":         "want name=value",
		"X-A=hunter2%zz":           "the value of X-A",
		"X-A=hunter2%":             "the value of X-A",
		"X-A=hunter2\r\nX-B: 1":    "the value of X-A",
		"X-A=hunter2%0D%0AX-B: 1":  "the value of X-A",
		"X-A=1,X-B=hunter2%0aX: 1": "the value of X-B",
		"X-A=hunter2%00":           "the value of X-A",
	} {
		if err := openError(t, "LARDER_HTTP_HEADERS", value); err == nil ||
			!strings.Contains(err.Error(), "LARDER_HTTP_HEADERS") || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", value, err, name)
		}
	}
}

// openError returns the error of opening a store where a variable has a value.
func openError(t *testing.T, variable, value string) error {
	t.Setenv(variable, value)
	s, err := httpstore.Open(t.Context(), httpstore.Config{Base: &url.URL{Scheme: "http", Host: "host"}})
	if err == nil {
		s.Close()
	}
	return err
}
