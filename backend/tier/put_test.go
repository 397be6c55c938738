package tier

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// storeAll stores what is waiting.
func (r *rig) storeAll() {
	r.t.Helper()
	if err := r.settleAll(r.t.Context(), r.waitingKeys("")); err != nil {
		r.t.Error(err)
	}
}

// TestDown: while the store is down for long, what the tier has is read, and puts wait until half of
// the tier is full. Then they fail. There are never more workers than maxUploads. Once the store is
// there again, it gets everything.
func TestDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4<<20)
		r.store("old", "old")
		r.want("old", "old")
		before := runtime.NumGoroutine()
		r.down()
		data := text(1000)
		var waiting []string
		for i := range 300 {
			key := fmt.Sprintf("%d", i)
			if _, err := put(t.Context(), r.Store, key, data, backend.Condition{}); errors.Is(err, errDown) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, key)
			r.put("0", data) // again and again
		}
		if n := len(waiting); n != 2<<20/(1000+perObject) {
			t.Errorf("%d puts wait", n)
		}
		if n := runtime.NumGoroutine() - before; n > maxUploads {
			t.Errorf("%d goroutines", n)
		}
		r.Store.mu.Lock()
		if n := len(r.waiting.queue); n > len(waiting) {
			t.Errorf("%d keys in the queue", n)
		}
		r.Store.mu.Unlock()
		time.Sleep(24 * time.Hour)
		r.want("old", "old")
		r.want(waiting[0], data)
		if _, err := put(t.Context(), r.Store, "old", "new", backend.Condition{}); !errors.Is(err, errDown) {
			t.Error(err)
		}
		r.want("old", "old")
		for range 2 { // the next process, too
			r.reopen()
			if n := r.Stats().WaitingObjects; n != len(waiting) {
				t.Errorf("%d objects wait, want %d", n, len(waiting))
			}
		}
		r.faults(nil)
		time.Sleep(2 * maxBackoff)
		synctest.Wait()
		if s := r.Stats(); s.WaitingObjects != 0 || s.WaitingBytes != 0 || r.waiting.workers != 0 {
			t.Errorf("%+v, %d workers", s, r.waiting.workers)
		}
		for _, key := range waiting {
			r.wantStored(key, data)
		}
		r.close()
	})
}

// TestRefused: an object that the store does not take keeps no other one from it.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<30)
		r.faults(func(_, key string) backendtest.Fault {
			if strings.HasPrefix(key, "bad") {
				return backendtest.Fault{Err: backend.ErrDigest} // its bytes are right
			}
			return backendtest.Fault{}
		})
		r.put("bad", "x")
		for i := range 100 {
			key := fmt.Sprint(i)
			r.put(key, key)
			time.Sleep(2 * maxBackoff)
			r.wantStored(key, key)
		}
		r.want("bad", "x")
		time.Sleep(time.Hour) // it is tried less and less often
		r.count("put")
		time.Sleep(time.Hour)
		if n := r.count("put"); n != int(time.Hour/maxBackoff) {
			t.Errorf("%d attempts in an hour", n)
		}
		r.faults(nil)
		time.Sleep(2 * maxBackoff)
		r.wantStored("bad", "x")
		r.close()
	})
}

// TestCloseHangs: Close gives the store a while, and the next process goes on.
func TestCloseHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<30)
		r.faults(func(string, string) backendtest.Fault { return backendtest.Fault{Hang: true} })
		for i := range 2 * maxUploads {
			r.put(fmt.Sprint(i), "x")
		}
		begin := time.Now()
		r.close()
		if took := time.Since(begin); took != closeTime {
			t.Errorf("took %v", took)
		}
		r.faults(nil)
		r.open(r.Dir, r.MaxSize)
		r.close()
		for i := range 2 * maxUploads {
			r.wantStored(fmt.Sprint(i), "x")
		}
	})
}

// TestLostFile: an object whose file is no use is read from the store, if that has it.
func TestLostFile(t *testing.T) {
	tests := map[string]func(path string) error{
		"removed": os.Remove,
		"shorter": func(path string) error { return os.Truncate(path, blockSize+1) },
		"empty":   func(path string) error { return os.Truncate(path, 0) },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 1<<30)
			data := text(2 * blockSize)
			r.put("k", data)
			r.storeAll()
			for range 2 {
				if err := damage(r.objects["k"].path); err != nil {
					t.Fatal(err)
				}
				r.want("k", data)
				r.want("k", data)
			}
			r.close()
		})
	}
	t.Run("before it was stored", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 1<<30)
			r.down()
			r.put("k", "lost")
			r.put("damaged", "lost")
			if err := errors.Join(os.Remove(r.objects["k"].path), os.WriteFile(r.objects["damaged"].path, []byte("else"), 0o600)); err != nil {
				t.Fatal(err)
			}
			r.faults(nil)
			r.wantNothing("k")
			time.Sleep(2 * maxBackoff)
			r.wantNothing("damaged")
			r.close()
		})
	})
}

