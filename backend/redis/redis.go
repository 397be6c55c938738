// Package redis stores objects in Redis, or in a server that speaks its protocol: a single
// one, a cluster, or one that sentinels watch.
//
// An object is a hash with these fields:
//
//	version   names these bytes: a random text
//	size      of the object in bytes
//	written   when it was put, in microseconds since the epoch, by the server's clock
//	part      size of its parts in bytes, of which the last may be shorter; 0: it has none
//	body      the bytes, if it has no parts
//
// A large object lies in parts, which are strings. A version has parts of its own, so whoever
// reads an object never meets bytes of another version. The hash of key is named prefix{key},
// and its parts prefix{key}:version:0 and so on, so a cluster keeps all of them on one node.
// In key, which must not be empty, "%", "{" and "}" stand as %25, %7B and %7D.
//
// The server checks no digests, so the driver does, before an object can be seen. Conditions
// are checked by a script on the server. Each Get has an object stay for the whole ttl again.
package redis

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/larderbuild/larder/backend"
)

const (
	// piece is how many bytes one request reads or writes at most. It bounds the memory of a
	// Get and of a Put, and how long a request takes over a slow network. An object of no
	// more than this has no parts, as most entry objects: it is read in one round trip.
	piece = 256 << 10

	// calls is how many calls are under way at most, each with a connection.
	calls = 64

	// requestTime is how long a request may go on that was given up, because its context was
	// done. larder gives up requests long before that.
	requestTime = time.Minute

	// uploadTime is for how long the parts stay of an object that is not complete yet.
	uploadTime = time.Hour
)

// silence keeps the client from writing to stderr, which is the build's.
var silence = sync.OnceFunc(func() { goredis.SetLogger(noLogger{}) })

type noLogger struct{}

func (noLogger) Printf(context.Context, string, ...any) {}

// Open returns the store that cfg names. Credentials that cfg lacks come from the environment.
// The store does not use the network before the first request. The caller closes it.
func Open(_ context.Context, cfg Config) (backend.Store, error) {
	options, err := cfg.options()
	if err != nil {
		return nil, err
	}
	silence()
	s := &store{Config: cfg}
	switch {
	case cfg.Cluster:
		cluster := goredis.NewClusterClient(options.Cluster())
		s.client, s.nodes = cluster, func(ctx context.Context) ([]*goredis.Client, error) { return masters(ctx, cluster) }
	case cfg.Master != "":
		s.use(goredis.NewFailoverClient(options.Failover()))
	default:
		s.use(goredis.NewClient(options.Simple()))
	}
	// The client does not notice that a context is done while it waits for an answer.
	return backend.Abandonable(s, calls), nil
}

type store struct {
	Config
	client goredis.UniversalClient
	nodes  func(context.Context) ([]*goredis.Client, error) // returns a client of each server that has keys
}

// use has s use one server.
func (s *store) use(client *goredis.Client) {
	s.client, s.nodes = client, func(context.Context) ([]*goredis.Client, error) { return []*goredis.Client{client}, nil }
}

func (s *store) Close() error { return s.client.Close() }

// escaper and unescaper keep braces out of keys.
var (
	escaper   = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")
	unescaper = strings.NewReplacer("%25", "%", "%7B", "{", "%7D", "}")
)

// name returns the name of the hash of the object under key.
func (s *store) name(key string) string { return s.Prefix + "{" + escaper.Replace(key) + "}" }

// stored is an object as its hash describes it.
type stored struct {
	name    string // of the hash
	version string
	size    int64 // in bytes
	part    int64 // size of its parts in bytes; 0: it has none
}

// parts returns the names of o's parts.
func (o stored) parts() []string {
	if o.part == 0 {
		return nil
	}
	names := make([]string, (o.size+o.part-1)/o.part)
	for i := range names {
		names[i] = o.name + ":" + o.version + ":" + strconv.Itoa(i)
	}
	return names
}

// describe makes o what the fields version, size and part of its hash say. It reports whether
// they are those of an object.
func (o *stored) describe(fields []any) bool {
	var err error
	number := func(field any) (n int64) {
		text, _ := field.(string)
		if err == nil {
			n, err = strconv.ParseInt(text, 10, 64)
		}
		return n
	}
	o.version, _ = fields[0].(string)
	o.size, o.part = number(fields[1]), number(fields[2])
	switch {
	case err != nil || o.version == "" || o.size < 0:
		return false
	case o.part == 0:
		return o.size <= maxString
	}
	return o.part >= minMaxValue && o.part <= maxMaxValue && o.size/o.part < maxElements
}

