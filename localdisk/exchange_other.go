//go:build !linux

package localdisk

import "github.com/rogpeppe/go-internal/robustio"

// exchange renames temp to path. Windows may need several tries.
func exchange(temp, path string) error { return robustio.Rename(temp, path) }

// renameNew renames temp to path unless a file has that name. Then its error wraps
// fs.ErrExist.
func renameNew(temp, path string) error { return linkNew(temp, path) }
