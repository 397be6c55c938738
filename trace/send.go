package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/grpc"
)

const (
	firstBackoff = time.Second // before the second attempt; doubles for each further one
	maxBackoff   = 30 * time.Second
	maxAfter     = 5 * time.Minute // what a collector may ask to wait
	maxResponse  = 64 << 10        // bytes of an answer that are read
)

// temporary is an error after which OTLP has a client try again.
type temporary struct {
	error
	after    time.Duration // how long the collector asks to wait; 0: it does not say
	answered bool          // there is a collector
}

// send sends a batch. It tries again where OTLP says so, for ExportTimeout at most.
func (e *exporter) send(ctx context.Context, batch [][]byte) error {
	body, err := e.body(batch)
	if err != nil {
		return err
	}
	if !e.waitUntil(ctx, e.notBefore, true) {
		return errors.New("the collector has asked to wait")
	}
	ctx, cancel := context.WithTimeout(ctx, e.ExportTimeout)
	defer cancel()
	for backoff := firstBackoff; ; backoff = min(2*backoff, maxBackoff) {
		err := e.post(ctx, body)
		var passing *temporary
		if !errors.As(err, &passing) || !passing.answered && e.isClosing() {
			return err
		}
		next := time.Now().Add(passing.after)
		e.notBefore = next
		if passing.after == 0 {
			next = next.Add(backoff/2 + rand.N(backoff)) // not when all others do
		}
		if !e.waitUntil(ctx, next, passing.answered) {
			return err
		}
	}
}

func (e *exporter) isClosing() bool {
	select {
	case <-e.closing:
		return true
	default:
		return false
	}
}

// waitUntil waits for a moment, and reports whether that comes before ctx and shutdown end. If it
// does not, waitUntil does not wait for them. Unless asked is set, it waits no longer once
// shutdown begins.
func (e *exporter) waitUntil(ctx context.Context, moment time.Time, asked bool) bool {
	if until, ok := ctx.Deadline(); ok && until.Before(moment) {
		return false
	}
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-e.closing:
	}
	if !asked {
		return true
	}
	if e.end.Before(moment) {
		return false
	}
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// body returns that of a request.
func (e *exporter) body(batch [][]byte) ([]byte, error) {
	message := encodeBatch(e.resource, e.Version, batch)
	if !e.Gzip {
		return message, nil
	}
	var small bytes.Buffer
	w := gzip.NewWriter(&small)
	_, err := w.Write(message)
	err = errors.Join(err, w.Close())
	return small.Bytes(), err
}

// post sends a body once. Its errors hold no secrets.
func (e *exporter) post(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		return e.brief(err)
	}
	for name, values := range e.Header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "larder/"+e.Version)
	req.Header.Set("Content-Type", "application/x-protobuf")
	if e.Gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	res, err := e.client.Do(req)
	if err != nil {
		return &temporary{error: e.brief(err)}
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxResponse))
	if err != nil {
		answer = nil // the status suffices
	}
	if res.StatusCode/100 == 2 {
		if n, why := rejection(answer); n > 0 || why != "" {
			e.lose(max(n, 0), fmt.Errorf("the collector has not taken all: %q", e.redact(why)))
		}
		return nil
	}
	var status grpc.Status
	_ = status.Unmarshal(answer) // what is malformed in it says nothing
	err = fmt.Errorf("the collector answers %d: %q", res.StatusCode, e.redact(status.Message))
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &temporary{error: err, after: min(backend.RetryAfter(res.Header), maxAfter), answered: true}
	}
	return err
}

// brief returns err without the URL, which may hold a password.
func (e *exporter) brief(err error) error {
	var located *url.Error
	if errors.As(err, &located) {
		err = located.Err
	}
	return errors.New(e.redact(err.Error()))
}

// redact returns what a collector says, without secrets that it repeats.
func (e *exporter) redact(text string) string {
	for _, secret := range e.secrets {
		text = strings.ReplaceAll(text, secret, "…")
	}
	return clean(text)
}

// secretsOf returns what may not be logged, the longest first: the values of headers and their
// words, such as the token after Bearer, and what a URL may hold.
func secretsOf(cfg Config) (secrets []string) {
	for _, values := range cfg.Header {
		for _, value := range values {
			secrets = append(secrets, value)
			secrets = append(secrets, strings.Fields(value)...)
		}
	}
	if u, err := url.Parse(cfg.URL); err == nil {
		password, _ := u.User.Password()
		secrets = append(secrets, password)
		for _, values := range u.Query() {
			secrets = append(secrets, values...)
		}
	}
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return s == "" })
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return secrets
}
