package cache

import (
	"cmp"
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

	mu      sync.Mutex                // guards what follows
	change  *sync.Cond                // signals each change of what follows
	queue   []queued                  // the smallest first
	waiting map[protocol.ActionID]int // how often an action is in queue
	active  map[protocol.ActionID]*flight
	flying  int64     // bytes of the bodies under way
	large   *flight   // under way with a body over the limit; nil: none is
	hurried bool      // the build is over
	paused  bool      // no upload begins
	proven  bool      // an upload has got through
	denied  error     // why the remote takes no uploads; none begins any more
	failed  remainder // could not be uploaded; they stay in the journal
	lost    int       // the local tier has them no longer
}

// queued is an upload with the size of its body in bytes.
type queued struct {
	session.Upload
	size int64
}

// flight is an upload under way.
type flight struct {
	size  int64                   // of the body, in bytes
	cut   context.CancelCauseFunc // nil: it has not begun yet
	again []queued                // what was put again meanwhile
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

// begin notes how an upload that next has returned is cut off.
func (u *uploader) begin(up queued, cut context.CancelCauseFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.active[up.Action].cut = cut
	if u.paused {
		cut(errPaused)
	}
}

// add notes an upload, of a body of size bytes, in the journal, and queues it. After an
// error of the journal the upload is queued all the same, and lost with this process.
func (u *uploader) add(up session.Upload, size int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	// The lock is held over both. An earlier upload of the same action that ended
	// between the two would strike this one from the journal.
	err := u.journal.Add(up)
	u.enqueue(queued{up, size})
	return err
}

// resume queues what is in the journal already. What the local tier has no longer is
// lost.
func (u *uploader) resume(uploads []session.Upload) {
	for _, up := range uploads {
		e, _, err := u.Local.Get(up.Action)
		u.mu.Lock()
		if err == nil {
			u.enqueue(queued{up, e.Size})
		} else {
			u.settle(queued{Upload: up}, err)
		}
		u.mu.Unlock()
	}
}

// enqueue queues an upload. The caller holds u.mu.
func (u *uploader) enqueue(up queued) {
	i, _ := slices.BinarySearchFunc(u.queue, up.size+1, func(q queued, size int64) int { return cmp.Compare(q.size, size) })
	u.queue = slices.Insert(u.queue, i, up)
	u.waiting[up.Action]++
	u.change.Broadcast()
}

// run does the uploads until ctx is done or the remote denies one, and returns when the
// last one under way has ended.
func (u *uploader) run(ctx context.Context) {
	var uploads sync.WaitGroup
	defer uploads.Wait()
	for {
		up, err := u.next(ctx)
		if err != nil {
			return
		}
		uploads.Go(func() {
			ctx, cut := context.WithCancelCause(ctx)
			defer cut(nil)
			u.begin(up, cut)
			u.finish(up, u.upload(ctx, up.Upload))
		})
	}
}

// next takes the next upload from the queue, once it may begin. What is put again while
// it is being uploaded is uploaded once more afterwards, and not at the same time: the
// last put must win.
func (u *uploader) next(ctx context.Context) (queued, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for {
		if err := u.await(ctx, func() bool { return u.denied != nil || u.mayBegin() }); err != nil {
			return queued{}, err
		}
		if u.denied != nil {
			return queued{}, u.denied
		}
		up := u.queue[0]
		u.queue = u.queue[1:]
		if u.waiting[up.Action]--; u.waiting[up.Action] == 0 {
			delete(u.waiting, up.Action)
		}
		f, busy := u.active[up.Action]
		if !busy {
			f = &flight{size: up.size}
			if len(u.active) == 0 && up.size > u.limit() {
				u.large = f
			}
			u.active[up.Action] = f
			u.flying += up.size
			return up, nil
		}
		f.again = append(f.again, up)
	}
}

// mayBegin reports whether the next upload may begin. The first one goes alone, or beside
// a large body: nothing more is compressed before the remote has taken something. The
// caller holds u.mu.
func (u *uploader) mayBegin() bool {
	connections := 1
	switch {
	case u.proven && u.hurried:
		connections = uploadsAfterBuild
	case u.proven:
		connections = uploadsDuringBuild
	}
	flying := u.flying
	if u.large != nil {
		connections++
		flying -= u.large.size
	}
	if len(u.queue) == 0 || u.paused || len(u.active) >= connections {
		return false
	}
	return len(u.active) == 0 || flying+u.queue[0].size <= u.limit()
}

// limit returns how many bytes the bodies under way may have, but for a large one.
func (u *uploader) limit() int64 {
	return min(max(u.pace.in(inFlight), leastInFlight), mostInFlight)
}

// finish notes how an upload ended, in the journal and for those who wait.
func (u *uploader) finish(up queued, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	ended := u.active[up.Action]
	again := ended.again
	delete(u.active, up.Action)
	if u.large == ended {
		u.large = nil
	}
	u.flying -= up.size
	u.change.Broadcast()
	switch {
	case err == nil && !u.proven:
		u.proven = true
	case errors.Is(err, backend.ErrDenied):
		u.denied = err
		u.noteDenial(u.begun)
	}
	for _, up := range again {
		u.enqueue(up)
	}
	switch {
	case again != nil:
	case errors.Is(err, errPaused):
		u.enqueue(up)
	default:
		u.settle(up, err)
	}
}

// settle counts how an upload ended, and notes in the journal what is done. The caller
// holds u.mu.
func (u *uploader) settle(up queued, err error) {
	u.Progress.done(0)
	switch {
	case errors.Is(err, errWithheld), errors.Is(err, errReplaced):
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

// wait returns when nothing is queued or under way, when the remote denies uploads, or
// when ctx is done.
func (u *uploader) wait(ctx context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.await(ctx, func() bool { return len(u.active) == 0 && (len(u.queue) == 0 || u.denied != nil) })
}

// left returns what is still to be uploaded, failed uploads included, and why the
// remote denies it, if it does.
func (u *uploader) left() (remainder, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	left := u.failed
	left.entries += len(u.active)
	left.bytes += u.flying
	for _, up := range u.queue {
		left.add(up.size)
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

// upload puts one entry object. The error wraps localdisk.ErrNotFound if the local
// tier no longer has the entry, errReplaced if it has another output, and errWithheld if
// the entry stays there.
func (u *uploader) upload(ctx context.Context, up session.Upload) error {
	err := func() error {
		object, opts, err := u.encode(ctx, up)
		if err != nil {
			return err
		}
		defer os.Remove(object.Name())
		defer object.Close()
		ended := u.pace.begin(opts.Size)
		_, err = u.store.Put(ctx, entryKey(u.scope, up.Action), object, opts)
		ended(err)
		return err
	}()
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
	return err
}
