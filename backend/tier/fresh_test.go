package tier

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// TestFresh: what others do with the store is seen after a while, and costs one request. If the
// store does not answer, the tier has what it has.
func TestFresh(t *testing.T) {
	hang := func(string, string) backendtest.Fault { return backendtest.Fault{Hang: true} }
	tests := map[string]struct {
		key  string
		then func(r *rig)
		want string // "": nothing
	}{
		"unchanged":               {"k", func(*rig) {}, "old"},
		"replaced":                {"k", func(r *rig) { r.store("k", "newer") }, "newer"},
		"replaced by empty":       {"k", func(r *rig) { r.store("k", "") }, "-"},
		"deleted":                 {"k", func(r *rig) { _ = r.behind.Delete(r.t.Context(), "k", "") }, ""},
		"immutable, and replaced": {"cas/k", func(r *rig) { r.store("cas/k", "newer") }, "old"},
		"immutable, and deleted":  {"cas/k", func(r *rig) { _ = r.behind.Delete(r.t.Context(), "cas/k", "") }, "old"},
		"down":                    {"k", func(r *rig) { r.down() }, "old"},
		"hangs":                   {"k", func(r *rig) { r.faults(hang) }, "old"},
		"denies": {"k", func(r *rig) {
			r.faults(func(string, string) backendtest.Fault { return backendtest.Fault{Err: backend.ErrDenied} })
		}, "old"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 1<<30)
				r.Store.store = likeBuckets{r.Store.store}
				r.store(test.key, "old")
				r.want(test.key, "old")
				test.then(r)
				r.want(test.key, "old")
				time.Sleep(fresh)
				r.count("get")
				switch test.want {
				case "":
					r.wantNothing(test.key)
				case "-":
					r.want(test.key, "")
				default:
					var group sync.WaitGroup
					for range 10 {
						group.Go(func() { r.want(test.key, test.want) })
					}
					group.Wait()
				}
				if n := r.count("get"); n > 3 {
					t.Errorf("%d requests", n)
				}
				r.close()
			})
		})
	}
}

// TestAbsent: that there is no object is known for a while, for all; a put through the tier ends that.
func TestAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<30)
		r.faults(slow)
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() { r.wantNothing("k") })
		}
		group.Wait()
		r.store("k", "of another machine")
		r.wantNothing("k")
		if n := r.count("get"); n != 1 {
			t.Errorf("%d requests", n)
		}
		time.Sleep(fresh)
		r.want("k", "of another machine")
		r.wantNothing("other")
		r.put("other", "ours")
		r.want("other", "ours")
		for range 3 { // an immutable key comes again
			r.put("cas/k", "blob")
			r.want("cas/k", "blob")
			if err := r.Delete(t.Context(), "cas/k", ""); err != nil {
				t.Error(err)
			}
			r.wantNothing("cas/k")
		}
		r.close()
	})
}

// TestPutDuringQuestion: the answer to a question is out of date if the key was written meanwhile.
func TestPutDuringQuestion(t *testing.T) {
	writes := map[string]func(r *rig){
		"put":             func(r *rig) { r.put("k", "new") },
		"conditional put": func(r *rig) { _, _ = put(r.t.Context(), r.Store, "k", "new", backend.Condition{Absent: true}) },
		"put and delete": func(r *rig) {
			r.put("k", "newer")
			_ = r.Delete(r.t.Context(), "k", "")
			r.put("k", "new")
		},
	}
	for name, write := range writes {
		for _, before := range []string{"", "old"} {
			t.Run(name+" "+before, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, 1<<30)
					if before != "" {
						r.store("k", before)
					}
					r.faults(func(op, _ string) backendtest.Fault { // its answer comes late
						if op == "get" {
							return backendtest.Fault{Delay: time.Minute}
						}
						return backendtest.Fault{}
					})
					var group sync.WaitGroup
					group.Go(func() { _, _, _ = get(t.Context(), r.Store, "k", backend.Range{}) })
					synctest.Wait()
					write(r)
					group.Wait()
					if before == "" || name != "conditional put" {
						r.want("k", "new")
					}
					r.close()
				})
			})
		}
	}
}
