//go:build !unix

package localdisk

// CheckPrivate always returns nil, because mode bits mean nothing on Windows. The
// access control list of the user's profile, in which the default directory lies,
// keeps others out. CheckPrivate does not read such lists, so it does not notice if
// others can write to another LARDER_DIR.
func CheckPrivate(string) error { return nil }
