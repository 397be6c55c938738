package cli

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/larderbuild/larder/localdisk"
)

// openLocal returns the local tier in dir, where there may be none. It refuses one
// in which somebody else could change what is built from it.
func openLocal(dir string) (*localdisk.Dir, error) {
	if err := localdisk.CheckPrivate(dir); err != nil {
		return nil, fmt.Errorf("LARDER_DIR: %w", err)
	}
	return localdisk.New(dir), nil
}

// localOrTemporary is openLocal for a session, which needs a place for what the go
// command puts: one that it makes, or a private one for itself.
func localOrTemporary(dir string, log *slog.Logger) (*localdisk.Dir, error) {
	err := os.MkdirAll(dir, 0o700) // before the look at it: others may be quicker
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
