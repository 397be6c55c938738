//go:build !linux

package localdisk

// exchange renames temp to path, as replace does.
func exchange(temp, path string) error { return replace(temp, path, nil) }

// renameNew renames temp to path unless a file has that name. Then its error wraps
// fs.ErrExist.
func renameNew(temp, path string) error { return linkNew(temp, path) }
