package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/sign"
)

const (
	bytesAuto  = "auto"
	bytesEager = "eager"
	bytesLazy  = "lazy"

	objectsAll  = "all"
	objectsNone = "none"

	closeLinger = "linger"
	closeWait   = "wait"
	closeDefer  = "defer"

	statsOff  = "0"
	statsText = "1"
	statsJSON = "json"
)

// option is one row of the configuration table. set parses a value, which is not
// empty.
type option struct {
	flag     string
	value    string                   // the default, as a person would write it; "": none
	fallback func(environment) string // returns a default that depends on the environment
	shown    string                   // what help says where value does not say it
	usage    string                   // one sentence for help and README
	hidden   bool                     // from both: only larder bench sets it
	secret   bool                     // the value must not be printed
	set      func(*givenSettings, string) error
}

// variable returns the name of the environment variable that stands for o.
func (o option) variable() string {
	return "LARDER_" + strings.ToUpper(strings.ReplaceAll(o.flag, "-", "_"))
}

// options is the configuration table.
func options() []option {
	return []option{{
		flag:  "remote",
		usage: "URL of the store that is shared: s3://bucket/prefix, gs://bucket/prefix, azblob://account/container/prefix, redis://host:port, https://host:port/path, grpcs://host:port/instance (a REAPI cache), gha:// (the cache of GitHub Actions) or file:///dir; without one, only the local tier is used",
		set: func(g *givenSettings, v string) error {
			g.remote = v
			return open.Check(v)
		},
	}, {
		flag:     "profile",
		fallback: defaultProfile,
		shown:    "platform and, in CI, the job's name",
		usage:    "name of the builds of this module or workspace that ask for the same entries; larder fetches what the last of them used before the next one asks for it",
		set: func(g *givenSettings, v string) error {
			g.profile = v
			if cache.ShortName(v) != v {
				return fmt.Errorf("want at most %d bytes, and fewer of those that a URL escapes", cache.MaxName)
			}
			return nil
		},
	}, {
		flag:  "scope",
		shown: "main; in CI what the event allows",
		usage: "part of the remote that is written: main, or pr-123 for what has not been reviewed yet",
		set: func(g *givenSettings, v string) error {
			g.scope = v
			return cache.CheckScope(v)
		},
	}, {
		flag:  "read-scopes",
		shown: "the scope that is written, and main",
		usage: "scopes that are read, separated by commas; where several of them have an entry, the first one counts",
		set:   func(g *givenSettings, v string) error { return parseScopes(&g.readScopes, v) },
	}, {
		flag:   "sign-key",
		secret: true,
		usage:  "key that signs everything larder writes, or the absolute path of the FILE to which larder keygen wrote it",
		set: func(g *givenSettings, v string) (err error) {
			if g.signKey = v; sign.IsKey(v) {
				_, err = sign.ParseKey(v)
			}
			return err
		},
	}, {
		flag:   "trust",
		shown:  "the key of `LARDER_SIGN_KEY`, if there is one",
		secret: true, // a shared key is, though a public one is not
		usage:  "keys, or absolute paths of FILEs of keys, separated by commas; larder ignores what none of them has signed. Without LARDER_SIGN_KEY it then writes nothing to the remote",
		set: func(g *givenSettings, v string) error {
			g.trust = v
			return checkTrust(v)
		},
	}, {
		flag:     "dir",
		fallback: defaultDir,
		shown:    "larder in the user's cache directory, or in GOCACHE if there is none",
		usage:    "folder of the local tier; it may be an existing GOCACHE",
		set: func(g *givenSettings, v string) error {
			g.dir = v
			if !filepath.IsAbs(v) {
				return errors.New("want an absolute path")
			}
			return nil
		},
	}, {
		flag:  "readonly",
		value: "false",
		usage: "true: never write to the remote",
		set:   func(g *givenSettings, v string) error { return parseBool(&g.readOnly, v) },
	}, {
		flag:  "bytes",
		value: bytesAuto,
		usage: "whether to download packages that the go command does not need to read: eager downloads them, auto leaves them out in those commands that are known not to read them, lazy in all commands",
		set: func(g *givenSettings, v string) error {
			g.bytes = v
			return oneOf(v, bytesAuto, bytesEager, bytesLazy)
		},
	}, {
		flag:  "objects",
		shown: "none for gha://, otherwise all",
		usage: "all: each entry has an object of its own, too, which builds of any module can look up; none: nothing but packs and manifests is written, in far fewer requests, and a build finds what the module's other profiles have published",
		set: func(g *givenSettings, v string) error {
			g.objects = v
			return oneOf(v, objectsAll, objectsNone)
		},
	}, {
		flag:     "close",
		fallback: defaultClose,
		shown:    "wait in CI, otherwise linger",
		usage:    "when to upload: linger uploads in the background once the build has ended, wait uploads what is small during the build, and waits for the rest, defer leaves everything to larder flush",
		set: func(g *givenSettings, v string) error {
			g.close = v
			return oneOf(v, closeLinger, closeWait, closeDefer)
		},
	}, {
		flag:  "close-timeout",
		value: "60s",
		usage: "how long wait waits for uploads, and for publishing them, which has a third of the time; what is left then goes on in the background",
		set:   func(g *givenSettings, v string) error { return parseDuration(&g.closeTimeout, v) },
	}, {
		flag:  "linger",
		value: "10m",
		usage: "how long uploads in the background may take; a later session or larder flush does what is left then",
		set:   func(g *givenSettings, v string) error { return parseDuration(&g.linger, v) },
	}, {
		flag:  "budget",
		value: "10s",
		usage: "how much time a build may lose by waiting for a remote that does not save as much; then the build goes on without lookups there",
		set:   func(g *givenSettings, v string) error { return parseDuration(&g.budget, v) },
	}, {
		flag:  "timeout",
		value: "10s",
		usage: "how long a request to the remote may make no progress",
		set:   func(g *givenSettings, v string) error { return parseLimit(&g.timeout, v) },
	}, {
		flag:  "max-object",
		value: "512MiB",
		usage: "bodies larger than this stay local",
		set:   func(g *givenSettings, v string) error { return parseSize(&g.maxObject, v) },
	}, {
		flag:  "max-age",
		value: "120h",
		usage: "entries of the local tier that were not used for this long are removed, and uploads that are left are given up after that time; 0: never",
		set:   func(g *givenSettings, v string) error { return parseDuration(&g.maxAge, v) },
	}, {
		flag:  "max-size",
		value: "0",
		usage: "size to which the local tier is trimmed once a day; what was not used for the longest time goes first; 0: no limit",
		set:   func(g *givenSettings, v string) error { return parseSize(&g.maxSize, v) },
	}, {
		flag:  "remote-max-age",
		value: "720h",
		usage: "what larder gc removes: manifests and entry objects that nobody has written for this long, in the scopes pr-…, branch-… and event-… for a week at most; 0: none by their age",
		set:   func(g *givenSettings, v string) error { return parseDuration(&g.remoteMaxAge, v) },
	}, {
		flag:  "remote-max-size",
		value: "20GiB",
		usage: "size to which a file:// remote is trimmed once a day; what was not used for the longest time goes first; 0: no limit",
		set:   func(g *givenSettings, v string) error { return parseSize(&g.remoteMaxSize, v) },
	}, {
		flag:  "stats",
		value: statsOff,
		usage: "1: print a line of counts at the end of each session; json: print them as a JSON object; the absolute path of a file: append that object there",
		set: func(g *givenSettings, v string) error {
			g.statsFormat = v
			err := oneOf(v, statsOff, statsText, statsJSON)
			switch {
			case err == nil, filepath.IsAbs(v):
				return nil
			}
			return fmt.Errorf("%w, or the absolute path of a file", err)
		},
	}, {
		flag:  "log",
		value: "warn",
		usage: "what is logged to stderr: error, warn, info, or debug, which includes every request to the remote",
		set: func(g *givenSettings, v string) error {
			if err := oneOf(v, "error", "warn", "info", "debug"); err != nil {
				return err
			}
			return g.logLevel.UnmarshalText([]byte(v))
		},
	}, {
		flag:  "record",
		usage: "FILE to which the session's input is copied, for bug reports; it holds everything that the build compiled",
		set: func(g *givenSettings, v string) error {
			g.record = v
			return nil
		},
	}, {
		flag:   "bench-prefetch",
		value:  "true",
		hidden: true,
		usage:  "false: look up each entry when the build asks for it",
		set:    func(g *givenSettings, v string) error { return parseBool(&g.prefetch, v) },
	}, {
		flag:   "bench-latency",
		value:  "0s",
		hidden: true,
		usage:  "by how much each request to the remote is delayed",
		set:    func(g *givenSettings, v string) error { return parseDuration(&g.latency, v) },
	}, {
		flag:   "bench-bandwidth",
		value:  "0",
		hidden: true,
		usage:  "bytes a second that go to the remote and come from it",
		set:    func(g *givenSettings, v string) error { return parseSize(&g.bandwidth, v) },
	}}
}

