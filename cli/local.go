package cli

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/larderbuild/larder/localdisk"
)

// openLocal returns the local tier in dir, which it makes where there is none. It
// refuses one in which somebody else could change what is built from it.
func openLocal(dir string) (*localdisk.Dir, error) {
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = localdisk.CheckPrivate(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("LARDER_DIR: %w", err)
	}
	return localdisk.New(dir), nil
}

// localOrTemporary is openLocal for a session, which needs a place for what the go
// command puts, and has a private one for itself where there can be no other.
func localOrTemporary(dir string, log *slog.Logger) (*localdisk.Dir, error) {
	local, err := openLocal(dir)
	if err == nil {
		return local, nil
	}
	temp, errTemp := os.MkdirTemp("", "larder-")
	if errTemp != nil {
		return nil, errTemp
	}
	log.Error(fmt.Sprintf("%v; this session uses %s instead", err, temp))
	return localdisk.New(temp), nil
}
