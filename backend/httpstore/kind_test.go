package httpstore_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/backend"
)

// changing starts a site that answers HEAD with heads[0], then heads[1] and so on, and other
// requests with others, as larder serve does if isLarder is set.
func changing(t *testing.T, isLarder bool, others int, heads ...int) *site {
	return serving(t, func(w http.ResponseWriter, r *http.Request) {
		code := others
		if r.Method == http.MethodHead {
			code, heads = heads[0], heads[1:]
		}
		if isLarder && code != http.StatusBadGateway {
			w.Header().Set(api.Header, api.Number)
		}
		w.WriteHeader(code)
	})
}

// TestUnknownServer: before the first Put on a condition, the server is asked what it is, until it
// tells.
func TestUnknownServer(t *testing.T) {
	const (
		head   = "HEAD /"
		sent   = "PUT /key"
		asked  = "HEAD /, PUT /key"
		nobody = ""
	)
	type step struct {
		want     error
		requests string
	}
	lacks, fault, denied := step{backend.ErrNoConditions, nobody}, step{nil, head}, step{backend.ErrDenied, head}
	asks := step{backend.ErrNoConditions, head}
	conflict, conflicts := step{backend.ErrConflict, asked}, step{backend.ErrConflict, sent}
	for name, test := range map[string]struct {
		isLarder bool
		heads    []int
		steps    []step
	}{
		"plain":                      {false, []int{200}, []step{asks, lacks, lacks}},
		"plain, folder missing":      {false, []int{404}, []step{asks, lacks}},
		"plain, folder closed":       {false, []int{403}, []step{asks, lacks}},
		"plain, no HEAD":             {false, []int{405}, []step{asks, lacks}},
		"plain, no HEAD at all":      {false, []int{501}, []step{asks, lacks}},
		"plain, folder elsewhere":    {false, []int{302}, []step{asks, lacks}},
		"plain, down at first":       {false, []int{502, 500, 503, 200}, []step{fault, fault, fault, asks, lacks}},
		"plain, busy at first":       {false, []int{429, 408, 200}, []step{fault, fault, asks}},
		"plain, who are you":         {false, []int{401, 407, 200}, []step{denied, denied, asks}},
		"larder":                     {true, []int{200}, []step{conflict, conflicts}},
		"larder, by an error":        {true, []int{404}, []step{conflict, conflicts}},
		"larder, by a refusal":       {true, []int{403}, []step{conflict, conflicts}},
		"larder, by a fault":         {true, []int{503}, []step{conflict, conflicts}},
		"larder, behind a bad proxy": {true, []int{502, 404}, []step{fault, conflict, conflicts}},
	} {
		t.Run(name, func(t *testing.T) {
			server := changing(t, test.isLarder, http.StatusPreconditionFailed, test.heads...)
			s := openFor(t, server.url)
			for i, step := range test.steps {
				_, err := put(t, s, "data", backend.Condition{Absent: true})
				means(t, "put", err, step.want)
				if got := server.lines(); got != step.requests {
					t.Errorf("step %d: %q, want %q", i, got, step.requests)
				}
			}
		})
	}
}

// TestKnownServer: a server whose kind an answer has told is not asked.
func TestKnownServer(t *testing.T) {
	for name, test := range map[string]struct {
		isLarder bool
		code     int
		params   string
		want     error
	}{
		"plain":               {false, 200, "", backend.ErrNoConditions},
		"larder":              {true, 200, "", nil},
		"larder, by an error": {true, 404, "", backend.ErrNotFound},
		"plain by its URL":    {true, 200, "?plain=true", backend.ErrNoConditions},
	} {
		server := changing(t, test.isLarder, test.code)
		s := openFor(t, server.url+test.params)
		get(t, s, backend.Range{})
		server.requests()
		_, err := put(t, s, "data", backend.Condition{Absent: true})
		got := server.lines()
		if test.want == backend.ErrNoConditions {
			if !errors.Is(err, test.want) || got != "" {
				t.Errorf("%s: %v after %q", name, err, got)
			}
			if err := s.Delete(t.Context(), "key", ""); !errors.Is(err, backend.ErrUnsupported) {
				t.Errorf("%s: delete: %v", name, err)
			}
			if err := list(t, s); !errors.Is(err, backend.ErrUnsupported) {
				t.Errorf("%s: list: %v", name, err)
			}
			if got := server.lines(); got != "" {
				t.Errorf("%s: the server got %s", name, got)
			}
		} else if got != "PUT /key" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestLarderComesBack: a plain page in the place of larder serve, such as that of a proxy, does not
// hide it for good.
func TestLarderComesBack(t *testing.T) {
	isLarder := false
	server := serving(t, func(w http.ResponseWriter, r *http.Request) {
		if isLarder {
			w.Header().Set(api.Header, api.Number)
		}
	})
	s := openFor(t, server.url)
	get(t, s, backend.Range{})
	if _, err := put(t, s, "data", backend.Condition{Absent: true}); !errors.Is(err, backend.ErrNoConditions) {
		t.Errorf("of a page: %v", err)
	}
	isLarder = true
	get(t, s, backend.Range{})
	isLarder = false // what is known stays known
	get(t, s, backend.Range{})
	server.requests()
	if _, err := put(t, s, "data", backend.Condition{Version: `"x"`}); err != nil {
		t.Errorf("of larder: %v", err)
	}
	if seen := server.requests(); len(seen) != 1 || seen[0].Header.Get("If-Match") != `"x"` {
		t.Errorf("larder got %v", seen)
	}
}

// TestWrongMD5: a plain server would store what does not fit its digest, so the driver looks.
func TestWrongMD5(t *testing.T) {
	server := serving(t, func(http.ResponseWriter, *http.Request) {})
	s := openFor(t, server.url)
	opts := backend.OptionsOf([]byte("other"))
	_, err := s.Put(t.Context(), "key", strings.NewReader("bytes"), opts)
	means(t, "put", err, backend.ErrDigest)
	opts.Size++
	_, err = s.Put(t.Context(), "key", strings.NewReader("bytes"), opts)
	means(t, "put", err, backend.ErrDigest)
	if got := server.lines(); got != "" {
		t.Errorf("the server got %s", got)
	}
}
