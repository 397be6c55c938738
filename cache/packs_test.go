package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// workshop publishes what is in one local tier, without sessions and their gets.
type workshop struct {
	t       testing.TB
	store   backend.Store
	packed  atomic.Int64 // bytes of packs that were put
	local   *localdisk.Dir
	session *session.Session
	limits  limits
	now     time.Time
	log     strings.Builder
}

func newWorkshop(t testing.TB, store backend.Store) *workshop {
	t.Helper()
	return newWorkshopIn(t, t.TempDir(), store)
}

// newWorkshopIn returns a workshop whose local tier is in dir.
func newWorkshopIn(t testing.TB, dir string, store backend.Store) *workshop {
	t.Helper()
	w := &workshop{t: t, limits: usualLimits, now: time.Now()}
	w.store = weighed{store, &w.packed}
	w.local = localdisk.New(dir)
	s, err := session.New(w.local.Path(), w.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	w.session = s
	return w
}

// weighed is a store that adds up the bytes of packs.
type weighed struct {
	backend.Store
	packed *atomic.Int64
}

func (s weighed) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	if strings.Contains(key, "/p/") {
		s.packed.Add(opts.Size)
	}
	return s.Store.Put(ctx, key, body, opts)
}

// made is what make has put: a use, and the size of its entry object in bytes.
type made struct {
	session.Use
	size int64
}

// make puts an archive of size bytes, which does not compress, into the local tier.
func (w *workshop) make(name string, size int) made {
	w.t.Helper()
	body := make([]byte, size)
	n := copy(body, "!<arch>\n__.PKGDEF       0           0     0     644     7955      `\ngo object linux amd64 go1.26.8 X:none\nbuild id \"x/x\"\n")
	seed := sha256.Sum256([]byte(name))
	_, _ = rand.NewChaCha8(seed).Read(body[n:])
	return made{w.put(seed, body), entry.HeaderSize + int64(size)}
}

// about reports whether packs of n bytes hold what make has put, of size bytes. Of that only
// headers and heads compress.
func about(n, size int64) bool { return n > size*9/10 && n <= size }

// put puts body into the local tier.
func (w *workshop) put(action protocol.ActionID, body []byte) session.Use {
	w.t.Helper()
	e := localdisk.Entry{Action: action, Output: sha256.Sum256(body), Size: int64(len(body)), Time: w.now}
	if _, err := w.local.Put(e, bytes.NewReader(body)); err != nil {
		w.t.Fatal(err)
	}
	return session.Use{Action: action, Output: e.Output, Kind: session.Made}
}

// makeMany makes n archives of size bytes.
func (w *workshop) makeMany(name string, n, size int) (all []made) {
	w.t.Helper()
	for i := range n {
		all = append(all, w.make(fmt.Sprint(name, " ", i), size))
	}
	return all
}

// open returns a publisher of a profile, into the first of scopes, all of which it reads,
// and the manifest as it is.
func (w *workshop) open(profile string, scopes ...string) (*publisher, published) {
	w.t.Helper()
	target := session.Target{Remote: "test:", Scope: scopes[0], Read: scopes, Profile: session.Profile{Module: "example.com/shop", Name: profile}}
	cfg := Config{Local: w.local, MaxObject: 1 << 30, Stats: new(Stats), Log: slog.New(slog.NewTextHandler(&w.log, nil))}
	l := newLibrary(newRemote(cfg, w.store, target), target)
	found, err := l.loadToPublish(w.t.Context(), true)
	if err != nil {
		w.t.Fatal(err)
	}
	p := newPublisher(l, &found, newWithheld(cfg), w.session, w.now)
	p.limits = w.limits
	return p, found.written
}

// publish publishes uses, and returns its publisher, which may compact then.
func (w *workshop) publish(profile string, uses []made, scopes ...string) *publisher {
	w.t.Helper()
	if len(scopes) == 0 {
		scopes = []string{"main"}
	}
	p, old := w.open(profile, scopes...)
	w.publishBy(p, old, uses)
	return p
}

// publishBy has p publish uses.
func (w *workshop) publishBy(p *publisher, old published, uses []made) {
	w.t.Helper()
	var r session.Record
	for _, u := range uses {
		r.Uses = append(r.Uses, u.Use)
	}
	if rest, err := p.publish(w.t.Context(), old, r); err != nil || len(rest.Uses) > 0 {
		w.t.Fatalf("%d uses are left, %v", len(rest.Uses), err)
	}
}

// manifest returns a profile's manifest.
func (w *workshop) manifest(profile string, scopes ...string) *pack.Manifest {
	w.t.Helper()
	if len(scopes) == 0 {
		scopes = []string{"main"}
	}
	_, found := w.open(profile, scopes...)
	return found.Manifest
}

