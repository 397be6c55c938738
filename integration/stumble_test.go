package integration

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// stumble refuses what a store is asked for a second, beginning with the n-th request.
type stumble struct {
	status int

	mu    sync.Mutex
	n     int
	until time.Time
}

func (s *stumble) refuse(*http.Request) (status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n--; s.n == 0 {
		s.until = time.Now().Add(time.Second)
	}
	if time.Now().Before(s.until) {
		return s.status
	}
	return 0
}

// TestStumble: a second in which a store refuses everything, at the beginning of a session
// or in its middle, loses nothing, and nothing is said.
func TestStumble(t *testing.T) {
	t.Parallel()
	c := newChained(t, 20)
	for name, s := range clouds(t) {
		for _, status := range []int{http.StatusServiceUnavailable, http.StatusInternalServerError} {
			if status == http.StatusInternalServerError && !whole {
				continue
			}
			t.Run(name+"/"+http.StatusText(status), func(t *testing.T) {
				writes := &stumble{status: status, n: 8}
				r := c.build(s.machine(t, c, newRefusing(t, s.endpoint, writes.refuse)))
				if r.stderr != "" || r.stats.UploadErrors != 0 {
					t.Errorf("a stumble while writing: %+v\n%s", r.stats, r.stderr)
				}
				s.wantFull(t, c)
				for _, n := range []int{1, 2} { // the manifest, and the first pack
					at := s
					at.endpoint = newRefusing(t, s.endpoint, (&stumble{status: status, n: n}).refuse)
					at.wantFull(t, c)
				}
			})
		}
	}
}

// onceASecond refuses writes of a key that was written within the last second.
type onceASecond struct {
	mu      sync.Mutex
	written map[string]time.Time
	refused int
}

func (o *onceASecond) refuse(r *http.Request) (status int) {
	if r.Method != http.MethodPut {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.written[r.URL.Path]) < time.Second {
		o.refused++
		return http.StatusTooManyRequests
	}
	o.written[r.URL.Path] = time.Now()
	return 0
}

// TestOneWriteASecond: jobs of one profile end at once, and the store takes one write of an
// object a second, as GCS and R2 do. All of them get into the manifest, and nothing is said.
func TestOneWriteASecond(t *testing.T) {
	t.Parallel()
	s := s3Store(t)
	limit := &onceASecond{written: make(map[string]time.Time)}
	endpoint := newRefusing(t, s.endpoint, limit.refuse)
	const jobs, packages = 4, 3
	var chains []*chained
	var running sync.WaitGroup
	for range jobs {
		c := writeChained(t, t.TempDir(), packages)
		chains = append(chains, c)
		m := s.machine(t, c, endpoint)
		running.Go(func() {
			if r := m.try("go", "build", "./..."); r.status != 0 || r.stderr != "" || r.stats.UploadErrors != 0 {
				t.Errorf("exit status %d, %+v\n%s", r.status, r.stats, r.stderr)
			}
		})
	}
	running.Wait()
	if limit.refused == 0 {
		t.Error("no write was refused")
	}
	for _, c := range chains {
		r := s.machine(t, c, s.endpoint, "LARDER_READONLY=1").must("go", "build", "./...")
		if r.stats.RemoteHits != 0 || r.stats.PrefetchHits < packages {
			t.Errorf("what a job has built is not in the manifest: %+v", r.stats)
		}
	}
}

// TestNoConditionalPuts: a store that refuses conditions serves all the same.
func TestNoConditionalPuts(t *testing.T) {
	t.Parallel()
	c, s := usualChain(t), s3Store(t)
	s.endpoint = newRefusing(t, s.endpoint, func(r *http.Request) (status int) {
		if r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Match") != "" {
			return http.StatusNotImplemented
		}
		return 0
	})
	s.fill(t, c)
	s.wantFull(t, c)
}
