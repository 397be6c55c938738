package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

// Record describes one request that has ended. A Get ends when its body is closed.
type Record struct {
	Op       string // get, put, delete, list
	Key      string // for a list, its prefix
	Range    Range
	If       Condition
	Err      error
	Bytes    int64 // bytes read or put; for a list, the number of objects
	Duration time.Duration
}

// String returns the request as one line, without its duration. The line depends
// only on the request and the answer, so a test can compare it with a literal:
//
//	get v1/main/a/5d/5d41402a… 4096+1024: ok, 1024
//	put v1/main/m/profile if absent: conflict
//
// A part of a key that is longer than 16 bytes is cut to 8.
func (r Record) String() string {
	var b strings.Builder
	b.WriteString(r.Op + " " + shortKey(r.Key))
	switch {
	case r.Range.Length > 0:
		fmt.Fprintf(&b, " %d+%d", r.Range.Offset, r.Range.Length)
	case r.Range.Offset > 0:
		fmt.Fprintf(&b, " %d+", r.Range.Offset)
	}
	switch {
	case r.If.Absent:
		b.WriteString(" if absent")
	case r.If.Version != "":
		b.WriteString(" if unchanged")
	}
	b.WriteString(": " + outcome(r.Err))
	if r.Op != "delete" && (r.Err == nil || r.Bytes > 0) {
		fmt.Fprintf(&b, ", %d", r.Bytes)
	}
	return b.String()
}

func shortKey(key string) string {
	parts := strings.Split(key, "/")
	for i, part := range parts {
		if len(part) > 16 {
			parts[i] = part[:8] + "…"
		}
	}
	return strings.Join(parts, "/")
}

// outcome names err in a word or two.
func outcome(err error) string {
	var busy *Busy
	if errors.As(err, &busy) {
		return "busy"
	}
	for _, known := range []struct {
		err  error
		name string
	}{
		{nil, "ok"},
		{ErrNotFound, "not found"},
		{ErrConflict, "conflict"},
		{ErrDigest, "wrong digest"},
		{ErrNoConditions, "no conditions"},
		{ErrDenied, "denied"},
		{ErrUnsupported, "unsupported"},
		{ErrReadOnly, "read-only"},
		{ErrUnavailable, "unavailable"},
		{ErrTimeout, "timeout"},
		{context.Canceled, "cancelled"},
		{context.DeadlineExceeded, "cancelled"},
	} {
		if errors.Is(err, known.err) {
			return known.name
		}
	}
	return "failed"
}

// WithLog returns a store that calls log when a request to s has ended. It may call
// log from many goroutines at once.
func WithLog(s Store, log func(Record)) Store { return &logged{s, log} }

type logged struct {
	Store
	log func(Record)
}

func (s *logged) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	start := time.Now()
	ended := func(n int64, err error) {
		s.log(Record{Op: "get", Key: key, Range: r, Err: err, Bytes: n, Duration: time.Since(start)})
	}
	body, obj, err := s.Store.Get(ctx, key, r)
	if err != nil {
		ended(0, err)
		return nil, Object{}, err
	}
	return observe(body, ended), obj, nil
}

func (s *logged) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	start := time.Now()
	obj, err := s.Store.Put(ctx, key, body, opts)
	r := Record{Op: "put", Key: key, If: opts.If, Err: err, Duration: time.Since(start)}
	if err == nil {
		r.Bytes = opts.Size
	}
	s.log(r)
	return obj, err
}

func (s *logged) Delete(ctx context.Context, key, version string) error {
	start := time.Now()
	err := s.Store.Delete(ctx, key, version)
	s.log(Record{Op: "delete", Key: key, If: Condition{Version: version}, Err: err, Duration: time.Since(start)})
	return err
}

func (s *logged) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		start := time.Now()
		var n int64
		var last error
		defer func() {
			s.log(Record{Op: "list", Key: prefix, Err: last, Bytes: n, Duration: time.Since(start)})
		}()
		for obj, err := range s.Store.List(ctx, prefix) {
			if last = err; err == nil {
				n++
			}
			if !yield(obj, err) {
				return
			}
		}
	}
}
