package gcs

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"

	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/httptransport"
	"github.com/larderbuild/larder/backend"
	"google.golang.org/api/storage/v1"
)

// hasCredentialsFile reports whether the environment names credentials.
func hasCredentialsFile() bool { return os.Getenv("GOOGLE_APPLICATION_CREDENTIALS") != "" }

// authorized adds credentials to requests. It looks for them at the first
// request, because it may have to ask the network whether this machine is one of
// Google's. A request waits for the result, but no longer than its context
// allows.
type authorized struct {
	base http.RoundTripper

	once  sync.Once
	found chan struct{} // closed when the search has ended
	next  http.RoundTripper
	err   error
}

func (a *authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	a.once.Do(func() { go a.search() })
	select {
	case <-a.found:
	case <-req.Context().Done():
		closeBody(req)
		return nil, context.Cause(req.Context())
	}
	if a.err != nil {
		closeBody(req)
		return nil, fmt.Errorf("%w: no Google credentials: %w", backend.ErrDenied, a.err)
	}
	return a.next.RoundTrip(req)
}

func (a *authorized) search() {
	defer close(a.found)
	found, err := credentials.DetectDefault(&credentials.DetectOptions{
		Scopes: []string{storage.DevstorageReadWriteScope},
		Logger: silent(),
	})
	if err != nil {
		a.err = err
		return
	}
	client, err := httptransport.NewClient(&httptransport.Options{
		Credentials:      found,
		BaseRoundTripper: a.base,
		DisableTelemetry: true,
		Logger:           silent(),
	})
	if err != nil {
		a.err = err
		return
	}
	a.next = client.Transport
}

// closeBody closes the body of req, as an http.RoundTripper must before it returns
// an error.
func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}
