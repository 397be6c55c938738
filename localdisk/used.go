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

// Idle is how old a file's modification time must be for the file to count as unused.
// That time may be older than the last use by an hour, since neither larder nor the go
// command records uses more often. So a file that was used within the last hour never
// counts as unused, and the next use of one that does is recorded.
const Idle = 2 * touchInterval

// SetUsed records that action, which d holds, was last used at t. It sets the
// modification time of the action file only. Other entries may share the body, and
// somebody who was given its path may still be reading it.
func (d *Dir) SetUsed(action protocol.ActionID, t time.Time) error {
	return os.Chtimes(d.actionPath(action), t, t)
}

// UsedSince returns the actions that may have been used at t or later, the earliest use
// first. These are the actions whose files have a modification time of an hour before t
// or later. UsedSince looks at every file. It also returns actions for which Get finds
// no entry, such as those of the go command's executables.
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
