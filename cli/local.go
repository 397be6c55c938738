package cli

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/larderbuild/larder/localdisk"
)

// openLocal returns the local tier in dir, which need not exist. It refuses a folder
// that other people can write to: they could change what is built from it.
func openLocal(dir string) (*localdisk.Dir, error) {
	if err := localdisk.CheckPrivate(dir); err != nil {
		return nil, fmt.Errorf("LARDER_DIR: %w", err)
	}
	return localdisk.New(dir), nil
}

// localOrTemporary returns the local tier in dir for a session, which needs one to
// store what the go command puts. It makes the folder. Where that fails, or where
// other people can write to it, the session gets a temporary folder.
func localOrTemporary(dir string, log *slog.Logger) (*localdisk.Dir, error) {
	err := os.MkdirAll(dir, 0o700) // before the check: another process may make it in between
	if err == nil {
		err = localdisk.CheckPrivate(dir)
	}
	if err == nil {
		return localdisk.New(dir), nil
	}
	temp, errTemp := os.MkdirTemp("", "larder-")
	if errTemp != nil {
		return nil, errTemp
	}
	log.Error(fmt.Sprintf("LARDER_DIR: %v; this session uses %s instead", err, temp))
	return localdisk.New(temp), nil
}
