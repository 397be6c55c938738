package serve_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/serve"
)

// TestEvict: what was read last stays, and what was read never goes first. larder's own objects
// are none of Evict's business.
func TestEvict(t *testing.T) {
	begin := time.Now().Add(-time.Hour)
	now := begin
	store := backendtest.MemoryAt(func() time.Time { return now })
	backendtest.PutBytes(t, store, "v1/main/a/key", make([]byte, 100))
	var paths []string
	for i := range 10 {
		now = begin.Add(time.Duration(i) * time.Minute)
		data := bytes.Repeat([]byte{byte(i)}, 100)
		path := fmt.Sprintf("/cas/%x", sha256.Sum256(data))
		paths = append(paths, path)
		backendtest.PutBytes(t, store, path[1:], data)
	}
	log := slog.New(slog.DiscardHandler)
	rules := &serve.Rules{Anonymous: serve.Rights{Read: []string{"*"}}}
	server := serve.New(serve.Config{Store: store, Access: serve.NewAccess(rules, log), Requests: 1, Progress: time.Minute, Evicts: true, Log: log})
	status := func(path string) int {
		w := httptest.NewRecorder()
		server.ServeHTTP(w, httptest.NewRequest(http.MethodHead, path, nil))
		return w.Code
	}
	if got := status(paths[0]); got != http.StatusOK {
		t.Fatalf("status %d", got)
	}
	e, err := server.Evict(t.Context(), 450, 24*time.Hour)
	if want := (serve.Evicted{Objects: 7, Bytes: 700, BytesLeft: 300}); err != nil || e != want {
		t.Errorf("%+v, %v; want %+v", e, err, want)
	}
	for i, path := range paths {
		want := http.StatusNotFound
		if i == 0 || i >= 8 {
			want = http.StatusOK
		}
		if got := status(path); got != want {
			t.Errorf("number %d: status %d, want %d", i, got, want)
		}
	}
	backendtest.PutBytes(t, store, "v1/main/a/large", make([]byte, 10_000))
	if e, err := server.Evict(t.Context(), 600, 24*time.Hour); err != nil || e.Objects != 0 {
		t.Errorf("half of it is for others than larder: %+v, %v", e, err)
	}
	if e, err := server.Evict(t.Context(), 400, 24*time.Hour); err != nil || e.BytesLeft != 200 {
		t.Errorf("no more than half: %+v, %v", e, err)
	}
}

// TestEvictByAge: what nobody has used for long goes, also if there is room. What was written before
// the server's start counts as used then.
func TestEvictByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const month = 30 * 24 * time.Hour
		store, log := backendtest.Memory(), slog.New(slog.DiscardHandler)
		read, unread := "cas/"+sha256Of("read"), "cas/"+sha256Of("unread")
		backendtest.PutBytes(t, store, read, []byte("read"))
		backendtest.PutBytes(t, store, unread, []byte("unread"))
		time.Sleep(2 * month)
		rules := &serve.Rules{Anonymous: serve.Rights{Read: []string{"*"}}}
		server := serve.New(serve.Config{Store: store, Access: serve.NewAccess(rules, log), Requests: 1, Progress: time.Minute, Evicts: true, Log: log})
		for _, want := range []serve.Evicted{{BytesLeft: 10}, {BytesLeft: 10}, {Objects: 1, Bytes: 6, BytesLeft: 4}} {
			if e, err := server.Evict(t.Context(), 1000, month); err != nil || e != want {
				t.Errorf("%+v, %v; want %+v", e, err, want)
			}
			if e, err := server.Evict(t.Context(), 1000, 0); err != nil || e.Objects != 0 {
				t.Errorf("without an age: %+v, %v", e, err)
			}
			time.Sleep(month / 2)
			server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/"+read, nil))
			time.Sleep(time.Minute)
		}
	})
}
