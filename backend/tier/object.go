package tier

import (
	"crypto/md5"
	"encoding/json"
	"errors"
	"os"
	"sync"
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
	gone    bool      // it is not in Store.objects any more: its file goes with the last use
	coming  map[int64]*flight

	readers, flights, uploads int // that use the file

	saving sync.Mutex // held while the facts are written, so that the newest ones stay
}

// inUse reports whether somebody uses the file of o.
func (o *object) inUse() bool { return o.readers+o.flights+o.uploads > 0 }

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

// perObject is what an object costs beside its blocks, in bytes: two files are at least two blocks
// of the disk. So many small objects have an end, too.
const perObject = 8 << 10

// cost returns what o takes of MaxSize.
func (o *object) cost() int64 { return o.held() + perObject }

// newFile makes the file of a new object.
func (t *Store) newFile() (*os.File, error) {
	file, err := os.CreateTemp(t.objectsDir(), objectPrefix)
	return file, ofDisk(err)
}

// save writes the facts of o, in one step. Whoever calls it uses o, or has not made it known yet.
func (t *Store) save(o *object) error {
	o.saving.Lock()
	defer o.saving.Unlock()
	t.mu.Lock()
	gone := o.gone
	data, err := json.Marshal(o.facts)
	t.mu.Unlock()
	if gone || err != nil {
		return err
	}
	file, err := os.CreateTemp(t.objectsDir(), tempPrefix)
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
	old := t.replace(o)
	t.mu.Unlock()
	t.remove(old)
	t.evict()
}

// replace is install for a caller who has locked t.mu, and who then calls remove for what replace
// returns, and evict.
func (t *Store) replace(o *object) (old *object) {
	old = t.objects[o.Key]
	t.objects[o.Key] = o
	t.size += o.cost()
	delete(t.absent, o.Key)
	delete(t.asking, o.Key) // its answer is out of date
	t.detach(old)
	if o.Dirty {
		t.later(o)
	}
	return old
}

// forget removes what is known of key.
func (t *Store) forget(key string) {
	t.mu.Lock()
	old := t.objects[key]
	delete(t.objects, key)
	delete(t.absent, key)
	delete(t.asking, key)
	t.detach(old)
	t.mu.Unlock()
	t.remove(old)
}

// doubt has readers of key ask the store again, which may have changed what it has. If it does not
// answer, they get what the tier has.
func (t *Store) doubt(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.objects[key]; o != nil {
		o.checked = time.Time{}
	}
	delete(t.absent, key)
	delete(t.asking, key)
}

// drop is forget for o alone, if it is still there.
func (t *Store) drop(o *object) {
	t.mu.Lock()
	is := t.objects[o.Key] == o
	if is {
		delete(t.objects, o.Key)
		t.detach(o)
	}
	t.mu.Unlock()
	if is {
		t.remove(o)
	}
}

// detach notes that o, which may be nil, is no longer in t.objects. The caller has locked t.mu, and
// calls remove once it has unlocked it.
func (t *Store) detach(o *object) {
	if o == nil {
		return
	}
	o.gone = true
	t.size -= o.cost()
	t.settled(o)
}

// remove removes the files of o, which is gone and may be nil, unless somebody uses them.
func (t *Store) remove(o *object) {
	if o == nil {
		return
	}
	t.mu.Lock()
	used := o.inUse()
	t.mu.Unlock()
	_ = os.Remove(o.path + factsSuffix) // it may have none
	if !used {
		_ = os.Remove(o.path)
	}
}

// release ends one use of o, which uses counts.
func (t *Store) release(o *object, uses *int) {
	t.mu.Lock()
	*uses--
	last := !o.inUse()
	gone := o.gone
	t.mu.Unlock()
	switch {
	case last && gone:
		t.remove(o)
	case last:
		t.evict() // which may have waited for this
	}
}
