package cache

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/larderbuild/larder/pack"
)

// Kind is what the object of a key is.
type Kind uint8

const (
	Foreign         Kind = iota // of another tool, or of a version of larder with other keys
	EntryObject                 // its key names no format: any version may have written it
	Pack                        // the same
	Manifest                    // in the format of this version
	OldManifest                 // of an earlier version, which this one does not read
	UnknownManifest             // of a later version, or whatever else lies among manifests
	Note                        // about the manifests of one module, such as its roster
	Lease                       // of the packs of one profile
)

// Key is a key of a store, taken apart.
type Key struct {
	Kind   Kind
	Scope  string  // of all but what is foreign
	Name   string  // the rest of the key, below the scope
	Pack   pack.ID // of a pack
	Module string  // of a manifest or a note: how the names of all of the module's begin
}

// ParseKey takes a key below the user's prefix apart.
func ParseKey(key string) Key {
	below, ok := strings.CutPrefix(key, "v1/")
	scope, name, found := strings.Cut(below, "/")
	if !ok || !found || CheckScope(scope) != nil {
		return Key{}
	}
	k := Key{Scope: scope, Name: name}
	switch parts := strings.Split(name, "/"); parts[0] {
	case "a", "p":
		id, ok := parseID(parts)
		if !ok {
			return Key{}
		}
		if k.Kind = EntryObject; parts[0] == "p" {
			k.Kind, k.Pack = Pack, id
		}
	case "m":
		k.Kind = kindOfManifest(parts)
		k.Module = name[:strings.LastIndexByte(name, '/')+1]
	case "l":
		if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
			return Key{}
		}
		k.Kind = Lease
	default:
		return Key{}
	}
	return k
}

// parseID returns the hash that a key names whose parts are a letter, the beginning of the
// hash, and the hash.
func parseID(parts []string) (id [32]byte, ok bool) {
	if len(parts) != 3 || len(parts[2]) != hex.EncodedLen(len(id)) || parts[1] != parts[2][:2] || strings.ToLower(parts[2]) != parts[2] {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(parts[2]))
	return id, err == nil
}

// kindOfManifest returns the kind of an object with these parts of its name, of which the
// first is m. The second one is the version of the format, and the last one the profile.
func kindOfManifest(parts []string) Kind {
	var version int
	if len(parts) != 4 || parts[2] == "" || parts[3] == "" {
		return UnknownManifest
	}
	if _, err := fmt.Sscanf(parts[1], "v%d", &version); err != nil || parts[1] != fmt.Sprintf("v%d", version) || version > pack.Version {
		return UnknownManifest
	}
	switch {
	case strings.HasPrefix(parts[3], "@"): // which no name of a profile has
		return Note
	case version < pack.Version:
		return OldManifest
	}
	return Manifest
}
