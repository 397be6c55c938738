package reapi_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	pb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// Keys of a small object and of a large one.
const (
	small = "small"
	large = "large"
)

var contents = map[string]string{small: "data", large: strings.Repeat("0123456789abcdef", 100_000)}

// errBusy stands for backend.Busy, and errFault for an error that may pass.
var errBusy, errFault = errors.New("busy"), errors.New("a fault")

// means checks which error of package backend err is.
func means(t *testing.T, what string, err, want error) {
	t.Helper()
	var busy *backend.Busy
	if errors.As(err, &busy) {
		if want != errBusy {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		return
	}
	found := errFault
	for _, is := range []error{
		backend.ErrNotFound, backend.ErrConflict, backend.ErrDigest, backend.ErrNoConditions, backend.ErrDenied,
		backend.ErrUnsupported, backend.ErrReadOnly,
	} {
		if errors.Is(err, is) {
			found = is
		}
	}
	if err == nil || found != want {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// fill has a new store put both objects.
func fill(t *testing.T, c *cache) {
	t.Helper()
	s := open(t, c.url)
	defer s.Close()
	for key, data := range contents {
		backendtest.PutBytes(t, s, key, []byte(data))
	}
	c.called()
}

// TestCodes: what each code of gRPC means, from each method.
func TestCodes(t *testing.T) {
	t.Parallel()
	usual := map[codes.Code]error{
		codes.Unauthenticated: backend.ErrDenied, codes.PermissionDenied: backend.ErrDenied, codes.Unimplemented: backend.ErrDenied,
		codes.ResourceExhausted: errBusy, codes.Unavailable: errBusy,
	}
	for _, test := range []struct {
		method, op, key   string
		notFound, invalid error
	}{
		{"GetCapabilities", "get", small, backend.ErrDenied, backend.ErrDenied},
		{"GetCapabilities", "put", small, backend.ErrDenied, backend.ErrDenied},
		{"GetActionResult", "get", small, backend.ErrNotFound, backend.ErrDenied},
		{"BatchReadBlobs", "get", small, backend.ErrNotFound, backend.ErrDenied},
		{"Read", "get", large, backend.ErrNotFound, backend.ErrDenied},
		{"BatchUpdateBlobs", "put", small, backend.ErrDenied, backend.ErrDenied},
		{"FindMissingBlobs", "put", large, backend.ErrDenied, backend.ErrDenied},
		{"Write", "put", large, backend.ErrDenied, backend.ErrDigest},
		{"UpdateActionResult", "put", small, errFault, backend.ErrDenied},
	} {
		t.Run(test.method+" "+test.op, func(t *testing.T) {
			t.Parallel()
			c := newCache(t)
			fill(t, c)
			if test.op == "put" {
				c.forget()
			}
			for code := codes.Canceled; code <= codes.Unauthenticated+1; code++ {
				want := errFault
				switch {
				case code == codes.NotFound:
					want = test.notFound
				case code == codes.InvalidArgument:
					want = test.invalid
				case usual[code] != nil:
					want = usual[code]
				}
				c.fail = map[string]error{test.method: status.Error(code, "the reason")}
				err := call(t, openFor(t, c.url), test.op, test.key)
				means(t, code.String(), err, want)
				if err != nil && !strings.Contains(err.Error(), "the reason") {
					t.Errorf("%v: %v does not say the reason", code, err)
				}
			}
		})
	}
}

// call makes a request.
func call(t *testing.T, s backend.Store, op, key string) error {
	t.Helper()
	if op == "get" {
		_, err := get(t, s, key, backend.Range{})
		return err
	}
	_, err := s.Put(t.Context(), key, strings.NewReader(contents[key]), backend.OptionsOf([]byte(contents[key])))
	return err
}

// TestUnknownInstance: the error names the instance.
func TestUnknownInstance(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	c.fail = map[string]error{"GetCapabilities": status.Error(codes.InvalidArgument, "who?")}
	if err := call(t, openFor(t, c.url), "get", small); !errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), `instance "team"`) {
		t.Errorf("%v", err)
	}
}

// TestRetryInfo: how long a server asks to wait.
func TestRetryInfo(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	for asked, want := range map[time.Duration]time.Duration{0: 0, 7500 * time.Millisecond: 7500 * time.Millisecond, -time.Second: 0} {
		s, err := status.New(codes.ResourceExhausted, "slowly").WithDetails(
			&errdetails.ErrorInfo{Reason: "load"}, &errdetails.RetryInfo{RetryDelay: durationpb.New(asked)})
		if err != nil {
			t.Fatal(err)
		}
		c.fail = map[string]error{"GetActionResult": s.Err()}
		var busy *backend.Busy
		if err := call(t, openFor(t, c.url), "get", small); !errors.As(err, &busy) || busy.After != want {
			t.Errorf("%v: %v, after %+v", asked, err, busy)
		}
	}
}

// TestTexts: an error repeats one line of what the server says, without what is not printed.
func TestTexts(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	long := strings.Repeat("x", 10_000)
	for text, want := range map[string]string{
		"one\nlarder: two":                       "one",
		"\x1b[31mr\xffed\x00\x7f \u202eü 100%25": "[31mr",
		long: long[:200],
	} {
		c.fail = map[string]error{"GetActionResult": status.Error(codes.Internal, text)}
		err := call(t, openFor(t, c.url), "get", small)
		if err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\n\x1b\x00\u202e") || len(err.Error()) > 400 {
			t.Errorf("%.30q: %.500q", text, fmt.Sprint(err))
		}
	}
}

