package cache

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/secrets"
	"github.com/larderbuild/larder/session"
)

// While the build runs, uploads leave it the cores and most of the network. Afterwards
// they take all of both.
const (
	uploadsDuringBuild = 4
	uploadsAfterBuild  = 32
)

// uploader brings entries from the local tier to the remote, in the background and
// in the order in which they were added. Its methods may be called at the same time.
type uploader struct {
	*remote
	session  *session.Session
	journal  *session.Journal
	withheld *withheld

	connect  *semaphore.Weighted // uploads under way
	compress *semaphore.Weighted // of these, those that are being compressed
	cores    int64
	hurried  sync.Once

	mu     sync.Mutex // guards what follows
	change *sync.Cond // signals each change of what follows
	queue  []session.Upload
	queued map[protocol.ActionID]int             // how often an action is in queue
	active map[protocol.ActionID]*session.Upload // under way; what was put again meanwhile, or nil
	failed int                                   // could not be uploaded; they stay in the journal
	lost   int                                   // the local tier has them no longer
}

func newUploader(r *remote, s *session.Session, j *session.Journal, w *withheld) *uploader {
	cores := int64(runtime.GOMAXPROCS(0))
	u := &uploader{
		remote: r, session: s, journal: j, withheld: w,
		connect:  semaphore.NewWeighted(uploadsAfterBuild),
		compress: semaphore.NewWeighted(cores),
		cores:    cores,
		queued:   make(map[protocol.ActionID]int),
		active:   make(map[protocol.ActionID]*session.Upload),
	}
	u.change = sync.NewCond(&u.mu)
	u.connect.TryAcquire(uploadsAfterBuild - uploadsDuringBuild)
	u.compress.TryAcquire(cores - 1)
	return u
}

// hurry says that the build is over. From now on all cores and connections are used.
func (u *uploader) hurry() {
	u.hurried.Do(func() {
		u.connect.Release(uploadsAfterBuild - uploadsDuringBuild)
		u.compress.Release(u.cores - 1)
	})
}

// add notes an upload in the journal and queues it. After an error of the journal
// the upload is queued all the same, and lost with this process.
func (u *uploader) add(up session.Upload) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	// The lock is held over both. An earlier upload of the same action that ended
	// between the two would strike this one from the journal.
	err := u.journal.Add(up)
	u.enqueue(up)
	return err
}

// resume queues what is in the journal already.
func (u *uploader) resume(uploads []session.Upload) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, up := range uploads {
		u.enqueue(up)
	}
}

// enqueue queues an upload. The caller holds u.mu.
func (u *uploader) enqueue(up session.Upload) {
	u.queue = append(u.queue, up)
	u.queued[up.Action]++
	u.change.Broadcast()
}

// run does the uploads until ctx is done, and returns when the last one under
// way has ended.
func (u *uploader) run(ctx context.Context) {
	var uploads sync.WaitGroup
	defer uploads.Wait()
	for {
		if u.connect.Acquire(ctx, 1) != nil {
			return
		}
		up, err := u.next(ctx)
		if err != nil {
			return
		}
		uploads.Go(func() {
			defer u.connect.Release(1)
			u.finish(up, u.upload(ctx, up))
			u.Progress.done(0)
		})
	}
}

// next takes the next upload from the queue. What is put again while it is being
// uploaded is uploaded once more afterwards, and not at the same time: the last put
// must win.
func (u *uploader) next(ctx context.Context) (session.Upload, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for {
		if err := u.await(ctx, func() bool { return len(u.queue) > 0 }); err != nil {
			return session.Upload{}, err
		}
		up := u.queue[0]
		u.queue = u.queue[1:]
		if u.queued[up.Action]--; u.queued[up.Action] == 0 {
			delete(u.queued, up.Action)
		}
		if _, busy := u.active[up.Action]; !busy {
			u.active[up.Action] = nil
			return up, nil
		}
		u.active[up.Action] = &up
	}
}

