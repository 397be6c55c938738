package cache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

// TestStale shows which packs a compaction rewrites.
func TestStale(t *testing.T) {
	const k = 1 << 10
	at := limits{pack: 1000 * k, lowest: 10 * k, compaction: 1500 * k}
	type p struct {
		size, used int64 // in KiB
		lent       bool
	}
	for _, test := range []struct {
		name  string
		packs []p
		room  int64
		want  string // a letter for each pack that is rewritten
	}{
		{"nothing", nil, 0, ""},
		{"three of a tier", []p{{5, 5, false}, {6, 6, false}, {7, 7, false}}, 0, ""},
		{"four of the lowest tier", []p{{5, 5, false}, {6, 6, false}, {1, 1, false}, {7, 7, false}}, 0, "abcd"},
		{"one of each tier", []p{{5, 5, false}, {20, 20, false}, {80, 80, false}, {300, 300, false}}, 0, ""},
		{"four of a higher tier, and what is below", []p{{20, 20, false}, {30, 30, false}, {35, 35, false}, {40, 40, false}, {2, 2, false}, {100, 100, false}}, 0, "abcde"},
		{"lent ones do not count", []p{{5, 5, true}, {6, 6, false}, {1, 1, false}, {7, 7, false}}, 0, ""},
		{"large ones stay", []p{{600, 600, false}, {700, 700, false}, {800, 800, false}, {900, 900, false}}, 0, ""},
		{"a large one of which a third is of no use", []p{{900, 590, false}, {800, 800, false}}, 0, "a"},
		{"a lent one of which much is of no use", []p{{900, 90, true}}, 0, ""},
		{"no more than one run rewrites", []p{{900, 500, false}, {900, 550, false}, {900, 590, false}}, 0, "ab"},
		{"no more than there is room for", []p{{5, 5, false}, {6, 6, false}, {1, 1, false}, {7, 7, false}}, 7 * k, "ac"},
		{"no room for two", []p{{5, 5, false}, {6, 6, false}, {7, 7, false}, {8, 8, false}}, 6 * k, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &draft{publisher: &publisher{limits: at, room: test.room}}
			for i, p := range test.packs {
				d.next.Packs = append(d.next.Packs, pack.Pack{ID: pack.ID{byte(i)}, Size: p.size * k, Own: !p.lent})
				d.next.Entries = append(d.next.Entries, pack.Entry{Pack: i, Span: pack.Span{Length: p.used * k}})
			}
			got := ""
			stale := d.stale()
			for i := range test.packs {
				if stale[pack.ID{byte(i)}] {
					got += string(rune('a' + i))
				}
			}
			if got != test.want {
				t.Errorf("rewrites %q, want %q", got, test.want)
			}
		})
	}
}

// A pack with a body that is larger than this session may unpack stays as it is.
func TestStaleButLarge(t *testing.T) {
	d := &draft{publisher: &publisher{limits: usualLimits}}
	d.MaxObject = 1000
	for i := range 2 * tierPacks {
		d.next.Packs = append(d.next.Packs, pack.Pack{ID: pack.ID{byte(i)}, Size: 100, Own: true})
		d.next.Entries = append(d.next.Entries, pack.Entry{Pack: i, Size: 1000 + int64(i%2), Span: pack.Span{Length: 100}})
	}
	if stale := d.stale(); len(stale) != tierPacks || stale[pack.ID{1}] {
		t.Errorf("rewrites %d packs", len(stale))
	}
	// What was stale in an older manifest may hold such a body by now.
	all := make(map[pack.ID]bool)
	for _, p := range d.next.Packs {
		all[p.ID] = true
	}
	if d.repack(all); len(d.fresh) != tierPacks {
		t.Errorf("packs %d bodies again", len(d.fresh))
	}
}

// scattered publishes tierPacks small packs, and returns the last publisher and all uses.
func scattered(w *workshop, profile string) (p *publisher, all []made) {
	w.t.Helper()
	for i := range tierPacks {
		all = append(all, w.make(fmt.Sprint("package ", i), 4<<10))
		p = w.publish(profile, all)
	}
	if n := len(inUse(w.manifest(profile))); n != tierPacks {
		w.t.Fatalf("%d packs", n)
	}
	return p, all
}

