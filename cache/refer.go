package cache

import (
	"bytes"
	"context"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// largeBody is the size in bytes over which a body is not uploaded twice. If it lies in a
// pack, its entry object is a referral to the manifest that names the pack.
const largeBody = 16 << 10

// packed says which bodies the remote has from a publication. The zero value has none.
type packed struct {
	reference string // to the manifest that names them
	entries   map[protocol.ActionID]*pack.Entry
}

// packed returns what the profile's own manifest names. p is nil if nothing could be
// published.
func (p *publisher) packed() packed {
	if p == nil || p.current.Manifest == nil {
		return packed{}
	}
	return packed{p.current.name, byAction(p.current.Manifest)}
}

// has reports whether the body of up is among those of p.
func (p packed) has(up session.Upload) bool {
	e := p.entries[up.Action]
	return e != nil && e.Output == up.Output
}

// expectPacks has large bodies wait until refer is called: a publication may pack them.
func (u *uploader) expectPacks() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.packing = true
}

// awaitRiders has the uploads of subkeys wait, as the large body does with which they may ride.
// The caller holds u.mu.
func (u *uploader) awaitRiders(subkeys []protocol.ActionID) {
	if !u.packing || u.hurried {
		return
	}
	if u.subkeys == nil {
		u.subkeys = make(map[prefix]bool)
	}
	for _, subkey := range subkeys {
		u.subkeys[prefixOf(subkey)] = true
	}
}

// refer has large bodies wait no longer. Those that p has are not uploaded.
func (u *uploader) refer(p packed) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.packing, u.packed = false, p
	u.change.Broadcast()
}

// expectsPacks reports whether large bodies wait.
func (u *uploader) expectsPacks() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.packing && len(u.queue) > 0 && u.queue[len(u.queue)-1].size > largeBody
}

// refers reports whether p's entry object is to be a referral. The caller holds u.mu.
func (u *uploader) refers(p *parcel) bool { return p.size > largeBody && u.packed.has(p.Upload) }

// weight returns how many bytes the bodies have that p's entry object brings. The caller
// holds u.mu.
func (u *uploader) weight(p *parcel) int64 {
	if u.refers(p) {
		return p.bytes() - p.size
	}
	return p.bytes()
}

// putReferral puts p's entry object, a referral. Its errors are those of putEntry.
func (u *uploader) putReferral(ctx context.Context, p *parcel) error {
	e, _, err := u.find(p.Upload)
	if err != nil {
		return err
	}
	object, err := entry.EncodeReferral(p.header(e), u.packed.reference, u.signer(), u.board(p)...)
	if err != nil {
		return err
	}
	_, err = u.store.Put(ctx, entryKey(u.scope, p.Action), bytes.NewReader(object), backend.OptionsOf(object))
	return err
}
