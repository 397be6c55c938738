package cli

import (
	"errors"
	"log/slog"
	"os"
	"time"

	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/secrets"
	"github.com/larderbuild/larder/session"
)

// The configuration is made in two steps. configure parses what a person has set
// and touches no file: the helper does that before the handshake. resolve then
// asks the environment, the working directory and files for the rest. Commands
// take settings, which only resolve makes.

// plainSettings are settings of which the text of the option says everything.
type plainSettings struct {
	dir          string
	readOnly     bool
	bytes        string
	objects      string // "" only in givenSettings: what suits the remote
	close        string
	closeTimeout time.Duration
	linger       time.Duration
	budget       time.Duration
	timeout      time.Duration
	maxObject    int64 // in bytes
	maxAge       time.Duration
	maxSize      int64 // in bytes
	statsFormat  string
	logLevel     slog.Level
	record       string

	remoteMaxAge  time.Duration
	remoteMaxSize int64 // in bytes; of a remote that is a directory

	// larder bench sets these two for the helpers that it measures.
	latency   time.Duration // of each request
	bandwidth int64         // in bytes a second, each way; 0: no limit
}

// givenSettings are what a person has set: flags, variables and defaults, parsed.
type givenSettings struct {
	plainSettings
	remote     string   // "": none
	scope      string   // "": the CI job's
	readScopes []string // none: the scope that is written, and main
	profile    string   // the name alone; the module is not known yet
	signKey    string   // the key, or the path of its file; "": none
	trust      string   // a list of keys and of paths of their files; "": none
	prefetch   bool
	wrong      []error // one for each value that is wrong; its option has the default
}

// settings are what larder works with. They are complete.
type settings struct {
	plainSettings
	target session.Target // its Remote is "" where there is none
	policy cache.Policy
}

// surroundings are what the settings depend on besides the options and the files
// that these name.
type surroundings struct {
	environ environment
	folder  string // the working directory; "" where it has no name
}

// configure returns what cmd's flags, the variables and the defaults set. A flag
// counts before its variable, and that before the default; what is empty is not
// set. Some defaults depend on environ.
func configure(cmd *urfave.Command, environ environment) givenSettings {
	var g givenSettings
	for _, o := range options() {
		value := cmd.Root().String(o.flag) // a command may have a flag of the same name
		o.setDefault(&g, environ)
		if value == "" {
			continue
		}
		before := g
		if err := o.set(&g, value); err != nil {
			g = before
			g.wrong = append(g.wrong, o.wrong(value, err))
		}
	}
	return g
}

// resolve completes the settings. Its error tells everything that is wrong, also
// what configure found. The settings it returns beside an error are for the local
// tier alone: they have no remote, but they still know what is secret in from.
func (g givenSettings) resolve(from surroundings) (settings, error) {
	s := settings{plainSettings: g.plainSettings}
	target := g.target(from)
	s.policy.Secrets = secrets.New(from.environ, g.buildNames(from.environ, target)...)
	key, trust, err := readKeys(g.signKey, g.trust)
	objects, errObjects := objectsFor(target.Remote, s.objects)
	if err = errors.Join(append(g.wrong, err, errObjects)...); err != nil {
		return s, err
	}
	s.policy.Key, s.policy.Trust = key, trust
	s.target, s.objects = target, objects
	return s, nil
}

// target returns where the work of a session goes.
func (g givenSettings) target(from surroundings) session.Target {
	t := session.Target{Remote: g.remote, Scope: g.scope, Read: g.readScopes}
	if t.Scope == "" {
		t.Scope = currentJob(from.environ).scope()
	}
	if len(t.Read) == 0 {
		t.Read = []string{t.Scope}
		if t.Scope != mainScope {
			t.Read = append(t.Read, mainScope)
		}
	}
	if module := mainModule(from); module != "" && g.prefetch {
		t.Profile = session.Profile{Module: module, Name: g.profile}
	}
	return t
}

// buildNames returns the names that a build toward target holds anyway. They are no
// secrets.
func (g givenSettings) buildNames(environ environment, target session.Target) []string {
	names := []string{target.Scope, target.Profile.Module, g.profile}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	for _, variable := range []string{
		"USER", "LOGNAME", "USERNAME", "HOSTNAME", "COMPUTERNAME",
		"GITHUB_REF_NAME", "GITHUB_HEAD_REF", "CI_COMMIT_REF_NAME", "BUILDKITE_BRANCH", "CIRCLE_BRANCH", "GIT_BRANCH",
	} {
		names = append(names, environ.get(variable))
	}
	return names
}

// writes reports whether anything may be written to the remote. A machine that
// believes only signed entries and can't sign does not write: those who believe
// as it does could not read what it wrote.
func (s settings) writes() bool {
	return !s.readOnly && (s.policy.Trust == nil || s.policy.Key != nil)
}