// inUse returns the packs in which entries of m lie.
func inUse(m *pack.Manifest) (packs []pack.Pack) {
	for i, p := range m.Packs {
		if slices.ContainsFunc(m.Entries, func(e pack.Entry) bool { return e.InPack() && e.Pack == i }) {
			packs = append(packs, p)
		}
	}
	return packs
}

// wantAll fails the test unless the profile's manifest names all of uses, and each is good
// where it says.
func (w *workshop) wantAll(profile string, uses []made) {
	w.t.Helper()
	m := w.manifest(profile)
	named := byAction(m)
	for _, u := range uses {
		e := named[u.Action]
		if e == nil || e.Output != u.Output || !e.InPack() {
			w.t.Fatalf("action %s: the manifest names %+v", u.Action, e)
		}
		if err := w.check(m, e); err != nil {
			w.t.Fatalf("action %s: %v", u.Action, err)
		}
	}
}

// check reads the entry object of e.
func (w *workshop) check(m *pack.Manifest, e *pack.Entry) error {
	object, _, err := w.store.Get(w.t.Context(), packKey(m.Packs[e.Pack]), backend.Range{Offset: e.Frame, Length: e.End() - e.Frame})
	if err != nil {
		return err
	}
	defer object.Close()
	objects := pack.NewReader(object, e.Frame)
	defer objects.Close()
	body, err := openPacked(objects, e, entry.Want{Action: e.Action, Scope: m.Packs[e.Pack].Scope, MaxSize: 1 << 30})
	if err != nil {
		return err
	}
	defer body.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, body); err != nil {
		return err
	}
	if protocol.OutputID(sum.Sum(nil)) != e.Output {
		return fmt.Errorf("another body than %s", e.Output)
	}
	return nil
}

// A publication writes several packs where one would be too large. What is larger by itself
// has a pack of its own.
func TestLargestPack(t *testing.T) {
	w := newWorkshop(t, backendtest.Memory())
	w.limits.pack = 20 << 10
	uses := append(w.makeMany("small", 20, 4<<10), w.make("large", 50<<10))
	w.publish("build", uses)
	w.wantAll("build", uses)
	m := w.manifest("build")
	large := 0
	for _, p := range m.Packs {
		if p.Size > w.limits.pack {
			large++
		}
	}
	if len(m.Packs) != 6 || large != 1 {
		t.Errorf("%d packs, of which %d are over the limit, want 6 and 1: %+v", len(m.Packs), large, m.Packs)
	}
}

// A body that another profile has packed is not packed again, and what is lent stays where
// its owner has it.
func TestPackedOnce(t *testing.T) {
	w := newWorkshop(t, backendtest.Memory())
	w.limits.lowest = 1
	common := w.makeMany("common", 10, 4<<10)
	w.publish("build", common)
	vetted := w.makeMany("vet", 2, 4<<10)
	w.publish("vet", append(vetted, common...)) // begins with what build has

	// Both make the same news. The second one has a manifest of its own, without them.
	news := w.makeMany("news", 4, 4<<10)
	w.publish("build", append(news, common...))
	before := w.packed.Load()
	more := w.makeMany("more", 1, 4<<10)
	w.publish("vet", append(more, append(news, append(vetted, common...)...)...))
	if got, want := w.packed.Load()-before, more[0].size; !about(got, want) {
		t.Errorf("%d bytes were packed, want %d", got, want)
	}
	w.wantAll("vet", append(news, common...))

	// A third profile has it from the second one, which has not packed it itself.
	w.publish("test", common)
	w.publish("vet", append(more, append(news, common...)...))
	before = w.packed.Load()
	w.publish("test", append(news, common...))
	if got := w.packed.Load() - before; got != 0 {
		t.Errorf("%d bytes were packed, want none", got)
	}
	w.wantAll("test", append(news, common...))
}

