package tier

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// TestVersions: whichever version a caller knows, conditions hold.
func TestVersions(t *testing.T) {
	// Each row brings the key "k" into a state, and returns the version for the condition.
	tests := map[string]struct {
		version func(r *rig) string
		want    error
	}{
		"the tier's, not stored yet": {func(r *rig) string { return r.put("k", "1") }, nil},
		"the tier's, stored":         {func(r *rig) string { v := r.put("k", "1"); r.storeAll(); return v }, nil},
		"the tier's, read again":     {func(r *rig) string { r.put("k", "1"); return r.want("k", "1") }, nil},
		"the tier's, next process":   {func(r *rig) string { v := r.put("k", "1"); r.reopen(); return v }, nil},
		"the tier's, not stored, next process": {func(r *rig) string {
			r.down()
			v := r.put("k", "1")
			r.reopen()
			r.faults(nil)
			return v
		}, nil},
		"the tier's, replaced":              {func(r *rig) string { v := r.put("k", "1"); r.put("k", "2"); return v }, backend.ErrConflict},
		"the tier's, replaced in the store": {func(r *rig) string { v := r.put("k", "1"); r.storeAll(); r.store("k", "2"); return v }, backend.ErrConflict},
		"the tier's, forgotten":             {func(r *rig) string { v := r.put("k", "1"); r.storeAll(); r.forget("k"); return v }, backend.ErrConflict},
		"the store's":                       {func(r *rig) string { return r.store("k", "1") }, nil},
		"the store's, of what was put here": {func(r *rig) string { r.put("k", "1"); r.storeAll(); return r.wantStored("k", "1") }, nil},
		"the store's, replaced here":        {func(r *rig) string { v := r.store("k", "1"); r.put("k", "2"); return v }, backend.ErrConflict},
		"the store's, read here":            {func(r *rig) string { r.store("k", "1"); return r.want("k", "1") }, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, of := range []string{"put", "delete"} {
					r := newRig(t, 1<<30)
					version := test.version(r)
					var err error
					if of == "put" {
						_, err = put(t.Context(), r.Store, "k", "new", backend.Condition{Version: version})
					} else {
						err = r.Delete(t.Context(), "k", version)
					}
					if !errors.Is(err, test.want) || test.want == nil && err != nil {
						t.Errorf("%s: %v", of, err)
					}
					switch {
					case err != nil:
					case of == "put":
						r.want("k", "new")
						r.wantStored("k", "new")
					default:
						r.wantNothing("k")
					}
					r.close()
				}
			})
		})
	}
}

// unconditional is a store without versions of puts and without conditions.
type unconditional struct{ backend.Store }

func (unconditional) Traits() backend.Traits { return backend.Traits{Unconditional: true} }

// TestUnconditional: a tier in front of a store without conditions has none, either.
func TestUnconditional(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1<<30)
	r.Store.store = unconditional{r.Store.store}
	for _, version := range []string{versionPrefix + "X", "1"} {
		if got, err := r.storesVersion("k", version); got != version || err != nil {
			t.Errorf("%s: got %q, %v", version, got, err)
		}
	}
	r.close()
}

// TestFailedDelete: a Delete that fails takes nothing away that waits for the store.
func TestFailedDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<30)
		r.down()
		r.put("k", "x")
		if err := r.Delete(t.Context(), "k", ""); !errors.Is(err, errDown) {
			t.Error(err)
		}
		r.want("k", "x")
		r.faults(nil)
		r.close()
		r.wantStored("k", "x")
	})
}

// TestLostAnswers: a Put of which nobody knows whether the store has it is looked for again.
func TestLostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<30)
		old := r.store("k", "old")
		r.want("k", "old")
		r.faults(func(op, _ string) backendtest.Fault {
			if op == "put" {
				return backendtest.Fault{Lost: errDown}
			}
			return backendtest.Fault{}
		})
		if _, err := put(t.Context(), r.Store, "k", "new", backend.Condition{Version: old}); !errors.Is(err, errDown) {
			t.Error(err)
		}
		r.want("k", "new")
		r.close()
	})
}
