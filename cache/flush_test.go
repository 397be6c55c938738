package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/dir"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/session"
)

// flush runs Flush over what is in local, into store.
func flush(ctx context.Context, local string, store backend.Store, change ...func(*cache.FlushConfig)) (*cache.Stats, error) {
	stats := new(cache.Stats)
	cfg := cache.FlushConfig{
		Config: cache.Config{
			Local:     localdisk.New(local),
			MaxObject: 1 << 30,
			Stats:     stats,
			Log:       slog.New(slog.DiscardHandler),
		},
		Open: func(session.Target) (backend.Store, error) {
			return unclosed{backend.WithCounters(store, &stats.Remote)}, nil
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	return stats, cache.Flush(ctx, cfg)
}

func hang(string, string) backendtest.Fault { return backendtest.Fault{Hang: true} }

// leave makes a session in local that ends with n uploads left.
func leave(t *testing.T, local string, n int) {
	t.Helper()
	m := newMachine(t, local, backendtest.Faulty(backendtest.Memory(), hang))
	for i := range n {
		m.put(t, fmt.Sprint(i), fmt.Sprint("body ", i))
	}
	if left := m.Close(0); left != (n > 0) {
		t.Fatalf("left is %v after %d puts", left, n)
	}
}

func wantAll(t *testing.T, store backend.Store, n int) {
	t.Helper()
	m := newMachine(t, t.TempDir(), store)
	defer m.Close(0)
	for i := range n {
		m.wantHit(t, fmt.Sprint(i), fmt.Sprint("body ", i))
	}
}

func TestFlushDoesWhatASessionLeft(t *testing.T) {
	local, store := t.TempDir(), backendtest.Memory()
	leave(t, local, 50)
	if n, err := session.Uploads(local); n != 50 || err != nil {
		t.Fatalf("%d pending, %v", n, err)
	}
	found, done := 0, make(chan bool, 50)
	stats, err := flush(t.Context(), local, store, func(c *cache.FlushConfig) {
		c.Progress = cache.Progress{
			Planned: func(n int, _ int64) { found += n },
			Done:    func(int64) { done <- true },
		}
	})
	if err != nil || stats.Summary().Uploads != 50 || found != 50 || len(done) != 50 {
		t.Errorf("%v; %d uploads, %d found, %d done", err, stats.Summary().Uploads, found, len(done))
	}
	wantAll(t, store, 50)

	stats, err = flush(t.Context(), local, store)
	if err != nil || stats.Summary().RemoteRequests != 0 {
		t.Errorf("once more: %v, %d requests", err, stats.Summary().RemoteRequests)
	}
}

func TestAbandoned(t *testing.T) {
	local, store := t.TempDir(), backendtest.Memory()
	check := func(target session.Target, want bool) {
		t.Helper()
		for _, hasKey := range []bool{true, false} {
			if got, err := session.Abandoned(local, target, hasKey); got != want || err != nil {
				t.Errorf("with a key %v: %v, %v; want %v", hasKey, got, err, want)
			}
		}
	}
	m := newMachine(t, local, backendtest.Faulty(store, hang))
	m.put(t, "1", "body 1")
	check(target, false) // its session is alive
	m.Close(0)
	check(target, true)
	check(session.Target{Remote: target.Remote, Scope: "other"}, false)
	if _, err := flush(t.Context(), local, store); err != nil {
		t.Error(err)
	}
	check(target, false)
}

// What a session leaves that signs is nothing to do for a process without a key.
func TestAbandonedWithoutKey(t *testing.T) {
	local, store := t.TempDir(), backendtest.Memory()
	m := newMachine(t, local, backendtest.Faulty(store, hang), signing(generate(t)))
	m.put(t, "1", "body 1")
	m.Close(0)
	for _, hasKey := range []bool{true, false} {
		if got, err := session.Abandoned(local, target, hasKey); got != hasKey || err != nil {
			t.Errorf("with a key %v: %v, %v", hasKey, got, err)
		}
	}
}

func TestFlushFailsAndKeepsTheRest(t *testing.T) {
	local, store := t.TempDir(), backendtest.Memory()
	leave(t, local, 10)
	bad := key("3")
	faulty := backendtest.Faulty(store, func(_, key string) backendtest.Fault {
		if key == bad {
			return backendtest.Fault{Err: errors.New("connection reset")}
		}
		return backendtest.Fault{}
	})
	if _, err := flush(t.Context(), local, faulty); err == nil || !strings.Contains(err.Error(), "1 of 10 uploads failed") {
		t.Errorf("error %v", err)
	}
	stats, err := flush(t.Context(), local, store)
	if err != nil || stats.Summary().Uploads != 1 {
		t.Errorf("%v, %d uploads", err, stats.Summary().Uploads)
	}
	wantAll(t, store, 10)
}

func TestFlushEndsWithItsContext(t *testing.T) {
	local, store := t.TempDir(), backendtest.Memory()
	leave(t, local, 10)
	gone := errors.New("time is up")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, gone)
	defer cancel()
	if _, err := flush(ctx, local, backendtest.Faulty(store, hang)); !errors.Is(err, gone) {
		t.Errorf("error %v", err)
	}
	if _, err := flush(t.Context(), local, store); err != nil {
		t.Error(err)
	}
	wantAll(t, store, 10)
}

// A flush leaves the journals of other targets alone, and what it is not to do.
func TestFlushLeavesOtherWorkAlone(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*cache.FlushConfig)
		bring  bool // there is the journal of a session that is only to bring something, too
	}{
		"of another target": {func(c *cache.FlushConfig) { c.Only = &session.Target{Remote: "another:", Scope: "main"} }, true},
		"what is written":   {func(c *cache.FlushConfig) { c.ReadOnly = true }, false},
	} {
		t.Run(name, func(t *testing.T) {
			local := t.TempDir()
			leave(t, local, 3)
			journals := 1
			if c.bring {
				leaveBring(t, local)
				journals++
			}
			stats, err := flush(t.Context(), local, backendtest.Memory(), c.change)
			if err != nil || stats.Summary().RemoteRequests != 0 {
				t.Errorf("%v, %d requests", err, stats.Summary().RemoteRequests)
			}
			if n, err := session.Uploads(local); n != 3 || err != nil {
				t.Errorf("%d pending, %v", n, err)
			}
			if works, err := session.Left(local); len(works) != journals || err != nil {
				t.Errorf("left: %+v, %v", works, err)
			}
		})
	}
}

