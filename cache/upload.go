package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

const (
	// While the build runs, uploads leave it the cores and most of the network.
	// Afterwards they take all of both.
	uploadsDuringBuild = 4
	uploadsAfterBuild  = 32

	// All uploads under way together have no more bytes in their bodies than the remote
	// takes in this time. Beside them, one body that is larger alone may be under way.
	// Where the link is slow, a few uploads that end are worth more than many that are
	// cut off together.
	inFlight = 2 * time.Second

	// That is at least so many bytes, since the pace of the first uploads is that of
	// their latency, and at most so many.
	leastInFlight = 256 << 10
	mostInFlight  = 64 << 20
)

// uploader brings entries from the local tier to the remote, in the background, small
// bodies first. Its methods may be called at the same time.
type uploader struct {
	*remote
	session  *session.Session
	journal  *session.Journal
	withheld *withheld
	compress *semaphore.Weighted // uploads that are being compressed
	cores    int64
	pace     *pace // of uploads
	begun    time.Time

	mu       sync.Mutex                    // guards what follows
	change   *sync.Cond                    // signals each change of what follows
	queue    []*parcel                     // the smallest first
	boarding bool                          // some of queue ride in others by now
	latest   map[protocol.ActionID]*parcel // in queue or held, by its action
	waiting  map[protocol.ActionID]int     // how often an action is in queue or held, or rides there
	active   map[protocol.ActionID]*flight // by each action in it
	flights  int                           // how many are in active
	flying   int64                         // bytes of the bodies under way
	large    *flight                       // under way with a body over the limit; nil: none is
	hurried  bool                          // the build is over
	paused   bool                          // no upload begins
	proven   bool                          // an upload has got through
	packing  bool                          // a publication may pack large bodies, which wait for it
	subkeys  map[prefix]bool               // of actions whose large bodies wait so
	packed   packed                        // what the publication has packed
	denied   error                         // why the remote takes no uploads; none begins any more
	failed   remainder                     // could not be uploaded; they stay in the journal
	lost     int                           // the local tier has them no longer
}

// flight is a parcel under way.
type flight struct {
	size  int64                   // of the bodies, in bytes
	cut   context.CancelCauseFunc // nil: it has not begun yet
	again []*parcel               // what was put again meanwhile
}

// remainder says how much is left to do.
type remainder struct {
	entries int
	bytes   int64 // of their bodies
}

func (r *remainder) add(size int64) {
	r.entries++
	r.bytes += size
}

func newUploader(r *remote, s *session.Session, j *session.Journal, w *withheld) *uploader {
	cores := int64(runtime.GOMAXPROCS(0))
	u := &uploader{
		remote: r, session: s, journal: j, withheld: w,
		compress: semaphore.NewWeighted(cores),
		cores:    cores,
		pace:     new(pace),
		begun:    time.Now(),
		latest:   make(map[protocol.ActionID]*parcel),
		waiting:  make(map[protocol.ActionID]int),
		active:   make(map[protocol.ActionID]*flight),
	}
	u.change = sync.NewCond(&u.mu)
	u.compress.TryAcquire(cores - 1)
	return u
}

// hurry says that the build is over. From now on all cores and connections are used.
func (u *uploader) hurry() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.hurried {
		u.hurried = true
		u.releaseAll()
		u.group()
		u.compress.Release(u.cores - 1)
		u.change.Broadcast()
	}
}

// errPaused is the cause with which uploads end that make way for a publication.
var errPaused = errors.New("a publication goes first")

// pause says whether uploads are to wait. Those under way are cut off, and begin anew when
// the pause is over: a large one on a slow link would leave a publication nothing of it.
func (u *uploader) pause(paused bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.paused = paused
	for _, f := range u.active {
		if paused && f.cut != nil {
			f.cut(errPaused)
		}
	}
	u.change.Broadcast()
}

