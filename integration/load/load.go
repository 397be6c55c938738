package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/open"
)

// config says how much is done.
type config struct {
	clients, objects int
	time             time.Duration
	tier             bool // whether the server has a tier in front of its store
}

// report counts what a run has done.
type report struct {
	puts, gets, bytes atomic.Int64
	refused           atomic.Int64 // requests that failed while the server was away
	took              time.Duration
	memory            int64 // of the server at most, in KiB; 0: not known
}

func (r *report) String() string {
	return fmt.Sprintf("%d puts, %d gets, %d MiB in %v: %.0f requests and %.0f MiB a second; %d failed while the server was away; the server had %d MiB of memory at most",
		r.puts.Load(), r.gets.Load(), r.bytes.Load()>>20, r.took.Round(time.Second/10),
		float64(r.puts.Load()+r.gets.Load())/r.took.Seconds(), float64(r.bytes.Load()>>20)/r.took.Seconds(),
		r.refused.Load(), r.memory>>10)
}

// load is one run.
type load struct {
	config
	*report
	http   *http.Client
	server *server
	begun  time.Time
	away   atomic.Bool // the server was killed, or is about to be, and is not back yet

	mu     sync.Mutex
	stored []object // those of which a client was told that they are stored
}

// object is what a client puts. All of it follows from the number.
type object struct {
	n      int
	path   string // over HTTP; "": it goes over gRPC, where its key is the number
	sha256 [sha256.Size]byte
}

// isCall reports whether o is put and got over gRPC.
func (o object) isCall() bool { return o.path == "" }

func (o object) key() string { return fmt.Sprint(o.n) }

// body returns the bytes of object number n: 100 bytes to 4 MiB, small ones more often.
func body(n int) []byte {
	random := rand.New(rand.NewPCG(uint64(n), 1))
	data := make([]byte, 100<<random.IntN(16)+random.IntN(100))
	var seed [32]byte
	copy(seed[:], fmt.Sprint(n))
	_, _ = rand.NewChaCha8(seed).Read(data)
	return data
}

// newObject returns object number n, and its body.
func newObject(n int) (object, []byte) {
	data := body(n)
	o := object{n: n, sha256: sha256.Sum256(data)}
	switch n % 6 {
	case 0:
		o.path = fmt.Sprintf("/v1/main/a/%02x/%d", n%256, n)
	case 1:
		o.path = fmt.Sprintf("/cache/%d", n)
	case 2, 3:
		o.path = fmt.Sprintf("/cas/%x", o.sha256)
	}
	return o, data
}

// run runs the clients and kills the server halfway.
func run(c config) (*report, error) {
	server, err := newServer(c.tier)
	if err != nil {
		return new(report), err
	}
	defer server.end()
	transport := &http.Transport{MaxIdleConnsPerHost: c.clients}
	defer transport.CloseIdleConnections()
	l := &load{config: c, report: new(report), http: &http.Client{Transport: transport}, server: server, begun: time.Now()}
	group, ctx := errgroup.WithContext(context.Background())
	var next atomic.Int64
	for i := range c.clients {
		group.Go(func() error { return l.work(i, &next) })
	}
	group.Go(func() error {
		for next.Load() < int64(c.objects/2) || time.Since(l.begun) < c.time/2 {
			if ctx.Err() != nil { // a client has found a fault
				return nil
			}
			time.Sleep(time.Millisecond)
		}
		l.away.Store(true)
		defer l.away.Store(false)
		return l.server.restart()
	})
	err = group.Wait()
	l.took, l.memory = time.Since(l.begun), l.server.memory()
	if err == nil {
		err = l.checkAll()
	}
	return l.report, err
}

// client is one of the clients. It has connections of its own for gRPC.
type client struct {
	*load
	calls  backend.Store
	random *rand.Rand
}

// newClient returns client number i. The caller closes calls.
func (l *load) newClient(i int) (*client, error) {
	calls, err := open.Store(context.Background(), "grpc://"+l.server.address)
	return &client{l, calls, rand.New(rand.NewPCG(uint64(i), 2))}, err
}

