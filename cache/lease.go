package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/larderbuild/larder/backend"
)

// leaseTime is how long the lease of a process that was killed keeps others from rewriting
// packs. It is no shorter than a compaction takes.
const leaseTime = 15 * time.Minute

// maxLease is the size in bytes of the largest object of a lease.
const maxLease = 100

// lease is the right to rewrite the packs of one profile in one scope, as an object in the
// remote. It only saves work: two that rewrite the same packs lose nothing, since the
// manifest of one of them wins.
//
// The object is a line: the time at which the lease ends, in Unix seconds, and a text that
// no other lease has.
type lease struct {
	manifests *manifests
	version   string // of the object
}

// takeLease returns the lease, or nil if another process has it. Where the store has no
// conditional puts two processes may get it at the same moment.
func (m *manifests) takeLease(ctx context.Context) (*lease, error) {
	until, version, err := m.leaseTaken(ctx)
	if err != nil {
		return nil, err
	}
	if left := time.Until(until); left > 0 && left <= leaseTime { // else it is over, or its clock was wrong
		return nil, nil
	}
	stored, err := m.replace(ctx, leaseName(m.profile), leaseUntil(time.Now().Add(leaseTime)), version)
	if isContention(err) {
		return nil, nil
	}
	return &lease{m, stored.Version}, err
}

// leaseTaken returns until when the lease is taken, and the version of its object, both zero
// if there is none.
func (m *manifests) leaseTaken(ctx context.Context) (until time.Time, version string, err error) {
	body, info, err := m.remote.store.Get(ctx, key(m.scope, leaseName(m.profile)), backend.Range{})
	if errors.Is(err, backend.ErrNotFound) {
		return time.Time{}, "", nil
	}
	if err != nil {
		return time.Time{}, "", err
	}
	defer body.Close()
	line, err := io.ReadAll(io.LimitReader(body, maxLease))
	var seconds int64
	_, _ = fmt.Sscan(string(line), &seconds) // what is no lease is over
	return time.Unix(seconds, 0), info.Version, err
}

// release gives the lease back. If that fails it ends in time.
func (l *lease) release(ctx context.Context) {
	if _, err := l.manifests.replace(ctx, leaseName(l.manifests.profile), leaseUntil(time.Unix(0, 0)), l.version); err != nil {
		l.manifests.remote.Log.Info("give the right to rewrite packs back", "err", err)
	}
}

// leaseUntil returns the object of a lease that ends at until.
func leaseUntil(until time.Time) []byte {
	return fmt.Appendf(nil, "%d %s\n", until.Unix(), rand.Text())
}
