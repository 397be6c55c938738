package reapi_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/reapi"
)

func TestParseConfig(t *testing.T) {
	for _, test := range []struct{ url, server, instance, user, password string }{
		{url: "grpc://host", server: "http://host"},
		{url: "grpc://host:9092/", server: "http://host:9092"},
		{url: "GRPCS://Host:8443/Team//", server: "https://Host:8443", instance: "Team"},
		{url: "grpcs://[::1]/a/b%20c/ü", server: "https://[::1]", instance: "a/b c/ü"},
		{url: "grpcs://user:p%40ss%2F@host/a", server: "https://host", instance: "a", user: "user", password: "p@ss/"},
		{url: "grpc://:secret@host", server: "http://host", password: "secret"},
	} {
		c, err := reapi.ParseConfig(test.url)
		if err != nil {
			t.Errorf("%s: %v", test.url, err)
			continue
		}
		password, _ := c.User.Password()
		if c.Server.String() != test.server || c.Instance != test.instance || c.User.Username() != test.user || password != test.password {
			t.Errorf("%s: %+v, user %q, password %q; want %+v", test.url, c, c.User.Username(), password, test)
		}
		if want := (backend.Traits{Unconditional: true, Unlisted: true}); c.Traits() != want {
			t.Errorf("%s: %+v, want %+v", test.url, c.Traits(), want)
		}
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for url, reason := range map[string]string{
		"grpc://":                          "the host is missing: write grpc://host:port",
		"grpcs://:443/team":                "the host is missing: write grpcs://host:port",
		"grpc:host":                        "two slashes",
		"grpc://user:hunter2@":             "the host is missing",
		"grpc://user:hunter2@host:port":    "malformed URL",
		"grpc://user:12/hunter2@host":      "malformed URL",
		"grpc://user:hunter2@host/%zz":     "malformed URL",
		"grpc://user:hunter2@host/a%0Ab":   "control characters",
		"grpc://user:hunter2@host/a/../b":  "must not contain . or ..",
		"grpc://user:hunter2@host/a#":      "fragment",
		"grpc://host?token=hunter2":        `unknown parameter "token": allowed are none`,
		"grpc://host?hunter2":              "malformed parameters",
		"grpc://host/a/blobs/b":            `path "/a/blobs/b"`,
		"grpc://host/uploads":              "a word of the API",
		"grpc://host/a//b":                 "empty",
		"grpc://user:hunter2@host/actions": "a word of the API",
	} {
		if _, err := reapi.ParseConfig(url); err == nil || !strings.Contains(err.Error(), reason) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", url, err, reason)
		}
	}
}

// TestHeaders: the variable's headers go with each call.
func TestHeaders(t *testing.T) {
	c := newCache(t)
	n := 0
	c.enter = func(ctx context.Context) error {
		if n++; headerOf(ctx, "x-api-key") != "a,b" || headerOf(ctx, "x-team") != "go" {
			return errors.New("no headers")
		}
		return nil
	}
	t.Setenv("LARDER_REAPI_HEADERS", " x-api-key=a%2Cb, X-Team = go,")
	fill(t, c)
	if n == 0 {
		t.Error("no calls")
	}
}

// TestSettings: a variable that has a wrong value is named.
func TestSettings(t *testing.T) {
	for _, setting := range []string{"LARDER_REAPI_HEADERS=hunter2", "LARDER_REAPI_HEADERS=X-A=hunter2%zz", "LARDER_TLS_CA=/missing/hunter", "LARDER_TLS_KEY=/missing/hunter"} {
		t.Run(setting, func(t *testing.T) {
			name, value, _ := strings.Cut(setting, "=")
			t.Setenv(name, value)
			cfg, err := reapi.ParseConfig("grpcs://host")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := reapi.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v does not name %s", err, name)
			}
		})
	}
}