// leaveBring leaves the journal of a session that is only to bring something.
func leaveBring(t *testing.T, local string) {
	t.Helper()
	s, err := session.New(local, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	brings := target
	brings.Profile = session.Profile{Module: "example.com/m", Name: "linux"}
	j, err := s.CreateJournal(brings, false)
	if err := errors.Join(err, j.AddBring(), j.Close(true)); err != nil {
		t.Fatal(err)
	}
}

func TestFlushSaysWhatIsLost(t *testing.T) {
	local, store := t.TempDir(), backendtest.Memory()
	leave(t, local, 3)
	id := actionID("1").String()
	if err := os.Remove(filepath.Join(local, id[:2], id+"-a")); err != nil {
		t.Fatal(err)
	}
	if _, err := flush(t.Context(), local, store); err == nil || !strings.Contains(err.Error(), "1 of 3 uploads are no longer in") {
		t.Errorf("error %v", err)
	}
	if n, err := session.Uploads(local); n != 0 || err != nil {
		t.Errorf("%d pending, %v: it can never be uploaded", n, err)
	}
}

// Flush waits for a session whose build is over, and says so, and does not wait for one
// whose build goes on.
func TestFlushWaitsForWhatIsOver(t *testing.T) {
	local, store := t.TempDir(), backendtest.Memory()
	building := newMachine(t, local, backendtest.Faulty(backendtest.Memory(), hang))
	building.put(t, "0", "body 0")
	open := make(chan struct{})
	over := newMachine(t, local, gated{store, open})
	over.put(t, "1", "body 1")
	closed := make(chan bool)
	go func() { closed <- over.Close(time.Minute) }()
	isOver := func(l session.Live) bool { return l.Over }
	for live, err := session.List(local); !slices.ContainsFunc(live, isOver); live, err = session.List(local) {
		if err != nil {
			t.Fatal(err)
		}
	}

	told, flushed := make(chan session.Live), make(chan error)
	go func() {
		stats, err := flush(t.Context(), local, store, func(c *cache.FlushConfig) {
			c.Wait = func(l session.Live) { told <- l }
		})
		if n := stats.Summary().Uploads; n != 0 {
			t.Errorf("%d uploads of sessions under way", n)
		}
		flushed <- err
	}()
	select {
	case l := <-told:
		if l.PID != os.Getpid() {
			t.Errorf("waits for process %d", l.PID)
		}
	case err := <-flushed:
		t.Fatalf("did not wait: %v", err)
	}
	close(open)
	if err := <-flushed; err != nil {
		t.Error(err)
	}
	if <-closed {
		t.Error("something is left")
	}
	building.Close(0)
	if _, err := flush(t.Context(), local, store); err != nil {
		t.Error(err)
	}
	wantAll(t, store, 2)
}

// Flushes that run at the same time do not wait for each other once the work is done.
func TestFlushesAtOnce(t *testing.T) {
	local, store := t.TempDir(), backendtest.Memory()
	over, err := session.New(local, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	over.Over()
	told, flushed := make(chan session.Live, 2), make(chan error, 2)
	for range 2 {
		go func() {
			_, err := flush(t.Context(), local, store, func(c *cache.FlushConfig) {
				c.Wait = func(l session.Live) { told <- l }
			})
			flushed <- err
		}()
	}
	<-told
	<-told // so both are under way
	over.Close()
	for range 2 {
		if err := <-flushed; err != nil {
			t.Error(err)
		}
	}
}

// gated is a store whose puts wait until open is closed.
type gated struct {
	backend.Store
	open <-chan struct{}
}

func (g gated) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	select {
	case <-g.open:
		return g.Store.Put(ctx, key, body, opts)
	case <-ctx.Done():
		return backend.Object{}, context.Cause(ctx)
	}
}

func TestForget(t *testing.T) {
	local := t.TempDir()
	leave(t, local, 3)
	if err := session.Forget(local); err != nil {
		t.Fatal(err)
	}
	if n, err := session.Uploads(local); n != 0 || err != nil {
		t.Errorf("%d pending, %v", n, err)
	}
}

// TestKilled kills a process in the middle of its uploads, at ten different moments.
// What is in the remote then is whole, and Flush brings the rest.
func TestKilled(t *testing.T) {
	if root := os.Getenv("LARDER_TEST_VICTIM"); root != "" {
		victim(t, root)
		return
	}
	for delay := range 10 {
		root := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "LARDER_TEST_VICTIM="+root)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The victim says when all its puts are answered.
		if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(delay) * 5 * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()

		local, store := filepath.Join(root, "local"), openDir(t, root)
		stats, err := flush(t.Context(), local, store)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("after %d ms, %d uploads were left", delay*5, stats.Summary().Uploads)
		wantAll(t, store, 40)
		for obj, err := range store.List(t.Context(), "") {
			if err != nil || !strings.HasPrefix(obj.Key, "v1/main/a/") {
				t.Errorf("in the remote: %q, %v", obj.Key, err)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(local, "larder", "sessions", "*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func victim(t *testing.T, root string) {
	slow := backendtest.Faulty(openDir(t, root), func(string, string) backendtest.Fault {
		return backendtest.Fault{Delay: 5 * time.Millisecond}
	})
	m := newMachine(t, filepath.Join(root, "local"), slow)
	for i := range 40 {
		m.put(t, fmt.Sprint(i), fmt.Sprint("body ", i))
	}
	os.Stdout.WriteString("!")
	time.Sleep(time.Minute)
}

func openDir(t *testing.T, root string) backend.Store {
	t.Helper()
	folder := filepath.Join(root, "remote")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	store, err := dir.Open(t.Context(), dir.Config{Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	return store
}