// Of two that compact at the same time one does it. What is no lease keeps nobody from it.
func TestLease(t *testing.T) {
	for _, test := range []struct {
		name  string
		lease []byte
		want  int // packs
	}{
		{"taken", leaseUntil(time.Now().Add(leaseTime / 2)), tierPacks},
		{"over", leaseUntil(time.Now().Add(-time.Second)), 1},
		{"by a clock that is ahead", leaseUntil(time.Now().Add(100 * leaseTime)), 1},
		{"of another kind", []byte("\x00\x01 no lease"), 1},
		{"empty", nil, 1},
		{"endless", bytes.Repeat([]byte("9"), 10<<20), 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorkshop(t, backendtest.Memory())
			p, all := scattered(w, "build")
			backendtest.PutBytes(t, w.store, key("main", leaseName(p.manifests.profile)), test.lease)
			p.compact(t.Context())
			if n := len(inUse(w.manifest("build"))); n != test.want {
				t.Errorf("%d packs, want %d\n%s", n, test.want, &w.log)
			}
			w.wantAll("build", all)
		})
	}
	for name, store := range map[string]backend.Store{
		"given back": backendtest.Memory(), "given back without conditions": silent{backendtest.Memory()},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkshop(t, store)
			p, _ := scattered(w, "build")
			p.compact(t.Context())
			if held, err := p.manifests.takeLease(t.Context()); held == nil || err != nil {
				t.Errorf("the lease is %v, %v", held, err)
			}
			if held, err := p.manifests.takeLease(t.Context()); held != nil || err != nil {
				t.Errorf("a second one has it, too: %v, %v", held, err)
			}
		})
	}
}

// silent is a store without conditional puts whose puts do not say which version they made.
type silent struct{ backend.Store }

func (silent) Traits() backend.Traits { return backend.Traits{Unconditional: true} }

func (s silent) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	if opts.If != (backend.Condition{}) {
		return backend.Object{}, backend.ErrNoConditions
	}
	obj, err := s.Store.Put(ctx, key, body, opts)
	obj.Version = ""
	return obj, err
}

// hooked is a store that calls a function before each put of a pack.
type hooked struct {
	backend.Store
	before func()
}

func (h *hooked) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	if strings.Contains(key, "/p/") && h.before != nil {
		before := h.before
		h.before = nil
		before()
	}
	return h.Store.Put(ctx, key, body, opts)
}

// What others publish during a compaction is not lost, and nothing is rewritten twice because
// of it. The same holds for another compaction that has not seen the lease.
func TestCompactionMeetsOthers(t *testing.T) {
	store := &hooked{Store: backendtest.Memory()}
	for name, meanwhile := range map[string]func(w *workshop, p *publisher, all []made) (news []made, written int64){
		"a publication": func(w *workshop, _ *publisher, all []made) ([]made, int64) {
			news := w.makeMany("news", 1, 4<<10)
			w.publish("build", append(news, all...))
			return news, news[0].size
		},
		"a compaction": func(w *workshop, _ *publisher, all []made) ([]made, int64) {
			p := w.publish("build", all)
			p.saved.Published = true
			if err := w.store.Delete(w.t.Context(), key("main", leaseName(p.manifests.profile)), ""); err != nil {
				w.t.Fatal(err)
			}
			before := w.packed.Load()
			p.compact(w.t.Context())
			return nil, w.packed.Load() - before
		},
	} {
		t.Run(name, func(t *testing.T) {
			store.Store = backendtest.Memory()
			w := newWorkshop(t, store)
			p, all := scattered(w, "build")
			size := int64(0)
			for _, u := range all {
				size += u.size
			}
			var news []made
			var written int64
			store.before = func() { news, written = meanwhile(w, p, all) }
			before := w.packed.Load()
			p.compact(t.Context())
			if written == 0 {
				t.Fatal("nothing happened meanwhile: this test shows nothing")
			}
			if got := w.packed.Load() - before; !about(got, size+written) {
				t.Errorf("%d bytes of packs, want %d\n%s", got, size+written, &w.log)
			}
			all = append(all, news...)
			w.wantAll("build", all)
			if n := len(inUse(w.manifest("build"))); n != 1+len(news) {
				t.Errorf("%d packs", n)
			}
		})
	}
}

// A compaction takes what the local tier has no longer out of the old packs.
func TestCompactionElsewhere(t *testing.T) {
	store := backendtest.Memory()
	_, all := scattered(newWorkshop(t, store), "build")
	w := newWorkshop(t, store)
	p, _ := w.open("build", "main")
	p.saved.Published = true
	p.compact(t.Context())
	if n := len(inUse(w.manifest("build"))); n != 1 {
		t.Errorf("%d packs\n%s", n, &w.log)
	}
	w.wantAll("build", all)
}

// A compaction makes small what a publication has packed in a hurry.
func TestCompactionIsThorough(t *testing.T) {
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	w := newWorkshop(t, backendtest.Memory())
	const part = 256 << 10
	var all []made
	var p *publisher
	for i := range tierPacks {
		all = append(all, made{Use: w.put(protocol.ActionID{byte(i)}, program[i*part:][:part])})
		p = w.publish("build", all)
	}
	published := w.packed.Load()
	p.compact(t.Context())
	compacted := w.packed.Load() - published
	if compacted == 0 || compacted > published*98/100 {
		t.Errorf("%d bytes are compacted to %d\n%s", published, compacted, &w.log)
	}
	w.wantAll("build", all)
}
