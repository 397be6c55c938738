package collect_test

import (
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/collect"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/sign"
)

func TestAges(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	kept, loose, prs := packOf("main", "kept", 10), packOf("main", "loose", 20), packOf("pr-1", "pr", 30)
	for _, p := range []pack.Pack{kept, loose, prs} {
		r.putPack(p)
	}
	lost := r.publish("main", "gone", nil, loose)
	pr := r.publish("pr-1", "linux", nil, prs)
	entry, prEntry := r.putEntry("main", "a"), r.putEntry("pr-1", "a")
	lease := "v1/pr-1/l/example.com%2Fpantry/linux"
	r.put(lease, []byte("0"))
	r.put("v1/pr-1"+module+"@profiles", []byte("linux"))
	r.put("v1/main"+module+"@profiles", []byte("linux"))
	r.after(8 * day)
	main := r.publish("main", "linux", nil, kept)
	dry := r.collect(func(c *collect.Config) { c.DryRun = true })
	r.want("dry run", true, pr, prEntry, packKey(prs), lost, entry)
	wet := r.collect()
	if dry.DryRun = false; dry != wet {
		t.Errorf("the dry run says %+v, then %+v", dry, wet)
	}
	want := collect.Result{Manifests: 3, Packs: 1, Entries: 1, ObjectsLeft: 6}
	if wet.Bytes, wet.BytesLeft = 0, 0; wet != want {
		t.Errorf("%+v, want %+v", wet, want)
	}
	r.want("a week", false, lease, pr, prEntry, packKey(prs), "v1/pr-1"+module+"@profiles")
	r.want("a week", true, main, lost, entry, packKey(kept), packKey(loose), "v1/main"+module+"@profiles")
	r.after(23 * day)
	r.collect()
	r.want("a month", false, lost, entry, packKey(loose))
	r.want("a month", true, main, packKey(kept), "v1/main"+module+"@profiles")
	r.after(8 * day)
	r.collect()
	r.want("the end", false, main, packKey(kept), "v1/main"+module+"@profiles")
}

// What somebody is about to publish stays, and so does all without an age.
func TestGrace(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	p := packOf("main", "p", 10)
	r.putPack(p)
	entry := r.putEntry("main", "a")
	short := func(c *collect.Config) { c.MaxAge = time.Minute }
	r.after(23 * time.Hour)
	r.collect(short, limit(1))
	r.want("young", true, packKey(p), entry)
	r.after(2 * time.Hour)
	r.collect(func(c *collect.Config) { c.MaxAge = 0 })
	r.want("without an age", true, entry)
	r.want("without an age", false, packKey(p))
	r.collect(short)
	r.want("old", false, entry)
}

// What larder did not write, or writes later than this version, is never touched.
func TestForeign(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	loose := packOf("main", "loose", 10)
	r.putPack(loose)
	newer := []byte(strings.Repeat("x", 200))
	copy(newer, "larder\r\nm\x06")
	foreign := []string{
		"terraform.tfstate", "v2/main/a/00/x", "v1/readme", "v1/main/x/y", "v1/main/a/00/short", "v1/@gc",
		"v1/pr-1/m/v6/module/linux", "v1/pr-2" + module + "linux",
	}
	for _, key := range foreign {
		r.put(key, newer)
	}
	r.after(400 * day)
	r.collect(limit(1))
	r.want("foreign", true, foreign...)
	r.want("foreign", false, packKey(loose))
}

// A manifest that can't be read protects the packs of its scope, and no other ones.
func TestUnread(t *testing.T) {
	t.Parallel()
	ours, _ := sign.Generate()
	theirs, _ := sign.Generate()
	for name, write := range map[string]func(r *remote){
		"damaged":   func(r *remote) { r.put("v1/main"+module+"linux", []byte("not a manifest")) },
		"newer":     func(r *remote) { r.put("v1/main/m/v6/example.com%2Fpantry/linux", []byte("larder")) },
		"older":     func(r *remote) { r.put("v1/main/m/v4/example.com%2Fpantry/linux", []byte("larder")) },
		"untrusted": func(r *remote) { r.publish("main", "linux", theirs) },
		"unsigned":  func(r *remote) { r.publish("main", "linux", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRemote(t)
			in, out := packOf("main", "in", 10), packOf("pr-1", "out", 10)
			r.putPack(in)
			r.putPack(out)
			r.after(2 * day)
			write(r)
			r.collect(func(c *collect.Config) { c.Trust = sign.Only(ours) })
			r.want(name, true, packKey(in))
			r.want(name, false, packKey(out))
			if n := strings.Count(r.log.String(), "\n"); n != 1 || !strings.Contains(r.log.String(), "can't be read") {
				t.Errorf("log: %s", r.log.String())
			}
		})
	}
}

