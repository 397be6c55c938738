package harness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

// Objects checks each object of a store that holds its objects as files in folder. It
// returns the number of entries in entry objects, and an error for each object that is not
// intact.
// A folder that is not there has no objects.
func Objects(folder string) (entries int, damaged []error) {
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		// What begins with @ is no object of a directory, but is being written, or was
		// when its writer was killed.
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), "@") {
			return err
		}
		n, err := checkObject(path)
		entries += n
		if err != nil {
			damaged = append(damaged, fmt.Errorf("%s: %w", path, err))
		}
		return nil
	})
	if err != nil {
		damaged = append(damaged, err)
	}
	return entries, damaged
}

// checkObject checks the object in the file at path. If it is an entry object, checkObject
// returns the number of its entries.
func checkObject(path string) (entries int, err error) {
	_, key, _ := strings.Cut(filepath.ToSlash(path), "/v1/")
	_, key, _ = strings.Cut(key, "/") // the scope
	kind, name, _ := strings.Cut(key, "/")
	switch {
	case kind == "a":
		return checkEntry(path)
	case kind != "p" && kind != "m" || strings.HasSuffix(name, "profiles"): // a roster; its @ is escaped in directories
		return 0, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	if kind == "m" {
		_, err := pack.Decode(data, pack.Place{}, nil)
		return 0, err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != filepath.Base(name) {
		return 0, errors.New("a pack of another name")
	}
	return 0, nil
}

func checkEntry(path string) (entries int, err error) {
	var action protocol.ActionID
	if _, err := hex.Decode(action[:], []byte(filepath.Base(path))); err != nil {
		return 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	body, err := entry.Open(f, entry.Want{Action: action, MaxSize: 1 << 30})
	if err != nil {
		return 0, err
	}
	defer body.Close()
	if body.Reference != "" {
		return 1 + len(body.Riders), nil
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, body); err != nil {
		return 0, err
	}
	if protocol.OutputID(hash.Sum(nil)) != body.Header.Output {
		return 0, errors.New("not what its header says")
	}
	return 1 + len(body.Riders), nil
}
