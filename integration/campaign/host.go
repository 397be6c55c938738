package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// host stands for the test that package testserver serves: it has a folder and a name,
// and what was started for it ends with it. What is fatal to a test panics here, since
// it is a fault of the machine's and not of larder's. A host is for one goroutine.
type host struct {
	testing.TB // is nil: testserver calls nothing that is not below

	ctx     context.Context
	name    string
	dir     string
	folders int
	failed  bool
	ends    []func()
}

// newHost returns a host with a new folder in parent.
func newHost(ctx context.Context, parent, name string) (*host, error) {
	dir := filepath.Join(parent, name)
	return &host{ctx: ctx, name: name, dir: dir}, os.Mkdir(dir, 0o777)
}

// end ends what was started for h, the last first. It removes h's folder unless keep is
// set.
func (h *host) end(keep bool) {
	for len(h.ends) > 0 {
		last := len(h.ends) - 1
		end := h.ends[last]
		h.ends = h.ends[:last]
		end()
	}
	if !keep {
		os.RemoveAll(h.dir)
	}
}

func (h *host) Helper()                  {}
func (h *host) Name() string             { return h.name }
func (h *host) Context() context.Context { return h.ctx }
func (h *host) Failed() bool             { return h.failed }
func (h *host) Cleanup(end func())       { h.ends = append(h.ends, end) }

func (h *host) TempDir() string {
	h.folders++
	dir := filepath.Join(h.dir, strconv.Itoa(h.folders))
	if err := os.Mkdir(dir, 0o777); err != nil {
		h.Fatal(err)
	}
	return dir
}

// broken is what a host panics with.
type broken string

func (h *host) Fatal(args ...any)            { panic(broken(fmt.Sprint(args...))) }
func (h *host) Fatalf(f string, args ...any) { panic(broken(fmt.Sprintf(f, args...))) }
func (h *host) Skipf(f string, args ...any)  { panic(broken(fmt.Sprintf(f, args...))) }
func (h *host) Logf(f string, args ...any)   { fmt.Fprintf(os.Stderr, f+"\n", args...) }

// guard calls f, and returns an error in place of a panic of a host.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			text, ok := r.(broken)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("the campaign itself: %s", string(text))
		}
	}()
	return f()
}
