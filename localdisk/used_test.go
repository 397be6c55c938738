package localdisk

import (
	"crypto/sha256"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/protocol"
)

func TestUsedSince(t *testing.T) {
	d := New(t.TempDir())
	start := time.Now()
	var ids []protocol.ActionID
	for i, ago := range []time.Duration{0, 30 * time.Minute, Idle, 10 * time.Minute} {
		body := "the same body" // one for all
		id := protocol.ActionID{byte(i), 1}
		ids = append(ids, id)
		_, err := d.Put(Entry{Action: id, Output: protocol.OutputID(sha256.Sum256([]byte(body))), Size: int64(len(body)), Time: start}, strings.NewReader(body))
		mustDo(t, err)
		mustDo(t, d.SetUsed(id, start.Add(-ago)))
	}
	want := func(ids ...protocol.ActionID) {
		t.Helper()
		if got, err := d.UsedSince(start); err != nil || !slices.Equal(got, ids) {
			t.Errorf("used: %v, %v; want %v", got, err, ids)
		}
	}
	want(ids[1], ids[3], ids[0])

	_, path, err := d.Get(ids[2])
	mustDo(t, err)
	want(ids[1], ids[3], ids[0], ids[2])
	mustDo(t, d.SetUsed(ids[2], start.Add(-Idle)))
	want(ids[1], ids[3], ids[0])
	// Other entries share the body and may be in use.
	info, err := os.Stat(path)
	mustDo(t, err)
	if info.ModTime().Before(start.Add(-time.Minute)) {
		t.Errorf("the body was last used at %v", info.ModTime())
	}
	if err := d.SetUsed(protocol.ActionID{99}, start); err == nil {
		t.Error("set the use of nothing")
	}
}