// work is what client number i does, with each object that next has for it.
func (l *load) work(i int, next *atomic.Int64) error {
	c, err := l.newClient(i)
	if err != nil {
		return err
	}
	defer c.calls.Close()
	for {
		n := int(next.Add(1))
		if n > l.objects && time.Since(l.begun) > l.time {
			return nil
		}
		if err := c.putAndGet(n); err != nil {
			return err
		}
	}
}

// putAndGet puts object n, and then gets some of those that are stored.
func (c *client) putAndGet(n int) error {
	o, data := newObject(n)
	switch ok, err := c.put(o, data); {
	case err != nil:
		return err
	case ok:
		c.mu.Lock()
		c.stored = append(c.stored, o)
		c.mu.Unlock()
	}
	for range 2 {
		c.mu.Lock()
		stored := len(c.stored) > 0
		if stored {
			o = c.stored[c.random.IntN(len(c.stored))]
		}
		c.mu.Unlock()
		if !stored {
			continue
		}
		if err := c.get(o); err != nil {
			return err
		}
	}
	return nil
}

// put puts o. It reports whether the server has said that it is stored.
func (c *client) put(o object, data []byte) (stored bool, err error) {
	away := c.away.Load()
	if o.isCall() {
		_, err = c.calls.Put(context.Background(), o.key(), bytes.NewReader(data), backend.OptionsOf(data))
	} else {
		err = c.putPath(o, data)
	}
	if err != nil {
		return false, c.fault(away, err)
	}
	c.puts.Add(1)
	c.bytes.Add(int64(len(data)))
	return true, nil
}

// refusal is an error that is one also while the server is away, or comes back.
type refusal struct{ error }

// putPath puts o over HTTP.
func (c *client) putPath(o object, data []byte) error {
	req, err := http.NewRequest(http.MethodPut, c.server.url+o.path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	sum := md5.Sum(data)
	req.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return refusal{fmt.Errorf("put %s: %s", o.path, res.Status)}
	}
	return nil
}

// get gets o, which is stored, and checks it.
func (c *client) get(o object) error {
	away := c.away.Load()
	body, err := c.open(o)
	if err != nil {
		return c.fault(away, err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		return c.fault(away, err)
	}
	if sha256.Sum256(data) != o.sha256 {
		return fmt.Errorf("get %v: other bytes than were put", o)
	}
	c.gets.Add(1)
	c.bytes.Add(int64(len(data)))
	return nil
}

// open returns the body of o, which is stored.
func (c *client) open(o object) (io.ReadCloser, error) {
	if o.isCall() {
		body, _, err := c.calls.Get(context.Background(), o.key(), backend.Range{})
		if errors.Is(err, backend.ErrNotFound) {
			err = refusal{fmt.Errorf("what was stored: %w", err)}
		}
		return body, err
	}
	res, err := c.http.Get(c.server.url + o.path)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close() // the status says enough
		return nil, refusal{fmt.Errorf("get %s, which was stored: %s", o.path, res.Status)}
	}
	return res.Body, nil
}

// fault returns err, unless the server is away or was when the request began. Then it waits for
// a moment.
func (l *load) fault(away bool, err error) error {
	if refused := (refusal{}); errors.As(err, &refused) || !away && !l.away.Load() {
		return err
	}
	l.refused.Add(1)
	time.Sleep(10 * time.Millisecond)
	return nil
}

// checkAll checks that everything that was stored is there, also without the tier, and that nothing
// else is there but in whole.
func (l *load) checkAll() error {
	if len(l.stored) == 0 {
		return errors.New("nothing was stored")
	}
	if err := l.check(); err != nil {
		return err
	}
	if l.tier {
		if err := errors.Join(l.server.removeTier(), l.check()); err != nil {
			return err
		}
	}
	return l.server.checkFiles()
}

// check gets everything that was stored.
func (l *load) check() error {
	c, err := l.newClient(l.clients)
	if err != nil {
		return err
	}
	defer c.calls.Close()
	for _, o := range l.stored {
		if err := c.get(o); err != nil {
			return err
		}
	}
	return nil
}
