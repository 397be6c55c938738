//go:build unix

package integration

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderbuild/larder/testserver"
)

// TestTier: jobs that build at once through larder serve --tier cost the bucket, 20 ms away, what
// one job costs. What a job writes reaches the bucket, also if the server is killed before.
func TestTier(t *testing.T) {
	t.Parallel()
	s3, c := s3Store(t), usualChain(t)
	var requests atomic.Int64
	bucket := newGate(t, s3.endpoint, func(*http.Request) {
		requests.Add(1)
		time.Sleep(20 * time.Millisecond)
	}, nil)
	serve := func(t *testing.T, tier string) (server string) {
		flags := []string{"--store", s3.url(bucket), "--tier", tier}
		return testserver.Start(t, "http", "/usr/bin/env", func(port int) []string { // which sets variables for it alone
			return append(append(s3.env[:len(s3.env):len(s3.env)], larder, "serve", listenAt(port)), flags...)
		})
	}
	// build has n jobs build at once, and returns how many requests the bucket got.
	build := func(t *testing.T, server string, n int) int64 {
		before := requests.Load()
		var group sync.WaitGroup
		for range n {
			m := c.newStocked(t, server, "GOCACHEPROG="+plainLarder(t))
			args, program := c.goal(t)
			group.Go(func() {
				r := m.try("go", args...)
				if r.status != 0 || r.stderr != "" {
					t.Errorf("exit status %d\n%s", r.status, r.stderr)
				}
				c.check(t, program)
			})
		}
		group.Wait()
		return requests.Load() - before
	}

	first := t.TempDir()
	t.Run("the first job, then the server is killed", func(t *testing.T) { build(t, serve(t, first), 1) })
	t.Run("the next server stores what is left", func(t *testing.T) {
		serve(t, first)
		for deadline := time.Now().Add(time.Minute); isWaiting(t, first); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("it does not")
			}
		}
		s3.wantFull(t, c)
	})
	jobs := 8
	if whole {
		jobs = 25
	}
	one := build(t, serve(t, t.TempDir()), 1)
	all := build(t, serve(t, t.TempDir()), jobs)
	t.Logf("one job: %d requests; %d jobs: %d", one, jobs, all)
	if one == 0 || 5*all > 6*one {
		t.Errorf("%d jobs cost the bucket %d requests, and one %d", jobs, all, one)
	}
}

// isWaiting reports whether the tier in a folder has something that is not stored yet.
func isWaiting(t *testing.T, tier string) (waiting bool) {
	t.Helper()
	walkFiles(t, tier, func(path string) {
		if strings.HasSuffix(path, ".json") {
			waiting = waiting || bytes.Contains(readFile(t, path), []byte(`"Dirty":true`))
		}
	})
	return waiting
}
