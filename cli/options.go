package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/sign"
)

// settings is the configuration, parsed.
type settings struct {
	remote       string
	scope        string
	readScopes   []string
	profile      string
	signKey      string // as it was given: the key, or its file
	trust        string // likewise, a list
	dir          string
	readOnly     bool
	bytes        string
	close        string
	closeTimeout time.Duration
	linger       time.Duration
	budget       time.Duration
	timeout      time.Duration
	maxObject    int64
	maxAge       time.Duration
	maxSize      int64
	stats        string
	log          slog.Level
	record       string

	policy cache.Policy // what resolve makes of signKey and trust

	// For larder bench, which hands them to the helpers that it measures.
	prefetch  bool
	latency   time.Duration // of each request
	bandwidth int64         // in bytes a second, each way; 0: no limit
}

const (
	bytesAuto  = "auto"
	bytesEager = "eager"
	bytesLazy  = "lazy"

	closeLinger = "linger"
	closeWait   = "wait"

	statsOff  = "0"
	statsText = "1"
	statsJSON = "json"
)

// option is one row of the configuration table.
type option struct {
	flag     string
	value    string                        // the default, as it would be written; "" where there is none
	fallback func() (string, error)        // where the default depends on the environment
	shown    string                        // what help says of such a default
	usage    string                        // one sentence for help and README
	hidden   bool                          // from both: for larder bench alone
	secret   bool                          // the value is not to be printed
	set      func(*settings, string) error // its error says what is allowed
}

// variable returns the name of the environment variable that stands for o.
func (o option) variable() string {
	return "LARDER_" + strings.ToUpper(strings.ReplaceAll(o.flag, "-", "_"))
}

// options is the configuration table.
func options() []option {
	return []option{{
		flag:  "remote",
		usage: "URL of the store that is shared: s3://bucket/prefix, gs://bucket/prefix or file:///dir; without one, only the local tier is used",
		set: func(s *settings, v string) error {
			s.remote = v
			if v == "" {
				return nil
			}
			return open.Check(v)
		},
	}, {
		flag:     "profile",
		fallback: defaultProfile,
		shown:    "platform and, in CI, the job's name",
		usage:    "name of builds of this module that ask for the same things; what they used is brought before it is asked for again",
		set: func(s *settings, v string) error {
			s.profile = v
			if len(v) > cache.MaxProfile {
				return fmt.Errorf("want at most %d bytes", cache.MaxProfile)
			}
			return nil
		},
	}, {
		flag:     "scope",
		fallback: func() (string, error) { return "", nil }, // resolve finds it out
		shown:    "main; in CI what the event allows",
		usage:    "part of the remote that is written: main, or pr-123 for what has yet to be reviewed",
		set: func(s *settings, v string) error {
			s.scope = v
			if v == "" {
				return nil
			}
			return cache.CheckScope(v)
		},
	}, {
		flag:     "read-scopes",
		fallback: func() (string, error) { return "", nil }, // likewise
		shown:    "the scope that is written, and main",
		usage:    "scopes that are read, separated by commas; what the first of them has counts",
		set:      func(s *settings, v string) error { return parseScopes(&s.readScopes, v) },
	}, {
		flag:   "sign-key",
		secret: true,
		usage:  "key with which all that is written is signed, or the absolute path of the FILE that larder keygen has written it to",
		set: func(s *settings, v string) (err error) {
			if s.signKey = v; sign.IsKey(v) {
				_, err = sign.ParseKey(v)
			}
			return err
		},
	}, {
		flag:     "trust",
		fallback: func() (string, error) { return "", nil }, // likewise
		shown:    "the key of `LARDER_SIGN_KEY`, if there is one",
		secret:   true, // hmac keys are
		usage:    "keys, or absolute paths of FILEs of them, separated by commas: what none of them has signed is not believed. Without LARDER_SIGN_KEY nothing is written then",
		set: func(s *settings, v string) error {
			s.trust = v
			for _, text := range splitList(v) {
				if !sign.IsKey(text) {
					continue
				}
				if _, err := sign.ParseTrust(text); err != nil {
					return err
				}
			}
			return nil
		},
	}, {
		flag:     "dir",
		fallback: defaultDir,
		shown:    "larder in the user's cache directory",
		usage:    "folder of the local tier; it may be an existing GOCACHE",
		set: func(s *settings, v string) error {
			s.dir = v
			if !filepath.IsAbs(v) {
				return errors.New("want an absolute path")
			}
			return nil
		},
	}, {
		flag:  "readonly",
		value: "false",
		usage: "true: never write to the remote",
		set: func(s *settings, v string) (err error) {
			if s.readOnly, err = strconv.ParseBool(v); err != nil {
				return errors.New("want true or false")
			}
			return nil
		},
	}, {
		flag:  "bytes",
		value: bytesAuto,
		usage: "whether packages are downloaded that the go command has no need to read: eager does so, auto does without them in the commands that are known to, lazy in any",
		set: func(s *settings, v string) error {
			s.bytes = v
			return oneOf(v, bytesAuto, bytesEager, bytesLazy)
		},
	}, {
		flag:     "close",
		fallback: defaultClose,
		shown:    "wait where CI is set, otherwise linger",
		usage:    "when uploads are done: linger does them in the background once the build has ended, wait does them during the build and waits for the rest",
		set: func(s *settings, v string) error {
			s.close = v
			return oneOf(v, closeLinger, closeWait)
		},
	}, {
		flag:  "close-timeout",
		value: "60s",
		usage: "how long wait waits before it lingers",
		set:   func(s *settings, v string) error { return parseDuration(&s.closeTimeout, v) },
	}, {
		flag:  "linger",
		value: "10m",
		usage: "how long uploads in the background may take; what is left then is for a later session or larder flush",
		set:   func(s *settings, v string) error { return parseDuration(&s.linger, v) },
	}, {
		flag:  "budget",
		value: "10s",
		usage: "how much time a build may lose by waiting for a remote that does not save as much; then it goes on without lookups there",
		set:   func(s *settings, v string) error { return parseDuration(&s.budget, v) },
	}, {
		flag:  "timeout",
		value: "10s",
		usage: "how long a request to the remote may make no progress",
		set:   func(s *settings, v string) error { return parseDuration(&s.timeout, v) },
	}, {
		flag:  "max-object",
		value: "512MiB",
		usage: "bodies larger than this stay local",
		set:   func(s *settings, v string) error { return parseSize(&s.maxObject, v) },
	}, {
		flag:  "max-age",
		value: "120h",
		usage: "entries of the local tier unused for this long are removed; 0: never",
		set:   func(s *settings, v string) error { return parseDuration(&s.maxAge, v) },
	}, {
		flag:  "max-size",
		value: "0",
		usage: "size to which the local tier is trimmed, once a day, oldest use first; 0: no limit",
		set:   func(s *settings, v string) error { return parseSize(&s.maxSize, v) },
	}, {
		flag:  "stats",
		value: statsOff,
		usage: "1: print a line of counts at the end of each session; json: as a JSON object",
		set: func(s *settings, v string) error {
			s.stats = v
			return oneOf(v, statsOff, statsText, statsJSON)
		},
	}, {
		flag:  "log",
		value: "warn",
		usage: "what is logged to stderr: error, warn, info, or debug with every request to the remote",
		set: func(s *settings, v string) error {
			if err := oneOf(v, "error", "warn", "info", "debug"); err != nil {
				return err
			}
			return s.log.UnmarshalText([]byte(v))
		},
	}, {
		flag:  "record",
		usage: "FILE to which the session's input is copied, for bug reports; it holds everything that the build compiled",
		set: func(s *settings, v string) error {
			s.record = v
			return nil
		},
	}, {
		flag:   "bench-prefetch",
		value:  "true",
		hidden: true,
		usage:  "false: ask for each entry when the build does",
		set: func(s *settings, v string) (err error) {
			if s.prefetch, err = strconv.ParseBool(v); err != nil {
				return errors.New("want true or false")
			}
			return nil
		},
	}, {
		flag:   "bench-latency",
		value:  "0s",
		hidden: true,
		usage:  "by how much each request to the remote is delayed",
		set:    func(s *settings, v string) error { return parseDuration(&s.latency, v) },
	}, {
		flag:   "bench-bandwidth",
		value:  "0",
		hidden: true,
		usage:  "bytes a second that go to the remote and come from it",
		set:    func(s *settings, v string) error { return parseSize(&s.bandwidth, v) },
	}}
}