// TestCapabilities: what a server says of itself decides whether larder can use it.
func TestCapabilities(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		can      func(*pb.ServerCapabilities)
		get, put error // nil: success
		says     string
	}{
		"no SHA-256": {func(s *pb.ServerCapabilities) {
			s.CacheCapabilities.DigestFunctions = []pb.DigestFunction_Value{pb.DigestFunction_BLAKE3}
		}, backend.ErrDenied, backend.ErrDenied, "SHA-256"},
		"no cache":      {func(s *pb.ServerCapabilities) { s.CacheCapabilities = nil }, backend.ErrDenied, backend.ErrDenied, "no cache"},
		"old version":   {func(s *pb.ServerCapabilities) { s.LowApiVersion.Major, s.HighApiVersion.Major = 0, 1 }, backend.ErrDenied, backend.ErrDenied, "version 0 to 1"},
		"new version":   {func(s *pb.ServerCapabilities) { s.LowApiVersion.Major, s.HighApiVersion.Major = 3, 3 }, backend.ErrDenied, backend.ErrDenied, "version 3 to 3"},
		"both versions": {func(s *pb.ServerCapabilities) { s.HighApiVersion.Major = 3 }, nil, nil, ""},
		"no version":    {func(s *pb.ServerCapabilities) { s.LowApiVersion, s.HighApiVersion = nil, nil }, nil, nil, ""},
		"no updates": {func(s *pb.ServerCapabilities) {
			s.CacheCapabilities.ActionCacheUpdateCapabilities = nil
		}, nil, backend.ErrReadOnly, "takes no results"},
		"small blobs": {func(s *pb.ServerCapabilities) { s.CacheCapabilities.MaxCasBlobSizeBytes = 3 }, nil, backend.ErrUnsupported, "4 bytes: the server takes 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCache(t)
			fill(t, c)
			c.can = test.can
			s := openFor(t, c.url)
			for op, want := range map[string]error{"get": test.get, "put": test.put} {
				err := call(t, s, op, small)
				if want == nil && err == nil {
					continue
				}
				means(t, op, err, want)
				if err != nil && !strings.Contains(err.Error(), test.says) {
					t.Errorf("%s: %v does not say %q", op, err, test.says)
				}
			}
			if errPut := call(t, s, "put", small); test.put == backend.ErrReadOnly && !errors.Is(errPut, backend.ErrReader) {
				t.Errorf("%v, want ErrReader", errPut)
			}
			if calls := c.called(); strings.Count(calls, "GetCapabilities") != 1 || test.put != nil && strings.Contains(calls, "Update") {
				t.Errorf("calls %s", calls)
			}
		})
	}
}

// TestCapabilitiesAgain: a server that could not say what it can do is asked again.
func TestCapabilitiesAgain(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	fill(t, c)
	s := openFor(t, c.url)
	c.fail = map[string]error{"GetCapabilities": status.Error(codes.Internal, "not now")}
	means(t, "the first get", call(t, s, "get", small), errFault)
	c.fail = nil
	if err := call(t, s, "get", small); err != nil {
		t.Error(err)
	}
}