// finish notes how an upload ended, in the journal and for those who wait.
func (u *uploader) finish(up session.Upload, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	again := u.active[up.Action]
	delete(u.active, up.Action)
	u.change.Broadcast()

	switch {
	case again != nil:
		u.enqueue(*again)
		return
	case errors.Is(err, errWithheld), errors.Is(err, errReplaced):
	case errors.Is(err, localdisk.ErrNotFound):
		u.lost++
	case err != nil:
		u.failed++
		return
	}
	if u.queued[up.Action] > 0 {
		return // was put again, and stays in the journal until that is uploaded
	}
	if err := u.journal.Done(up.Action); err != nil {
		u.Log.Debug("note an upload in the journal", "action", up.Action, "err", err)
	}
}

// wait returns when nothing is queued or under way, or ctx is done.
func (u *uploader) wait(ctx context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.await(ctx, func() bool { return len(u.queue) == 0 && len(u.active) == 0 })
}

// left returns how many uploads are still to be done, failed ones included.
func (u *uploader) left() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.queue) + len(u.active) + u.failed
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
		_, err = u.store.Put(ctx, entryKey(u.scope, up.Action), object, opts)
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

// encode writes up's entry object to a temporary file, which it leaves at its start.
// The caller closes and removes the file.
func (u *uploader) encode(ctx context.Context, up session.Upload) (*os.File, backend.PutOptions, error) {
	if err := u.compress.Acquire(ctx, 1); err != nil {
		return nil, backend.PutOptions{}, err
	}
	defer u.compress.Release(1)

	e, path, err := u.Local.Get(up.Action)
	if err == nil && e.Output != up.Output {
		err = errReplaced
	}
	if err != nil {
		return nil, backend.PutOptions{}, err
	}
	body, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, backend.PutOptions{}, fmt.Errorf("%w: %w", localdisk.ErrNotFound, err)
	}
	if err != nil {
		return nil, backend.PutOptions{}, err
	}
	defer body.Close()

	object, err := u.createTemp(u.session, e.Size)
	if err != nil {
		return nil, backend.PutOptions{}, err
	}
	scan := u.withheld.secrets.NewScan()
	opts, err := encodeObject(object, entry.Header{
		Action:   e.Action,
		Output:   e.Output,
		BodySize: e.Size,
		Time:     e.Time,
		Cost:     min(up.Cost, entry.MaxCost),
	}, &cancellable{seen{body, scan}, ctx}, u.signer())
	if err == nil {
		err = u.withheld.check(scan, e.Action, e.Output)
	}
	if err != nil {
		object.Close()
		os.Remove(object.Name())
		return nil, backend.PutOptions{}, err
	}
	return object, opts, nil
}

// seen is a body that shows a scan all that is read of it, even what is read twice.
type seen struct {
	io.ReadSeeker
	scan *secrets.Scan
}

func (s seen) Read(p []byte) (int, error) {
	n, err := s.ReadSeeker.Read(p)
	_, _ = s.scan.Write(p[:n]) // never fails
	return n, err
}

// encodeObject writes an entry object to file, and leaves file at its start.
func encodeObject(file *os.File, h entry.Header, body io.ReadSeeker, by entry.Signer) (opts backend.PutOptions, err error) {
	h, err = entry.Encode(file, h, body, by)
	if err != nil {
		return opts, err
	}
	opts.Size = entry.HeaderSize + h.PayloadSize
	opts.MD5, err = sumFile(file)
	return opts, err
}

// sumFile returns the MD5 of all of f, and leaves f at its start.
func sumFile(f *os.File) (sum [md5.Size]byte, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return sum, err
	}
	h := md5.New()
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 64<<10)); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	_, err = f.Seek(0, io.SeekStart)
	return sum, err
}

// cancellable is a body whose Read fails once ctx is done.
type cancellable struct {
	io.ReadSeeker
	ctx context.Context
}

func (c *cancellable) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.ReadSeeker.Read(p)
}
