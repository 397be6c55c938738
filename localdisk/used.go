package localdisk

import (
	"cmp"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/larderbuild/larder/protocol"
)

// Idle is the age of a file's modification time from which on the file counts as unused.
// The modification time may be up to an hour older than the last use, because neither
// larder nor the go command records uses more often. So a file that was used within the
// last hour never counts as unused. The next use of a file that counts as unused is
// always recorded.
const Idle = 2 * touchInterval

// SetUsed records that action, which d has, was last used at t. It changes the
// modification time of the action file, but not that of the body: other entries may
// share the body, and a process that has its path may still read it.
func (d *Dir) SetUsed(action protocol.ActionID, t time.Time) error {
	return os.Chtimes(d.actionPath(action), t, t)
}

// UsedSince returns the actions that may have been used at t or later, the earliest
// use first. The recorded use of such an action is at most an hour before t. UsedSince
// looks at every file of the directory. Get does not find all of these actions: some
// are executables that the go command has cached.
func (d *Dir) UsedSince(t time.Time) ([]protocol.ActionID, error) {
	type use struct {
		action protocol.ActionID
		nanos  int64
	}
	var uses []use
	since := usedSince(t)
	err := d.walk(func(f file) error {
		if f.kind != actionFile || f.mtime.Before(since) {
			return nil
		}
		u := use{nanos: f.mtime.UnixNano()}
		_, err := hex.Decode(u.action[:], []byte(filepath.Base(f.path)[:idWidth]))
		uses = append(uses, u)
		return err
	})
	slices.SortStableFunc(uses, func(a, b use) int { return cmp.Compare(a.nanos, b.nanos) })
	actions := make([]protocol.ActionID, len(uses))
	for i, u := range uses {
		actions[i] = u.action
	}
	return actions, wrap("list", d, err)
}
