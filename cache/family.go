package cache

import (
	"time"

	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// holdFor returns for how long an upload is held. The go command asks for an action before
// it puts it, but not for a subkey. So what was not missed may be a subkey, and its parent
// something that was missed and is not put yet. What was missed may have subkeys that follow:
// vet puts what it prints last.
func (c *Cache) holdFor(missed bool) time.Duration {
	switch {
	case missed:
		return forAMoment
	case c.publishing.costs.unanswered():
		return forItsParent
	}
	return 0
}

// queueUpload queues an upload.
func (c *Cache) queueUpload(up queued, hold time.Duration) {
	if err := c.publishing.uploads.add(up.Upload, up.size, hold); err != nil {
		c.Log.Info("note a put in the journal", "action", up.Action, "err", err)
	}
}

// queueFamily queues uploads of which the last one takes the others along.
func (c *Cache) queueFamily(members []queued) {
	last := len(members) - 1
	for _, m := range members[:last] {
		c.queueUpload(m, forItsParent)
	}
	c.queueUpload(members[last], 0)
}

// family returns what goes out once more because of put, the parent last. If put replaces
// the output of a subkey, the remote may have that output in the parent's entry object,
// where others find it first. A session that signs does not vouch for what it may only have
// found, so it leaves that object as it is.
func (c *Cache) family(put protocol.Put) []queued {
	if c.publishing == nil || c.Policy.Key != nil {
		return nil
	}
	before, _, err := c.Local.Get(put.ActionID)
	if err != nil || before.Output == put.OutputID {
		return nil
	}
	parent, ok, _ := c.lookups.kin.parent(put.ActionID)
	if !ok {
		return nil
	}
	var members []queued
	for _, action := range subkeysOf(c.Local, parent) {
		if action != put.ActionID {
			members = c.appendFound(members, action)
		}
	}
	siblings := len(members)
	if members = c.appendFound(members, parent); len(members) == siblings {
		return nil
	}
	return members
}

// appendFound appends the upload of action's entry, if the local tier has one that may be
// uploaded.
func (c *Cache) appendFound(uploads []queued, action protocol.ActionID) []queued {
	e, _, err := c.Local.Get(action)
	if err != nil || e.Size > c.MaxObject {
		return uploads
	}
	return append(uploads, queued{session.Upload{Action: action, Output: e.Output}, e.Size})
}
