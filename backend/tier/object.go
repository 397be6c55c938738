package tier

import (
	"crypto/md5"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/larderbuild/larder/backend"
)

// blockSize is the size in bytes of the parts in which an object comes from the store. The last
// one may be shorter.
const blockSize = 1 << 20

// object is an object, of which the tier may have only some blocks. Store.mu guards what changes.
type object struct {
	facts
	path    string    // of the file with the blocks, each where it is in the object
	checked time.Time // when the store said last that it has this
	used    time.Time // when somebody last opened it
	users   int       // who use the file: readers and flights
	gone    bool      // another one has taken its place: its file goes with its last user
	coming  map[int64]*flight
}

// facts is what the tier keeps of an object in a file.
type facts struct {
	Key      string
	Size     int64          // of the whole object, in bytes
	Version  string         // that the store gave it
	Reported string         // the version that callers see
	Blocks   []byte         // a bit for each block that is there
	Dirty    bool           `json:",omitempty"` // it is not stored yet
	MD5      [md5.Size]byte // of one that is not stored yet
	Since    time.Time      // when it came to the tier
}

func newFacts(key string, size int64) facts {
	return facts{Key: key, Size: size, Blocks: make([]byte, (blocks(size)+7)/8), Since: time.Now()}
}

// blocks returns how many blocks an object of size bytes has.
func blocks(size int64) int64 { return (size + blockSize - 1) / blockSize }

func (f *facts) has(block int64) bool { return f.Blocks[block/8]&(1<<(block%8)) != 0 }

// mark notes that a block is there, and returns its size.
func (f *facts) mark(block int64) int64 {
	f.Blocks[block/8] |= 1 << (block % 8)
	return f.sizeOf(block)
}

func (f *facts) sizeOf(block int64) int64 { return min(blockSize, f.Size-block*blockSize) }

// held returns the size of the blocks that are there.
func (f *facts) held() (n int64) {
	for block := range blocks(f.Size) {
		if f.has(block) {
			n += f.sizeOf(block)
		}
	}
	return n
}

// markAll notes that all blocks are there.
func (f *facts) markAll() {
	for block := range blocks(f.Size) {
		f.mark(block)
	}
}

// object returns f as callers see it.
func (f *facts) object() backend.Object {
	return backend.Object{Key: f.Key, Size: f.Size, Version: f.Reported}
}

const factsSuffix = ".json"

// newFile makes the file of a new object.
func (t *Store) newFile() (*os.File, error) { return os.CreateTemp(t.objectsDir(), "o-") }

// save writes the facts of o, in one step.
func (t *Store) save(o *object) error {
	t.mu.Lock()
	gone := o.gone
	data, err := json.Marshal(o.facts)
	t.mu.Unlock()
	if gone || err != nil {
		return err
	}
	file, err := os.CreateTemp(t.objectsDir(), "new-")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), o.path+factsSuffix)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // the first error says enough
	}
	return err
}

// install has o take the place of what is known of its key. It removes the files of that.
func (t *Store) install(o *object) {
	t.mu.Lock()
	old := t.place(o)
	t.mu.Unlock()
	t.remove(old)
	t.evict()
}

// place is install for a caller who has locked t.mu, and then calls remove for what place returns,
// and evict.
func (t *Store) place(o *object) (old *object) {
	old = t.objects[o.Key]
	t.objects[o.Key] = o
	t.size += o.held()
	delete(t.absent, o.Key)
	delete(t.asking, o.Key) // its answer is out of date
	t.part(old)
	return old
}

// forget removes what is known of key.
func (t *Store) forget(key string) {
	t.mu.Lock()
	old := t.objects[key]
	delete(t.objects, key)
	delete(t.absent, key)
	delete(t.asking, key)
	t.part(old)
	t.mu.Unlock()
	t.remove(old)
}

// drop is forget for o alone, if it is still there.
func (t *Store) drop(o *object) {
	t.mu.Lock()
	is := t.objects[o.Key] == o
	if is {
		delete(t.objects, o.Key)
		t.part(o)
	}
	t.mu.Unlock()
	if is {
		t.remove(o)
	}
}

// part notes that o, which may be nil, is no longer in t.objects. The caller has locked t.mu, and
// calls remove once it has unlocked it.
func (t *Store) part(o *object) {
	if o == nil {
		return
	}
	o.gone = true
	t.size -= o.held()
	if o.Dirty {
		t.stored(o)
	}
}

// remove removes the files of o, which is gone and may be nil, unless somebody uses them.
func (t *Store) remove(o *object) {
	if o == nil {
		return
	}
	t.mu.Lock()
	used := o.users > 0
	t.mu.Unlock()
	_ = os.Remove(o.path + factsSuffix) // it may have none
	if !used {
		_ = os.Remove(o.path)
	}
}

// release ends one use of o.
func (t *Store) release(o *object) {
	t.mu.Lock()
	o.users--
	last := o.gone && o.users == 0
	t.mu.Unlock()
	if last {
		_ = os.Remove(o.path + factsSuffix)
		_ = os.Remove(o.path)
	}
}

// load reads what the process before has left. It removes what is no use, and goes on with what
// is not stored yet.
func (t *Store) load() error {
	entries, err := os.ReadDir(t.objectsDir())
	if err != nil {
		return err
	}
	known := make(map[string]bool) // files of objects
	for _, entry := range entries {
		path, ok := strings.CutSuffix(filepath.Join(t.objectsDir(), entry.Name()), factsSuffix)
		if !ok {
			continue
		}
		o, ok := readObject(path)
		if old := t.objects[o.Key]; !ok || old != nil && old.Since.After(o.Since) {
			_ = os.Remove(path + factsSuffix)
			continue
		}
		if old := t.objects[o.Key]; old != nil {
			delete(known, filepath.Base(old.path))
			_ = os.Remove(old.path + factsSuffix)
		}
		t.objects[o.Key] = o
		known[filepath.Base(path)] = true
	}
	for _, entry := range entries {
		if name := entry.Name(); !known[name] && !strings.HasSuffix(name, factsSuffix) {
			_ = os.Remove(filepath.Join(t.objectsDir(), name))
		}
	}
	for _, o := range t.objects {
		t.size += o.held()
		if o.Dirty {
			t.later(o)
		}
	}
	t.evict()
	return nil
}

// readObject reads the facts of an object whose file is at path. ok is false if they are no use.
func readObject(path string) (o *object, ok bool) {
	o = &object{path: path}
	data, err := os.ReadFile(path + factsSuffix)
	if err != nil || json.Unmarshal(data, &o.facts) != nil {
		return o, false
	}
	info, err := os.Stat(path)
	if err != nil || o.Size < 0 || int64(len(o.Blocks)) != (blocks(o.Size)+7)/8 || o.Dirty && info.Size() != o.Size {
		return o, false
	}
	o.used = o.Since
	return o, true
}
