package cache

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/protocol"
)

// A year of work on one module, a hundredth in size. Its packages differ in size as those of
// real modules do.
const (
	yearPackages = 200 // in all profiles
	yearOwn      = 40  // that one profile has besides
	yearChanged  = 4   // packages that change on a day: 2 %
	yearJobs     = 20  // a day
	yearPulls    = 3   // of these, jobs of pull requests
	pullDays     = 7   // after which the manifest of a pull request is removed
)

// year is the state of the simulation.
type year struct {
	*workshop
	random   *rand.Rand
	packages []made                      // as they are now
	own      map[string][]made           // by profile
	pulls    map[string]pull             // by scope
	versions int                         // of packages
	object   map[protocol.ActionID]int64 // sizes of entry objects, by action

	// What publications and compactions have written.
	news, published, compacted int64 // bytes
	worst                      int64 // of a publication: its packs over its news, in percent
}

// pull is a pull request's last publication.
type pull struct {
	profile string
	day     int
}

var yearProfiles = []string{"build", "test", "vet"}

func newYear(t *testing.T) *year {
	y := &year{random: rand.New(rand.NewPCG(1, 2)), own: make(map[string][]made),
		pulls: make(map[string]pull), object: make(map[protocol.ActionID]int64)}
	y.workshop = newWorkshop(t, backendtest.MemoryAt(func() time.Time { return y.now }))
	y.limits = limits{pack: usualLimits.pack / 100, lowest: usualLimits.lowest / 100, compaction: usualLimits.compaction / 100}
	for range yearPackages {
		y.packages = append(y.packages, y.change())
	}
	for _, profile := range yearProfiles {
		for range yearOwn {
			y.own[profile] = append(y.own[profile], y.change())
		}
	}
	return y
}

// change makes a new version of a package. Half of them have up to 3 KiB, and one in ten more
// than 10.
func (y *year) change() made {
	y.versions++
	u := y.make(fmt.Sprint("version ", y.versions), int(1<<10*(1.1+y.random.ExpFloat64()*4)))
	y.object[u.Action] = u.size
	return u
}

// uses returns what a job of a profile uses now.
func (y *year) uses(profile string) []made { return slices.Concat(y.packages, y.own[profile]) }

// job publishes what a job has used. It counts what its publication and the compaction
// behind it have written.
func (y *year) job(profile string, uses []made, scopes ...string) {
	p, old := y.open(profile, scopes...)
	before := y.packed.Load()
	y.publishBy(p, old, uses)
	written := y.packed.Load() - before
	if !p.saved.Published {
		return
	}
	now, err := p.manifests.load(y.t.Context(), false, p.manifests.fetchRoster)
	if err != nil {
		y.t.Fatal(err)
	}
	var news int64
	named := byAction(old.Manifest)
	for _, e := range now.Entries {
		if was := named[e.Action]; was == nil || was.Output != e.Output {
			news += y.object[e.Action]
		}
	}
	if written > 0 {
		y.worst = max(y.worst, written*100/max(news, 1))
	}
	y.published += written
	y.news += news
	before = y.packed.Load()
	p.compact(y.t.Context())
	y.compacted += y.packed.Load() - before
}

// day does the jobs of a day.
func (y *year) day(day int) {
	changes := make(map[int]int) // by job
	for range yearChanged {
		changes[y.random.IntN(yearJobs)]++
	}
	for job := range yearJobs {
		for range changes[job] {
			y.packages[y.random.IntN(yearPackages)] = y.change()
		}
		profile := yearProfiles[job%len(yearProfiles)]
		uses := y.uses(profile)
		if job%(yearJobs/yearPulls) == 0 && job > 0 {
			scope := fmt.Sprintf("pr-%d-%d", day/2, job) // of two days
			for range yearChanged {
				uses[y.random.IntN(yearPackages)] = y.change()
			}
			y.job(profile, uses, scope, "main")
			y.pulls[scope] = pull{profile, day}
			continue
		}
		y.job(profile, uses, "main")
	}
	for scope, p := range y.pulls { // as larder gc does
		if day-p.day >= pullDays {
			delete(y.pulls, scope)
		}
	}
	y.now = y.now.Add(24 * time.Hour)
}

// collect removes the packs that no manifest names, unless they were written within the last
// day, as larder gc does. It returns the bytes of those that are left, those of the ones that
// manifests name, and how many these are.
func (y *year) collect() (stored, inUse int64, packs int) {
	named := make(map[string]bool)
	add := func(profile, scope string) {
		for _, p := range y.manifest(profile, scope).Packs {
			named[packKey(p)] = true
		}
	}
	for _, profile := range yearProfiles {
		add(profile, "main")
	}
	for scope, p := range y.pulls {
		add(p.profile, scope)
	}
	for obj, err := range y.store.List(y.t.Context(), "v1/") {
		if err != nil {
			y.t.Fatal(err)
		}
		switch {
		case !strings.Contains(obj.Key, "/p/"):
			continue
		case !named[obj.Key] && obj.Age() > 24*time.Hour:
			if err := y.store.Delete(y.t.Context(), obj.Key, ""); err != nil {
				y.t.Fatal(err)
			}
			continue
		case named[obj.Key]:
			inUse += obj.Size
			packs++
		}
		stored += obj.Size
	}
	return stored, inUse, packs
}

// everything returns the bytes of all that the jobs of main use now.
func (y *year) everything() (bytes int64) {
	uses := slices.Clone(y.packages)
	for _, own := range y.own {
		uses = append(uses, own...)
	}
	for _, u := range uses {
		bytes += u.size
	}
	return bytes
}

// TestYear: what a remote stores of a module has a bound, three times what its jobs use, and
// a publication writes little more than its news. go test -v prints a row for each week, and
// with LARDER_TEST_ALL and -update the test draws docs/year.svg.
func TestYear(t *testing.T) {
	days := 42
	if os.Getenv("LARDER_TEST_ALL") != "" {
		days = 250
	}
	y := newYear(t)
	var curve yearCurve
	t.Log("day  stored/used  named/used  packs  published/news %  worst %  compacted/published %")
	for day := range days {
		y.day(day)
		stored, named, packs := y.collect()
		used := y.everything()
		curve.add(float64(stored) / float64(used))
		if day%7 == 6 || day == days-1 {
			t.Logf("%3d  %11.2f  %10.2f  %5d  %16d  %7d  %21d", day+1, float64(stored)/float64(used), float64(named)/float64(used),
				packs, y.published*100/y.news, y.worst, y.compacted*100/y.published)
		}
		if stored > 3*used {
			t.Fatalf("on day %d, %d bytes are stored, more than three times the %d that are used", day+1, stored, used)
		}
	}
	if y.worst > 130 {
		t.Errorf("a publication wrote %d %% of its news", y.worst)
	}
	y.job("build", y.uses("build"), "main")
	y.wantAll("build", y.uses("build"))
	if *update {
		curve.draw(t, filepath.Join("..", "docs", "year.svg"))
	}
}
