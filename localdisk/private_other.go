//go:build !unix

package localdisk

// CheckPrivate always returns nil on this system, because mode bits say nothing on
// Windows. The default directory lies in the user's profile, and the access control
// list of that keeps others out. CheckPrivate does not read such lists, so a folder
// that LARDER_DIR names is as private as the user has made it.
func CheckPrivate(string) error { return nil }
