package httpstore

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/larderbuild/larder/backend"
)

// Config is what the URL of a store says.
type Config struct {
	Base  *url.URL      // of the store, without user, parameters and slashes at its end
	User  *url.Userinfo // nil: none
	Plain bool          // the server is not larder serve
	HTTP2 bool          // one connection for all requests, if the server can do that
}

// ParseConfig reads http://user:password@host:port/path?name=value&…, or https://… for TLS.
// The parameters are:
//
//	plain=true   the server is not larder serve, so nothing is tried that only larder serve can
//	http2=true   all requests share one connection, if the server speaks HTTP/2
//
// Its errors repeat no secret.
func ParseConfig(rawURL string) (Config, error) {
	u, query, err := backend.ParseURLWithUser(rawURL, "plain", "http2")
	if err != nil {
		return Config{}, err
	}
	if u.Hostname() == "" {
		return Config{}, fmt.Errorf("the host is missing: write %s://host or %[1]s://host:port/path", u.Scheme)
	}
	c := Config{
		Base: &url.URL{Scheme: strings.ToLower(u.Scheme), Host: u.Host, Path: strings.TrimRight(u.Path, "/")},
		User: u.User,
	}
	if escaped := strings.TrimRight(u.EscapedPath(), "/"); escaped != c.Base.Path {
		c.Base.RawPath = escaped
	}
	if err := backend.ParseBool(&c.Plain, query, "plain"); err != nil {
		return Config{}, err
	}
	if err := backend.ParseBool(&c.HTTP2, query, "http2"); err != nil {
		return Config{}, err
	}
	if c.HTTP2 && c.Base.Scheme != "https" {
		return Config{}, errors.New("parameter http2 is for https:// alone")
	}
	return c, nil
}

// Traits are those of the store that c names. Unless the URL says that the server is plain,
// it may still turn out to be.
func (c Config) Traits() backend.Traits {
	return backend.Traits{Unconditional: c.Plain, Unlisted: c.Plain}
}

// The variables that say what goes with each request, besides those of backend.Bearer and
// backend.TLSConfig.
const (
	headersVariable = "LARDER_HTTP_HEADERS"
	hmacVariable    = "LARDER_HMAC_KEY"
)
