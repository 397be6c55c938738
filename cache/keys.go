package cache

import (
	"encoding/hex"
	"net/url"

	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// key returns the key of an object below a scope.
func key(scope, name string) string { return "v1/" + scope + "/" + name }

// entryKey returns the key of action's entry object in a scope.
func entryKey(scope string, action protocol.ActionID) string {
	id := action.String()
	return key(scope, "a/"+id[:2]+"/"+id)
}

// packKey returns the key of a pack.
func packKey(p pack.Pack) string {
	id := hex.EncodeToString(p.ID[:])
	return key(p.Scope, "p/"+id[:2]+"/"+id)
}

// MaxProfile is the length in bytes of the longest name of a profile.
const MaxProfile = 200

// manifestName returns the name, below a scope, of the manifest of p.
func manifestName(p session.Profile) string {
	return "m/" + url.QueryEscape(p.Module) + "/" + url.QueryEscape(p.Name)
}

// latestName returns the name, below a scope, of the object that says which of the
// module's profiles was published last. No manifest has this name: escaping yields
// no @.
func latestName(module string) string { return "m/" + url.QueryEscape(module) + "/@latest" }
