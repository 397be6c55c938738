package cache

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
)

// RestoreConfig says what Restore brings, and where to.
type RestoreConfig struct {
	Local     *localdisk.Dir // a GOCACHE
	Store     backend.Store  // stays open
	Target    Target         // whose manifest is read; it has a profile
	MaxObject int64          // larger bodies stay away, in bytes
	Log       *slog.Logger

	Policy Policy

	// Planned and Done, where not nil, are told of what is about to be
	// brought, and of each entry of it that was, or could not be. Done is
	// called from many goroutines at once.
	Planned func(entries int, bytes int64)
	Done    func(bytes int64)
}

// Restored counts the entries that a manifest names, and the bytes of bodies.
type Restored struct {
	Entries int64 // brought
	Bytes   int64 // of these
	Present int64 // were there before
	Failed  int64 // could not be brought
}

// Restore brings everything that the profile's manifest names to the local
// tier, verified as ever, and has it look as if it was not used for a while, so
// that a go command that uses it without larder leaves a trace for [Save].
//
// What can't be brought is counted, and one warning says why. The error is that
// of the manifests, if none could be had, or of ctx; the counts are right in any
// case.
func Restore(ctx context.Context, cfg RestoreConfig) (Restored, error) {
	start := time.Now()
	r := newRemote(cfg.Store, cfg.Target, cfg.Policy, cfg.Log)
	l := newLibrary(r, cfg.Target, cfg.Local.Path())
	if err := l.own.leaveMark(mark{start: start}); err != nil {
		return Restored{}, err
	}
	found, err := l.load(ctx, (*manifests).fetch, func(*manifests, error) {})
	switch {
	case err != nil && len(found.found.Entries) == 0:
		return Restored{}, fmt.Errorf("fetch the manifest: %w", err)
	case err != nil:
		r.complain("fetch the manifest", l.own.key(), err)
		err = nil
	}
	p := newPrefetch(cfg.Local, r, new(Stats), cfg.MaxObject)
	unused := start.Add(-localdisk.Idle)
	p.put = func(e localdisk.Entry, body io.Reader) error {
		if _, err := cfg.Local.Put(e, body); err != nil {
			return err
		}
		return cfg.Local.SetUsed(e.Action, unused)
	}
	if cfg.Planned != nil {
		p.planned = cfg.Planned
	}
	if cfg.Done != nil {
		p.done = cfg.Done
	}
	p.begin(found)
	p.bring(ctx, l, everything)
	counts, failed := p.outcome()
	for _, action := range p.present() {
		_ = cfg.Local.SetUsed(action, unused) // at worst it counts as used
	}
	if len(failed) > 0 {
		err = l.own.leaveMark(mark{start, failed})
	}
	return counts, errors.Join(context.Cause(ctx), err)
}

// present returns the actions that the local tier had before.
func (p *prefetch) present() []protocol.ActionID {
	p.mu.Lock()
	defer p.mu.Unlock()
	var actions []protocol.ActionID
	for i, s := range p.states {
		if s == here {
			actions = append(actions, p.found.Entries[i].Action)
		}
	}
	return actions
}

// outcome counts what became of the manifest's entries, and returns the actions
// of those that are not as the manifest promises.
func (p *prefetch) outcome() (counts Restored, failed []protocol.ActionID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.states {
		e := &p.found.Entries[i]
		switch s {
		case here:
			counts.Present++
		case brought:
			counts.Entries++
			counts.Bytes += e.Size
		case forfeited:
			counts.Failed++
			failed = append(failed, e.Action)
		default: // there was no time
			counts.Failed++
		}
	}
	return counts, failed
}

// mark is what a Restore leaves for the Save after it, in a file beside the
// copy of the manifest: a line with the time at which it began, in Unix
// nanoseconds, and one for each action whose entry is not as the manifest
// promises.
type mark struct {
	start  time.Time
	failed []protocol.ActionID
}

// mark returns the path of the mark.
func (m *manifests) mark() string { return m.copy + ".restored" }

func (m *manifests) leaveMark(k mark) error {
	var b strings.Builder
	fmt.Fprintln(&b, k.start.UnixNano())
	for _, action := range k.failed {
		fmt.Fprintln(&b, action)
	}
	return os.WriteFile(m.mark(), []byte(b.String()), 0o600)
}

// readMark returns the last Restore's mark, if it left one that is whole.
func (m *manifests) readMark() (mark, bool) {
	content, err := os.ReadFile(m.mark())
	if err != nil {
		return mark{}, false
	}
	lines := strings.Fields(string(content))
	if len(lines) == 0 {
		return mark{}, false
	}
	nanos, err := strconv.ParseInt(lines[0], 10, 64)
	if err != nil {
		return mark{}, false
	}
	k := mark{start: time.Unix(0, nanos)}
	for _, line := range lines[1:] {
		var action protocol.ActionID
		if len(line) != hex.EncodedLen(len(action)) {
			return mark{}, false
		}
		if _, err := hex.Decode(action[:], []byte(line)); err != nil {
			return mark{}, false
		}
		k.failed = append(k.failed, action)
	}
	return k, true
}
