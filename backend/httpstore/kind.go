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
		if res.StatusCode >= 500 && !s.kind.isLarder() {
			return refusal(res)
		}
	}
	if s.Plain || !s.kind.isLarder() {
		return lacks
	}
	return nil
}
