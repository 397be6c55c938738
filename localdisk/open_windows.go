package localdisk

import (
	"os"
	"path/filepath"
)

// openShared opens the file at path for reading. It shares the file with those who rename
// or remove it, which os.Open does not: a file that another process replaces at this moment
// would not open, and would not be replaced while it is open.
func openShared(path string) (*os.File, error) {
	return os.OpenInRoot(filepath.Dir(path), filepath.Base(path))
}
