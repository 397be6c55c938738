package tier

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// TestReadOnly: what a process before has left to be stored can be read, and is stored by the next
// one that may write.
func TestReadOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<30)
		r.store("stored", "old")
		r.down()
		r.put("waiting", "x")
		r.close()

		r.faults(nil)
		r.count("put") // which has failed
		r.readOnly = true
		r.open(r.Dir, r.MaxSize)
		time.Sleep(24 * time.Hour)
		r.want("waiting", "x")
		r.want("stored", "old")
		for key, err := range map[string]error{
			"waiting": r.Delete(t.Context(), "waiting", ""),
			"stored":  r.Delete(t.Context(), "stored", ""),
			"new": func() error {
				_, err := put(t.Context(), r.Store, "new", "y", backend.Condition{})
				return err
			}(),
		} {
			if !errors.Is(err, backend.ErrReadOnly) {
				t.Errorf("%s: %v", key, err)
			}
		}
		r.want("waiting", "x")
		var listed []string
		for obj, err := range r.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			listed = append(listed, obj.Key)
		}
		if len(listed) != 1 || listed[0] != "stored" {
			t.Errorf("listed %q", listed)
		}
		r.close()
		if n := r.count("put") + r.count("delete"); n != 0 {
			t.Errorf("%d requests to write", n)
		}

		r.readOnly = false
		r.open(r.Dir, r.MaxSize)
		r.close()
		r.wantStored("waiting", "x")
	})
}

// TestUndeletedDamage: where the tier has a damaged copy of what never changes, and the store lets
// nobody delete, readers get the store's.
func TestUndeletedDamage(t *testing.T) {
	t.Parallel()
	for _, readOnly := range []bool{false, true} {
		r := newRig(t, 1<<30)
		r.close()
		r.readOnly = readOnly
		r.open(r.Dir, r.MaxSize)
		version := r.store("cas/k", "good")
		r.want("cas/k", "good")
		r.Store.mu.Lock()
		path := r.objects["cas/k"].path
		r.Store.mu.Unlock()
		if err := os.WriteFile(path, []byte("evil"), 0o600); err != nil {
			t.Fatal(err)
		}
		r.want("cas/k", "evil")
		r.faults(func(op, _ string) (f backendtest.Fault) {
			if op == "delete" {
				f.Err = backend.ErrDenied
			}
			return f
		})
		if err := r.Delete(t.Context(), "cas/k", version); err == nil {
			t.Error("no error")
		}
		r.want("cas/k", "good")
		r.close()
	}
}
