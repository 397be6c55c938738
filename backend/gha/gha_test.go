package gha_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/gha"
	"github.com/larderbuild/larder/testserver"
)

const mainRef = "refs/heads/main"

// start returns a running service without a limit of new entries, with the variables of a
// job of main.
func start(t *testing.T) *testserver.ActionsServer {
	t.Helper()
	server := testserver.Actions(t)
	server.Change(func(r *testserver.ActionsRules) { r.Creations = 1 << 20 })
	server.Setenv(t, server.Token(mainRef))
	return server
}

// open returns the store under prefix, of the job whose variables are set.
func open(t *testing.T, prefix string, change ...func(gha.Config) gha.Config) backend.Store {
	t.Helper()
	t.Setenv("GITHUB_SERVER_URL", "")
	cfg := gha.Config{Prefix: prefix}
	for _, c := range change {
		cfg = c(cfg)
	}
	s, err := gha.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	start(t)
	backendtest.Run(t, func(t *testing.T) backend.Store { return open(t, t.Name()) })
}

func TestStoreInBlocks(t *testing.T) {
	start(t)
	inBlocks := func(c gha.Config) gha.Config { return c.InBlocks(1 << 20) }
	backendtest.Run(t, func(t *testing.T) backend.Store { return open(t, t.Name(), inBlocks) })
}

func TestFaultsOnTheWay(t *testing.T) {
	server := start(t)
	link := testserver.Proxy(t, server.Endpoint)
	t.Setenv("ACTIONS_RESULTS_URL", link.Endpoint)
	backendtest.RunFaults(t, open(t, ""), map[string]func(){
		"down": link.Down, "reset": link.Reset, "cut": func() { link.Cut(100_000) },
	}, link.Heal)
}

// TestOneCallForAllParts: the parts of an object are read through one signed URL, also by
// many readers at once, and a Get of the whole object asks for the newest one.
func TestOneCallForAllParts(t *testing.T) {
	server := start(t)
	writer, reader := open(t, ""), open(t, "")
	data := bytes.Repeat([]byte("0123456789"), 1000)
	backendtest.PutBytes(t, writer, "key", data)
	before := server.Counts().Calls
	t.Run("readers", func(t *testing.T) {
		for part := range int64(20) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				r := backend.Range{Offset: 10 + part*10, Length: 10}
				if got := get(t, reader, "key", r); got != "0123456789" {
					t.Errorf("part %d is %q", part, got)
				}
			})
		}
	})
	if n := server.Counts().Calls - before; n != 1 {
		t.Errorf("%d calls for the parts of an object, want 1", n)
	}
	backendtest.PutBytes(t, writer, "key", []byte("newer"))
	if got := get(t, reader, "key", backend.Range{}); got != "newer" {
		t.Errorf("got %.10q after another Put", got)
	}
}

// get returns a part of an object.
func get(t *testing.T, s backend.Store, key string, r backend.Range) string {
	t.Helper()
	body, _, err := s.Get(t.Context(), key, r)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Error(err)
	}
	return string(data)
}

// TestExpiry: a URL that is out of date is asked for again, and a Put begins anew.
func TestExpiry(t *testing.T) {
	server := start(t)
	s := open(t, "", func(c gha.Config) gha.Config { return c.InBlocks(1000) })
	data := bytes.Repeat([]byte("0123456789"), 500)
	first := backendtest.PutBytes(t, s, "key", data)
	part := backend.Range{Offset: 4000, Length: 10}
	get(t, s, "key", part)
	server.Expire()
	if got := get(t, s, "key", part); got != "0123456789" {
		t.Errorf("got %q by a URL that was asked for again", got)
	}

	blocks := 0
	server.Watch(func(r *http.Request) {
		if r.Method == http.MethodPut {
			if blocks++; blocks == 3 {
				server.Expire()
			}
		}
	})
	_, err := s.Put(t.Context(), "key", bytes.NewReader(data), backend.OptionsOf(data))
	if err == nil || errors.Is(err, backend.ErrDenied) {
		t.Errorf("put by a URL that expires in the middle: %v, want a fault", err)
	}
	if _, obj, err := s.Get(t.Context(), "key", backend.Range{}); err != nil || obj.Version != first.Version {
		t.Errorf("after half a put there is %+v, %v", obj, err)
	}
	second := backendtest.PutBytes(t, s, "key", data)
	if _, obj, err := s.Get(t.Context(), "key", backend.Range{}); err != nil || obj.Version != second.Version {
		t.Errorf("after a second put there is %+v, %v", obj, err)
	}
}

// TestExpiryOfAzure: what Azurite itself says of a URL that is out of date counts as that.
func TestExpiryOfAzure(t *testing.T) {
	server := start(t)
	s := open(t, "")
	backendtest.PutBytes(t, s, "key", []byte("data"))
	server.Change(func(r *testserver.ActionsRules) { r.Lifetime = -time.Hour })
	_, _, err := s.Get(t.Context(), "key", backend.Range{})
	if err == nil || errors.Is(err, backend.ErrDenied) || errors.Is(err, backend.ErrNotFound) {
		t.Errorf("get: %v, want a fault", err)
	}
	if err != nil && strings.Contains(err.Error(), "sig=") {
		t.Errorf("the error has a signature: %v", err)
	}
}

