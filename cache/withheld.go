package cache

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/secrets"
)

// withheld are the entries of a local tier that stay there, since something secret
// was found in them. Each is a file, named by the action, with a line:
//
//	<dir>/larder/withheld/<action ID>    <output ID> <rule>
//
// The session that puts an entry knows the secrets that the build was given; who
// uploads it later, or packs it another day, may not. So they look here, too.
type withheld struct {
	dir     string
	secrets *secrets.Filter
	stats   *Stats
	log     *slog.Logger
	said    atomic.Bool
}

// errWithheld says that an entry stays local.
var errWithheld = errors.New("something secret is in it")

func newWithheld(local *localdisk.Dir, p Policy, stats *Stats, log *slog.Logger) *withheld {
	if p.Secrets == nil {
		p.Secrets = secrets.New(nil)
	}
	return &withheld{dir: filepath.Join(local.Path(), "larder", "withheld"), secrets: p.Secrets, stats: stats, log: log}
}

func (w *withheld) path(action protocol.ActionID) string {
	return filepath.Join(w.dir, action.String())
}

// check decides, after scan has seen all of an entry's body, whether it stays
// local. Then it notes so, and the error wraps errWithheld.
func (w *withheld) check(scan *secrets.Scan, action protocol.ActionID, output protocol.OutputID) error {
	rule := scan.Found()
	marked, held := w.mark(action, output)
	switch {
	case held:
		w.stats.Withheld.Add(1)
		return errWithheld
	case rule == "":
		if marked { // for what it had put before
			_ = os.Remove(w.path(action)) // at worst this stays local, too
		}
		return nil
	}
	w.stats.Withheld.Add(1)
	say := w.log.Info
	if w.said.CompareAndSwap(false, true) {
		say = w.log.Warn
	}
	say(fmt.Sprintf("an entry stays local, since a secret is in it (%s)", rule), "action", action)
	err := os.MkdirAll(w.dir, 0o700)
	if err == nil {
		err = os.WriteFile(w.path(action), fmt.Appendf(nil, "%s %s\n", output, rule), 0o600)
	}
	if err != nil {
		w.log.Error(fmt.Sprintf("note what stays local: %v", err))
	}
	return fmt.Errorf("%w: %s", errWithheld, rule)
}

// mark reports whether action has a mark, and whether that is for output.
func (w *withheld) mark(action protocol.ActionID, output protocol.OutputID) (marked, held bool) {
	line, err := os.ReadFile(w.path(action))
	if errors.Is(err, fs.ErrNotExist) {
		return false, false
	}
	// One that can't be read, or was cut, is for whatever is there.
	of, _, whole := strings.Cut(string(line), " ")
	return true, err != nil || !whole || of == output.String()
}

// holds reports whether output stays where action has put it.
func (w *withheld) holds(action protocol.ActionID, output protocol.OutputID) bool {
	_, held := w.mark(action, output)
	return held
}

// actions returns those whose entries are withheld.
func (w *withheld) actions() map[protocol.ActionID]bool {
	files, _ := os.ReadDir(w.dir) // what can't be read can't be written, either
	if len(files) == 0 {
		return nil
	}
	actions := make(map[protocol.ActionID]bool, len(files))
	for _, f := range files {
		var action protocol.ActionID
		if len(f.Name()) != hex.EncodedLen(len(action)) {
			continue
		}
		if _, err := hex.Decode(action[:], []byte(f.Name())); err == nil {
			actions[action] = true
		}
	}
	return actions
}

// SweepWithheld forgets the entries that are withheld from the remote and that the
// local tier no longer has.
func SweepWithheld(local *localdisk.Dir) error {
	var errs []error
	w := newWithheld(local, Policy{}, nil, nil)
	for action := range w.actions() {
		if _, _, err := local.Get(action); err != nil {
			errs = append(errs, os.Remove(w.path(action)))
		}
	}
	return errors.Join(errs...)
}
