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
	b.WriteString(": " + r.Outcome())
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

// Outcome says in a word or two what has come of the request, such as ok or not found.
func (r Record) Outcome() string {
	var busy *Busy
	if errors.As(r.Err, &busy) {
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
		if errors.Is(r.Err, known.err) {
			return known.name
		}
	}
	return "failed"
}

// Failed reports whether the request has come to nothing because of a fault, or because the
// store denies it. That there is no object, or a condition does not hold, is no failure.
func (r Record) Failed() bool { return !isAnswer(r.Err) }

// WithLog returns a store that calls log when a request to s has ended. It may call
// log from many goroutines at once.
func WithLog(s Store, log func(Record)) Store {
	return WithTrace(s, func(context.Context, string) func(Record) { return log })
}

// WithTrace returns a store that calls begin when a request to s begins, with its context and
// operation, and what begin returns when the request has ended. It may call both from many
// goroutines at once.
func WithTrace(s Store, begin func(ctx context.Context, op string) (end func(Record))) Store {
	return &traced{s, begin}
}

type traced struct {
	Store
	begin func(ctx context.Context, op string) func(Record)
}

// observe begins a request. Its caller calls end with what the record still lacks.
func (s *traced) observe(ctx context.Context, r Record) (end func(n int64, err error)) {
	start, log := time.Now(), s.begin(ctx, r.Op)
	return func(n int64, err error) {
		r.Bytes, r.Err, r.Duration = n, err, time.Since(start)
		log(r)
	}
}

func (s *traced) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	end := s.observe(ctx, Record{Op: "get", Key: key, Range: r})
	body, obj, err := s.Store.Get(ctx, key, r)
	if err != nil {
		end(0, err)
		return nil, Object{}, err
	}
	return observe(body, end), obj, nil
}

func (s *traced) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	end := s.observe(ctx, Record{Op: "put", Key: key, If: opts.If})
	obj, err := s.Store.Put(ctx, key, body, opts)
	if err != nil {
		end(0, err)
	} else {
		end(opts.Size, nil)
	}
	return obj, err
}

func (s *traced) Delete(ctx context.Context, key, version string) error {
	end := s.observe(ctx, Record{Op: "delete", Key: key, If: Condition{Version: version}})
	err := s.Store.Delete(ctx, key, version)
	end(0, err)
	return err
}

func (s *traced) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		end := s.observe(ctx, Record{Op: "list", Key: prefix})
		var n int64
		var last error
		defer func() { end(n, last) }()
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
