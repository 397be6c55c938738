// Package open turns a URL into a store. Only its table lists all drivers; a new
// driver is a new line there.
//
//	azblob://account/container/prefix?endpoint=…&anonymous=true
//	s3://bucket/prefix?region=…&endpoint=…&path_style=true&anonymous=true&…
//	gha://
//	grpcs://user:password@host:port/instance
//	gs://bucket/prefix?endpoint=…
//	redis://user:password@host:port/database?ttl=…&prefix=…&…
//	https://user:password@host:port/path?plain=true&http2=true
//	file:///abs/dir
package open

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/azblob"
	"github.com/larderbuild/larder/backend/dir"
	"github.com/larderbuild/larder/backend/gcs"
	"github.com/larderbuild/larder/backend/gha"
	"github.com/larderbuild/larder/backend/httpstore"
	"github.com/larderbuild/larder/backend/reapi"
	"github.com/larderbuild/larder/backend/redis"
	"github.com/larderbuild/larder/backend/s3"
)

// driver is one kind of store.
type driver struct {
	scheme string
	form   string // what its URLs look like, for error messages

	// prepare checks a URL and returns what is known of its store.
	prepare func(rawURL string) (prepared, error)
}

// prepared is a store that is not open yet.
type prepared struct {
	traits backend.Traits
	open   func(context.Context) (backend.Store, error)
}

func drivers() []driver {
	return []driver{
		{"azblob", "azblob://account/container/prefix", preparer(azblob.ParseConfig, azblob.Open)},
		{"file", "file:///abs/dir", preparer(dir.ParseConfig, dir.Open)},
		{"gha", "gha://", preparer(gha.ParseConfig, gha.Open)},
		{"grpc", "grpc://host:port/instance", preparer(reapi.ParseConfig, reapi.Open)},
		{"grpcs", "grpcs://host:port/instance", preparer(reapi.ParseConfig, reapi.Open)},
		{"gs", "gs://bucket/prefix", preparer(gcs.ParseConfig, gcs.Open)},
		{"http", "http://host:port/path", preparer(httpstore.ParseConfig, httpstore.Open)},
		{"https", "https://host:port/path", preparer(httpstore.ParseConfig, httpstore.Open)},
		{"redis", "redis://host:port", preparer(redis.ParseConfig, redis.Open)},
		{"rediss", "rediss://host:port", preparer(redis.ParseConfig, redis.Open)},
		{"s3", "s3://bucket/prefix", preparer(s3.ParseConfig, s3.Open)},
	}
}

// preparer makes a driver's prepare from its ParseConfig and its Open.
func preparer[C interface{ Traits() backend.Traits }](
	parse func(string) (C, error), open func(context.Context, C) (backend.Store, error),
) func(string) (prepared, error) {
	return func(rawURL string) (prepared, error) {
		cfg, err := parse(rawURL)
		if err != nil {
			return prepared{}, err
		}
		return prepared{cfg.Traits(), func(ctx context.Context) (backend.Store, error) { return open(ctx, cfg) }}, nil
	}
}

// find returns the driver of rawURL.
func find(rawURL string) (d driver, ok bool) {
	scheme, _, found := strings.Cut(rawURL, ":")
	drivers := drivers()
	i := slices.IndexFunc(drivers, func(d driver) bool { return d.scheme == strings.ToLower(scheme) })
	if !found || i < 0 {
		return driver{}, false
	}
	return drivers[i], true
}

func prepare(rawURL string) (prepared, error) {
	if d, ok := find(rawURL); ok {
		return d.prepare(rawURL)
	}
	var forms []string
	for _, d := range drivers() {
		forms = append(forms, d.form)
	}
	allowed := "allowed are " + strings.Join(forms, ", ")
	if u, err := url.Parse(rawURL); err != nil || len(u.Scheme) < 2 { // a scheme of one letter is a Windows drive
		return prepared{}, errors.New("not the URL of a store: " + allowed)
	}
	scheme, _, _ := strings.Cut(rawURL, ":")
	return prepared{}, fmt.Errorf("unknown scheme %q: %s", scheme, allowed)
}

// Traits returns those of the store at rawURL, and none if that is not the URL of a store.
func Traits(rawURL string) backend.Traits {
	p, _ := prepare(rawURL)
	return p.traits
}

// Check returns nil if rawURL is the URL of a store. Otherwise the error says what
// is wrong and what would be right, and repeats no secret. Check uses neither the
// network nor files.
func Check(rawURL string) error {
	_, err := prepare(rawURL)
	return err
}

// Store opens the store at rawURL. It does not use the network. If the store can't
// be reached or credentials are missing, the first request fails. The caller closes
// the store.
func Store(ctx context.Context, rawURL string) (backend.Store, error) {
	p, err := prepare(rawURL)
	if err != nil {
		return nil, err
	}
	return p.open(ctx)
}

// Redact returns rawURL without secrets, for people to read. It leaves out the text
// before an @, the fragment, and the values of all parameters but those that are
// known to be harmless. The URL may be malformed.
func Redact(rawURL string) string {
	rawURL, _, fragment := strings.Cut(rawURL, "#")
	address, query, hasQuery := strings.Cut(rawURL, "?")
	var b strings.Builder
	b.WriteString(redactUser(address))
	if hasQuery {
		b.WriteByte('?')
		for i, param := range strings.Split(query, "&") {
			if i > 0 {
				b.WriteByte('&')
			}
			b.WriteString(redactParam(param))
		}
	}
	if fragment {
		b.WriteString("#…")
	}
	return b.String()
}

// redactUser hides what may be a user and a password. It hides all text before the
// last @, also if that is in the path, because a password in a malformed URL may
// contain a slash.
func redactUser(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	scheme, _, found := strings.Cut(address[:at], "://")
	if !found {
		return "…" + address[at:]
	}
	return scheme + "://…" + address[at:]
}

// harmless are the parameters whose values are no secrets.
var harmless = []string{
	"region", "path_style", "anonymous", "requester_pays", "sse", "kms_key", "acl", "storage_class",
	"addr", "cluster", "master_name", "max_value", "prefix", "ttl", "plain", "http2",
}

func redactParam(param string) string {
	name, value, found := strings.Cut(param, "=")
	switch {
	case !found, strings.Contains(name, "@"): // it may be the rest of a password
		return "…"
	case slices.Contains(harmless, name) && !strings.Contains(value, "@"):
		return param
	case name == "endpoint" && !strings.ContainsAny(value, "@?%"):
		return param
	}
	return name + "=…"
}
