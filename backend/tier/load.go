package tier

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The names of the files. load leaves others alone.
const (
	objectPrefix = "o-"
	tempPrefix   = "new-"  // facts that are being written
	factsSuffix  = ".json" // behind the name of an object's file
)

// load reads what the process before has left. It removes what is no use, and goes on with what
// is not stored yet. What can't be read stays as it is: the next process may be able to.
func (t *Store) load() error {
	entries, err := os.ReadDir(t.objectsDir())
	if err != nil {
		return err
	}
	known := make(map[string]bool) // files to keep
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), factsSuffix)
		if !ok || !strings.HasPrefix(name, objectPrefix) {
			continue
		}
		o, err := readObject(filepath.Join(t.objectsDir(), name))
		if unreadable := new(fs.PathError); errors.As(err, &unreadable) && !errors.Is(err, fs.ErrNotExist) {
			t.Log.Error("an object of the tier can't be read", "err", err)
			known[name] = true
			continue
		}
		if err != nil {
			t.Log.Warn("an object of the tier is no use", "err", err)
		}
		old := t.objects[o.Key]
		if err != nil || old != nil && old.Since.After(o.Since) {
			_ = os.Remove(o.path + factsSuffix)
			continue
		}
		if old != nil {
			delete(known, filepath.Base(old.path))
			_ = os.Remove(old.path + factsSuffix)
		}
		t.objects[o.Key] = o
		known[name] = true
	}
	for _, entry := range entries {
		name := entry.Name()
		ours := strings.HasPrefix(name, objectPrefix) || strings.HasPrefix(name, tempPrefix)
		if ours && !known[strings.TrimSuffix(name, factsSuffix)] {
			_ = os.Remove(filepath.Join(t.objectsDir(), name))
		}
	}
	t.mu.Lock()
	for _, o := range t.objects {
		t.size += o.cost()
		if o.Dirty {
			t.later(o)
		}
	}
	t.mu.Unlock()
	t.evict()
	return nil
}

// readObject reads the facts of an object whose file is at path. It fails if they are not those of
// this file.
func readObject(path string) (*object, error) {
	o := &object{path: path}
	data, err := os.ReadFile(path + factsSuffix)
	if err != nil {
		return o, err
	}
	if err := json.Unmarshal(data, &o.facts); err != nil {
		return o, fmt.Errorf("%s: %w", path+factsSuffix, err)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return o, err
	case o.Size < 0 || int64(len(o.Blocks)) != (blocks(o.Size)+7)/8:
		return o, fmt.Errorf("%s: damaged", path+factsSuffix)
	case o.Dirty && info.Size() != o.Size || info.Size() < o.extent():
		return o, fmt.Errorf("%s: has %d bytes, and not what its facts say", path, info.Size())
	}
	o.used = o.Since
	return o, nil
}

// extent returns how large the file is that has the blocks which are there.
func (f *facts) extent() int64 {
	for block := blocks(f.Size) - 1; block >= 0; block-- {
		if f.has(block) {
			return block*blockSize + f.sizeOf(block)
		}
	}
	return 0
}