// flags returns the table as flags, with their variables.
func flags() []cli.Flag {
	var flags []cli.Flag
	for _, o := range options() {
		flags = append(flags, &cli.StringFlag{
			Name:        o.flag,
			Usage:       o.usage,
			DefaultText: o.def(),
			Hidden:      o.hidden,
			Sources:     cli.EnvVars(o.variable()),
		})
	}
	return flags
}

// def returns the default as help and README show it.
func (o option) def() string {
	if o.fallback != nil {
		return o.shown
	}
	return o.value
}

// configure returns the settings that cmd's flags, the variables and the
// defaults make, and an error for each value that is wrong. Those have their
// defaults in the settings.
func configure(cmd *cli.Command) (settings, error) {
	var s settings
	var wrong []error
	for _, o := range options() {
		value, err := o.value, error(nil)
		if o.fallback != nil {
			value, err = o.fallback()
		}
		if err == nil {
			err = o.set(&s, value)
		}
		given := cmd.String(o.flag)
		if given == "" {
			if err != nil {
				wrong = append(wrong, fmt.Errorf("%s (or --%s) has no default here: %w", o.variable(), o.flag, err))
			}
			continue
		}
		def := s
		if err := o.set(&s, given); err != nil {
			s = def
			wrong = append(wrong, o.wrong(given, err))
		}
	}
	return s, errors.Join(wrong...)
}

// wrong says what is wrong with a value of o.
func (o option) wrong(value string, err error) error {
	if o.secret {
		return fmt.Errorf("%s (or --%s): %w", o.variable(), o.flag, err)
	}
	return fmt.Errorf("%s (or --%s) is %q: %w", o.variable(), o.flag, open.Redact(value), err)
}

func defaultDir() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "larder"), err
}

func defaultClose() (string, error) {
	if v := os.Getenv("CI"); v != "" && v != "false" && v != "0" {
		return closeWait, nil
	}
	return closeLinger, nil
}

func oneOf(v string, allowed ...string) error {
	if slices.Contains(allowed, v) {
		return nil
	}
	return fmt.Errorf("want one of %s", strings.Join(allowed, ", "))
}

func parseDuration(d *time.Duration, v string) error {
	parsed, err := time.ParseDuration(v)
	if err != nil || parsed < 0 {
		return errors.New("want a duration such as 90s, 10m or 1h30m")
	}
	*d = parsed
	return nil
}

func parseSize(n *int64, v string) error {
	parsed, err := humanize.ParseBytes(v)
	if err != nil || parsed > math.MaxInt64 {
		return errors.New("want a size such as 500MB or 2GiB")
	}
	*n = int64(parsed)
	return nil
}
