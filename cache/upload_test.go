package cache

import (
	"testing"
	"time"

	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// What is put again while its upload is under way stays in the journal until that,
// too, is uploaded.
func TestJournalKeepsWhatIsPutAgain(t *testing.T) {
	local := t.TempDir()
	s, err := session.New(local, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	target := session.Target{Remote: "file:///remote", Scope: "main"}
	j, err := s.CreateJournal(target, false)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close(false)
	want := func(uploads int) {
		t.Helper()
		if got, err := session.Uploads(local); got != uploads || err != nil {
			t.Errorf("%d uploads in the journal, %v; want %d", got, err, uploads)
		}
	}
	one := session.Upload{Action: protocol.ActionID{1}}
	again := session.Upload{Action: one.Action, Output: protocol.OutputID{2}}
	cfg := Config{Local: localdisk.New(local), Stats: new(Stats)}
	u := newUploader(newRemote(cfg, nil, target), s, j, newWithheld(cfg))
	u.add(one)
	up, _ := u.next(t.Context())
	u.add(again)
	u.finish(up, nil)
	want(1)
	up, _ = u.next(t.Context())
	if up != again {
		t.Errorf("%+v is uploaded again, want %+v", up, again)
	}
	u.finish(up, nil)
	want(0)
}
