package bench

import (
	"context"
	"time"

	"github.com/larderbuild/larder/backend"
)

// These are the names of scenarios that other files use.
const (
	noCache    = "native cold"
	nativeWarm = "native warm"
	larderCold = "larder cold, remote empty"
	perRequest = "entry per request"
)

// scenario is one way to get the result of a build.
type scenario struct {
	name string
	edit bool // whether it builds the edited file
	run  func(*round, context.Context) (sample, error)
}

// sample has the time and the requests of one run of a scenario.
type sample struct {
	took time.Duration
	backend.Counts
}

// scenarios returns all scenarios in the order in which a round runs them. The second one
// fills the round's remote.
func scenarios() []scenario {
	return []scenario{
		{noCache, false, (*round).nativeCold},
		{larderCold, false, (*round).larderCold},
		{nativeWarm, false, (*round).nativeWarm},
		{"larder local warm", false, (*round).localWarm},
		{"floor", false, (*round).floor},
		{"larder remote warm", false, (*round).remoteWarm},
		{"larder remote warm, all bytes", false, (*round).remoteWarmEager},
		{perRequest, false, (*round).entryPerRequest},
		{"tarball", false, (*round).tarball},
		{"native warm, edited", true, (*round).nativeWarm},
		{"larder remote warm, all bytes, edited", true, (*round).remoteWarmEager},
		{"larder remote warm, edited", true, (*round).remoteWarm},
	}
}

func (r *round) nativeCold(ctx context.Context) (s sample, err error) {
	s.took, err = r.nativeBuild(ctx, r.native)
	return s, err
}

func (r *round) nativeWarm(ctx context.Context) (sample, error) { return r.nativeCold(ctx) }

func (r *round) larderCold(ctx context.Context) (sample, error) { return r.larderBuild(ctx, r.local) }

func (r *round) localWarm(ctx context.Context) (sample, error) { return r.larderBuild(ctx, r.local) }

// remoteWarm builds with an empty local tier, as on a new machine.
func (r *round) remoteWarm(ctx context.Context) (sample, error) {
	return r.larderBuild(ctx, r.fresh())
}

// remoteWarmEager is remoteWarm, but fetches the whole of each archive that the build asks
// for. It does not upload what it makes, so that the next scenario must make it, too.
func (r *round) remoteWarmEager(ctx context.Context) (sample, error) {
	return r.larderBuild(ctx, r.fresh(), "LARDER_BYTES=eager", "LARDER_READONLY=true")
}

// entriesScope is a scope that has entry objects, with all bodies, and nothing else.
const entriesScope = "entries"

// entryPerRequest is remoteWarm without manifests and packs: what is not here is looked up.
func (r *round) entryPerRequest(ctx context.Context) (s sample, err error) {
	store := r.Open(r.remote, new(backend.Counters))
	if err := r.Upload(ctx, r.local, r.fresh(), entriesScope, store); err != nil {
		return s, err
	}
	return r.larderBuild(ctx, r.fresh(), "LARDER_BENCH_PREFETCH=false", "LARDER_READONLY=true",
		"LARDER_SCOPE="+entriesScope, "LARDER_READ_SCOPES="+entriesScope)
}

// floor does only the part of remoteWarmEager that every helper must do: it fetches,
// verifies, unpacks and writes the entries. It does not run the go command.
func (r *round) floor(ctx context.Context) (s sample, err error) {
	var counters backend.Counters
	store := r.Open(r.remote, &counters)
	defer store.Close()
	dir := r.fresh()
	start := time.Now()
	err = r.Restore(ctx, dir, r.remote, store)
	return sample{time.Since(start), counters.Snapshot()}, err
}

// tarball fetches the go command's whole cache as one object, unpacks it, and builds with
// it, without larder.
func (r *round) tarball(ctx context.Context) (s sample, err error) {
	if err := r.storeTarball(ctx, r.native); err != nil {
		return s, err
	}
	var counters backend.Counters
	store := r.Open(r.remote, &counters)
	defer store.Close()
	dir := r.fresh()
	start := time.Now()
	if err := fetchTarball(ctx, store, dir); err != nil {
		return s, err
	}
	s.took = time.Since(start)
	s.Counts = counters.Snapshot()
	took, err := r.nativeBuild(ctx, dir)
	s.took += took
	return s, err
}
