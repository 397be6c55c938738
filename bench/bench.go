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

// Config says what Run measures, and how.
type Config struct {
	Command []string // the go command and its arguments
	Environ []string // environment of Command, and of larder as its helper
	Helper  string   // path of larder

	Remote string // URL of a store that nobody else uses, and that Run empties; "": a directory
	Open   func(url string, counters *backend.Counters) backend.Store

	// Restore brings the entries that the manifest in store names to the
	// local tier in dir. url is the URL of store.
	Restore func(ctx context.Context, dir, url string, store backend.Store) error

	// Upload puts an entry object, with the body, into a scope of store for each entry of
	// the local tier in dir, and closes store. temp is an empty folder.
	Upload func(ctx context.Context, dir, temp, scope string, store backend.Store) error

	Edit   string // absolute path of a file to change; "": none
	Repeat int    // how often each scenario is run

	PacksOnly bool // larder writes no entry objects, so none can be asked for one by one

	Begin func(what string, done, total int) // called before each run; done of total runs have ended
	Warn  func(string)                       // called with each line of the helper's warnings, once
}

// ErrNotBuilt says that the file to edit is not part of the build.
var ErrNotBuilt = errors.New("is not part of the build")

// Run runs each scenario cfg.Repeat times and returns the medians. When it returns,
// every process that it started has ended, and all files and objects that they wrote
// are removed. If ctx ends before, the error wraps its cause.
func Run(ctx context.Context, cfg Config) (results []Result, err error) {
	removeOldRoots()
	root, err := os.MkdirTemp("", rootPrefix)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, removeAll(root)) }()
	b := &bench{Config: cfg, root: root, warned: make(map[string]bool)}
	scenarios := slices.DeleteFunc(scenarios(), func(sc scenario) bool {
		return sc.edit && cfg.Edit == "" || sc.name == perRequest && cfg.PacksOnly
	})
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

// rootPrefix begins the names of the temporary folders of all runs.
const rootPrefix = "larder-bench-"

// removeOldRoots removes what runs that were killed left more than a day ago.
func removeOldRoots() {
	roots, _ := os.ReadDir(os.TempDir()) // what can't be read stays
	for _, e := range roots {
		if !strings.HasPrefix(e.Name(), rootPrefix) {
			continue
		}
		path := filepath.Join(os.TempDir(), e.Name())
		info, err := e.Info()
		if err == nil && time.Since(info.ModTime()) > 24*time.Hour && os.Chmod(path, 0o700) == nil { // it is ours
			_ = removeAll(path) // or the next time
		}
	}
}

// bench is one call of Run.
type bench struct {
	Config
	root    string   // temporary folder
	goFlags string   // GOFLAGS in effect
	goEnv   []string // variables with which the go command uses its own cache
	warned  map[string]bool
}

// round is one run of each scenario. Its remote is empty at the beginning.
type round struct {
	*bench
	dir    string
	remote string
	native string   // folder of the go command's cache, which is warm after its first use
	local  string   // folder of larder's local tier, which is warm after its first use
	edit   []string // variables for a build of the edited file; nil before those builds
	used   []string // the folders that fresh has returned
}

// round runs each scenario once and adds a sample to each scenario's. It calls begin
// with the index of the next scenario.
func (b *bench) round(ctx context.Context, name string, scenarios []scenario, samples [][]sample, begin func(int)) (err error) {
	r := &round{bench: b, dir: filepath.Join(b.root, name)}
	r.native, r.local = filepath.Join(r.dir, "native"), filepath.Join(r.dir, "larder")
	if r.remote, err = b.remoteOf(name); err != nil {
		return err
	}
	defer func() {
		// settle first: the processes of this round must not write any more.
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

// fresh returns the path of a new folder for the current scenario. The folder stays until
// the round ends, because after many files were removed some file systems take many
// times as long to create files.
func (r *round) fresh() string {
	dir := filepath.Join(r.dir, fmt.Sprintf("fresh-%d", len(r.used)))
	r.used = append(r.used, dir)
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

// clearLimit is how long clear may take, and clearRequests is how many requests it sends
// at once.
const (
	clearLimit    = 5 * time.Minute
	clearRequests = 32
)

// clear removes all objects from the remote at url, also after an interrupt.
func (b *bench) clear(url string) error {
	if b.Remote == "" {
		return nil // the remote is removed with the temporary folder
	}
	ctx, cancel := context.WithTimeout(context.Background(), clearLimit)
	defer cancel()
	store := b.Open(url, new(backend.Counters))
	defer store.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(clearRequests)
	var errList error
	for obj, err := range store.List(ctx, "") {
		if err != nil {
			errList = err
			break
		}
		group.Go(func() error { return store.Delete(ctx, obj.Key, "") })
	}
	if err := errors.Join(group.Wait(), errList); err != nil {
		return fmt.Errorf("remove what was measured from the remote: %w", err)
	}
	return nil
}
