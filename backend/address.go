package backend

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// ParseURL parses the URL of a store for a driver's config: a scheme, a bucket
// as host, a prefix as path, and as query the parameters that are named, each
// at most once. Whatever else a URL may hold is an error that says what is
// wrong and what is allowed. No error repeats a secret: neither what stands
// before an @, nor the value of a parameter, nor anything of a URL that cannot
// be parsed.
func ParseURL(rawURL string, params ...string) (*url.URL, url.Values, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		// The error of url.Parse quotes what it could not parse.
		return nil, nil, errors.New("malformed URL: check its percent signs, brackets and port")
	}
	if u.Opaque != "" {
		return nil, nil, fmt.Errorf("malformed URL: two slashes must follow %q", u.Scheme+":")
	}
	if u.User != nil {
		return nil, nil, errors.New("user and password have no place in the URL: credentials come from the environment")
	}
	if u.Fragment != "" || strings.Contains(rawURL, "#") {
		return nil, nil, errors.New("a fragment (#) has no place in the URL: write %23 for a # in a prefix")
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		if part == "." || part == ".." {
			return nil, nil, fmt.Errorf("path %q must not contain . or .. as a part", u.Path)
		}
	}
	if strings.ContainsFunc(u.Path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, nil, fmt.Errorf("path %q must not contain control characters", u.Path)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || hasBareParam(u.RawQuery) {
		return nil, nil, errors.New("malformed parameters: write name=value&name=value, with %25 for a percent sign")
	}
	for name, values := range query {
		if !slices.Contains(params, name) {
			return nil, nil, fmt.Errorf("unknown parameter %q: allowed are %s", name, allowed(params))
		}
		if len(values) > 1 {
			return nil, nil, fmt.Errorf("parameter %s is given %d times: once is allowed", name, len(values))
		}
		if values[0] == "" {
			return nil, nil, fmt.Errorf("parameter %s is empty: give it a value or leave it out", name)
		}
	}
	return u, query, nil
}

// hasBareParam reports whether a parameter has no equals sign. It may be a
// secret that went astray, so it is not one to be named as unknown.
func hasBareParam(query string) bool {
	for param := range strings.SplitSeq(query, "&") {
		if param != "" && !strings.Contains(param, "=") {
			return true
		}
	}
	return false
}

func allowed(params []string) string {
	if len(params) == 0 {
		return "none"
	}
	return strings.Join(params, ", ")
}

// bucketName is what both S3 and GCS allow, and a little more, but for the
// length: a repetition that counts to it takes longer to compile, at the start
// of every session, than any other package takes to initialize.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]+[a-z0-9]$`)

const maxBucketName = 222 // bytes

// ParseBucket returns the bucket that u, from ParseURL, names as its host.
func ParseBucket(u *url.URL) (string, error) {
	switch {
	case u.Host == "":
		return "", fmt.Errorf("the bucket is missing: write %s://bucket or %[1]s://bucket/prefix", u.Scheme)
	case strings.Contains(u.Host, ":"):
		return "", fmt.Errorf("bucket %q must not have a port: a server's address goes into the parameter endpoint", u.Host)
	case len(u.Host) > maxBucketName || !bucketName.MatchString(u.Host):
		return "", fmt.Errorf("bucket %q is no bucket's name: allowed are 3 or more of a-z, 0-9, dot, dash and underscore", u.Host)
	}
	return u.Host, nil
}

// ParseEndpoint checks that a parameter's value is the URL of a server, as in
// http://host:port, without a trailing slash in what it returns. An empty value
// stays empty.
func ParseEndpoint(value string) (string, error) {
	if value == "" {
		return "", nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("parameter endpoint must be of the form https://host:port, or http:// for a server without TLS")
	}
	return strings.TrimRight(value, "/"), nil
}
