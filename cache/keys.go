package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

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

// MaxName is the length in bytes of the longest name of a module or a profile.
const MaxName = 200

// maxEscapedName is the length in bytes of the longest name in a key, as a directory has
// it: a directory escapes what a key has escaped, and its file names have 255 bytes.
const maxEscapedName = 240

// ShortName returns name or, if it is too long for a key, its beginning and a digest.
func ShortName(name string) string {
	if fitsKey(name) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	digest := "-" + hex.EncodeToString(sum[:8])
	beginning := name[:min(len(name), MaxName-len(digest))]
	for !fitsKey(beginning + digest) {
		beginning = beginning[:len(beginning)-1]
	}
	return strings.ToValidUTF8(beginning, "") + digest // no half of a letter
}

func fitsKey(name string) bool {
	return len(name) <= MaxName && len(url.QueryEscape(url.QueryEscape(name))) <= maxEscapedName
}

// manifestName returns the name, below a scope, of the manifest of p.
func manifestName(p session.Profile) string {
	return manifestsOf(p.Module) + url.QueryEscape(p.Name)
}

// rosterName returns the name, below a scope, of the module's roster. No manifest has this
// name: escaping yields no @.
func rosterName(module string) string { return manifestsOf(module) + "@profiles" }

// leaseName returns the name, below a scope, of the lease of p.
func leaseName(p session.Profile) string {
	return fmt.Sprintf("l/%s/%s", url.QueryEscape(p.Module), url.QueryEscape(p.Name))
}

// manifestsOf returns how the names of a module's manifests begin. The version of their
// format is among it.
func manifestsOf(module string) string {
	return fmt.Sprintf("m/v%d/%s/", pack.Version, url.QueryEscape(module))
}
