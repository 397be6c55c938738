package integration

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/larderbuild/larder/testserver"
)

// The tests below have a build that finds, by the manifest, what it first looks
// up, and then misses, so that the bytes are needed; and bytes do not come.
// Whatever was given out is brought in another way, or built.

// troubles are what may become of an answer, until healed is closed. Where whole is
// not set, there is one for each reason: no answer comes in time, or a wrong one, or
// that there is nothing.
func troubles(healed <-chan struct{}) map[string]func(*http.Response) error {
	change := func(r *http.Response, to func([]byte) []byte) error {
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(to(body)))
		return err
	}
	all := map[string]func(*http.Response) error{
		"hang": func(r *http.Response) error {
			select {
			case <-r.Request.Context().Done():
			case <-healed:
			}
			return errors.New("too late")
		},
		"reset": func(*http.Response) error { panic(http.ErrAbortHandler) },
		"cut": func(r *http.Response) error { // its length is not what it says
			return change(r, func(body []byte) []byte { return body[:len(body)/2] })
		},
		"corrupt": func(r *http.Response) error {
			return change(r, func(body []byte) []byte {
				for i := 50; i < len(body); i += 100 {
					body[i] ^= 1
				}
				return body
			})
		},
		"zeros": func(r *http.Response) error {
			return change(r, func(body []byte) []byte { return make([]byte, len(body)) })
		},
		"gone": func(r *http.Response) error {
			const answer = "<Error><Code>NoSuchKey</Code></Error>"
			r.StatusCode, r.Status = http.StatusNotFound, ""
			r.Header = http.Header{"Content-Type": {"application/xml"}, "Content-Length": {strconv.Itoa(len(answer))}}
			return change(r, func([]byte) []byte { return []byte(answer) })
		},
	}
	if !whole {
		for _, alike := range []string{"reset", "cut", "zeros"} {
			delete(all, alike)
		}
	}
	return all
}

// reads reports whether r is of a request for an object of one of these kinds:
// p for packs, a for entry objects.
func reads(r *http.Request, kinds string) bool {
	_, key, _ := strings.Cut(r.URL.Path, "/v1/main/")
	kind, _, _ := strings.Cut(key, "/")
	return r.Method == http.MethodGet && kind != "" && strings.Contains(kinds, kind)
}

// troubled is a changed chain whose server is behind a gate. There the answers
// to some requests meet trouble until it is healed.
type troubled struct {
	changedChain
	endpoint string
	heal     func()
}

// troubled returns c behind a gate. An answer meets trouble if begun says so.
func (c changedChain) troubled(t *testing.T, kinds, trouble string, begun func() bool) troubled {
	t.Helper()
	healed := make(chan struct{})
	meet := troubles(healed)[trouble]
	endpoint := newGate(t, c.endpoint, nil, func(r *http.Response) error {
		select {
		case <-healed:
			return nil
		default:
		}
		if !reads(r.Request, kinds) || !begun() {
			return nil
		}
		return meet(r)
	})
	return troubled{c, endpoint, sync.OnceFunc(func() { close(healed) })}
}

// impatient are settings for remotes that do not answer: who minded the timeout
// instead of the budget would show.
func impatient() []string {
	return []string{"LARDER_CLOSE=linger", "LARDER_BUDGET=" + faultBudget.String(), "LARDER_TIMEOUT=" + hopeless.String()}
}

// TestBarrier has packs, or packs and entry objects, that can't be read. Where it has
// both, the standard library is among them.
func TestBarrier(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		lost, kinds string
		newChain    func(*testing.T, int) changedChain
	}{
		{"packs", "p", newStockedChangedChain},
		{"packs and objects", "pa", newChangedChain},
	} {
		t.Run(test.lost, func(t *testing.T) {
			c := test.newChain(t, 16)
			for trouble := range troubles(nil) {
				t.Run(trouble, func(t *testing.T) {
					c := c.troubled(t, test.kinds, trouble, func() bool { return true })
					m := c.machine(t, c.endpoint, impatient()...)
					c.buildAllTheSame(t, m, unlessHung(trouble, atBarrier))
					c.heal()
					c.wantRight(t, m)
				})
			}
		})
	}
}

// unlessHung is what is wanted where requests end. Where they hang, or are tried again
// because the connection breaks, so does what the go command asks for before any
// archive, and the budget may be spent by then.
func unlessHung(trouble string, want bytesOf) bytesOf {
	if trouble == "hang" || trouble == "reset" || trouble == "cut" {
		return anyhow
	}
	return want
}