// What is lent follows its owner to the pack in which that has it now, on the next day. What
// nobody owns any more becomes the own of one borrower.
func TestFollow(t *testing.T) {
	w := newWorkshop(t, backendtest.Memory())
	common := w.makeMany("common", 10, 4<<10)
	w.publish("build", common)
	w.publish("vet", common) // begins with what build has
	w.publish("test", common)

	for i := range tierPacks - 1 {
		w.publish("build", append(w.makeMany(fmt.Sprint("again", i), 1, 4<<10), common...)).compact(t.Context())
	}
	before := w.packed.Load()
	w.now = w.now.Add(24 * time.Hour)
	w.publish("vet", common).compact(t.Context())
	if got := w.packed.Load() - before; got != 0 {
		t.Errorf("%d bytes were packed, want none", got)
	}
	owned := inUse(w.manifest("build"))
	if lent := inUse(w.manifest("vet")); len(owned) != 1 || len(lent) != 1 || lent[0].ID != owned[0].ID || lent[0].Own {
		t.Errorf("the owner has packs %+v, and the borrower %+v", owned, lent)
	}
	w.wantAll("vet", common)

	p, _ := w.open("build", "main")
	if err := w.store.Delete(t.Context(), p.manifests.key(), ""); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(24 * time.Hour)
	for _, profile := range []string{"vet", "test"} {
		w.publish(profile, common).compact(t.Context())
	}
	if test, vet := inUse(w.manifest("test")), inUse(w.manifest("vet")); len(test) != 1 || len(vet) != 1 || test[0].ID != vet[0].ID || test[0].Own == vet[0].Own {
		t.Errorf("test has packs %+v, and vet %+v", test, vet)
	}
	w.wantAll("test", common)
	w.wantAll("vet", common)
}

// A pack in which nothing lies any more is named for the rest of the day: builds that began
// before may still fetch from it, and a collection removes what no manifest names.
func TestRetiredPacks(t *testing.T) {
	w := newWorkshop(t, backendtest.Memory())
	p, all := scattered(w, "build")
	before := w.manifest("build").Packs
	p.compact(t.Context())
	for range 2 { // also after a further publication
		m := w.manifest("build")
		for _, old := range before {
			if !slices.Contains(m.Packs, old) {
				t.Errorf("pack %x is not named any more: a build that has just begun may lose it", old.ID)
			}
		}
		all = append(all, w.make(fmt.Sprint("more ", len(all)), 4<<10))
		w.publish("build", all)
	}
	w.now = w.now.Add(24 * time.Hour)
	w.publish("build", all)
	if m := w.manifest("build"); len(m.Packs) != len(inUse(m)) {
		t.Errorf("a day later there are packs %+v, of which %d are in use", m.Packs, len(inUse(m)))
	}
	w.wantAll("build", all)
}

// What a sibling names in a pack that is gone is packed again.
func TestLostIsNotBorrowed(t *testing.T) {
	for name, lend := range map[string]func(p *publisher, sibling *pack.Manifest){
		"borrowed": func(*publisher, *pack.Manifest) {},
		"lent":     func(p *publisher, m *pack.Manifest) { p.lendable = lendable{byAction(m), m.Packs} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkshop(t, backendtest.Memory())
			first, second := w.makeMany("first", 1, 4<<10), w.makeMany("second", 2, 4<<10)
			w.publish("build", first)
			w.publish("vet", second)
			vet := w.manifest("vet")
			for _, lost := range vet.Packs {
				if lost.Own {
					if err := w.store.Delete(t.Context(), packKey(lost), ""); err != nil {
						t.Fatal(err)
					}
				}
			}
			p, old := w.open("build", "main")
			lend(p, vet)
			w.publishBy(p, old, append(second, first...))
			w.wantAll("build", append(second, first...))
		})
	}
}

// The first publication of a day may have more than one part.
func TestNewDayInParts(t *testing.T) {
	w := newWorkshop(t, backendtest.Memory())
	first := w.makeMany("first", 1, 4<<10)
	w.publish("build", first)
	w.now = w.now.Add(24 * time.Hour)
	p, old := w.open("build", "main")
	var r session.Record
	for _, u := range w.makeMany("news", 3, 4<<10) {
		r.Uses = append(r.Uses, u.Use)
	}
	p.room = 4 << 10
	for parts := 0; len(r.Uses) > 0; parts++ {
		if parts == 3 {
			t.Fatal("a part publishes nothing")
		}
		var err error
		if r, err = p.publish(t.Context(), old, r); err != nil {
			t.Fatal(err)
		}
		_, old = w.open("build", "main")
	}
	if !p.newDay {
		t.Error("the publisher takes the last part for all of its publications")
	}
}

// A misplaced entry is packed again, although another profile's manifest says that it has it.
func TestMisplacedIsNotBorrowed(t *testing.T) {
	w := newWorkshop(t, backendtest.Memory())
	first, second := w.makeMany("first", 1, 4<<10), w.makeMany("second", 1, 4<<10)
	w.publish("vet", second)
	w.publish("build", append(first, second...))
	first[0].Kind = session.Misplaced
	before := w.packed.Load()
	w.publish("vet", first)
	if got := w.packed.Load() - before; !about(got, first[0].size) {
		t.Errorf("%d bytes were packed, want %d", got, first[0].size)
	}
}