func (o stored) object(key string) backend.Object {
	return backend.Object{Key: key, Size: o.size, Version: o.version}
}

func (s *store) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	var body io.Reader
	var o stored
	err := errReplaced
	for n := 0; n < replacements && errors.Is(err, errReplaced); n++ {
		body, o, err = s.get(ctx, s.name(key), r)
	}
	if err != nil {
		return nil, backend.Object{}, wrap(ctx, "get", key, err)
	}
	return backend.NewBody(ctx, key, io.NopCloser(body)), o.object(key), nil
}

// replacements is how often a Get begins anew because the object was replaced.
const replacements = 5

func (s *store) get(ctx context.Context, name string, r backend.Range) (io.Reader, stored, error) {
	o := stored{name: name}
	ask := s.client.Pipeline()
	fields := ask.HMGet(ctx, name, "version", "size", "part", "body")
	s.keep(ctx, ask, name)
	if err := send(ctx, ask); err != nil {
		return nil, o, err
	}
	found, err := fields.Result() // whether the object is kept does not matter: one may be allowed to read alone
	if isWrongType(err) {
		err = errNoObject
	}
	if err != nil {
		return nil, o, err
	}
	if found[0] == nil {
		return nil, o, backend.ErrNotFound
	}
	if !o.describe(found) {
		return nil, o, errNoObject
	}
	begin := min(r.Offset, o.size)
	end := o.size
	if r.Length > 0 {
		end = begin + min(r.Length, end-begin)
	}
	if o.part == 0 {
		body, _ := found[3].(string)
		if int64(len(body)) != o.size {
			return nil, o, errNoObject
		}
		return strings.NewReader(body[begin:end]), o, nil
	}
	p := &partReader{store: s, ctx: ctx, stored: o, names: o.parts(), at: begin, end: end}
	if begin == end {
		return p, o, nil
	}
	return p, o, p.begin()
}

// errNoObject says that a hash has not the fields of an object.
var errNoObject = fmt.Errorf("%w: something else has its name", backend.ErrNotFound)

// keep has names stay for the whole ttl again.
func (s *store) keep(ctx context.Context, ask goredis.Pipeliner, names ...string) {
	if s.TTL == 0 {
		return
	}
	for _, name := range names {
		ask.PExpire(ctx, name, s.TTL)
	}
}

// send sends requests. It returns the error that kept it from that, unless each request has that
// for its own error.
func send(ctx context.Context, ask goredis.Pipeliner) error {
	requests, err := ask.Exec(ctx)
	if slices.ContainsFunc(requests, func(r goredis.Cmder) bool { return r.Err() != nil }) {
		return nil
	}
	return err
}

func (s *store) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	o, err := s.put(ctx, s.name(key), body, opts)
	if err != nil {
		return backend.Object{}, wrap(ctx, "put", key, err)
	}
	return o.object(key), nil
}

func (s *store) put(ctx context.Context, name string, body io.Reader, opts backend.PutOptions) (stored, error) {
	o := stored{name: name, version: rand.Text(), size: opts.Size}
	if o.size > piece {
		o.part = s.MaxValue
	}
	sum := md5.New()
	body = io.TeeReader(body, sum)
	parts := o.parts()
	var inline []byte
	var err error
	if parts == nil {
		inline, err = io.ReadAll(body)
	} else {
		err = s.upload(ctx, o, parts, body)
	}
	if err == nil && [md5.Size]byte(sum.Sum(nil)) != opts.MD5 {
		err = backend.ErrDigest
	}
	if err != nil {
		s.drop(ctx, parts)
		return o, err
	}
	err = s.commit(ctx, o, parts, inline, opts.If)
	if errors.Is(err, backend.ErrConflict) || serverError(err) != "" {
		s.drop(ctx, parts) // after any other error the object may be there
	}
	return o, err
}

func (s *store) Delete(ctx context.Context, key, version string) error {
	return wrap(ctx, "delete", key, s.remove(ctx, s.name(key), version))
}