// buildAllTheSame builds c on m, whose remote is faulty.
func (c changedChain) buildAllTheSame(t *testing.T, m *machine, want bytesOf) {
	t.Helper()
	r := c.buildInTime(m, c.withoutCacheAnd(3*faultBudget))
	if r.stderr != "" {
		r.wantOneLine(t)
	}
	wantBytes(t, r.stats, want, "")
	for _, err := range m.damage() {
		t.Errorf("local tier: %v", err)
	}
}

// wantRight checks that the next build on m, whose remote is well, is right and
// leaves everything whole.
func (c changedChain) wantRight(t *testing.T, m *machine) {
	t.Helper()
	c.build(m)
	if r := m.larder("flush"); r.status != 0 {
		t.Errorf("flush: exit status %d\n%s", r.status, r.stderr)
	}
	c.wantWhole(t, m)
	m.wantNoSessions()
}

// TestBarrierWithoutRemote has a manifest of a moment ago, and then no remote.
func TestBarrierWithoutRemote(t *testing.T) {
	t.Parallel()
	c := newStockedChangedChain(t, 16)
	for name, fault := range map[string]func(*testserver.Link){
		"down":  (*testserver.Link).Down,
		"hang":  (*testserver.Link).Hang,
		"reset": (*testserver.Link).Reset,
	} {
		t.Run(name, func(t *testing.T) {
			remote := testserver.Proxy(t, c.endpoint)
			before := c.machine(t, remote.Endpoint)
			before.must("go", "build", "./p000")
			fault(remote)
			m := c.machine(t, remote.Endpoint, append(impatient(), "LARDER_READONLY=true")...)
			manifests := filepath.Join("larder", "manifests")
			if err := os.CopyFS(filepath.Join(m.dir, manifests), os.DirFS(filepath.Join(before.dir, manifests))); err != nil {
				t.Fatal(err)
			}
			c.buildAllTheSame(t, m, unlessHung(name, atBarrier))
			remote.Down() // for what hangs in the background
		})
	}
}

// TestBarrierAtTheEnd takes away all that a lazy file can be filled from, its
// source included. The build fails, larder says why in one line, and nothing is
// compiled against a hole. The next one is right.
func TestBarrierAtTheEnd(t *testing.T) {
	t.Parallel()
	c := newChangedChain(t, 16)
	export := c.machine(t, c.endpoint).must("go", "list", "-export", "-f", "{{.Export}}", "./p003").stdout
	archive := strings.TrimSuffix(filepath.Base(strings.TrimSpace(export)), "-d")
	source := readFile(t, filepath.Join(c.dir, "p003", "p003.go"))
	for trouble := range troubles(nil) {
		if trouble == "cut" {
			continue // half of a chunk comes, and the archive may be in it
		}
		t.Run(trouble, func(t *testing.T) {
			var m *machine
			spoil := sync.OnceFunc(func() {
				c.write(t, "p003/p003.go", "package p003\n\nfunc Len() int { return nothing }\n")
			})
			// Before its archive is given out, the go command may compile the package itself.
			c := c.troubled(t, "pa", trouble, func() bool {
				given, err := filepath.Glob(filepath.Join(m.dir, "larder", "sessions", "*", "lazy", archive))
				if err != nil || len(given) == 0 {
					return false
				}
				spoil()
				return true
			})
			m = c.machine(t, c.endpoint, append(impatient(), "GOCACHEPROG="+plainLarder(t))...)
			ctx, cancel := context.WithTimeout(t.Context(), c.withoutCacheAnd(3*faultBudget))
			defer cancel()
			args, out := c.goal(t)
			r := m.await(m.command(ctx, "go", args...))
			if ctx.Err() != nil {
				t.Fatal("the build hung")
			}
			r.wantClearFailure(t, out)
			wantBytes(t, r.stats, given, "")
			c.heal()
			c.write(t, "p003/p003.go", string(source))
			c.wantRight(t, m)
		})
	}
}

// wantClearFailure checks that r is of a build that failed, of which larder said why
// so, in one line, and not because a tool met what it could not read.
func (r result) wantClearFailure(t *testing.T, out string) {
	t.Helper()
	if r.status == 0 {
		t.Error("the build succeeded")
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a program: %v", err)
	}
	var said int
	for line := range strings.Lines(r.stderr) {
		if strings.HasPrefix(line, "larder: ") {
			said++
		}
	}
	if said != 1 {
		t.Errorf("want one line of larder's, got:\n%s", r.stderr)
	}
	for line := range strings.Lines(r.stderr) {
		for _, complaint := range []string{"could not import", "unexpected EOF", "export data", "object file"} {
			if strings.Contains(line, complaint) && !strings.HasPrefix(line, "larder: ") {
				t.Errorf("a tool met a hole:\n%s", r.stderr)
			}
		}
	}
}
