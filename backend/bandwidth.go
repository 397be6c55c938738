package backend

import (
	"context"
	"io"

	"golang.org/x/time/rate"
)

// bandwidthStep is how many bytes at most pass at a time.
const bandwidthStep = 16 << 10

// WithBandwidth returns a store that lets at most perSecond bytes of bodies
// through in a second, in each direction, for all requests together. It serves
// to measure what a slow link would cost.
func WithBandwidth(s Store, perSecond int64) Store {
	limiter := func() *rate.Limiter { return rate.NewLimiter(rate.Limit(perSecond), bandwidthStep) }
	return &throttled{Store: s, in: limiter(), out: limiter()}
}

type throttled struct {
	Store
	in, out *rate.Limiter
}

func (s *throttled) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	body, obj, err := s.Store.Get(ctx, key, r)
	if err != nil {
		return nil, Object{}, err
	}
	slow := struct {
		io.Reader
		io.Closer
	}{&slowReader{ctx, body, s.in}, body}
	return slow, obj, nil
}

func (s *throttled) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	slow := struct {
		io.Reader
		io.Seeker
	}{&slowReader{ctx, body, s.out}, body}
	return s.Store.Put(ctx, key, slow, opts)
}

// slowReader waits after each read until the limiter lets its bytes pass.
type slowReader struct {
	ctx     context.Context
	source  io.Reader
	limiter *rate.Limiter
}

func (r *slowReader) Read(p []byte) (int, error) {
	n, err := r.source.Read(p[:min(len(p), bandwidthStep)])
	if errWait := r.limiter.WaitN(r.ctx, n); errWait != nil && err == nil {
		err = context.Cause(r.ctx)
		if err == nil {
			err = errWait // the wait would last until after the deadline
		}
	}
	return n, err
}
