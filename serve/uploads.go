package serve

import (
	"sync"
	"sync/atomic"
	"time"
)

// uploads are those of ByteStream that are under way, and those that broke off. Of the latter it
// keeps what has come, for a while. Many goroutines may use it.
type uploads struct {
	maxBytes int64 // of those that broke off

	mu     sync.Mutex
	byName map[string]*upload
}

const (
	maxParked  = 100              // how many uploads that broke off are kept
	parkedTime = 10 * time.Minute // how long they are kept
)

// upload is one upload. Only the call that has claimed it uses what is not guarded by uploads.mu.
type upload struct {
	name string
	body *intake
	size atomic.Int64 // of body, in bytes
	err  error        // of body
	over bool         // it is not to be kept

	claimed bool        // a call writes it; guarded by uploads.mu
	parked  time.Time   // when it broke off; guarded by uploads.mu
	late    *time.Timer // forgets it; guarded by uploads.mu
}

// Write appends p to what has come.
func (u *upload) Write(p []byte) (int, error) {
	n, err := u.body.Write(p)
	u.size.Store(u.body.size)
	u.err = err
	return n, err
}

// restart forgets what has come.
func (u *upload) restart(body *intake) {
	u.body.close()
	u.body = body
	u.size.Store(0)
}

// claim returns the upload of a name, for the caller alone, until it parks it. It reports whether
// it can be had.
func (u *uploads) claim(name string, body func() *intake) (*upload, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	one := u.byName[name]
	switch {
	case one == nil:
		if u.byName == nil {
			u.byName = make(map[string]*upload)
		}
		one = &upload{name: name, body: body()}
		u.byName[name] = one
	case one.claimed:
		return nil, false
	default:
		one.late.Stop()
	}
	one.claimed = true
	return one, true
}

// size returns how much has come of the upload of a name.
func (u *uploads) size(name string) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if one := u.byName[name]; one != nil {
		return one.size.Load()
	}
	return 0
}

// park keeps what has come of one, in a file, or forgets it if it is over.
func (u *uploads) park(one *upload) {
	if one.body.size == 0 || one.err != nil || !one.over && one.body.spill() != nil {
		one.over = true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	one.claimed = false
	if one.over {
		u.forget(one)
		return
	}
	parked := time.Now()
	one.parked = parked
	one.late = time.AfterFunc(parkedTime, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.byName[one.name] == one && !one.claimed && one.parked.Equal(parked) {
			u.forget(one)
		}
	})
	u.trim()
}

// trim forgets what broke off first, until few enough are kept. The caller has locked u.mu.
func (u *uploads) trim() {
	for {
		var first *upload
		n, bytes := 0, int64(0)
		for _, one := range u.byName {
			if one.claimed {
				continue
			}
			n++
			bytes += one.size.Load()
			if first == nil || one.parked.Before(first.parked) {
				first = one
			}
		}
		if n <= maxParked && bytes <= u.maxBytes {
			return
		}
		u.forget(first)
	}
}

// forget removes one. The caller has locked u.mu.
func (u *uploads) forget(one *upload) {
	if one.late != nil {
		one.late.Stop()
	}
	delete(u.byName, one.name)
	one.body.close()
}

// close forgets all. Nobody has claimed one.
func (u *uploads) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, one := range u.byName {
		u.forget(one)
	}
}
