package modindex

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
)

// IsOfModule reports whether index, which has the given key and one package, is that of a
// whole module in the module cache, made by the go command of goroot. It does not find out
// where the package imports nothing: then the index does not say where the module lies.
func IsOfModule(goroot string, key [sha256.Size]byte, index []byte) bool {
	if goroot == "" {
		return false
	}
	for s := range stringsOf(index) {
		if filepath.IsAbs(s) { // a file of the one package, which lies in the module's folder
			goVersion, _ := readVersion(goroot)
			return goVersion != "" && moduleKey(filepath.Dir(s), goVersion) == key
		}
	}
	return false
}

// moduleKey returns the key of the index of the module in root, as moduleHash in Go's
// cmd/go/internal/modindex computes it.
func moduleKey(root, goVersion string) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%smodule index %s %s %v\n", goVersion, goVersion, version, root))
}