// TestEvict: the tier keeps to its size, and what does not fit goes past it.
func TestEvict(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2*blockSize)
	data := text(3 * blockSize)
	for i := range 20 {
		key, n := fmt.Sprint(i), 1+i*7919*13%blockSize
		if i%3 == 0 {
			r.store(key, data[:n])
		} else {
			r.put(key, data[:n])
		}
		r.want(key, data[:n])
		r.storeAll()
	}
	for i := range 300 { // many small ones have an end, too
		r.store(fmt.Sprint("small", i), "")
		r.want(fmt.Sprint("small", i), "")
	}
	var open []io.Closer
	for i := range 5 { // what is read stays until then
		key := fmt.Sprint("read", i)
		r.store(key, data[:blockSize/2])
		body, _, err := r.Get(t.Context(), key, backend.Range{})
		if err == nil {
			_, err = io.Copy(io.Discard, body)
		}
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, body)
	}
	for _, body := range open {
		body.Close()
	}
	if s := r.Stats(); s.Bytes > r.MaxSize || s.Objects == 0 {
		t.Errorf("%+v", s)
	}
	r.put("large", data)
	r.wantStored("large", data)
	r.count("get")
	for range 2 {
		r.want("large", data)
	}
	r.store("stored", data)
	r.want("stored", data)
	if r.objects["large"] != nil || r.objects["stored"] != nil {
		t.Error("the tier has what is larger than itself")
	}
	r.close()
}

// TestStress: whatever many callers, faults and evictions do at once, a reader gets what was put
// last, or what is put meanwhile, and the accounts are right in the end.
func TestStress(t *testing.T) {
	t.Parallel()
	r := newRig(t, 300<<10)
	n := 0
	r.faults(func(string, string) backendtest.Fault {
		if n++; n%7 == 0 {
			return backendtest.Fault{Err: errDown}
		}
		return backendtest.Fault{}
	})
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	last := make([]string, 8)
	for i := range last {
		key := fmt.Sprint(i)
		writers.Go(func() {
			for round := range 60 {
				data := fmt.Sprintf("%s %06d %s", key, round, text(i*9000))
				c := backend.Condition{}
				if round%5 == 4 {
					c.Version = "none"
				}
				switch _, err := put(t.Context(), r.Store, key, data, c); {
				case err == nil:
					last[i] = data
				case round%5 != 4 && !errors.Is(err, errDown):
					t.Error(err)
				}
				if got, _, err := get(t.Context(), r.Store, key, backend.Range{}); err == nil && got < last[i] {
					t.Errorf("got %.12q after %.12q", got, last[i])
				}
				if round%10 == 9 {
					if err := r.Delete(t.Context(), key, ""); err == nil {
						last[i] = ""
					}
				}
			}
			data := key + " 999999"
			for last[i] != data {
				if _, err := put(t.Context(), r.Store, key, data, backend.Condition{}); err == nil {
					last[i] = data
				}
			}
		})
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				got, _, err := get(t.Context(), r.Store, key, backend.Range{})
				if err == nil && !strings.HasPrefix(got, key+" ") {
					t.Errorf("%s: got %.20q", key, got)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	r.faults(nil)
	r.reopen()
	r.close()
	for i, data := range last {
		r.wantStored(fmt.Sprint(i), data)
	}
}

// TestOpen: the folder is one process's, and what the tier does not know in it stays or goes.
func TestOpen(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1<<30)
	if _, err := Open(backendtest.Memory(), r.Config); err == nil || !strings.Contains(err.Error(), r.Dir) {
		t.Errorf("a second process: %v", err)
	}
	data := text(2*blockSize + 1)
	r.put("whole", data)
	r.store("part", data)
	wantRange(t, r.Store, "part", backend.Range{Length: 10}, data[:10])
	for _, key := range []string{"shorter", "without file", "no facts", "other blocks", "negative"} {
		r.put(key, data)
	}
	r.storeAll()
	path := make(map[string]string)
	for key, o := range r.objects {
		path[key] = o.path
	}
	r.close()
	write := func(name, data string) error { return os.WriteFile(name, []byte(data), 0o600) }
	change := func(name, old, new string) error {
		data, err := os.ReadFile(name)
		return errors.Join(err, write(name, strings.Replace(string(data), old, new, 1)))
	}
	foreign := []string{"notes.txt", "facts.json", "o.json"}
	err := errors.Join(
		os.Truncate(path["shorter"], 2*blockSize),
		os.Remove(path["without file"]),
		write(path["no facts"]+factsSuffix, `{"Key":`),
		change(path["other blocks"]+factsSuffix, `"Size":`, `"Size":9`),
		change(path["negative"]+factsSuffix, `"Size":`, `"Size":-`),
		write(filepath.Join(r.objectsDir(), objectPrefix+"stray"), "x"),
		write(filepath.Join(r.objectsDir(), objectPrefix+"empty"+factsSuffix), ""),
		write(filepath.Join(r.objectsDir(), tempPrefix+"stray"), "x"),
	)
	for _, name := range foreign {
		err = errors.Join(err, write(filepath.Join(r.objectsDir(), name), "{}"))
	}
	if err != nil {
		t.Fatal(err)
	}
	r.open(r.Dir, r.MaxSize)
	if n := r.Stats().Objects; n != 2 {
		t.Errorf("%d objects", n)
	}
	for key := range path {
		r.want(key, data)
	}
	for _, name := range foreign { // are left alone
		if err := os.Remove(filepath.Join(r.objectsDir(), name)); err != nil {
			t.Error(err)
		}
	}
	r.close()

	file := filepath.Join(t.TempDir(), "file")
	if err := write(file, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(backendtest.Memory(), Config{Dir: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file as the folder: %v", err)
	}
}
