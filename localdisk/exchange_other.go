//go:build !linux

package localdisk

// exchange renames temp to path, as replace does.
func exchange(temp, path string) error { return replace(temp, path, nil) }
