package cache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// newTestUploader returns an uploader, and its local tier, of a session that writes to no
// store.
func newTestUploader(t *testing.T) (u *uploader, local string) {
	t.Helper()
	local = t.TempDir()
	s, err := session.New(local, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	target := session.Target{Remote: "file:///remote", Scope: "main"}
	j, err := s.CreateJournal(target, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		j.Close(false)
		s.Close()
	})
	cfg := Config{Local: localdisk.New(local), Stats: new(Stats)}
	return newUploader(newRemote(cfg, nil, target), s, j, newWithheld(cfg)), local
}

// What is put again while its upload is under way stays in the journal until that,
// too, is uploaded.
func TestJournalKeepsWhatIsPutAgain(t *testing.T) {
	u, local := newTestUploader(t)
	want := func(uploads int) {
		t.Helper()
		if got, err := session.Uploads(local); got != uploads || err != nil {
			t.Errorf("%d uploads in the journal, %v; want %d", got, err, uploads)
		}
	}
	one := session.Upload{Action: protocol.ActionID{1}}
	again := session.Upload{Action: one.Action, Output: protocol.OutputID{2}}
	once := session.Upload{Action: one.Action, Output: protocol.OutputID{3}}
	u.add(one, 1, 0)
	up, _ := u.next(t.Context())
	u.add(again, 2, 0)
	u.add(once, 1, 0) // the last put, and the smaller body
	u.finish(up, nil)
	want(1)
	up, _ = u.next(t.Context())
	if up.Upload != once || u.mayBegin() {
		t.Errorf("%+v is uploaded next, want only %+v", up.Upload, once)
	}
	u.finish(up, nil)
	want(0)
}

// The first upload goes alone. Then small bodies go first, and of large ones only a few
// at a time.
func TestOrderOfUploads(t *testing.T) {
	const mib = 1 << 20
	u, _ := newTestUploader(t)
	u.pace.taken, u.pace.busy = 16*mib, inFlight
	for i, size := range []int64{9 * mib, 7 * mib, 100, 9*mib + 1, 3000, 200, 40 * mib} {
		u.add(session.Upload{Action: protocol.ActionID{byte(i)}}, size, 0)
	}
	flying := make(map[int64]*parcel)
	begin := func(sizes ...int64) {
		t.Helper()
		for _, size := range sizes {
			if !u.mayBegin() {
				t.Fatalf("the body of %d bytes has to wait", size)
			}
			up, err := u.next(t.Context())
			if err != nil || up.size != size {
				t.Fatalf("next is a body of %d bytes, %v; want %d", up.size, err, size)
			}
			flying[size] = up
		}
		if u.mayBegin() {
			t.Fatalf("another upload may begin beside %d bytes", u.flying)
		}
	}
	end := func(size int64, err error) { u.finish(flying[size], err) }
	begin(100)
	end(100, nil)
	begin(200, 3000, 7*mib)
	end(3000, nil)
	begin()
	end(200, nil)
	begin(9 * mib)
	end(7*mib, nil)
	begin()
	end(9*mib, nil)
	begin(9*mib + 1)
	end(9*mib+1, errors.New("connection reset"))
	begin(40 * mib) // larger than all that may be under way together
	end(40*mib, backend.ErrDenied)
	u.add(session.Upload{Action: protocol.ActionID{99}}, 1, 0)
	if _, err := u.next(t.Context()); !errors.Is(err, backend.ErrDenied) {
		t.Errorf("another upload, with %v, after one was denied", err)
	}
	if left, denied := u.left(); left != (remainder{3, 49*mib + 2}) || denied == nil {
		t.Errorf("left: %+v, %v", left, denied)
	}
}

// An upload that a pause cuts off begins anew, also if it still waits for a core.
func TestPausedBeforeItIsCompressed(t *testing.T) {
	u, _ := newTestUploader(t)
	if err := u.compress.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	u.add(session.Upload{Action: protocol.ActionID{1}}, 1, 0)
	up, err := u.next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cut := context.WithCancelCause(t.Context())
	u.begin(up, cut)
	u.pause(true)
	u.finish(up, u.upload(ctx, up))
	u.pause(false)
	if !u.mayBegin() {
		t.Error("it does not begin again")
	}
}

// What waits for its parent in vain, such as the result of a test, goes out beside the build.
func TestHeldInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, _ := newTestUploader(t)
		waits := func() bool {
			u.mu.Lock()
			defer u.mu.Unlock()
			return !u.mayBegin()
		}
		u.add(session.Upload{Action: protocol.ActionID{1}}, 1, forItsParent)
		if !waits() {
			t.Error("it does not wait")
		}
		time.Sleep(forItsParent)
		synctest.Wait()
		if waits() {
			t.Error("it still waits")
		}
	})
}

// What a pause cuts off does not begin anew if it was put again meanwhile: only that does.
func TestPausedAndPutAgain(t *testing.T) {
	u, _ := newTestUploader(t)
	one := session.Upload{Action: protocol.ActionID{1}, Output: protocol.OutputID{1}}
	again := session.Upload{Action: one.Action, Output: protocol.OutputID{2}}
	u.add(one, 1, 0)
	up, _ := u.next(t.Context())
	u.add(again, 1, 0)
	u.finish(up, errPaused)
	if up, _ := u.next(t.Context()); up.Upload != again || len(u.queue) > 0 {
		t.Errorf("%+v is uploaded next, and then %d others; want only %+v", up.Upload, len(u.queue), again)
	}
}

// A large body that is under way for long does not make the link seem slower.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(pace)
		want := func(bytes int64) {
			t.Helper()
			if got := p.in(time.Second); got != bytes {
				t.Errorf("%d bytes in a second, want %d", got, bytes)
			}
		}
		want(unknown)
		cut := p.begin(90_000)
		time.Sleep(9 * time.Second)
		want(10_000) // at most
		one, two := p.begin(1000), p.begin(3000)
		time.Sleep(time.Second)
		one(nil)
		want(1000)
		time.Sleep(time.Second)
		two(nil)
		cut(errPaused)
		want(2000)
	})
}
