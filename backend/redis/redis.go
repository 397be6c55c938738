// Package redis stores objects in Redis, or in a server that speaks its protocol: a single
// one, a cluster, or one that sentinels watch.
//
// An object is a hash with these fields:
//
//	version   names these bytes: 16 random bytes in hex
//	size      of the object in bytes
//	written   when it was put, in microseconds since the epoch, by the server's clock
//	part      size of its parts in bytes, of which the last may be shorter; 0: it has none
//	body      the bytes, if it has no parts
//
// A large object lies in parts, which are strings. A version has parts of its own, so whoever
// reads an object never meets bytes of another version. The hash of key is
// named prefix{key}, and its parts prefix{key}:version:0 and so on, so a cluster keeps all
// of them on one node. In key, "%", "{" and "}" stand as %25, %7B and %7D.
//
// The server checks no digests, so the driver does, before an object can be seen. Conditions
// are checked by a script on the server. Each Get has an object stay for the whole ttl again.
package redis

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/larderbuild/larder/backend"
)

const (
	// inlineSize is the size in bytes of the largest object that has no parts. Most entry
	// objects are smaller, and are read in one round trip.
	inlineSize = 1 << 20

	// piece is how many bytes of a part one request reads or writes at most. It bounds the
	// memory of a Get and of a Put, and how long the server works on one request.
	piece = 1 << 20

	// calls is how many calls are under way at most, each with a connection.
	calls = 64

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
	// The client notices that a context is done only between two requests.
	return backend.Abandonable(&store{Config: cfg, client: goredis.NewUniversalClient(options)}, calls), nil
}

type store struct {
	Config
	client goredis.UniversalClient
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
	return err == nil && o.version != "" && o.size >= 0 && o.part >= 0
}

func (o stored) object(key string) backend.Object {
	return backend.Object{Key: key, Size: o.size, Version: o.version}
}

func (s *store) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	body, o, err := s.get(ctx, s.name(key), r)
	if err != nil {
		return nil, backend.Object{}, wrap(ctx, "get", key, err)
	}
	return backend.NewBody(ctx, key, io.NopCloser(body)), o.object(key), nil
}

func (s *store) get(ctx context.Context, name string, r backend.Range) (io.Reader, stored, error) {
	o := stored{name: name}
	ask := s.client.Pipeline()
	fields := ask.HMGet(ctx, name, "version", "size", "part", "body")
	s.keep(ctx, ask, name)
	if err := send(ctx, ask); err != nil {
		return nil, o, err
	}
	found, err := fields.Result() // whether the object is kept does not matter: one may be allowed to read alone
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
	return p, o, p.fetch(p.names...)
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

// send sends requests, each of which has an error of its own then. It returns an error if none
// was answered.
func send(ctx context.Context, ask goredis.Pipeliner) error {
	requests, err := ask.Exec(ctx)
	for _, r := range requests {
		if r.Err() != nil {
			return nil
		}
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
	o := stored{name: name, version: newVersion(), size: opts.Size}
	if o.size > inlineSize {
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
	if err == nil {
		err = s.commit(ctx, o, parts, inline, opts.If)
	}
	if err != nil {
		s.drop(ctx, parts)
	}
	return o, err
}

// newVersion returns the version of an object that is being put.
func newVersion() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // it has no way to fail
	return hex.EncodeToString(b)
}

func (s *store) Delete(ctx context.Context, key, version string) error {
	return wrap(ctx, "delete", key, s.remove(ctx, s.name(key), version))
}
