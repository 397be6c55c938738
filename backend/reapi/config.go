package reapi

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/reapi"
)

// Config is what the URL of a cache says.
type Config struct {
	Server   *url.URL      // https://host:port, or http:// without TLS
	User     *url.Userinfo // nil: none
	Instance string        // "": the server's default one
}

// ParseConfig reads grpc://user:password@host:port/instance, or grpcs://… for TLS. Without a port
// it is 443 with TLS and 80 without, as for Bazel. Its errors repeat no secret.
func ParseConfig(rawURL string) (Config, error) {
	u, _, err := backend.ParseURLWithUser(rawURL)
	if err != nil {
		return Config{}, err
	}
	if u.Hostname() == "" {
		return Config{}, fmt.Errorf("the host is missing: write %s://host:port or %[1]s://host:port/instance", u.Scheme)
	}
	c := Config{
		Server:   &url.URL{Scheme: "http", Host: u.Host},
		User:     u.User,
		Instance: strings.Trim(u.Path, "/"),
	}
	if strings.EqualFold(u.Scheme, "grpcs") {
		c.Server.Scheme = "https"
	}
	if err := reapi.CheckInstance(c.Instance); err != nil {
		return Config{}, fmt.Errorf("path %q: %w", u.Path, err)
	}
	return c, nil
}

// Traits are those of every cache: results of actions can't be listed, deleted, or put on a
// condition.
func (c Config) Traits() backend.Traits {
	return backend.Traits{Unconditional: true, Unlisted: true}
}

// headersVariable says which headers go with each request, besides the token of backend.Bearer.
const headersVariable = "LARDER_REAPI_HEADERS"
