package gha

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/larderbuild/larder/backend"
)

// Config is what a URL of the cache service says. Where the service is, and who asks it, is
// said by variables that GitHub sets.
type Config struct {
	Prefix string // of all keys; may be empty

	largestPut int64 // in bytes; 0: the usual size
}

// ParseConfig reads gha://, or gha:///prefix. Its errors repeat no secret.
func ParseConfig(rawURL string) (Config, error) {
	u, _, err := backend.ParseURL(rawURL)
	if err != nil {
		return Config{}, err
	}
	if u.Host != "" {
		return Config{}, fmt.Errorf("%q must not stand there: write gha:// or gha:///prefix, as each repository has one cache", u.Host)
	}
	return Config{Prefix: u.Path}, nil
}

// The variables that say where the service is and who asks it. GitHub sets them in the
// actions of a job, but not in its other steps.
const (
	urlVariable   = "ACTIONS_RESULTS_URL"
	tokenVariable = "ACTIONS_RUNTIME_TOKEN"
)

// serviceOf returns the root of the cache service and the token for it, as getenv has them.
func serviceOf(getenv func(string) string) (root *url.URL, token string, err error) {
	if server := getenv("GITHUB_SERVER_URL"); !hasService(server) {
		return nil, "", fmt.Errorf("%s has no cache service of the second version, as GitHub Enterprise Server never has", server)
	}
	raw, token := getenv(urlVariable), getenv(tokenVariable)
	for _, name := range []string{urlVariable, tokenVariable} {
		if getenv(name) == "" {
			return nil, "", fmt.Errorf("%s is not set; use the action larderbuild/larder", name)
		}
	}
	root, err = url.Parse(raw)
	if err != nil || root.Scheme != "https" && root.Scheme != "http" || root.Host == "" {
		return nil, "", errors.New(urlVariable + " must be of the form https://host/")
	}
	return root, token, nil
}

// hasService reports whether GitHub at the given URL has the cache service, as GitHub's own
// client tells. An empty URL is that of github.com.
func hasService(server string) bool {
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	return host == "" || host == "github.com" || strings.HasSuffix(host, ".ghe.com") || strings.HasSuffix(host, ".localhost")
}
