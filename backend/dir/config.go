package dir

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/larderbuild/larder/backend"
)

// Config is what a file URL says.
type Config struct {
	Dir string // absolute
}

// ParseConfig reads file:///abs/dir, on Windows file:///C:/dir. It does not use
// the file system.
func ParseConfig(rawURL string) (Config, error) {
	u, _, err := backend.ParseURL(rawURL)
	if err != nil {
		return Config{}, err
	}
	if u.Host != "" && u.Host != "localhost" { // which is the same
		return Config{}, fmt.Errorf("a file URL has no host, and %q stands in its place: write file:///%s/… for an absolute path", u.Host, u.Host)
	}
	path, example := u.Path, "file:///abs/dir"
	if runtime.GOOS == "windows" {
		path, example = strings.TrimPrefix(path, "/"), "file:///C:/abs/dir"
	}
	if path == "" || path == "/" {
		return Config{}, errors.New("the directory is missing: write " + example)
	}
	dir := filepath.Clean(filepath.FromSlash(path))
	if !filepath.IsAbs(dir) {
		return Config{}, fmt.Errorf("directory %q must be absolute: write %s", path, example)
	}
	return Config{Dir: dir}, nil
}
