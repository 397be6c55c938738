package session

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// Target says where a session's work goes: to a remote, to the scope in it that the
// session writes, and to the manifest of a profile there.
type Target struct {
	Remote  string   // URL
	Scope   string   // the scope that is written
	Read    []string // the scopes that are read, in this order; none: Scope alone
	Profile Profile  // zero: none
}

// Profile names builds that ask for the same things.
type Profile struct {
	Module string // path of the main module
	Name   string // tells the profiles of one module apart
}

// Reads returns the scopes that are read, in their order.
func (t Target) Reads() []string {
	if len(t.Read) == 0 {
		return []string{t.Scope}
	}
	return t.Read
}

// SameScope reports whether t and other write the same scope of the same remote.
func (t Target) SameScope(other Target) bool {
	return t.Remote == other.Remote && t.Scope == other.Scope
}

// equal reports whether t and other are the same target.
func (t Target) equal(other Target) bool {
	return t.SameScope(other) && t.Profile == other.Profile && slices.Equal(t.Reads(), other.Reads())
}

// scopeID returns a name for files about t's remote and scope.
func (t Target) scopeID() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q", t.Remote, t.Scope))
	return hex.EncodeToString(sum[:16])
}
