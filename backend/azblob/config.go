package azblob

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/larderbuild/larder/backend"
)

// Config is what an azblob URL says. It has no credentials: they come from the
// environment and from Azure's usual sources.
type Config struct {
	Account   string
	Container string
	Prefix    string // of all keys; may be empty
	Endpoint  string // URL of the account's blob service; empty: the environment decides
	Anonymous bool   // requests have no credentials

	largestPut, block int64 // for tests: in place of the constants
}

// ParseConfig reads azblob://account/container/prefix?endpoint=…&anonymous=true. Its
// errors repeat no secret.
func ParseConfig(rawURL string) (Config, error) {
	if _, query, _ := strings.Cut(rawURL, "?"); strings.Contains("&"+query, "&sig=") {
		return Config{}, errors.New("a SAS token has no place in the URL: set AZURE_STORAGE_SAS_TOKEN")
	}
	u, query, err := backend.ParseURL(rawURL, "endpoint", "anonymous")
	if err != nil {
		return Config{}, err
	}
	c := Config{Account: u.Host}
	c.Container, c.Prefix, _ = strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if err := c.checkNames(); err != nil {
		return Config{}, err
	}
	if c.Endpoint, err = parseEndpoint(query.Get("endpoint"), c.Account); err != nil {
		return Config{}, err
	}
	return c, backend.ParseBool(&c.Anonymous, query, "anonymous")
}

// checkNames checks the names of the account and the container, by Azure's rules.
func (c Config) checkNames() error {
	const form = "write azblob://account/container or azblob://account/container/prefix"
	switch {
	case c.Account == "":
		return errors.New("the account is missing: " + form)
	case !made(c.Account, 24, ""):
		return fmt.Errorf("account %q is no storage account's name: allowed are 3 to 24 of a-z and 0-9; a server's address goes into the parameter endpoint", c.Account)
	case c.Container == "":
		return errors.New("the container is missing: " + form)
	case !made(c.Container, 63, "-"), strings.Contains("-"+c.Container+"-", "--"):
		return fmt.Errorf("container %q is no container's name: allowed are 3 to 63 of a-z, 0-9 and single dashes between them", c.Container)
	}
	return nil
}

// made reports whether name has from 3 to longest bytes, all of them small letters, digits
// or in others.
func made(name string, longest int, others string) bool {
	return 3 <= len(name) && len(name) <= longest && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || 'z' < r) && (r < '0' || '9' < r) && !strings.ContainsRune(others, r)
	})
}

// parseEndpoint checks the value of the parameter endpoint. An emulator's address does not
// name the account, so its path must.
func parseEndpoint(value, account string) (string, error) {
	endpoint, err := backend.ParseEndpoint(value)
	if err != nil || endpoint == "" {
		return "", err
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	if host := u.Hostname(); u.Path == "" && (net.ParseIP(host) != nil || !strings.Contains(host, ".")) {
		return "", fmt.Errorf("parameter endpoint must end with the account: %s/%s", endpoint, account)
	}
	return endpoint, nil
}
