package gha_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// TestRefusals: what the service refuses, and what that means.
func TestRefusals(t *testing.T) {
	server := start(t)
	put := func() error {
		_, err := open(t, "").Put(t.Context(), "key", strings.NewReader("data"), backend.OptionsOf([]byte("data")))
		return err
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}

	server.Change(func(r *testserver.ActionsRules) { r.Creations = 1 })
	var busy *backend.Busy
	if err := put(); !errors.As(err, &busy) || busy.Object || busy.After < time.Second || busy.After > time.Minute {
		t.Errorf("above the limit: %v, %+v", err, busy)
	}
	server.Advance(time.Minute)

	server.Setenv(t, server.ReadOnlyToken(mainRef))
	if err := put(); !errors.Is(err, backend.ErrReadOnly) {
		t.Errorf("with a read-only token: %v, want ErrReadOnly", err)
	}
	if got := get(t, open(t, ""), "key", backend.Range{}); got != "data" {
		t.Errorf("with a read-only token: got %q", got)
	}

	for name, token := range map[string]string{"no scope": server.ReadOnlyToken(), "garbage": "garbage"} {
		server.Setenv(t, token)
		if _, _, err := open(t, "").Get(t.Context(), "key", backend.Range{}); !errors.Is(err, backend.ErrDenied) {
			t.Errorf("%s: %v, want ErrDenied", name, err)
		}
	}
}

// answering returns a store whose service always gives the same answer, one that no test
// server gives on demand.
func answering(t *testing.T, code int, body string) backend.Store {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(code)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	t.Setenv("ACTIONS_RESULTS_URL", server.URL)
	t.Setenv("ACTIONS_RUNTIME_TOKEN", "the-token")
	return open(t, "")
}

func TestAnswersOfTheService(t *testing.T) {
	const url = `"http://127.0.0.1:1/blob?sig=secret"`
	for _, test := range []struct {
		name     string
		code     int
		body     string
		get, put error // nil: a fault
	}{
		{"a miss", 200, `{"ok":false}`, backend.ErrNotFound, nil},
		{"another kind of miss", 404, `{"code":"not_found","msg":"no"}`, backend.ErrNotFound, nil},
		{"an older service", 404, `{"code":"bad_route","msg":"no handler"}`, backend.ErrDenied, backend.ErrDenied},
		{"a page", 404, `<html>not found</html>`, backend.ErrDenied, backend.ErrDenied},
		{"unauthenticated", 401, `{"code":"unauthenticated"}`, backend.ErrDenied, backend.ErrDenied},
		{"may not read", 403, `{"code":"permission_denied","msg":"cache read denied: no scopes"}`, backend.ErrDenied, backend.ErrDenied},
		{"may not write", 403, `{"code":"permission_denied","msg":"cache write denied: no scopes"}`, backend.ErrReadOnly, backend.ErrReadOnly},
		{"may not write, it says politely", 200, `{"ok":false,"message":"cache write denied: no scopes"}`, backend.ErrReadOnly, backend.ErrReadOnly},
		{"no money left", 403, `{"code":"resource_exhausted","msg":"insufficient usage to create"}`, backend.ErrDenied, backend.ErrDenied},
		{"taken", 409, `{"code":"already_exists","msg":"exists"}`, nil, nil},
		{"broken", 500, ``, nil, nil},
		{"not JSON", 200, `<html>`, nil, nil},
		{"nothing", 200, ``, nil, nil},
		{"null", 200, `null`, backend.ErrNotFound, nil},
		{"a lot", 200, `{"ok":true,"matched_key":"key#` + strings.Repeat("1", 4<<20), nil, nil},
		{"no URL", 200, `{"ok":true,"matched_key":"key#1"}`, nil, nil},
		{"no good URL", 200, `{"ok":true,"matched_key":"key#1","signed_download_url":"http://[secret","signed_upload_url":"http://[secret"}`, nil, nil},
		{"another key", 200, `{"ok":true,"matched_key":"keys#1","signed_download_url":` + url + `}`, nil, nil},
		{"a storage that is down", 200, `{"ok":true,"matched_key":"key#1","signed_download_url":` + url + `,"signed_upload_url":` + url + `}`, nil, nil},
		{"a URL in a message", 400, `{"code":"malformed","msg":"at http://host/?sig=secret&x"}`, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := answering(t, test.code, test.body)
			_, _, err := s.Get(t.Context(), "key", backend.Range{})
			means(t, "get", err, test.get)
			_, err = s.Put(t.Context(), "key", strings.NewReader("data"), backend.OptionsOf([]byte("data")))
			means(t, "put", err, test.put)
		})
	}
	for _, code := range []int{429, 503} {
		var busy *backend.Busy
		_, _, err := answering(t, code, "").Get(t.Context(), "key", backend.Range{})
		if !errors.As(err, &busy) || *busy != (backend.Busy{After: 7 * time.Second}) {
			t.Errorf("%d: %v", code, err)
		}
	}
}

