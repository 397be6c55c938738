package cache

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/secrets"
)

// withheld are the entries of a local tier that stay there, since a secret was found
// in them. Each has a mark: a file, named by the action, with a line.
//
//	<dir>/larder/withheld/<action ID>    <output ID> <rule>
//
// The session that puts an entry knows the secrets that the build was given. A
// process that uploads the entry later, or packs it another day, may not know them,
// and heeds the mark. Methods may be called at the same time.
type withheld struct {
	Config
	dir     string
	secrets *secrets.Filter
	said    atomic.Bool // a warning was given
}

// errWithheld says that an entry stays local.
var errWithheld = errors.New("something secret is in it")

func newWithheld(cfg Config) *withheld {
	w := &withheld{Config: cfg, dir: filepath.Join(cfg.Local.Path(), "larder", "withheld"), secrets: cfg.Policy.Secrets}
	if w.secrets == nil {
		w.secrets = secrets.New(nil)
	}
	return w
}

// path returns the path of action's mark.
func (w *withheld) path(action protocol.ActionID) string {
	return filepath.Join(w.dir, action.String())
}

// check decides, after scan has seen all of an entry's body, whether the entry stays
// local. If it does, check marks it, and the error wraps errWithheld.
func (w *withheld) check(scan *secrets.Scan, action protocol.ActionID, output protocol.OutputID) error {
	rule := scan.Found()
	marked, held := w.readMark(action, output)
	switch {
	case held:
		w.Stats.count(func(s *Summary) { s.Withheld++ })
		return errWithheld
	case rule == "":
		if marked { // for another output
			_ = os.Remove(w.path(action)) // if the mark stays, this output stays local, too
		}
		return nil
	}
	w.Stats.count(func(s *Summary) { s.Withheld++ })
	say := w.Log.Info
	if w.said.CompareAndSwap(false, true) {
		say = w.Log.Warn
	}
	say(fmt.Sprintf("an entry stays local, since a secret is in it (%s)", rule), "action", action)
	err := os.MkdirAll(w.dir, 0o700)
	if err == nil {
		err = os.WriteFile(w.path(action), fmt.Appendf(nil, "%s %s\n", output, rule), 0o600)
	}
	if err != nil {
		w.Log.Error(fmt.Sprintf("mark what stays local: %v", err))
	}
	return fmt.Errorf("%w: %s", errWithheld, rule)
}

// readMark reports whether action has a mark, and whether the mark is for output.
func (w *withheld) readMark(action protocol.ActionID, output protocol.OutputID) (marked, held bool) {
	line, err := os.ReadFile(w.path(action))
	if errors.Is(err, fs.ErrNotExist) {
		return false, false
	}
	// A mark that can't be read, or was cut, is for every output.
	of, _, whole := strings.Cut(string(line), " ")
	return true, err != nil || !whole || of == output.String()
}

// keeps reports whether action's entry, with output, stays local.
func (w *withheld) keeps(action protocol.ActionID, output protocol.OutputID) bool {
	_, held := w.readMark(action, output)
	return held
}

// actions returns the actions that have a mark.
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

// sweepWithheld removes the marks of entries that local no longer has.
func sweepWithheld(local *localdisk.Dir) error {
	var errs []error
	w := newWithheld(Config{Local: local})
	for action := range w.actions() {
		if !local.Has(action) {
			errs = append(errs, os.Remove(w.path(action)))
		}
	}
	return errors.Join(errs...)
}
