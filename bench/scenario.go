package bench

import (
	"context"
	"time"

	"github.com/larderbuild/larder/backend"
)

// The scenarios that are known by their names elsewhere.
const (
	noCache    = "native cold"
	nativeWarm = "native warm"
	larderCold = "larder cold, remote empty"
)

// scenario is one way to come to a build's result.
type scenario struct {
	name string
	edit bool // the build is that of the edited file
	run  func(*round, context.Context) (sample, error)
}

// sample is what one run of a scenario took.
type sample struct {
	took time.Duration
	backend.Counts
}

// scenarios returns all of them in the order in which they are run. Each round
// has a remote of its own, which the second one fills.
func scenarios() []scenario {
	return []scenario{
		{noCache, false, (*round).nativeCold},
		{larderCold, false, (*round).larderCold},
		{nativeWarm, false, (*round).nativeWarm},
		{"larder local warm", false, (*round).localWarm},
		{"floor", false, (*round).floor},
		{"larder remote warm", false, (*round).remoteWarm},
		{"larder remote warm, all bytes", false, (*round).remoteWarmEager},
		{"entry per request", false, (*round).entryPerRequest},
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

// remoteWarm builds on what stands for a fresh machine.
func (r *round) remoteWarm(ctx context.Context) (sample, error) {
	return r.larderBuild(ctx, r.fresh())
}

// remoteWarmEager is remoteWarm with every archive that the build asks for,
// whether it is read or not. What it makes it keeps to itself, so that the next
// one has it to make, too.
func (r *round) remoteWarmEager(ctx context.Context) (sample, error) {
	return r.larderBuild(ctx, r.fresh(), "LARDER_BYTES=eager", "LARDER_READONLY=true")
}

// entryPerRequest is remoteWarm without knowing beforehand what will be asked.
func (r *round) entryPerRequest(ctx context.Context) (sample, error) {
	return r.larderBuild(ctx, r.fresh(), "LARDER_BENCH_PREFETCH=false")
}

// floor does the part of remoteWarmEager that no helper can do without: it
// fetches, verifies, unpacks and writes, and runs no go command.
func (r *round) floor(ctx context.Context) (s sample, err error) {
	var counters backend.Counters
	store := r.Open(r.remote, &counters)
	defer store.Close()
	dir := r.fresh()
	start := time.Now()
	err = r.Restore(ctx, dir, r.remote, store)
	return sample{time.Since(start), counters.Snapshot()}, err
}

// tarball fetches the whole native cache as one object, unpacks it, and builds
// natively.
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
