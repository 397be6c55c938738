package cache

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// scales are the numbers of entries at which manifests are measured.
var scales = []int{10_000, 100_000}

// scaled returns a manifest of n entries, of which two in five lie in packs, as
// in a real one, and the uses of a build that used all of them.
func scaled(n int) (published, []session.Use) {
	m := &pack.Manifest{}
	for i := range 4 {
		m.Packs = append(m.Packs, pack.Pack{Scope: "main", ID: pack.ID{byte(i)}, Size: 1 << 50, Own: true})
	}
	var offsets [4]int64
	var uses []session.Use
	today := pack.DayOf(time.Now())
	for i := range n {
		e := pack.Entry{
			Action: protocol.ActionID(sha256.Sum256(fmt.Append(nil, "action ", i))),
			Output: protocol.OutputID(sha256.Sum256(fmt.Append(nil, "output ", i))),
			Time:   time.Unix(1_790_000_000, int64(i)),
			Used:   today,
		}
		if i%5 < 2 {
			e.Size, e.Pack = 600_000, i%4
			e.Span = pack.Span{Frame: offsets[e.Pack], Offset: offsets[e.Pack], Length: 150_000}
			offsets[e.Pack] += e.Length
		} else {
			e.Inline = []byte(strings.Repeat("vet facts ", i%50))
			e.Output, e.Size = sha256.Sum256(e.Inline), int64(len(e.Inline))
		}
		m.Entries = append(m.Entries, e)
		uses = append(uses, session.Use{Action: e.Action, Kind: session.Found})
	}
	for i := range m.Packs {
		m.Packs[i].Size = offsets[i]
	}
	return published{Manifest: m, version: "1"}, uses
}

var (
	scaledTarget = session.Target{Remote: "test:", Scope: "main", Profile: session.Profile{Module: "example.com/pantry", Name: "scaled"}}
	scaledPlace  = pack.Place{Scope: "main", Name: manifestName(scaledTarget.Profile)}
)

// heldBy returns what a library holds that has nothing but found.
func heldBy(found published) holdings {
	return holdings{written: found, merged: found.Manifest, ofWritten: span{0, len(found.Entries)}, own: len(found.Entries)}
}

func scaledLibrary(b *testing.B, local *localdisk.Dir, found published) (*library, []byte) {
	b.Helper()
	object, err := found.Encode(scaledPlace, nil)
	if err != nil {
		b.Fatal(err)
	}
	cfg := Config{Local: local, MaxObject: 1 << 30, Stats: new(Stats), Log: slog.New(slog.DiscardHandler)}
	l := newLibrary(newRemote(cfg, backendtest.Memory(), scaledTarget), scaledTarget)
	if _, err := l.written.publish(b.Context(), published{}, found.Manifest); err != nil {
		b.Fatal(err)
	}
	return l, object
}

// BenchmarkStartUp measures what a session does before it asks for the first
// pack: fetch the manifest, hold it against an empty local tier, and plan. Kept
// is what it holds in memory for each entry from then on.
func BenchmarkStartUp(b *testing.B) {
	for _, n := range scales {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			local := localdisk.New(b.TempDir())
			found, _ := scaled(n)
			l, object := scaledLibrary(b, local, found)
			b.ReportAllocs()
			before := heap()
			var p *prefetch
			for b.Loop() {
				p = newPrefetch(l.written.remote, l)
				found, err := l.loadToPublish(b.Context(), true)
				if err != nil {
					b.Fatal(err)
				}
				p.begin(newPromises(found, true))
				p.plan(everything, true)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
			b.ReportMetric(float64(heap()-before)/float64(n), "kept-B/entry")
			b.ReportMetric(float64(len(object))/float64(n), "manifest-B/entry")
			runtime.KeepAlive(p)
		})
	}
}

// BenchmarkPromote measures gets for what is at the end of the queue.
func BenchmarkPromote(b *testing.B) {
	for _, n := range scales {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			found, _ := scaled(n)
			l, _ := scaledLibrary(b, localdisk.New(b.TempDir()), found)
			p := newPrefetch(l.written.remote, l)
			p.begin(newPromises(heldBy(found), true))
			p.plan(everything, true)
			for i := 0; b.Loop(); i++ {
				p.states.look(n - 1 - i%n)
				p.queue.promote(n - 1 - i%n)
			}
		})
	}
}

// BenchmarkPublish measures what a session does to publish its uses, of which
// one in a hundred is new: look at the entries, draft, pack, encode and store.
func BenchmarkPublish(b *testing.B) {
	for _, n := range scales {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			local := localdisk.New(dir)
			found, uses := scaled(n)
			l, _ := scaledLibrary(b, local, found)
			body := strings.Repeat("a vet entry ", 20)
			output := protocol.OutputID(sha256.Sum256([]byte(body)))
			for i := range found.Entries {
				e := &found.Entries[i]
				e.Output, e.Size, e.Inline = output, int64(len(body)), []byte(body) // for the disk's sake
				e.Pack, e.Span = 0, pack.Span{}
				if _, err := local.Put(localEntry(e), strings.NewReader(body)); err != nil {
					b.Fatal(err)
				}
				if i%100 == 0 { // differs from what is there
					e.Inline = []byte("another " + body)
					e.Output, e.Size = sha256.Sum256(e.Inline), int64(len(e.Inline))
				}
			}
			s, err := session.New(dir, time.Now())
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			b.ReportAllocs()
			for b.Loop() {
				old, err := l.written.fetch(b.Context(), l.written.fetchRoster)
				if err != nil {
					b.Fatal(err)
				}
				old.Entries, old.Packs = found.Entries, nil
				p := newPublisher(l, &holdings{}, newWithheld(l.written.remote.Config), s, time.Now())
				if _, err := p.publish(b.Context(), old, session.Record{Uses: uses}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
		})
	}
}

// heap returns the bytes in use.
func heap() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
