package cache

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// Restored counts the entries that a manifest names, and the bytes of their bodies.
type Restored struct {
	Entries int64 // brought
	Bytes   int64 // of these
	Present int64 // were there before
	Failed  int64 // could not be brought
}

// Restore brings everything that the manifest of target's profile names from store to
// the local tier, a GOCACHE, and verifies it as ever. It makes the entries look as if
// they were not used for a while. So a go command that uses them without larder leaves
// a trace for [Save]. The store stays open.
//
// Restore counts what can't be brought, and gives one warning. The error is that of the
// manifests, if none could be had, or of ctx; the counts are right in any case.
func Restore(ctx context.Context, cfg Config, store backend.Store, target session.Target) (Restored, error) {
	start := time.Now()
	cfg.PacksOnly = false // who asks for nothing on demand has no use for siblings
	r := newRemote(cfg, store, target)
	l := newLibrary(r, target)
	if err := l.written.noteRestoration(restoration{start: start}); err != nil {
		return Restored{}, err
	}
	found, err := l.load(ctx, true, func(*manifests, error) {})
	switch {
	case err != nil && len(found.merged.Entries) == 0:
		return Restored{}, errorLine("fetch the manifest", err)
	case err != nil:
		r.complain("fetch the manifest", l.written.key(), err)
		err = nil
	}
	p := newPrefetch(r, l)
	unused := start.Add(-localdisk.Idle)
	p.install = func(e localdisk.Entry, body io.Reader) (isNew bool, err error) {
		if _, isNew, err = r.install(e, body); isNew {
			err = cfg.Local.SetUsed(e.Action, unused)
		}
		return isNew, err
	}
	p.begin(newPromises(found, true))
	p.bring(ctx, everything)
	counts, had, failed := p.outcome()
	for _, action := range had {
		_ = cfg.Local.SetUsed(action, unused) // if that fails the entry counts as used
	}
	if len(failed) > 0 {
		err = l.written.noteRestoration(restoration{start, failed})
	}
	return counts, errors.Join(context.Cause(ctx), err)
}

// outcome counts what became of the manifest's entries. It returns the actions that
// the local tier had before, and of those that the store does not have.
func (p *prefetch) outcome() (counts Restored, had, failed []protocol.ActionID) {
	for i, s := range p.states.all() {
		e := &p.merged.Entries[i]
		switch s {
		case present:
			counts.Present++
			had = append(had, e.Action)
		case brought:
			counts.Entries++
			counts.Bytes += e.Size
		case forfeited:
			counts.Failed++
			failed = append(failed, e.Action)
		default: // there was no time, or a fault
			if !isHomebound(e.Action, e.Inline) {
				counts.Failed++
			}
		}
	}
	return counts, had, failed
}

// restoration is what a Restore tells the Save after it.
type restoration struct {
	start  time.Time           // when it began
	failed []protocol.ActionID // those whose entries the store does not have
}

// restorationPath returns the path of the note about the last Restore: a file beside
// the copy of the manifest. It holds a line with the start, in Unix nanoseconds, and
// one for each action that failed.
func (m *manifests) restorationPath() string { return m.copy + ".restored" }

// noteRestoration writes the note.
func (m *manifests) noteRestoration(r restoration) error {
	var b strings.Builder
	fmt.Fprintln(&b, r.start.UnixNano())
	for _, action := range r.failed {
		fmt.Fprintln(&b, action)
	}
	return session.WriteFile(m.restorationPath(), []byte(b.String()))
}

// lastRestoration returns the note of the last Restore, if there is one.
func (m *manifests) lastRestoration() (r restoration, ok bool) {
	content, err := os.ReadFile(m.restorationPath())
	if err != nil {
		return restoration{}, false
	}
	lines := strings.Fields(string(content))
	if len(lines) == 0 {
		return restoration{}, false
	}
	nanos, err := strconv.ParseInt(lines[0], 10, 64)
	if err != nil {
		return restoration{}, false
	}
	r.start = time.Unix(0, nanos)
	for _, line := range lines[1:] {
		id, err := hex.DecodeString(line)
		if err != nil || len(id) != len(protocol.ActionID{}) {
			return restoration{}, false
		}
		r.failed = append(r.failed, protocol.ActionID(id))
	}
	return r, true
}
