package cache

import "net/url"

// Profile names builds that will ask for the same things.
type Profile struct {
	Module string // path of the main module
	Name   string // what tells the module's profiles apart
}

// MaxProfile is the length in bytes of the longest name of a profile.
const MaxProfile = 200

// key returns the key of the profile's manifest, below its scope.
func (p Profile) key() string {
	return "m/" + url.QueryEscape(p.Module) + "/" + url.QueryEscape(p.Name)
}

// latestKey returns the key of the object that names the module's profile that
// was published last. No profile's key is like it: escaping yields no @.
func (p Profile) latestKey() string { return "m/" + url.QueryEscape(p.Module) + "/@latest" }
