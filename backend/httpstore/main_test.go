package httpstore_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/larderbuild/larder/backend"
)

// world is a proxy in the place of all hosts but this one.
var world = &site{answer: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }}

// TestMain sees to it that no test leaves this host, and that the environment gives no
// credentials. Package net/http reads the variables of proxies once, at the first request.
func TestMain(m *testing.M) {
	proxy := httptest.NewServer(world)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		os.Setenv(name, proxy.URL)
	}
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "LARDER_") && name != "LARDER_TEST_ALL" || strings.HasPrefix(name, "ACTIONS_ID_TOKEN_") ||
			strings.EqualFold(name, "NO_PROXY") {
			os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// site is an HTTP server that keeps the requests it gets.
type site struct {
	url    string
	answer http.HandlerFunc

	mu   sync.Mutex
	seen []request
}

type request struct {
	*http.Request
	body string
}

// serving starts a site that reads each request and then answers it.
func serving(t *testing.T, answer http.HandlerFunc) *site {
	t.Helper()
	s := &site{answer: answer}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.url = server.URL
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.seen = append(s.seen, request{r, string(body)})
	s.mu.Unlock()
	s.answer(w, r)
}

// requests returns those since the last call.
func (s *site) requests() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}

// lines returns the method and the path of each request since the last call.
func (s *site) lines() string {
	var lines []string
	for _, r := range s.requests() {
		lines = append(lines, r.Method+" "+r.URL.EscapedPath())
	}
	return strings.Join(lines, ", ")
}

// openFor is open; the store is closed when the test ends.
func openFor(t *testing.T, url string) backend.Store {
	t.Helper()
	s := open(t, url)
	t.Cleanup(func() { s.Close() })
	return s
}

// get returns what r names of the object under key.
func get(t *testing.T, s backend.Store, r backend.Range) (string, backend.Object, error) {
	t.Helper()
	body, obj, err := s.Get(t.Context(), "key", r)
	if err != nil {
		return "", obj, err
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	return string(data), obj, err
}

// put stores data under key, on a condition.
func put(t *testing.T, s backend.Store, data string, cond backend.Condition) (backend.Object, error) {
	t.Helper()
	opts := backend.OptionsOf([]byte(data))
	opts.If = cond
	return s.Put(t.Context(), "key", strings.NewReader(data), opts)
}

// list returns the error of a List.
func list(t *testing.T, s backend.Store) (err error) {
	t.Helper()
	for _, err = range s.List(t.Context(), "") {
	}
	return err
}
