package cache

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"os"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/secrets"
	"github.com/larderbuild/larder/session"
	"github.com/larderbuild/larder/sign"
)

// Config is what [New], [Flush], [Restore] and [Save] have in common.
type Config struct {
	Local     *localdisk.Dir
	Policy    Policy
	MaxObject int64 // in bytes; larger bodies are neither uploaded nor brought
	MaxSize   int64 // in bytes; what is brought ahead of gets keeps the local tier within it; 0: no limit
	PacksOnly bool  // there are no entry objects: what siblings publish takes their place
	Stats     *Stats
	Log       *slog.Logger // its warnings are for the person who builds
	Progress  Progress
}

// createTemp makes a file for about size bytes that are on their way out, in s or, if the
// disk of s has no room for them, in the spare directory. The caller closes and removes it.
func (c Config) createTemp(s *session.Session, size int64) (*os.File, error) {
	if spare := c.Local.SpareFor(size); spare != nil {
		return spare.CreateTemp()
	}
	return s.CreateTemp()
}

// Policy says what leaves this machine, and what is let in.
type Policy struct {
	Key     *sign.Key       // signs what is written; nil: it stays unsigned
	Trust   *sign.Trust     // whose signatures are believed; nil: everybody's, and none at all
	Secrets *secrets.Filter // finds secrets; nil: well-known shapes alone
}

// Progress shows a person how far a command has come. Its functions may be nil, and
// may be called from many goroutines at once.
type Progress struct {
	// Planned is told of what is about to be done. It is called again where
	// more turns up, as when another job publishes at the same time.
	Planned func(entries int, bytes int64)

	// Done is told of each entry that was done, or could not be, with the size
	// of its body in bytes where that is known.
	Done func(bytes int64)
}

func (p Progress) planned(entries int, bytes int64) {
	if p.Planned != nil {
		p.Planned(entries, bytes)
	}
}

func (p Progress) done(bytes int64) {
	if p.Done != nil {
		p.Done(bytes)
	}
}

// SessionConfig says what a session's Cache is made of.
type SessionConfig struct {
	Config
	Store     backend.Store  // nil: there is no remote. The Cache closes it.
	Target    session.Target // where Store is, for the journal; and the scopes and the profile
	Upload    bool           // whether puts go to the remote
	Linger    bool           // a process in the background does what is left, so no upload begins before Close
	Defer     bool           // a later Flush does what is left, so no upload begins before Close
	Budget    time.Duration  // what waiting for the remote may cost the build
	Lazy      *Lazy          // nil: archives are brought whether they are read or not
	Transient *Transient     // nil: the session is not transient
	Silent    bool           // nobody sees the warnings of Log now, so another session repeats them

	// Command is the SHA-256 of the command line, or zero if that is unknown. By
	// it the manifest remembers eager commands. Links says that a miss which no put
	// follows is always a link.
	Command [sha256.Size]byte
	Links   bool
}

// Lazy is for a session whose go command, as long as every get is a hit, reads
// no more of an archive than its head.
type Lazy struct {
	// Rebuild has the go command build, without the remote, what the local
	// tier lacks. It is called, once at most, where the bytes of archives that
	// were given out can't be had otherwise.
	Rebuild func(context.Context) error

	// Abandon ends the go command, for a reason, where that did not help.
	Abandon func(error)
}

// CheckScope reports why name can't be that of a scope.
func CheckScope(name string) error { return pack.CheckScope(name) }