// begin notes how a parcel that next has returned is cut off.
func (u *uploader) begin(p *parcel, cut context.CancelCauseFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.active[p.Action].cut = cut
	if u.paused {
		cut(errPaused)
	}
}

// add notes an upload, of a body of size bytes, in the journal, and queues it. If it is
// small, it is held first, for no longer than hold. After an error of the journal the upload
// is queued all the same, and lost with this process.
func (u *uploader) add(up session.Upload, size int64, hold time.Duration) error {
	var subkeys []protocol.ActionID
	if size > largeBody {
		subkeys = subkeysOf(u.Local, up.Action)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.awaitRiders(subkeys)
	// The lock is held over both. An earlier upload of the same action that ended
	// between the two would strike this one from the journal.
	err := u.journal.Add(up)
	p := &parcel{queued: queued{up, size}}
	p.held = p.mayRide() && (hold > 0 || u.subkeys[prefixOf(p.Action)])
	u.enqueue(p)
	if p.held && hold > 0 {
		time.AfterFunc(hold, func() {
			u.mu.Lock()
			defer u.mu.Unlock()
			if !u.subkeys[prefixOf(p.Action)] {
				u.release(p)
			}
		})
	}
	return err
}

// resume queues what is in the journal already. What the local tier has no longer is
// lost.
func (u *uploader) resume(uploads []session.Upload) {
	for _, up := range uploads {
		e, _, err := u.Local.Get(up.Action)
		u.mu.Lock()
		if err == nil {
			u.enqueue(&parcel{queued: queued{up, e.Size}})
		} else {
			u.settle(queued{Upload: up}, err)
		}
		u.mu.Unlock()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.group()
}

// run does the uploads until ctx is done or the remote denies one, and returns when the
// last one under way has ended.
func (u *uploader) run(ctx context.Context) {
	var uploads sync.WaitGroup
	defer uploads.Wait()
	for {
		p, err := u.next(ctx)
		if err != nil {
			return
		}
		uploads.Go(func() {
			ctx, cut := context.WithCancelCause(ctx)
			defer cut(nil)
			u.begin(p, cut)
			u.finish(p, u.upload(ctx, p))
		})
	}
}

// finish notes how an upload ended, in the journal and for those who wait.
func (u *uploader) finish(p *parcel, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	ended := u.active[p.Action]
	for _, m := range p.members() {
		delete(u.active, m.Action)
	}
	if u.large == ended {
		u.large = nil
	}
	u.flights--
	u.flying -= ended.size
	u.change.Broadcast()
	switch {
	case err == nil && !u.proven:
		u.proven = true
	case errors.Is(err, backend.ErrDenied):
		u.denied = err
		u.noteDenial(u.begun)
	}
	for _, again := range slices.Backward(ended.again) { // the last put counts
		u.requeue(again)
	}
	if errors.Is(err, errPaused) || ended.again != nil || u.outdated(p) {
		u.requeue(p)
	} else {
		u.settleAll(p, err)
	}
}

// outdated reports whether something was put again that rides in p: then p's object has to
// be replaced. The caller holds u.mu.
func (u *uploader) outdated(p *parcel) bool {
	return slices.ContainsFunc(p.riders, func(r *rider) bool { return u.waiting[r.Action] > 0 })
}

// settleAll settles all uploads of p, whose object was uploaded with err. The caller holds
// u.mu.
func (u *uploader) settleAll(p *parcel, err error) {
	u.settle(p.queued, err)
	for _, r := range p.riders {
		switch {
		case err == nil || r.err != nil:
			u.settle(r.queued, r.err)
		case stays(err): // but its riders go out alone
			u.enqueue(&parcel{queued: r.queued})
		default:
			u.settle(r.queued, err)
		}
	}
}

// stays reports whether err says that an entry itself is not to be uploaded, or can't be.
func stays(err error) bool {
	return errors.Is(err, errWithheld) || errors.Is(err, errReplaced) || errors.Is(err, localdisk.ErrNotFound)
}

// settle counts how an upload ended, and notes in the journal what is done. The caller
// holds u.mu.
func (u *uploader) settle(up queued, err error) {
	u.Progress.done(0)
	switch {
	case errors.Is(err, errWithheld), errors.Is(err, errReplaced), errors.Is(err, backend.ErrReader):
	case errors.Is(err, localdisk.ErrNotFound):
		u.lost++
	case err != nil:
		u.failed.add(up.size)
		return
	}
	if u.waiting[up.Action] > 0 {
		return // was put again, and stays in the journal until that is uploaded
	}
	if err := u.journal.Done(up.Action); err != nil {
		u.Log.Debug("note an upload in the journal", "action", up.Action, "err", err)
	}
}

// giveUp has no upload begin any more, for a reason.
func (u *uploader) giveUp(reason error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.denied = reason
	u.change.Broadcast()
}

// succeed reports whether the remote takes uploads: it has taken one, and denied none.
func (u *uploader) succeed() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.proven && u.denied == nil
}

// wait returns when nothing is under way, and nothing is queued but what waits for a
// publication; when the remote denies uploads; or when ctx is done.
func (u *uploader) wait(ctx context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.await(ctx, func() bool { return len(u.active) == 0 && (!u.isReady() || u.denied != nil) })
}

// left returns what is still to be uploaded, failed uploads included, and why the
// remote denies it, if it does.
func (u *uploader) left() (remainder, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	left := u.failed
	left.entries += len(u.active)
	left.bytes += u.flying
	for _, p := range u.latest {
		for _, m := range p.members() {
			left.add(m.size)
		}
	}
	return left, u.denied
}

// await waits, with u.mu held, until ready or ctx is done.
func (u *uploader) await(ctx context.Context, ready func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.change.Broadcast()
	})
	defer stop()
	for !ready() {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		u.change.Wait()
	}
	return nil
}

