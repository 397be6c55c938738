package serve

import (
	"context"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/larderbuild/larder/grpc"
	"github.com/larderbuild/larder/protobuf"
	"github.com/larderbuild/larder/reapi"
)

const (
	maxMessage = 4 << 20 // bytes of a message: clients take no more, unless they are told otherwise
	maxBatch   = 3 << 20 // bytes of the blobs in a batch; the rest of a message is for their digests
	atOnce     = 16      // how many blobs of one call the store is asked for at once
)

// call is a call of gRPC.
type call struct {
	*exchange
	*grpc.Call
}

// method is what the path of a call stands for.
type method struct {
	writes bool // it needs the right to write
	answer func(*call) error
}

// methodOf returns the method that path stands for. It reports whether there is one.
func methodOf(path string) (method, bool) {
	switch path {
	case reapi.GetCapabilities:
		return method{false, unary((*call).capabilities)}, true
	case reapi.GetActionResult:
		return method{false, unary((*call).getAction)}, true
	case reapi.UpdateActionResult:
		return method{true, unary((*call).updateAction)}, true
	case reapi.FindMissingBlobs:
		return method{false, unary((*call).findMissing)}, true
	case reapi.BatchUpdateBlobs:
		return method{true, unary((*call).updateBlobs)}, true
	case reapi.BatchReadBlobs:
		return method{false, unary((*call).readBlobs)}, true
	case reapi.GetTree:
		return method{false, (*call).getTree}, true
	case reapi.Read:
		return method{false, (*call).read}, true
	case reapi.Write:
		return method{true, (*call).write}, true
	case reapi.QueryWriteStatus:
		return method{true, unary((*call).queryWrite)}, true
	}
	return method{}, false
}

// isMethod reports whether path is that of a method.
func isMethod(path string) bool {
	_, ok := methodOf(path)
	return ok
}

// serveCall answers a call.
func (x *exchange) serveCall() {
	x.r.Body = progressing{x, x.r.Body}
	x.w.method, x.w.code = "other", grpc.Unknown // unless it comes to an end
	var answer grpc.Method
	path := x.r.URL.Path
	if m, ok := methodOf(path); ok {
		x.w.method = path[strings.LastIndex(path, ".")+1:]
		answer = func(c *grpc.Call) error { return x.answerCall(m, c) }
	}
	x.w.code = grpc.Serve(x.w, x.r, answer, maxMessage).Code
}

// answerCall has a method answer, if whoever calls may call it.
func (x *exchange) answerCall(m method, c *grpc.Call) error {
	x.r = x.r.WithContext(c.Context())
	err := x.checkHost()
	if err == nil {
		err = x.enter()
	}
	if err != nil {
		return x.status(err).Err()
	}
	defer x.leave()
	if err = x.Access.rights(x.r).allow(bazelScope, m.writes); err == nil {
		err = m.answer(&call{x, c})
	}
	return x.status(err).Err()
}

// unary returns a method of one request and one answer.
func unary[Q any, A protobuf.Marshaler, P interface {
	*Q
	protobuf.Unmarshaler
}](answer func(*call, P) (A, error)) func(*call) error {
	return func(c *call) error {
		q := P(new(Q))
		if err := c.ReceiveOnly(q); err != nil {
			return err
		}
		c.pause()
		a, err := answer(c, q)
		if err != nil {
			return err
		}
		c.goOn()
		return c.Send(a)
	}
}

// checkAsked returns an error unless a request is for an instance that can be one, and means SHA-256.
func checkAsked(instance string, function int64) error {
	if function != 0 && function != reapi.SHA256 {
		return bad("the digest function is number %d: want SHA256, which is %d", function, reapi.SHA256)
	}
	if instance == "" {
		return nil
	}
	if err := reapi.CheckInstance(instance); err != nil {
		return bad("%v", err)
	}
	for part := range strings.SplitSeq(instance, "/") {
		if err := checkName(part, false); err != nil {
			return bad("malformed name of an instance: %v", err)
		}
	}
	return checkInstance(instance)
}

// each calls do for 0 to n-1, for several at once. After an error it begins no more of them, and
// returns the error.
func each(n int, do func(i int) error) error {
	group, failed := errgroup.WithContext(context.Background())
	group.SetLimit(atOnce)
	for i := range n {
		if failed.Err() != nil {
			break
		}
		group.Go(func() error { return do(i) })
	}
	return group.Wait()
}

// notGRPC is the path of a method, in a request that is no call.
type notGRPC struct{}

func (notGRPC) serve(x *exchange) {
	if x.r.ProtoMajor != 2 {
		fail(x.w, http.StatusHTTPVersionNotSupported, "this is a method of gRPC, which needs HTTP/2")
		return
	}
	if x.allows(http.MethodPost) {
		fail(x.w, http.StatusUnsupportedMediaType, "this is a method of gRPC: the Content-Type has to be application/grpc")
	}
}
