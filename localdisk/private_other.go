//go:build !unix

package localdisk

// CheckPrivate is always nil here: mode bits say nothing on Windows. The default
// directory lies in the user's profile, whose access control list keeps others
// out; lists are not read, so that another LARDER_DIR is as private as its is.
func CheckPrivate(string) error { return nil }
