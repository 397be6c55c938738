package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// report counts what a campaign has come to. Its methods may be called from many
// goroutines.
type report struct {
	begun time.Time
	kinds []*kind

	mu     sync.Mutex
	out    io.Writer
	rounds int
	failed map[*kind]int
	delays map[*kind][]time.Duration // of each build under a fault, over the one without larder
}

func newReport(kinds []*kind, out io.Writer) *report {
	return &report{begun: time.Now(), kinds: kinds, out: out, failed: make(map[*kind]int), delays: make(map[*kind][]time.Duration)}
}

// built notes a build under a fault of kind k.
func (r *report) built(k *kind, delay time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delays[k] = append(r.delays[k], delay)
}

// played notes that a round is over.
func (r *report) played() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rounds++
}

// fail notes a failure at a build under a fault of kind k.
func (r *report) fail(k *kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed[k]++
}

// print prints lines, which stay together.
func (r *report) print(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, format+"\n", args...)
}

// failures returns how many rounds have failed.
func (r *report) failures() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, failed := range r.failed {
		n += failed
	}
	return n
}

// String returns the table of kinds, and a line that says how it went.
func (r *report) String() string {
	failures := r.failures()
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	builds := 0
	fmt.Fprintf(&b, "%-12s %7s %13s %11s %9s\n", "fault", "builds", "median delay", "worst", "failures")
	for _, k := range r.kinds {
		delays := slices.Sorted(slices.Values(r.delays[k]))
		if len(delays) == 0 {
			continue
		}
		builds += len(delays)
		fmt.Fprintf(&b, "%-12s %7d %11.2f s %9.2f s %9d\n", k.name, len(delays),
			delays[len(delays)/2].Seconds(), delays[len(delays)-1].Seconds(), r.failed[k])
	}
	fmt.Fprintf(&b, "%d builds in %d rounds, %d failures, %v\n", builds, r.rounds, failures, time.Since(r.begun).Round(time.Second))
	return b.String()
}