// A forged manifest takes nothing from a trusted one, be it by its age, by what it names or
// by the size that is allowed.
func TestForged(t *testing.T) {
	t.Parallel()
	key, _ := sign.Generate()
	r := newRemote(t)
	trusted, junk := packOf("main", "trusted", 1000), packOf("pr-1", "junk", 5000)
	r.putPack(trusted)
	good := r.publish("main", "linux", key, trusted)
	r.after(2 * day)
	r.putPack(junk)
	forged := r.publish("pr-1", "linux", nil, trusted, junk)
	r.after(2 * day)
	cfg := func(c *collect.Config) { c.Trust = sign.Only(key) }
	r.collect(cfg)
	r.want("forged", true, good, packKey(trusted), forged, packKey(junk))
	r.collect(cfg, limit(3000))
	r.want("limited", true, good, packKey(trusted))
	r.want("limited", false, forged, packKey(junk))
}

// A manifest that names packs without number costs the time to read it.
func TestHostile(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	kept, loose := packOf("main", "kept", 10), packOf("main", "loose", 10)
	r.putPack(kept)
	r.putPack(loose)
	r.after(2 * day)
	names := make([]pack.Pack, 1<<20)
	for i := range names {
		names[i] = pack.Pack{Scope: "main", ID: pack.ID{byte(i), byte(i >> 8), byte(i >> 16)}}
	}
	r.publish("main", "linux", nil, append(names, kept)...)
	r.collect()
	r.want("hostile", true, packKey(kept))
	r.want("hostile", false, packKey(loose))
}

// TestSize: the oldest use goes first. A pack goes with the last manifest that names it.
func TestSize(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	shared, old, fresh := packOf("main", "shared", 1000), packOf("main", "old", 1000), packOf("main", "fresh", 1000)
	r.putPack(shared)
	r.putPack(old)
	first := r.publish("main", "first", nil, shared, old)
	firstEntry := r.putEntry("main", "first")
	r.after(day)
	secondEntry := r.putEntry("main", "second")
	r.after(day)
	r.putPack(fresh)
	second := r.publish("main", "second", nil, shared, fresh)
	r.after(2 * day)
	thirdEntry := r.putEntry("main", "third")

	total := r.collect().BytesLeft
	r.collect(limit(total))
	r.want("enough", true, first, second, packKey(old))
	r.collect(limit(total - 1))
	r.want("a byte", false, firstEntry)
	r.want("a byte", true, first, packKey(old), secondEntry)
	left := r.collect(limit(total - 101)).BytesLeft
	r.want("a manifest", false, first, packKey(old))
	r.want("a manifest", true, second, packKey(shared), packKey(fresh), secondEntry, thirdEntry)
	r.collect(limit(left - 1))
	r.want("an entry object", false, secondEntry)
	r.want("an entry object", true, second, packKey(shared), packKey(fresh), thirdEntry)
	dry := r.collect(limit(100), func(c *collect.Config) { c.DryRun = true })
	r.collect(limit(100))
	r.want("all", false, second, packKey(shared), packKey(fresh))
	r.want("all", true, thirdEntry)
	if dry.BytesLeft != 100 || dry.Packs != 2 {
		t.Errorf("dry run: %+v", dry)
	}
	if r.log.Len() > 0 {
		t.Errorf("log: %s", r.log.String())
	}
	r.collect(limit(1))
	if !strings.Contains(r.log.String(), "99 B more than allowed") {
		t.Errorf("log: %s", r.log.String())
	}
}
