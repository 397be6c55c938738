package collect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/sign"
)

const (
	// Grace is the age up to which packs and entry objects stay in any case: somebody may
	// be about to publish them.
	Grace = 24 * time.Hour

	// shortAge is the age of Config.MaxAge in scopes of work that is soon done with.
	shortAge = 7 * 24 * time.Hour

	// sideBySide is how many objects are removed at the same time.
	sideBySide = 32
)

// shortLived are the beginnings of the scopes of pull requests, branches and events.
var shortLived = []string{"pr-", "branch-", "event-"}

// Config says what Run removes.
type Config struct {
	// MaxAge is the age at which manifests and entry objects go. In scopes that begin with
	// pr-, branch- or event- it is a week at most. 0: they don't go by their age.
	MaxAge time.Duration

	// MaxSize is how many bytes may stay. 0: any number. What is younger than Grace stays
	// in any case.
	MaxSize int64

	DryRun bool        // remove nothing, and tell what would go
	Trust  *sign.Trust // whose manifests are read; nil: everybody's
	Log    *slog.Logger

	// Planned is told how many more objects will be removed, and Done of each one that was
	// or could not be. They may be called from many goroutines at once.
	Planned func(objects int)
	Done    func()
}

// maxAge returns the age at which the manifests and entry objects of a scope go, or 0.
func (c *Config) maxAge(scope string) time.Duration {
	for _, beginning := range shortLived {
		if c.MaxAge > 0 && strings.HasPrefix(scope, beginning) {
			return min(c.MaxAge, shortAge)
		}
	}
	return c.MaxAge
}

// expired reports whether an object of a scope goes by its age.
func (c *Config) expired(scope string, obj backend.Object) bool {
	limit := c.maxAge(scope)
	return limit > 0 && obj.Age() > limit
}

// Result is what Run has removed, or would remove, and what it has left.
type Result struct {
	Manifests int   `json:"manifests"` // with what goes with them
	Packs     int   `json:"packs"`
	Entries   int   `json:"entries"` // entry objects
	Bytes     int64 `json:"bytes"`

	ObjectsLeft int64 `json:"objects_left"`
	BytesLeft   int64 `json:"bytes_left"`
	DryRun      bool  `json:"dry_run"`
}

// Objects returns how many objects Run has removed.
func (r Result) Objects() int { return r.Manifests + r.Packs + r.Entries }

// Run removes from store what cfg says. If it can't do all of it, the result tells how far
// it came. Where the store denies access to some scopes, Run goes on with the others, and
// the error names them.
func Run(ctx context.Context, cfg Config, store backend.Store) (Result, error) {
	c := &collector{
		Config: cfg,
		store:  store,
		scopes: make(map[string]*scope),
		young:  make(map[int64]int64),
		denied: make(map[string]error),
	}
	c.result.DryRun = cfg.DryRun
	err := c.run(ctx)
	return c.result, errors.Join(err, c.denials())
}

// collector is one run.
type collector struct {
	Config
	store  backend.Store
	scopes map[string]*scope
	young  map[int64]int64 // bytes of entry objects by the minute in which they were written
	now    time.Time       // by the store's clock, when everything was listed

	mu     sync.Mutex // guards what follows
	result Result
	denied map[string]error // by scope
}

// scope is what Run knows of a scope.
type scope struct {
	packs     map[pack.ID]*listedPack
	manifests map[string]*manifest // by key
	notes     map[string]note      // by key
}

// packRef names a pack.
type packRef struct {
	scope string
	id    pack.ID
}

type listedPack struct {
	packRef
	obj  backend.Object
	gone bool
}

type note struct {
	key cache.Key
	obj backend.Object
}

func (c *collector) run(ctx context.Context) error {
	if err := c.survey(ctx); err != nil {
		return err
	}
	if err := c.readManifests(ctx); err != nil {
		return err
	}
	if err := c.removeManifests(ctx, c.expiredManifests()); err != nil {
		return err
	}
	c.tellUnread()
	if err := c.removePacks(ctx); err != nil {
		return err
	}
	return c.shrink(ctx)
}

// scope returns the scope of a name.
func (c *collector) scope(name string) *scope {
	s := c.scopes[name]
	if s == nil {
		s = &scope{packs: make(map[pack.ID]*listedPack), manifests: make(map[string]*manifest), notes: make(map[string]note)}
		c.scopes[name] = s
	}
	return s
}

// survey lists everything, and removes the entry objects that have expired.
func (c *collector) survey(ctx context.Context) error {
	return c.eachObject(ctx, func(b *batch, obj backend.Object) {
		c.keep(obj)
		c.now = obj.Listed
		switch k := cache.ParseKey(obj.Key); k.Kind {
		case cache.Pack:
			c.scope(k.Scope).packs[k.Pack] = &listedPack{packRef: packRef{k.Scope, k.Pack}, obj: obj}
		case cache.EntryObject, cache.Lease: // a lease is over after some minutes
			switch {
			case obj.Age() > Grace && c.expired(k.Scope, obj):
				b.remove(k, obj)
			case k.Kind == cache.EntryObject:
				c.young[minuteOf(obj)] += obj.Size
			}
		case cache.Foreign:
		default:
			c.scope(k.Scope) // its manifests are listed when they are read
		}
	})
}

// minuteOf returns the minute in which obj was written.
func minuteOf(obj backend.Object) int64 { return obj.Written.Unix() / 60 }

// keep counts an object that is there.
func (c *collector) keep(obj backend.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.ObjectsLeft++
	c.result.BytesLeft += obj.Size
}

// denials returns an error that names the scopes to which the store denies access.
func (c *collector) denials() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.denied) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(c.denied))
	err := c.denied[names[0]]
	if n := len(names); n > 3 {
		names = append(names[:3], fmt.Sprintf("%d others", n-3))
	}
	return fmt.Errorf("nothing is removed from %s: %w", strings.Join(names, ", "), err)
}
