package serve_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/serve"
)

// openFaulty starts a server whose store has the fault that the result points to, if any. Only
// operations in ops have it.
func openFaulty(t *testing.T, ops string, change func(*serve.Config)) (*kitchen, *atomic.Pointer[backendtest.Fault]) {
	t.Helper()
	var now atomic.Pointer[backendtest.Fault]
	return open(t, func(c *serve.Config) {
		if change != nil {
			change(c)
		}
		c.Store = backendtest.Faulty(c.Store, func(op, _ string) backendtest.Fault {
			if f := now.Load(); f != nil && strings.Contains(ops, op) {
				return *f
			}
			return backendtest.Fault{}
		})
	}), &now
}

// everyRequest are requests to all kinds of paths. Each of them asks the store.
var everyRequest = []string{
	"GET /cache/a", "HEAD /cache/a", "PUT /cache/a", "PUT /cache/new",
	"GET /cas/{sha256:x}", "PUT /cas/{sha256:x}", "GET /ac/{sha256:x}", "PUT /i/ac/{sha256:x}",
	"GET /v1/s/a", "HEAD /v1/s/a", "PUT /v1/s/a", "DELETE /v1/s/a", "GET /v1/s/?list=",
}

// TestFaults answers what errors of the store mean.
func TestFaults(t *testing.T) {
	t.Parallel()
	k, now := openFaulty(t, "get put delete list", nil)
	for _, path := range []string{"/cache/a", "/cas/{sha256:x}", "/ac/{sha256:x}", "/v1/s/a"} {
		k.put(path, "x")
	}
	before := files(t, k.root)
	for _, test := range []struct {
		err    error
		status int
		header string
		value  string
	}{
		{errors.New("secret of the store"), http.StatusBadGateway, "", ""},
		{backend.ErrDenied, http.StatusBadGateway, "", ""},
		{syscall.EIO, http.StatusBadGateway, "", ""},
		{&os.PathError{Op: "write", Path: "/secret", Err: syscall.ENOSPC}, http.StatusInsufficientStorage, "", ""},
		{syscall.EDQUOT, http.StatusInsufficientStorage, "", ""},
		{&backend.Busy{After: 7 * time.Second}, http.StatusServiceUnavailable, "Retry-After", "7"},
		{&backend.Busy{}, http.StatusServiceUnavailable, "", ""},
		{backend.ErrUnsupported, http.StatusNotImplemented, "Larder-Error", "unsupported"},
		{backend.ErrNoConditions, http.StatusNotImplemented, "Larder-Error", "no-conditions"},
		{backend.ErrReadOnly, http.StatusForbidden, "", ""},
		{backend.ErrReader, http.StatusForbidden, "", ""},
	} {
		now.Store(&backendtest.Fault{Err: test.err})
		for _, request := range everyRequest {
			with, body := h(nil), ""
			if strings.HasPrefix(request, "PUT") {
				with, body = h{"Content-MD5: {md5:x}"}, "x"
			}
			a := k.send(request, with, body)
			if a.status != test.status || a.header.Get(test.header) != test.value && test.header != "" || a.header.Get("Larder-Api") != "1" {
				t.Errorf("%v: %s: status %d, header %v", test.err, request, a.status, a.header)
			}
			if a.header.Get("ETag") != "" || strings.Contains(a.body, "secret") {
				t.Errorf("%v: %s: header %v: %s", test.err, request, a.header, a.body)
			}
		}
		if a := k.send("GET /readyz", nil, ""); a.status != http.StatusServiceUnavailable {
			t.Errorf("%v: readyz has status %d", test.err, a.status)
		}
		if a := k.send("GET /healthz", nil, ""); a.status != http.StatusOK {
			t.Errorf("%v: healthz has status %d", test.err, a.status)
		}
	}
	now.Store(nil)
	if a := k.send("GET /readyz", nil, ""); a.status != http.StatusOK {
		t.Errorf("readyz has status %d", a.status)
	}
	if got := changes(before, files(t, k.root)); got != "" {
		t.Errorf("files have changed: %s", got)
	}
}

