package cache

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/session"
)

// work is what is still to be written to the remote. It is done by a session that waits
// at its end, and by Flush.
type work struct {
	uploads *uploader
	record  session.Record // what is still to be published
	open    func(context.Context) (*publisher, published, error)
}

// leastRoom is the size in bytes of the smallest pack that is worth another publication
// within leastTime.
const (
	leastRoom = 256 << 10
	leastTime = 10 * time.Second
)

// do uploads and publishes until ctx is done, and leaves in w what is not done then. Large
// bodies come last: what the publication has packed is not uploaded again. Where ctx has a
// deadline, a third of the time is kept for publishing. So what this machine has made counts
// for the next one, even if uploads are left. The error is that of publishing.
func (w *work) do(ctx context.Context) error {
	var p *publisher
	var err error
	hasNews := len(w.record.Uses) > 0
	if hasNews || w.uploads.expectsPacks() {
		w.uploadFirst(ctx)
		if _, denied := w.uploads.left(); denied == nil {
			w.uploads.pause(true)
			p, err = w.publish(ctx)
			if errors.Is(err, backend.ErrReader) { // who may only read has nothing to write
				w.record.Uses, err = nil, nil
			}
			w.uploads.pause(false)
		}
	}
	w.uploads.refer(p.packed())
	_ = w.uploads.wait(ctx) // what is not done in time is left
	if p != nil && hasNews && len(w.record.Uses) == 0 {
		p.room = p.pace.room(ctx)
		p.compact(ctx)
	}
	w.remember(p != nil && p.saved.Published, err)
	return err
}

// uploadFirst uploads for at most two thirds of the time.
func (w *work) uploadFirst(ctx context.Context) {
	if deadline, limited := ctx.Deadline(); limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)*2/3)
		defer cancel()
	}
	_ = w.uploads.wait(ctx)
}

// publish publishes the record. What does not fit into one pack that is uploaded in half
// of the time goes into further ones, as long as there is time.
func (w *work) publish(ctx context.Context) (*publisher, error) {
	p, old, err := w.open(ctx)
	if err != nil {
		return nil, err
	}
	p.pace = w.uploads.pace
	for first := true; ; first = false {
		p.room = p.pace.room(ctx)
		if deadline, limited := ctx.Deadline(); limited && !first && p.room < leastRoom && time.Until(deadline) < leastTime {
			return p, nil
		}
		if w.record, err = p.publish(ctx, old, w.record); err != nil || len(w.record.Uses) == 0 {
			return p, err
		}
		if old, err = p.manifests.load(ctx, false, p.manifests.fetchRoster); err != nil {
			return p, err
		}
	}
}

// pace is how fast the remote takes bytes. Its methods may be called at the same time.
// The zero value is not known yet.
type pace struct {
	mu    sync.Mutex
	told  bool          // requests that tell something have ended; only these count from then on
	first time.Time     // when the first request began
	begun int64         // bytes of all requests
	taken int64         // of these, those that the remote has taken
	busy  time.Duration // in which it took them
}

// telling is the size in bytes from which on a request tells of the remote's pace. Those of
// fewer bytes tell of its latency, so the pace is at least what they say.
const telling = 64 << 10

// begin notes that a request begins, with size bytes. The caller calls ended with its
// result. The time of a request that fails, or still goes on, does not count.
func (p *pace) begin(size int64) (ended func(err error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, before := time.Now(), p.busy
	if p.begun == 0 {
		p.first = now
	}
	p.begun += size
	return func(err error) {
		if err != nil {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case size < telling && p.told:
			return
		case size >= telling && !p.told:
			p.told, p.taken, p.busy, before = true, 0, 0, 0
		}
		p.taken += size
		counted := p.busy - before // of the same time, for requests beside this one
		p.busy += max(0, time.Since(now)-counted)
	}
}

// unknown is how many bytes the remote is taken to take, at most, as long as it has taken
// none.
const unknown = 4 << 20

// in returns how many bytes the remote takes in d.
func (p *pace) in(d time.Duration) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	during := func(bytes int64, busy time.Duration) int64 {
		return int64(float64(bytes) * d.Seconds() / max(busy, time.Microsecond).Seconds())
	}
	switch {
	case p.taken > 0:
		return during(p.taken, p.busy)
	case p.begun > 0: // it has not even taken these
		return min(during(p.begun, time.Since(p.first)), unknown)
	}
	return unknown
}

// room returns how many bytes the remote takes in half of the time that ctx leaves. It
// returns 0 where the time is not limited. Where nothing large was uploaded before, a small
// pack shows how fast the remote is.
func (p *pace) room(ctx context.Context) int64 {
	deadline, limited := ctx.Deadline()
	switch {
	case !limited:
		return 0
	case !p.isTold():
		return max(leastRoom, p.least(time.Until(deadline)/2))
	}
	return max(1, p.in(time.Until(deadline)/2))
}

// isTold reports whether a request has ended that tells of the pace.
func (p *pace) isTold() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told
}

// least returns how many bytes the remote takes in d at least, by what it has taken.
func (p *pace) least(d time.Duration) int64 {
	p.mu.Lock()
	taken := p.taken
	p.mu.Unlock()
	if taken == 0 {
		return 0
	}
	return p.in(d)
}
