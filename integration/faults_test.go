package integration

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/testserver"
)

const (
	// faultBudget is LARDER_BUDGET where the remote is faulty.
	faultBudget = 2 * time.Second

	// hopeless is LARDER_TIMEOUT where the remote hangs: so long that a build
	// which waited for it, instead of minding its budget, would show.
	hopeless = time.Minute
)

// withoutCacheAnd is how long a build of c may take that loses d to its
// remote: as long as without a cache and d. The rest is for machines that are
// busy with something else, and far below hopeless.
func (c *chained) withoutCacheAnd(d time.Duration) time.Duration {
	return 5*c.took + d + 20*time.Second
}

// wantOneLine checks that the only thing said on stderr is one line of
// larder's.
func (r result) wantOneLine(t *testing.T) {
	t.Helper()
	if strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "larder: ") {
		t.Errorf("want one line of larder's on stderr, got:\n%s", r.stderr)
	}
}

// buildInTime builds c on m, and fails if that takes longer than limit.
func (c *chained) buildInTime(m *machine, limit time.Duration) result {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), limit)
	defer cancel()
	args, out := c.goal(m.t)
	r := m.await(m.command(ctx, "go", args...))
	switch {
	case ctx.Err() != nil:
		m.t.Fatalf("the build took longer than %v; it takes %v without larder", limit, c.took)
	case r.status != 0:
		m.t.Fatalf("the build failed:\n%s", r.stderr)
	}
	c.check(m.t, out)
	return r
}

// TestFaultyLink has everything between larder and a server go wrong. The
// build is right, says so once, and is no slower than the budget allows; once
// the link is well again, what could not be uploaded is.
func TestFaultyLink(t *testing.T) {
	t.Parallel()
	c := usualChain(t)
	for name, s := range clouds(t) {
		s.fill(t, c)
		for fault, cause := range map[string]func(*testserver.Link){
			"down":        (*testserver.Link).Down,
			"hang":        (*testserver.Link).Hang,
			"reset":       (*testserver.Link).Reset,
			"cut headers": func(l *testserver.Link) { l.Cut(20) },
			"cut bodies":  func(l *testserver.Link) { l.Cut(3000) },
		} {
			t.Run(name+"/"+fault, func(t *testing.T) {
				t.Parallel()
				link := testserver.Proxy(t, s.endpoint)
				cause(link)
				m := s.machine(t, c, link.Endpoint, "LARDER_CLOSE=linger",
					"LARDER_BUDGET="+faultBudget.String(), "LARDER_TIMEOUT="+hopeless.String())
				r := c.buildInTime(m, c.withoutCacheAnd(faultBudget))
				r.wantOneLine(t)
				if r.fromRemote() != 0 || r.stats.Corrupt != 0 {
					t.Errorf("a remote that gives nothing gave something: %+v", r.stats)
				}
				link.Heal()
				s.wantCaughtUp(t, c, m)
			})
		}
	}
}

// TestSlowLink: what is slow, but worth it, is used in silence; what is not is
// given up, with a line.
func TestSlowLink(t *testing.T) {
	t.Parallel()
	c := newChained(t, 20)
	s := s3Store(t)
	s.fill(t, c)
	link := testserver.Proxy(t, s.endpoint)
	link.Latency(200 * time.Millisecond)

	patient := c.build(s.machine(t, c, link.Endpoint, "LARDER_BUDGET=5m"))
	if patient.stderr != "" || patient.fromRemote() < int64(c.packages) {
		t.Errorf("a slow remote within the budget: %+v\n%s", patient.stats, patient.stderr)
	}
	// The budget is enough for the manifest, and not for the packs that it promises:
	// they come one round trip later, which is long enough for a go command that is
	// slow to ask because the machine is busy.
	const trip, budget = 3 * time.Second, 3300 * time.Millisecond
	link.Heal()
	link.Latency(trip)
	m := s.machine(t, c, link.Endpoint, "LARDER_BUDGET="+budget.String(), "LARDER_CLOSE=linger", "LARDER_LINGER=1s")
	r := c.buildInTime(m, c.withoutCacheAnd(budget))
	m.env = append(m.env, "LARDER_REMOTE="+s.url(s.endpoint)) // for the uploads
	r.wantOneLine(t)
	if r.stats.Misses < 2 { // the link, and whoever waited
		t.Errorf("lookups went on beyond the budget: %+v", r.stats)
	}
}

// TestPacksThatDoNotCome: the manifest promises what then comes by the drop, or
// not at all. The build waits for the budget, and builds.
func TestPacksThatDoNotCome(t *testing.T) {
	t.Parallel()
	c := newChained(t, 20)
	s := s3Store(t)
	s.fill(t, c)
	const budget = time.Second
	for name, interval := range map[string]time.Duration{"1 KB a second": time.Second, "nothing": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpoint := newGate(t, s.endpoint, nil, func(r *http.Response) error {
				if strings.Contains(r.Request.URL.Path, "/p/") {
					r.Body = &trickle{r.Body, r.Request.Context(), interval}
				}
				return nil
			})
			m := s.machine(t, c, endpoint, "LARDER_BUDGET="+budget.String(), "LARDER_CLOSE=linger")
			r := c.buildInTime(m, c.withoutCacheAnd(budget))
			r.wantOneLine(t)
			if r.stats.Misses < 10 {
				t.Errorf("packs that do not come gave hits: %+v", r.stats)
			}
		})
	}
}

// trickle is a body of which 1 KB comes after each interval.
type trickle struct {
	io.ReadCloser
	ctx      context.Context
	interval time.Duration
}

func (r *trickle) Read(b []byte) (int, error) {
	select {
	case <-time.After(r.interval):
		return r.ReadCloser.Read(b[:min(len(b), 1000)])
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
}

// TestHangWhileWaiting: LARDER_CLOSE=wait ends at its timeout.
func TestHangWhileWaiting(t *testing.T) {
	t.Parallel()
	c, s := usualChain(t), s3Store(t)
	link := testserver.Proxy(t, s.endpoint)
	link.Hang()
	const wait = time.Second
	m := s.machine(t, c, link.Endpoint, "LARDER_CLOSE_TIMEOUT="+wait.String(),
		"LARDER_BUDGET="+faultBudget.String(), "LARDER_TIMEOUT="+hopeless.String())
	r := c.buildInTime(m, c.withoutCacheAnd(faultBudget+wait))
	r.wantOneLine(t)
	if r.stats.Uploads != 0 {
		t.Errorf("%d uploads", r.stats.Uploads)
	}
	link.Heal()
	s.wantCaughtUp(t, c, m)
}

// TestTimeouts: lookups that end by the budget, and uploads that never end, are one
// trouble, and one line. What was not uploaded is still to be done.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	c, s := usualChain(t), s3Store(t)
	link := testserver.Proxy(t, s.endpoint)
	link.Hang()
	m := s.machine(t, c, link.Endpoint, "LARDER_BUDGET=500ms", "LARDER_TIMEOUT=300ms")
	r := c.buildInTime(m, c.withoutCacheAnd(time.Minute))
	r.wantOneLine(t)
	if r.stats.Uploads != 0 || m.pending() == 0 {
		t.Errorf("%d uploads to do: %+v", m.pending(), r.stats)
	}
	link.Heal()
	m.env = append(m.env, "LARDER_TIMEOUT=1m") // for a machine that is busy
	s.wantCaughtUp(t, c, m)
}