// A conditional PUT that other ones always forestall is told to come again.
func TestContention(t *testing.T) {
	t.Parallel()
	k, now := openFaulty(t, "put", nil)
	k.put("/cache/a", "x")
	now.Store(&backendtest.Fault{Err: backend.ErrConflict})
	for path, condition := range map[string]string{"/cache/a": "If-Match: *", "/cache/b": "If-None-Match: *"} {
		if a := k.send("PUT "+path, h{"Content-MD5: {md5:x}", condition}, "x"); a.status != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d: %s", path, a.status, a.body)
		}
	}
}

// A body that the store does not give out as a whole is no whole answer.
func TestBodiesThatBreakOff(t *testing.T) {
	t.Parallel()
	body := string(noise(100_000))
	for _, key := range []string{"", hmacKey} {
		k, now := openFaulty(t, "get", func(c *serve.Config) {
			if key != "" {
				c.HMACKey = []byte(key)
			}
		})
		paths := []string{"/cache/a", "/cas/" + sha256Of(body), "/ac/" + sha256Of(body), "/v1/s/a"}
		for _, path := range paths {
			k.put(path, body)
		}
		for name, fault := range map[string]backendtest.Fault{
			"truncated": {Truncate: true},
			"broken":    {Break: errors.New("connection reset")},
		} {
			now.Store(&fault)
			for _, path := range paths {
				for _, with := range []h{nil, {"--compressed"}} {
					a := k.send("GET "+path, with, "")
					whole := a.exit == 0 && a.status == http.StatusOK
					if whole || a.status == http.StatusInternalServerError || a.status == http.StatusBadRequest {
						t.Errorf("%s %s %v: status %d, %d bytes, curl %d", name, path, with, a.status, len(a.body), a.exit)
					}
				}
			}
		}
		now.Store(nil)
		for _, path := range paths {
			if a := k.send("GET "+path, nil, ""); a.body != body {
				t.Errorf("%s without a fault: status %d, %d bytes", path, a.status, len(a.body))
			}
		}
	}
}

// Whatever becomes of the files of a store, nobody gets a whole answer with other bytes. A PUT
// puts right what it replaces.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", hmacKey} {
		k := open(t, func(c *serve.Config) {
			if key != "" {
				c.HMACKey = []byte(key)
			}
		})
		for _, body := range []string{"x", string(noise(100_000))} {
			sum := sha256Of(body)
			paths := map[string]string{"/cache/a": "cache/a", "/cas/" + sum: "cas/" + sum}
			if key != "" {
				delete(paths, "/cas/"+sum) // has no signature
			}
			for path, file := range paths {
				for name, damage := range damages {
					k.put(path, body)
					k.damage(file, damage)
					for _, with := range []h{nil, {"--compressed"}} {
						a := k.send("GET "+path, with, "")
						if a.exit == 0 && a.status == http.StatusOK || a.status == http.StatusBadRequest || a.body == body {
							t.Errorf("%s with %d bytes, %s: status %d, curl %d, %d bytes", path, len(body), name, a.status, a.exit, len(a.body))
						}
					}
					if a := k.send("PUT "+path, h{"Content-MD5: " + md5Of(body), "If-None-Match: \"x\""}, body); a.status != 201 && a.status != 204 {
						t.Errorf("%s with %d bytes, %s: a conditional PUT has status %d: %s", path, len(body), name, a.status, a.body)
					}
					if a := k.send("GET "+path, nil, ""); a.body != body {
						t.Errorf("%s with %d bytes, %s: after a PUT: status %d, %d bytes", path, len(body), name, a.status, len(a.body))
					}
				}
			}
		}
	}
}

// damages change the bytes of a file.
var damages = map[string]func([]byte) []byte{
	"first byte":       func(b []byte) []byte { b[0] ^= 1; return b },
	"last byte":        func(b []byte) []byte { b[len(b)-1] ^= 0x80; return b },
	"last byte gone":   func(b []byte) []byte { return b[:len(b)-1] },
	"one byte more":    func(b []byte) []byte { return append(b, 'x') },
	"a byte in front":  func(b []byte) []byte { return append([]byte("x"), b...) },
	"empty":            func([]byte) []byte { return nil },
	"all zeros":        func(b []byte) []byte { clear(b); return b },
	"all of it, twice": func(b []byte) []byte { return append(b, b...) },
}

// damage changes a file of the store.
func (k *kitchen) damage(file string, change func([]byte) []byte) {
	k.t.Helper()
	path := filepath.Join(k.root, filepath.FromSlash(file))
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(data), 0o600)
	}
	if err != nil {
		k.t.Fatal(err)
	}
}
