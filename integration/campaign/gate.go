package main

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// gate is a server that hands requests on to another one, as far as a rule lets it. Its
// methods may be called while requests run.
type gate struct {
	URL string

	mu          sync.Mutex
	rule        rule
	from, until time.Time // when the rule holds
}

// rule says what a gate does. What is nil changes nothing.
type rule struct {
	request func(w http.ResponseWriter, r *http.Request) (answered bool)
	answer  func(*http.Response)
}

// newGate starts a gate before the server at endpoint. It ends with h.
func newGate(h *host, endpoint string) *gate {
	upstream, err := url.Parse(endpoint)
	if err != nil {
		h.Fatal(err)
	}
	g := new(gate)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: func(r *http.Response) error {
			if answer := g.now().answer; answer != nil {
				answer(r)
			}
			return nil
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if request := g.now().request; request == nil || !request(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	h.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	g.URL = server.URL
	return g
}

// set has g keep to rl between two times.
func (g *gate) set(rl rule, from, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rule, g.from, g.until = rl, from, until
}

func (g *gate) clear() { g.set(rule{}, time.Time{}, time.Time{}) }

// now returns the rule that holds now.
func (g *gate) now() rule {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.Before(g.from) || now.After(g.until) {
		return rule{}
	}
	return g.rule
}

// refuse answers r as S3 does when something is wrong.
func refuse(w http.ResponseWriter, r *http.Request, status int, code string) {
	io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code)
}

// answers refuses every request.
func answers(status int, code string) rule {
	return rule{request: func(w http.ResponseWriter, r *http.Request) bool {
		refuse(w, r, status, code)
		return true
	}}
}

// slowDown refuses every request, and says how long to wait unless that is 0.
func slowDown(seconds int) rule {
	return rule{request: func(w http.ResponseWriter, r *http.Request) bool {
		if seconds > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(seconds))
		}
		refuse(w, r, http.StatusServiceUnavailable, "SlowDown")
		return true
	}}
}

// noConditions refuses conditional puts.
var noConditions = rule{request: func(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("If-Match") == "" && r.Header.Get("If-None-Match") == "" {
		return false
	}
	refuse(w, r, http.StatusNotImplemented, "NotImplemented")
	return true
}}

// writes applies rl to what writes, and reads to what does not.
func writes(rl rule) rule {
	return when(func(r *http.Request) bool { return r.Method == http.MethodPut }, rl)
}

func reads(rl rule) rule {
	return when(func(r *http.Request) bool { return r.Method == http.MethodGet }, rl)
}

// some applies rl to a share of the requests.
func some(share float64, seed uint64, rl rule) rule {
	chance := newChance(share, seed)
	return when(func(*http.Request) bool { return chance.hits() }, rl)
}

func when(applies func(*http.Request) bool, rl rule) rule {
	return rule{request: func(w http.ResponseWriter, r *http.Request) bool {
		return applies(r) && rl.request(w, r)
	}}
}

// oneWriteASecond refuses to write an object within a second of its last write.
func oneWriteASecond() rule {
	var mu sync.Mutex
	last := make(map[string]time.Time)
	return writes(rule{request: func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		tooSoon := time.Since(last[r.URL.Path]) < time.Second
		if !tooSoon {
			last[r.URL.Path] = time.Now()
		}
		mu.Unlock()
		if tooSoon {
			refuse(w, r, http.StatusTooManyRequests, "SlowDown")
		}
		return tooSoon
	}})
}

// corrupt changes a byte in a share of the objects that are read.
func corrupt(share float64, seed uint64) func(*http.Response) {
	chance := newChance(share, seed)
	return func(r *http.Response) {
		if r.Request.Method == http.MethodGet && r.ContentLength > 0 && chance.hits() {
			r.Body = &flipped{r.Body, chance.below(r.ContentLength)}
		}
	}
}

// flipped is a body with a wrong byte.
type flipped struct {
	io.ReadCloser
	at int64 // how many bytes come before the wrong one
}

func (f *flipped) Read(b []byte) (int, error) {
	n, err := f.ReadCloser.Read(b)
	if 0 <= f.at && f.at < int64(n) {
		b[f.at] ^= 0x10
	}
	f.at -= int64(n)
	return n, err
}

// chance draws for many goroutines.
type chance struct {
	share  float64
	mu     sync.Mutex
	random *rand.Rand
}

func newChance(share float64, seed uint64) *chance {
	return &chance{share: share, random: rand.New(rand.NewPCG(seed, 0))}
}

func (c *chance) hits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.Float64() < c.share
}

func (c *chance) below(n int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.Int64N(n)
}
