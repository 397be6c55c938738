package cache_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var target = session.Target{Remote: "test:", Scope: "main"}

// unclosed is a store that outlives the sessions that use it.
type unclosed struct{ backend.Store }

func (unclosed) Close() error { return nil }

// machine is one session on a machine with a local tier of its own.
type machine struct {
	*cache.Cache
	dir   string
	stats *cache.Stats
	log   *bytes.Buffer
}

// newMachine starts a session over store in dir, with values for tests, which change may
// change.
func newMachine(t testing.TB, dir string, store backend.Store, change ...func(*cache.SessionConfig)) *machine {
	t.Helper()
	m := &machine{dir: dir, stats: new(cache.Stats), log: new(bytes.Buffer)}
	cfg := cache.SessionConfig{
		Config: cache.Config{
			Local:     localdisk.New(dir),
			MaxObject: 1 << 30,
			Stats:     m.stats,
			Log:       slog.New(slog.NewTextHandler(m.log, nil)),
		},
		Target: target,
		Upload: true,
		Budget: time.Minute,
	}
	if store != nil {
		cfg.Store = unclosed{backend.WithCounters(store, &m.stats.Remote)}
	}
	for _, c := range change {
		c(&cfg)
	}
	m.Cache = cache.New(cfg)
	return m
}

// actionID returns the action of name. "fmt@stdout" is the subkey stdout of fmt.
func actionID(name string) protocol.ActionID {
	if parent, subkey, ok := strings.Cut(name, "@"); ok {
		return actionID(parent).Subkey(subkey)
	}
	return sha256.Sum256([]byte("action " + name))
}

func (m *machine) put(t testing.TB, name, body string) {
	t.Helper()
	path, err := m.Put(t.Context(), protocol.Put{
		ActionID: actionID(name),
		OutputID: sha256.Sum256([]byte(body)),
		Size:     int64(len(body)),
		Body:     strings.NewReader(body),
	})
	if err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != body {
		t.Fatalf("put %s: its file holds %q, %v", name, got, err)
	}
}

// get returns the entry of name and its body.
func (m *machine) get(ctx context.Context, name string) (protocol.Entry, string, error) {
	type answer struct {
		entry protocol.Entry
		err   error
	}
	answers := make(chan answer, 1)
	m.Get(ctx, actionID(name), func(e protocol.Entry, err error) { answers <- answer{e, err} })
	a := <-answers
	if a.err != nil {
		return a.entry, "", a.err
	}
	body, err := os.ReadFile(a.entry.DiskPath)
	return a.entry, string(body), err
}

func (m *machine) wantHit(t testing.TB, name, body string) protocol.Entry {
	t.Helper()
	e, got, err := m.get(t.Context(), name)
	if err != nil || got != body {
		t.Fatalf("get %s: %q, %v; want %q", name, got, err, body)
	}
	return e
}

func (m *machine) wantMiss(t *testing.T, name string) {
	t.Helper()
	if _, _, err := m.get(t.Context(), name); !errors.Is(err, protocol.ErrMiss) {
		t.Fatalf("get %s: %v, want a miss", name, err)
	}
}

func (m *machine) warnings() []string {
	var lines []string
	for line := range strings.Lines(m.log.String()) {
		if strings.Contains(line, "level=WARN") {
			lines = append(lines, line)
		}
	}
	return lines
}
