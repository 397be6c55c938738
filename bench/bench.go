package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larderbuild/larder/backend"
)

// Config says what is measured, and with what.
type Config struct {
	Command []string // the go command and its arguments
	Environ []string // for Command, and for larder as its helper
	Helper  string   // larder's path

	Remote string // URL of a store that Run has for itself, and empties; "": a directory
	Open   func(url string, counters *backend.Counters) backend.Store

	// Restore brings what the manifest in store, which is at url, names to
	// the local tier in dir.
	Restore func(ctx context.Context, dir, url string, store backend.Store) error

	Edit   string // absolute path of a file to change; "": none
	Repeat int

	Begin func(what string, done, total int) // is told of each of so many runs
	Warn  func(string)                       // is told what the helper complains of, once
}

// ErrNotBuilt says that the file to edit makes no difference to the build.
var ErrNotBuilt = errors.New("is not part of the build")

// Run runs each scenario so often and returns the medians. When it returns,
// every process that it started has ended, and all that they wrote is gone. If
// ctx ends before, the error wraps its cause.
func Run(ctx context.Context, cfg Config) (results []Result, err error) {
	root, err := os.MkdirTemp("", "larder-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, removeAll(root)) }()
	b := &bench{Config: cfg, root: root, warned: make(map[string]bool)}
	scenarios := slices.DeleteFunc(scenarios(), func(sc scenario) bool { return sc.edit && cfg.Edit == "" })
	total := cfg.Repeat * len(scenarios)
	cfg.Begin("with your own cache", 0, total)
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	samples := make([][]sample, len(scenarios))
	for i := range cfg.Repeat {
		begin := func(n int) { cfg.Begin(scenarios[n].name, i*len(scenarios)+n, total) }
		if err := b.round(ctx, strconv.Itoa(i+1), scenarios, samples, begin); err != nil {
			return nil, err
		}
	}
	return summarize(scenarios, samples), nil
}

// bench is one run of everything.
type bench struct {
	Config
	root    string   // temporary folder
	goFlags string   // GOFLAGS, wherever they are set
	goEnv   []string // what keeps the go command to its own cache
	warned  map[string]bool
}

// round is one run of each scenario, with a remote that is empty at first.
type round struct {
	*bench
	dir    string
	remote string
	native string   // the go command's cache
	local  string   // larder's, likewise warm after its first use
	edit   []string // environment of a build of the edited file; nil where it is not
	spent  []string // folders that were fresh
}

// round adds a sample to those of each scenario; begin is told which is next.
func (b *bench) round(ctx context.Context, name string, scenarios []scenario, samples [][]sample, begin func(int)) (err error) {
	r := &round{bench: b, dir: filepath.Join(b.root, name)}
	r.native, r.local = filepath.Join(r.dir, "native"), filepath.Join(r.dir, "larder")
	if r.remote, err = b.remoteOf(name); err != nil {
		return err
	}
	defer func() {
		// The processes of this round must not write any more.
		err = errors.Join(err, r.settle(), b.clear(r.remote), removeAll(r.dir))
	}()
	for i, sc := range scenarios {
		begin(i)
		if sc.edit && r.edit == nil {
			if r.edit, err = b.overlay(filepath.Join(r.dir, "edit"), change()); err != nil {
				return err
			}
		}
		s, err := sc.run(r, ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", sc.name, err)
		}
		samples[i] = append(samples[i], s)
	}
	return nil
}

// fresh returns a folder for the scenario under way. It stays until the round ends:
// where many files have just been removed, some file systems take many times as long
// to make others.
func (r *round) fresh() string {
	dir := filepath.Join(r.dir, fmt.Sprintf("fresh-%d", len(r.spent)))
	r.spent = append(r.spent, dir)
	return dir
}

// remoteOf returns the URL of a round's remote.
func (b *bench) remoteOf(round string) (string, error) {
	if b.Remote != "" {
		u, err := url.Parse(b.Remote)
		if err != nil {
			return "", err
		}
		return u.JoinPath(round).String(), nil
	}
	path := filepath.ToSlash(filepath.Join(b.root, "remote", round))
	return (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(path, "/")}).String(), nil
}

// clearing is how long the removal of what a round left in the remote may take,
// and how many requests do it.
const (
	clearing         = 5 * time.Minute
	clearingRequests = 32
)

// clear removes everything from the remote at url, also after an interrupt.
func (b *bench) clear(url string) error {
	if b.Remote == "" {
		return nil // it goes with the temporary folder
	}
	ctx, cancel := context.WithTimeout(context.Background(), clearing)
	defer cancel()
	store := b.Open(url, new(backend.Counters))
	defer store.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(clearingRequests)
	var errList error
	for obj, err := range store.List(ctx, "") {
		if err != nil {
			errList = err
			break
		}
		group.Go(func() error { return store.Delete(ctx, obj.Key) })
	}
	if err := errors.Join(group.Wait(), errList); err != nil {
		return fmt.Errorf("remove what was measured from the remote: %w", err)
	}
	return nil
}
