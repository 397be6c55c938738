package backend

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// ParseURL parses the URL of a store for a driver's config. The URL has a
// scheme, a bucket as its host, and a prefix as its path. Its query may have
// the parameters in params, each at most once. A URL that has anything else is
// an error, which says what is wrong and what is allowed. No error repeats a
// secret: it quotes neither the text before an @, nor the value of a parameter,
// nor any part of a URL that cannot be parsed.
func ParseURL(rawURL string, params ...string) (*url.URL, url.Values, error) {
	u, query, err := parseURL(rawURL, params)
	if err == nil && u.User != nil {
		err = errors.New("user and password have no place in the URL: credentials come from the environment")
	}
	return u, query, err
}

// ParseURLWithUser is ParseURL for stores whose URLs may have a user and a password.
func ParseURLWithUser(rawURL string, params ...string) (*url.URL, url.Values, error) {
	if _, rest, _ := strings.Cut(rawURL, "://"); misread(rest) {
		return nil, nil, errors.New("malformed URL: write %2F, %3F, %23 and %40 for /, ?, # and @ in a password, a path or a parameter")
	}
	return parseURL(rawURL, params)
}

// misread reports whether an @ stands behind the host. Then that may be a part of a password,
// which no error may quote.
func misread(rest string) bool {
	end := strings.IndexAny(rest, "/?#")
	return end >= 0 && strings.Contains(rest[end:], "@")
}

func parseURL(rawURL string, params []string) (*url.URL, url.Values, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		// The error of url.Parse quotes what it could not parse.
		return nil, nil, errors.New("malformed URL: check its percent signs, brackets and port")
	}
	if u.Opaque != "" {
		return nil, nil, fmt.Errorf("malformed URL: two slashes must follow %q", u.Scheme+":")
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

// hasBareParam reports whether a parameter has no equals sign. Such a parameter
// may be a misplaced secret, so an error must not name it.
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

// ParseBool sets b to the value of a parameter, if there is one.
func ParseBool(b *bool, query url.Values, name string) error {
	switch query.Get(name) {
	case "true":
		*b = true
	case "false":
		*b = false
	case "":
	default:
		return fmt.Errorf("parameter %s must be true or false", name)
	}
	return nil
}

const (
	minBucketName = 3   // bytes
	maxBucketName = 222 // bytes
)

// ParseBucket returns the bucket, which is the host of u. ParseURL has returned
// u.
func ParseBucket(u *url.URL) (string, error) {
	if u.Host == "" {
		return "", fmt.Errorf("the bucket is missing: write %s://bucket or %[1]s://bucket/prefix", u.Scheme)
	}
	if strings.Contains(u.Host, ":") {
		return "", fmt.Errorf("bucket %q must not have a port: a server's address goes into the parameter endpoint", u.Host)
	}
	if fault := bucketFault(u.Host); fault != "" {
		return "", fmt.Errorf("bucket %q is no bucket's name, because it %s: allowed are 3 or more of a-z, 0-9, dot, dash and underscore, the first and the last a letter or a digit", u.Host, fault)
	}
	return u.Host, nil
}

// bucketFault says what is wrong with the name of a bucket, or "". The names that S3 and
// GCS allow, and some more, are right.
func bucketFault(name string) string {
	inner := func(r rune) bool { return r == '.' || r == '-' || r == '_' }
	for _, r := range name {
		switch {
		case 'A' <= r && r <= 'Z':
			return "has capital letters"
		case !inner(r) && (r < 'a' || 'z' < r) && (r < '0' || '9' < r):
			return fmt.Sprintf("has a %q", r)
		}
	}
	switch {
	case len(name) < minBucketName:
		return "is too short"
	case len(name) > maxBucketName:
		return fmt.Sprintf("is longer than %d bytes", maxBucketName)
	case inner(rune(name[0])):
		return fmt.Sprintf("begins with a %q", name[0])
	case inner(rune(name[len(name)-1])):
		return fmt.Sprintf("ends with a %q", name[len(name)-1])
	}
	return ""
}

// ParseEndpoint checks that value, which a parameter has, is the URL of a
// server, such as http://host:port. It returns the URL without slashes at its
// end. An empty value stays empty.
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
