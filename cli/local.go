package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/larderbuild/larder/localdisk"
)

var errNoDir = errors.New("no folder is set, and there is no default without a home directory")

// openLocal returns the local tier for LARDER_DIR, which is "" if it has no value. Every
// command finds the same one. If others can write to LARDER_DIR it is the user's own
// folder there. If LARDER_DIR can't be used it is a private folder, in the temporary
// folder. That also takes what does not fit into LARDER_DIR. What can be read of a
// LARDER_DIR that can't be written is still found.
func openLocal(dir string, log *slog.Logger) *localdisk.Dir {
	given, err := openGiven(dir, log)
	if err == nil && given.Room(0) <= 0 {
		// A session that begins there could not even keep its journal.
		if own, errOwn := openOwn(true); errOwn == nil && own.Room(0) > 0 {
			err = fmt.Errorf("%s: the disk is nearly full", given.Path())
		}
	}
	if err == nil {
		return given.WithSpare(func(refusal error) (*localdisk.Dir, error) {
			private, err := openPrivate(dir, refusal != nil)
			if err == nil && refusal != nil {
				sayOnce(private, log, fmt.Sprintf("LARDER_DIR: %s: %v; what does not fit there goes to %s", given.Path(), reason(refusal), private.Path()))
			}
			return private, err
		})
	}
	private, errPrivate := openPrivate(dir, true)
	if errPrivate == nil {
		errPrivate = private.CheckWritable()
	}
	if errPrivate != nil {
		log.Error(fmt.Sprintf("LARDER_DIR: %v; and no other folder: %v", err, errPrivate))
		if given == nil {
			given = localdisk.New(filepath.Join(os.DevNull, "larder")) // finds and stores nothing
		}
		return given
	}
	sayOnce(private, log, fmt.Sprintf("LARDER_DIR: %v; larder uses %s instead", err, private.Path()))
	if given == nil {
		return private
	}
	return private.WithSpare(func(error) (*localdisk.Dir, error) { return given, nil })
}

// openGiven returns the local tier in dir, which it makes. It returns an error beside it
// if it can be read and not written.
func openGiven(dir string, log *slog.Logger) (*localdisk.Dir, error) {
	if dir == "" {
		return nil, errNoDir
	}
	if !utf8.ValidString(dir) || strings.Contains(dir, "\n") {
		return nil, fmt.Errorf("%q: the go command can't pass it on: want UTF-8 without line breaks", dir)
	}
	// Make it before the check: another process may make it in between.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	d := localdisk.New(dir)
	flaw := localdisk.CheckPrivate(dir)
	if flaw != nil {
		own, err := localdisk.OpenOwn(dir, true)
		if err != nil {
			return nil, flaw
		}
		d = own
	}
	if err := d.CheckWritable(); err != nil {
		return d, fmt.Errorf("%s: %w", d.Path(), reason(err))
	}
	if flaw != nil {
		sayOnce(d, log, fmt.Sprintf("LARDER_DIR: %v; larder uses %s in it", flaw, filepath.Base(d.Path())))
	}
	return d, nil
}

// openPrivate returns the private folder for LARDER_DIR: one of several in the user's own
// folder in the temporary folder. What one job puts is not to reach a job that has another
// LARDER_DIR. Unless make is set, the folder has to exist.
func openPrivate(dir string, make bool) (*localdisk.Dir, error) {
	own, err := openOwn(make)
	if err != nil {
		return nil, err
	}
	private := own.Within(privateName(dir))
	if !make {
		_, err = os.Stat(private.Path())
	}
	return private, err
}

// openOwn returns the user's own folder in the temporary folder.
func openOwn(make bool) (*localdisk.Dir, error) {
	temp, err := filepath.Abs(os.TempDir())
	if err != nil {
		return nil, err
	}
	return localdisk.OpenOwn(temp, make)
}

// privateName returns the name of the private folder for LARDER_DIR.
func privateName(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:8])
}

// reason returns what the system says, without the name of a file.
func reason(err error) error {
	if at := new(fs.PathError); errors.As(err, &at) {
		return at.Err
	}
	return err
}

// sayOnce warns of something if nothing was said about d so far.
func sayOnce(d *localdisk.Dir, log *slog.Logger, text string) {
	path := filepath.Join(d.Path(), "larder", "said")
	if _, err := os.Stat(path); err == nil {
		log.Info(text)
		return
	}
	log.Warn(text)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
		_ = os.WriteFile(path, []byte(text), 0o600) // if that fails it is said again
	}
}
