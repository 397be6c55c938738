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
)

// config says how much is done.
type config struct {
	clients, objects int
	time             time.Duration
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
	client *http.Client
	server *server
	begun  time.Time
	away   atomic.Bool // the server was killed, or is about to be, and is not back yet

	mu     sync.Mutex
	stored []object // those of which a client was told that they are stored
}

// object is what a client puts. All of it follows from the number.
type object struct {
	n      int
	path   string
	sha256 [sha256.Size]byte
}

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
	switch n % 3 {
	case 0:
		o.path = fmt.Sprintf("/v1/main/a/%02x/%d", n%256, n)
	case 1:
		o.path = fmt.Sprintf("/cache/%d", n)
	default:
		o.path = fmt.Sprintf("/cas/%x", o.sha256)
	}
	return o, data
}

// run runs the clients and kills the server halfway.
func run(c config) (*report, error) {
	server, err := newServer()
	if err != nil {
		return new(report), err
	}
	defer server.end()
	transport := &http.Transport{MaxIdleConnsPerHost: c.clients}
	defer transport.CloseIdleConnections()
	l := &load{config: c, report: new(report), client: &http.Client{Transport: transport}, server: server, begun: time.Now()}
	group, ctx := errgroup.WithContext(context.Background())
	var next atomic.Int64
	for i := range c.clients {
		random := rand.New(rand.NewPCG(uint64(i), 2))
		group.Go(func() error {
			for {
				n := int(next.Add(1))
				if n > l.objects && time.Since(l.begun) > l.time {
					return nil
				}
				if err := l.putAndGet(n, random); err != nil {
					return err
				}
			}
		})
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

// putAndGet puts object n, and then gets some of those that are stored.
func (l *load) putAndGet(n int, random *rand.Rand) error {
	o, data := newObject(n)
	switch ok, err := l.put(o, data); {
	case err != nil:
		return err
	case ok:
		l.mu.Lock()
		l.stored = append(l.stored, o)
		l.mu.Unlock()
	}
	for range 2 {
		l.mu.Lock()
		stored := len(l.stored) > 0
		if stored {
			o = l.stored[random.IntN(len(l.stored))]
		}
		l.mu.Unlock()
		if !stored {
			continue
		}
		if err := l.get(o); err != nil {
			return err
		}
	}
	return nil
}

// put puts o. It reports whether the server has said that it is stored.
func (l *load) put(o object, data []byte) (stored bool, err error) {
	req, err := http.NewRequest(http.MethodPut, l.server.url+o.path, bytes.NewReader(data))
	if err != nil {
		return false, err
	}
	sum := md5.Sum(data)
	req.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	away := l.away.Load()
	res, err := l.client.Do(req)
	if err != nil {
		return false, l.fault(away, err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return false, fmt.Errorf("put %s: %s", o.path, res.Status)
	}
	l.puts.Add(1)
	l.bytes.Add(int64(len(data)))
	return true, nil
}

// get gets o, which is stored, and checks it.
func (l *load) get(o object) error {
	away := l.away.Load()
	res, err := l.client.Get(l.server.url + o.path)
	if err != nil {
		return l.fault(away, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s, which was stored: %s", o.path, res.Status)
	}
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return l.fault(away, err)
	}
	if sha256.Sum256(data) != o.sha256 {
		return fmt.Errorf("get %s: other bytes than were put", o.path)
	}
	l.gets.Add(1)
	l.bytes.Add(int64(len(data)))
	return nil
}

// fault returns err, unless the server is away or was when the request began. Then it waits for
// a moment.
func (l *load) fault(away bool, err error) error {
	if !away && !l.away.Load() {
		return err
	}
	l.refused.Add(1)
	time.Sleep(10 * time.Millisecond)
	return nil
}

// checkAll checks that everything that was stored is there, and that nothing else is there but
// in whole.
func (l *load) checkAll() error {
	for _, o := range l.stored {
		if err := l.get(o); err != nil {
			return err
		}
	}
	if len(l.stored) == 0 {
		return errors.New("nothing was stored")
	}
	return l.server.checkFiles()
}