// TestSigned: a signed URL of a service that has TLS has TLS, too.
func TestSigned(t *testing.T) {
	for _, test := range []struct {
		root, signed string
		good         bool
	}{
		{"https", "https://account.blob.example/x?sig=secret", true},
		{"https", "http://account.blob.example/x?sig=secret", false},
		{"http", "http://127.0.0.1/x?sig=secret", true},
		{"http", "https://account.blob.example/x?sig=secret", true},
		{"https", "file:///secret", false},
		{"https", "/secret", false},
		{"https", "", false},
	} {
		err := gha.Signed(&url.URL{Scheme: test.root, Host: "results"}, test.signed)
		if (err == nil) != test.good || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s of a service with %s: %v", test.signed, test.root, err)
		}
	}
}

// means checks that err is want and no other error of package backend, and repeats no
// secret.
func means(t *testing.T, op string, err, want error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", op)
		return
	}
	for _, sentinel := range []error{backend.ErrNotFound, backend.ErrConflict, backend.ErrDigest, backend.ErrDenied, backend.ErrReadOnly} {
		if errors.Is(err, sentinel) != (sentinel == want) {
			t.Errorf("%s: %v is %v, want %v", op, err, sentinel, want)
		}
	}
	if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "the-token") {
		t.Errorf("%s: a secret in %v", op, err)
	}
}

// TestAnswersOfTheStorage: the service is right, and the storage answers what no storage
// does.
func TestAnswersOfTheStorage(t *testing.T) {
	backendtest.RunAnswers(t, func(t *testing.T, endpoint string) backend.Store {
		service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"ok":true,"matched_key":"key#1","signed_download_url":"`+endpoint+`/blob?sig=x","signed_upload_url":"`+endpoint+`/blob?sig=x"}`)
		}))
		t.Cleanup(service.Close)
		t.Setenv("ACTIONS_RESULTS_URL", service.URL)
		t.Setenv("ACTIONS_RUNTIME_TOKEN", "token")
		return open(t, "")
	})
}

// TestNoService: where there is no cache service, an error says why.
func TestNoService(t *testing.T) {
	for _, test := range []struct{ name, server, url, token, want string }{
		{"no action has handed the variables on", "https://github.com", "", "", "larderbuild/larder"},
		{"no token", "https://github.com", "https://results", "", "ACTIONS_RUNTIME_TOKEN"},
		{"GitHub Enterprise Server", "https://github.example.com", "https://results", "token", "https://github.example.com has no cache service"},
		{"no URL", "https://github.com", "results", "token", "ACTIONS_RESULTS_URL must be"},
	} {
		t.Setenv("GITHUB_SERVER_URL", test.server)
		t.Setenv("ACTIONS_RESULTS_URL", test.url)
		t.Setenv("ACTIONS_RUNTIME_TOKEN", test.token)
		if _, err := gha.Open(t.Context(), gha.Config{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	for _, server := range []string{"", "https://github.com", "https://acme.ghe.com", "http://github.localhost"} {
		t.Setenv("GITHUB_SERVER_URL", server)
		t.Setenv("ACTIONS_RESULTS_URL", "https://results/")
		t.Setenv("ACTIONS_RUNTIME_TOKEN", "token")
		s, err := gha.Open(t.Context(), gha.Config{})
		if err != nil {
			t.Errorf("%s: %v", server, err)
			continue
		}
		s.Close()
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