// errReplaced says that the local tier has another output of the action by now. To upload
// that is up to the session that has put it. Nobody else signs it.
var errReplaced = errors.New("another process has put the action since")

// upload puts one entry object. Its errors are those of putEntry.
func (u *uploader) upload(ctx context.Context, p *parcel) error {
	u.mu.Lock()
	put := u.putEntry
	if u.refers(p) {
		put = u.putReferral
	}
	u.mu.Unlock()
	err := put(ctx, p)
	u.note(ctx, p.Upload, err)
	if err == nil {
		u.Stats.count(func(s *Summary) { s.Objects++ })
		for _, r := range p.riders {
			u.note(ctx, r.Upload, r.err)
		}
	}
	return err
}

// putEntry puts p's entry object, with all bodies. The error wraps localdisk.ErrNotFound if
// the local tier no longer has the entry, errReplaced if it has another output, and
// errWithheld if the entry stays there.
func (u *uploader) putEntry(ctx context.Context, p *parcel) error {
	object, opts, err := u.encode(ctx, p)
	if err != nil {
		return err
	}
	defer os.Remove(object.Name())
	defer object.Close()
	ended := u.pace.begin(opts.Size)
	_, err = u.store.Put(ctx, entryKey(u.scope, p.Action), object, opts)
	ended(err)
	return err
}

// note counts an upload that has ended with err, and says what there is to say.
func (u *uploader) note(ctx context.Context, up session.Upload, err error) {
	switch {
	case err == nil:
		u.Stats.count(func(s *Summary) { s.Uploads++ })
	case errors.Is(err, errWithheld):
	case errors.Is(err, errReplaced):
		u.Log.Info(fmt.Sprintf("an upload is left out: %v", err), "action", up.Action)
	case errors.Is(err, localdisk.ErrNotFound): // no fault of the remote
		u.Log.Info("an entry is no longer in the local tier, and can't be uploaded", "action", up.Action)
	case context.Cause(ctx) == nil:
		u.Stats.count(func(s *Summary) { s.UploadErrors++ })
		u.complain("upload", entryKey(u.scope, up.Action), err)
	}
}