// TestEvicted: an entry that the service has removed is not there, also for one who has read
// it before.
func TestEvicted(t *testing.T) {
	server := start(t)
	s := open(t, "")
	backendtest.PutBytes(t, s, "key", []byte("0123456789"))
	part := backend.Range{Offset: 5}
	get(t, s, "key", part)
	server.Evict("key")
	if _, _, err := s.Get(t.Context(), "key", part); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
}

// TestRemoved: where there are too many bytes, GitHub removes what was read last the longest
// time ago, and at any time what nobody has read for a week.
func TestRemoved(t *testing.T) {
	server := start(t)
	s := open(t, "")
	server.Change(func(r *testserver.ActionsRules) { r.Quota = 25 })
	wantGone := func(key string) {
		t.Helper()
		if _, _, err := s.Get(t.Context(), key, backend.Range{}); !errors.Is(err, backend.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", key, err)
		}
	}
	for _, key := range []string{"a", "b"} {
		backendtest.PutBytes(t, s, key, []byte("0123456789"))
	}
	get(t, s, "a", backend.Range{})
	backendtest.PutBytes(t, s, "c", []byte("0123456789"))
	wantGone("b")
	server.Advance(4 * 24 * time.Hour)
	get(t, s, "a", backend.Range{})
	server.Advance(4 * 24 * time.Hour)
	get(t, s, "a", backend.Range{})
	wantGone("c")
}

// TestKilled: what a killed job has reserved is in nobody's way.
func TestKilled(t *testing.T) {
	server := start(t)
	s := open(t, "")
	killed := errors.New("killed")
	server.Watch(func(r *http.Request) {
		if r.Method == http.MethodPut {
			panic(http.ErrAbortHandler)
		}
	})
	if _, err := s.Put(t.Context(), "key", strings.NewReader("data"), backend.OptionsOf([]byte("data"))); err == nil {
		t.Error(killed)
	}
	server.Watch(nil)
	if _, _, err := s.Get(t.Context(), "key", backend.Range{}); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	backendtest.PutBytes(t, s, "key", []byte("data"))
	if got := get(t, s, "key", backend.Range{}); got != "data" {
		t.Errorf("got %q", got)
	}
}

// TestRefs: GitHub separates branches, whatever the keys say.
func TestRefs(t *testing.T) {
	server := start(t)
	backendtest.PutBytes(t, open(t, ""), "key", []byte("main"))
	server.Setenv(t, server.Token("refs/pull/1/merge", mainRef))
	pull := open(t, "")
	if got := get(t, pull, "key", backend.Range{}); got != "main" {
		t.Errorf("a pull request reads %q of main", got)
	}
	backendtest.PutBytes(t, pull, "key", []byte("pull"))
	if got := get(t, pull, "key", backend.Range{}); got != "pull" {
		t.Errorf("a pull request reads %q of its own", got)
	}
	server.Setenv(t, server.Token(mainRef))
	if got := get(t, open(t, ""), "key", backend.Range{}); got != "main" {
		t.Errorf("main reads %q", got)
	}
}

// TestLabels: a label can be told from all others, whatever their case, and fits.
func TestLabels(t *testing.T) {
	now := time.Date(2026, 11, 26, 1, 2, 3, 4, time.UTC)
	for _, key := range []string{
		"v1/main/m/v8/example.com%2Fmodule/linux-amd64+test", "a,b#c!d!21", "Größe, #1 \x00_%", strings.Repeat("long", 200), strings.Repeat("é", 400),
	} {
		l := gha.Label(key, now)
		if len(l) > 512 || strings.Contains(l, ",") || strings.ToLower(l) != l || !strings.HasPrefix(l, gha.Query(key)) {
			t.Errorf("label %q", l)
		}
		if got, whole := gha.KeyOf(l); whole != (len(key) < 400) || whole && got != key {
			t.Errorf("%q is of key %q, %t", l, got, whole)
		}
		if again := gha.Label(key, now); again == l {
			t.Errorf("%q twice", l)
		}
		for _, other := range []string{key + "x", strings.ToUpper(key)} {
			if strings.HasPrefix(strings.ToLower(l), strings.ToLower(gha.Query(other))) {
				t.Errorf("%q is found as %q", l, other)
			}
		}
	}
	for _, label := range []string{"", "key", "!#1", "a!2#1", "a!!00#1", "a!2G#1"} {
		if key, whole := gha.KeyOf(label); whole {
			t.Errorf("label %q is of key %q", label, key)
		}
	}
}

// TestLongFolder: a folder whose name is too long for a label has no newest object, and
// nobody is asked for it. Nor is it known which object the newest one is if its own key is
// too long.
func TestLongFolder(t *testing.T) {
	server := start(t)
	s := open(t, "")
	long := "folder/" + strings.Repeat("long", 200)
	backendtest.PutBytes(t, s, long+"/key", []byte("data"))
	if got := get(t, s, long+"/key", backend.Range{}); got != "data" {
		t.Errorf("got %q", got)
	}
	before := server.Counts().Calls
	if _, _, err := s.Get(t.Context(), long+"/", backend.Range{}); !errors.Is(err, backend.ErrNotFound) || server.Counts().Calls != before {
		t.Errorf("a long folder: %v, after %d calls", err, server.Counts().Calls-before)
	}
	if _, _, err := s.Get(t.Context(), "folder/", backend.Range{}); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("a long key: %v, want ErrNotFound", err)
	}
}