// flags returns the table as flags, with their variables.
func flags() []urfave.Flag {
	var flags []urfave.Flag
	for _, o := range options() {
		flags = append(flags, &urfave.StringFlag{
			Name:        o.flag,
			Usage:       o.usage,
			DefaultText: o.shownDefault(),
			Hidden:      o.hidden,
			Sources:     urfave.EnvVars(o.variable()),
		})
	}
	return flags
}

// shownDefault returns the default as help and README show it.
func (o option) shownDefault() string { return cmp.Or(o.shown, o.value) }

// setDefault sets the option to its default, which is never wrong. Without one it does
// nothing.
func (o option) setDefault(g *givenSettings, environ environment) {
	value := o.value
	if o.fallback != nil {
		value = o.fallback(environ)
	}
	if value != "" {
		_ = o.set(g, value)
	}
}

// wrong returns the error of an option whose value is wrong for the reason err.
func (o option) wrong(value string, err error) error {
	if o.secret {
		return fmt.Errorf("%s (or --%s): %w", o.variable(), o.flag, err)
	}
	return fmt.Errorf("%s (or --%s) is %q: %w", o.variable(), o.flag, open.Redact(value), err)
}

// defaultDir returns "" if there is no place for a default.
func defaultDir(environ environment) string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = environ.get("GOCACHE") // may be off
	}
	if !filepath.IsAbs(dir) {
		return ""
	}
	return filepath.Join(dir, "larder")
}

func defaultClose(environ environment) string {
	if inCI(environ) {
		return closeWait
	}
	return closeLinger
}

// objectsFor returns the value of LARDER_OBJECTS for a remote, where objects is the given one,
// or "".
func objectsFor(remote, objects string) (string, error) {
	switch scarce := open.Traits(remote).Scarce; {
	case scarce && objects == objectsAll:
		return "", fmt.Errorf("LARDER_OBJECTS (or --objects) is %q: want none for %s, which takes few requests", objects, open.Redact(remote))
	case scarce:
		return objectsNone, nil
	}
	return cmp.Or(objects, objectsAll), nil
}
