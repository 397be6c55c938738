package httpstore

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/larderbuild/larder/api"
)

// kind is what the server is, as its answers say. Many goroutines may use it.
type kind struct{ is atomic.Int32 }

const (
	unknown int32 = iota
	plain
	larder
)

func (k *kind) isLarder() bool { return k.is.Load() == larder }

// learn notes what res says of the server. An error may be that of a proxy before it.
func (k *kind) learn(res *http.Response) {
	switch {
	case res.Header.Get(api.Header) == api.Number:
		k.is.Store(larder)
	case res.StatusCode < 300:
		k.is.CompareAndSwap(unknown, plain)
	}
}

// untold returns the error of an answer that does not tell what the server is: that of a proxy
// before it, or one that has nothing to do with what was asked.
func untold(res *http.Response) error {
	switch status := res.StatusCode; {
	case status == http.StatusNotImplemented:
		return nil // it has no HEAD
	case status == http.StatusUnauthorized, status == http.StatusProxyAuthRequired,
		status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
		return refusal(res)
	}
	return nil
}

// wantLarder returns nil if the server is larder serve, and otherwise lacks, or the fault that
// keeps it from telling. If no answer has told so far, it asks for one.
func (s *store) wantLarder(ctx context.Context, lacks error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !s.Plain && s.kind.is.Load() == unknown {
		req, err := s.request(ctx, http.MethodHead, "")
		if err != nil {
			return err
		}
		res, err := s.do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if !s.kind.isLarder() {
			if err := untold(res); err != nil {
				return err
			}
			s.kind.is.CompareAndSwap(unknown, plain)
		}
	}
	if s.Plain || !s.kind.isLarder() {
		return lacks
	}
	return nil
}
