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
)

// While the build runs, uploads leave it the cores and most of the network;
// afterwards they take what there is.
const (
	uploadsDuringBuild = 4
	uploadsAfterBuild  = 32
)

// uploader brings entries from the local tier to the remote, in the background
// and in the order in which they were added.
type uploader struct {
	local    *localdisk.Dir
	remote   *remote
	temp     string // folder for entry objects on their way out
	journal  *journal
	withheld *withheld
	stats    *Stats
	done     func() // where not nil, called after each upload

	connect  *semaphore.Weighted // uploads under way
	compress *semaphore.Weighted // of these, the ones that are being compressed
	hurried  sync.Once

	mu     sync.Mutex
	change *sync.Cond // whenever one of the following changes
	queue  []job
	queued map[protocol.ActionID]int  // how often an action is in queue
	active map[protocol.ActionID]bool // under way; true: was put again meanwhile
	failed int                        // could not be uploaded; they stay in the journal
	lost   int                        // are no longer in the local tier
}

func newUploader(local *localdisk.Dir, r *remote, s *session, j *journal, w *withheld, stats *Stats) *uploader {
	u := &uploader{
		local: local, remote: r, temp: s.dir, journal: j, withheld: w, stats: stats,
		connect:  semaphore.NewWeighted(uploadsAfterBuild),
		compress: semaphore.NewWeighted(int64(runtime.NumCPU())),
		queued:   make(map[protocol.ActionID]int),
		active:   make(map[protocol.ActionID]bool),
	}
	u.change = sync.NewCond(&u.mu)
	u.connect.TryAcquire(uploadsAfterBuild - uploadsDuringBuild)
	u.compress.TryAcquire(int64(runtime.NumCPU()) - 1)
	return u
}

// hurry says that the build is over: all cores and connections may be used.
func (u *uploader) hurry() {
	u.hurried.Do(func() {
		u.connect.Release(uploadsAfterBuild - uploadsDuringBuild)
		u.compress.Release(int64(runtime.NumCPU()) - 1)
	})
}

// add notes an upload in the journal and queues it. An error of the journal
// means that the upload is lost with this process.
func (u *uploader) add(jb job) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	// Both at once: an earlier upload of the same action that ended between
	// the two would strike this one from the journal.
	err := u.journal.add(jb)
	u.enqueue(jb)
	return err
}

// resume queues what is in the journal already.
func (u *uploader) resume(jobs []job) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, jb := range jobs {
		u.enqueue(jb)
	}
}

func (u *uploader) enqueue(jb job) {
	u.queue = append(u.queue, jb)
	u.queued[jb.action]++
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
		jb, err := u.next(ctx)
		if err != nil {
			return
		}
		uploads.Go(func() {
			defer u.connect.Release(1)
			u.finish(jb, u.upload(ctx, jb))
			if u.done != nil {
				u.done()
			}
		})
	}
}

// next takes the next upload from the queue. What is put again while it is
// being uploaded is uploaded once more afterwards, not at the same time: the
// last put must win.
func (u *uploader) next(ctx context.Context) (job, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for {
		if err := u.await(ctx, func() bool { return len(u.queue) > 0 }); err != nil {
			return job{}, err
		}
		jb := u.queue[0]
		u.queue = u.queue[1:]
		if u.queued[jb.action]--; u.queued[jb.action] == 0 {
			delete(u.queued, jb.action)
		}
		if _, busy := u.active[jb.action]; !busy {
			u.active[jb.action] = false
			return jb, nil
		}
		u.active[jb.action] = true
	}
}

func (u *uploader) finish(jb job, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	again := u.active[jb.action]
	delete(u.active, jb.action)
	u.change.Broadcast()

	switch {
	case again:
		u.enqueue(jb)
		return
	case errors.Is(err, errWithheld):
	case errors.Is(err, localdisk.ErrNotFound):
		u.lost++
	case err != nil:
		u.failed++
		return
	}
	if u.queued[jb.action] > 0 {
		return // was put again, and stays in the journal until that is uploaded
	}
	if err := u.journal.done(jb.action); err != nil {
		u.remote.log.Debug("note an upload in the journal", "action", jb.action, "err", err)
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

// upload puts one entry object. The error wraps localdisk.ErrNotFound if the
// local tier no longer has the entry, errWithheld if it is to stay there.
func (u *uploader) upload(ctx context.Context, jb job) error {
	err := func() error {
		object, opts, err := u.encode(ctx, jb)
		if err != nil {
			return err
		}
		defer os.Remove(object.Name())
		defer object.Close()
		_, err = u.remote.store.Put(ctx, entryKey(u.remote.scope, jb.action), object, opts)
		return err
	}()
	switch {
	case err == nil:
		u.stats.Uploads.Add(1)
	case errors.Is(err, errWithheld):
	case context.Cause(ctx) == nil:
		u.stats.UploadErrors.Add(1)
		u.remote.complain("upload", entryKey(u.remote.scope, jb.action), err)
	}
	return err
}

// encode writes jb's entry object to a temporary file, positioned at its start.
// The caller closes and removes it.
func (u *uploader) encode(ctx context.Context, jb job) (*os.File, backend.PutOptions, error) {
	if err := u.compress.Acquire(ctx, 1); err != nil {
		return nil, backend.PutOptions{}, err
	}
	defer u.compress.Release(1)

	e, path, err := u.local.Get(jb.action)
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

	object, err := os.CreateTemp(u.temp, uploadPrefix+"*")
	if err != nil {
		return nil, backend.PutOptions{}, err
	}
	scan := u.withheld.secrets.NewScan()
	opts, err := encodeObject(object, entry.Header{
		Action:   e.Action,
		Output:   e.Output,
		BodySize: e.Size,
		Time:     e.Time,
		Cost:     jb.cost,
	}, &cancellable{seen{body, scan}, ctx}, u.remote.signer())
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

// seen is a body of which a scan sees what is read, were it twice.
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

// cancellable is a body that can no longer be read once ctx is done.
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
