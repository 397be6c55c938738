package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/session"
	"github.com/larderbuild/larder/sign"
)

// clearVariables unsets every LARDER_ variable for the test.
func clearVariables(t *testing.T) {
	for _, o := range options() {
		t.Setenv(o.variable(), "")
	}
}

// configureArgs returns what configure makes of larder's arguments.
func configureArgs(t *testing.T, environ environment, args ...string) (g givenSettings) {
	t.Helper()
	cmd := &urfave.Command{Name: "larder", Flags: flags(), Action: func(_ context.Context, cmd *urfave.Command) error {
		g = configure(cmd, environ)
		return nil
	}}
	if err := cmd.Run(t.Context(), append([]string{"larder"}, args...)); err != nil {
		t.Fatal(err)
	}
	return g
}

// defaults returns what nothing but defaults make in an empty environment.
func defaults(t *testing.T) givenSettings {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return givenSettings{
		plainSettings: plainSettings{
			dir:          filepath.Join(dir, "larder"),
			bytes:        "auto",
			close:        "linger",
			closeTimeout: time.Minute,
			linger:       10 * time.Minute,
			budget:       10 * time.Second,
			timeout:      10 * time.Second,
			maxObject:    512 << 20,
			maxAge:       5 * 24 * time.Hour,
			remoteMaxAge: 30 * 24 * time.Hour, remoteMaxSize: 20 << 30,
			statsFormat: "0",
			logLevel:    slog.LevelWarn,
		},
		profile:  runtime.GOOS + "-" + runtime.GOARCH,
		prefetch: true,
	}
}

func wantGiven(t *testing.T, got, want givenSettings) {
	t.Helper()
	got.wrong, want.wrong = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestConfigure(t *testing.T) {
	clearVariables(t)
	for _, test := range []struct {
		name    string
		set     map[string]string // variables
		environ environment       // on which defaults depend
		args    string
		change  func(*givenSettings) // of the defaults
	}{
		{name: "nothing"},
		{
			name: "variables",
			set: map[string]string{
				"LARDER_REMOTE": "s3://bucket/prefix", "LARDER_SCOPE": "pr-1", "LARDER_READ_SCOPES": " pr-1, main\nother,", "LARDER_PROFILE": "nightly",
				"LARDER_SIGN_KEY": "/k", "LARDER_TRUST": "/t,/u", "LARDER_DIR": t.TempDir(), "LARDER_READONLY": "true", "LARDER_BYTES": "lazy", "LARDER_OBJECTS": "none",
				"LARDER_CLOSE": "wait", "LARDER_CLOSE_TIMEOUT": "1s", "LARDER_LINGER": "2s", "LARDER_BUDGET": "3s", "LARDER_TIMEOUT": "4s",
				"LARDER_MAX_OBJECT": "1KiB", "LARDER_MAX_AGE": "1h30m", "LARDER_MAX_SIZE": "2GiB", "LARDER_REMOTE_MAX_AGE": "48h", "LARDER_REMOTE_MAX_SIZE": "3GiB", "LARDER_STATS": "json", "LARDER_LOG": "debug",
				"LARDER_RECORD": "session", "LARDER_BENCH_PREFETCH": "false", "LARDER_BENCH_LATENCY": "20ms", "LARDER_BENCH_BANDWIDTH": "1MiB",
			},
			change: func(g *givenSettings) {
				*g = givenSettings{
					plainSettings: plainSettings{
						dir: os.Getenv("LARDER_DIR"), readOnly: true, bytes: "lazy", objects: "none", close: "wait", closeTimeout: time.Second, linger: 2 * time.Second,
						budget: 3 * time.Second, timeout: 4 * time.Second, maxObject: 1 << 10, maxAge: 90 * time.Minute, maxSize: 2 << 30, remoteMaxAge: 48 * time.Hour, remoteMaxSize: 3 << 30,
						statsFormat: "json", logLevel: slog.LevelDebug, record: "session", latency: 20 * time.Millisecond, bandwidth: 1 << 20,
					},
					remote: "s3://bucket/prefix", scope: "pr-1", readScopes: []string{"pr-1", "main", "other"}, profile: "nightly", signKey: "/k", trust: "/t,/u",
				}
			},
		},
		{name: "a flag", args: "--budget=1s", change: func(g *givenSettings) { g.budget = time.Second }},
		{name: "a flag and its value apart", args: "--budget 1s", change: func(g *givenSettings) { g.budget = time.Second }},
		{
			name: "a flag before its variable", set: map[string]string{"LARDER_BUDGET": "1s", "LARDER_TIMEOUT": "2s"}, args: "--budget=3s",
			change: func(g *givenSettings) { g.budget, g.timeout = 3*time.Second, 2*time.Second },
		},
		{name: "an empty variable is not set", set: map[string]string{"LARDER_BUDGET": ""}},
		{name: "an empty flag hides its variable", set: map[string]string{"LARDER_REMOTE": "s3://bucket", "LARDER_BUDGET": "1s"}, args: "--remote= --budget="},
		{name: "a wrong variable behind a flag", set: map[string]string{"LARDER_STATS": "yes"}, args: "--stats=1", change: func(g *givenSettings) { g.statsFormat = "1" }},
		{name: "CI", environ: environment{"CI=true"}, change: func(g *givenSettings) { g.close = "wait" }},
		{name: "CI, without the variable", environ: environment{"TF_BUILD=True"}, change: func(g *givenSettings) { g.close = "wait" }},
		{name: "no CI", environ: environment{"CI=false"}},
		{name: "CI, but linger", environ: environment{"CI=true"}, set: map[string]string{"LARDER_CLOSE": "linger"}},
		{
			name: "another platform, and a job", environ: environment{"GOOS=plan9", "GOARCH=mips", "CI_JOB_NAME=unit tests"},
			change: func(g *givenSettings) { g.profile = "plan9-mips unit tests" },
		},
		{
			name: "a job's name that is too long", environ: environment{"CI_JOB_NAME=" + strings.Repeat("x", cache.MaxName)},
			change: func(g *givenSettings) {
				g.profile = cache.ShortName(g.profile + " " + strings.Repeat("x", cache.MaxName))
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range test.set {
				t.Setenv(name, value)
			}
			want := defaults(t)
			if test.change != nil {
				test.change(&want)
			}
			got := configureArgs(t, test.environ, strings.Fields(test.args)...)
			wantGiven(t, got, want)
			if len(got.wrong) > 0 {
				t.Errorf("wrong: %v", got.wrong)
			}
		})
	}
}

// TestConfigureWrong: each wrong value is named with its option and with what is
// allowed, and the option has its default.
func TestConfigureWrong(t *testing.T) {
	clearVariables(t)
	const secret = "c2VjcmV0" // of six bytes, where a key has 32
	duration := "want a duration such as 90s, 10m or 1h30m"
	size := "want a size such as 500MB or 2GiB"
	scope := cache.CheckScope("../main").Error()
	_, key := sign.ParseKey("ed25519-secret:" + secret)
	_, public := sign.ParseKey("ed25519:" + secret)
	_, trust := sign.ParseTrust("ed25519-secret:" + secret)
	for _, test := range []struct {
		name string
		args []string
		want []string // the errors
	}{
		{"remote", []string{"--remote=ftp://user:" + secret + "@host/x"}, []string{`LARDER_REMOTE (or --remote) is "ftp://…@host/x": ` + open.Check("ftp://host/x").Error()}},
		{"profile", []string{"--profile=" + strings.Repeat("x", cache.MaxName+1)}, []string{`LARDER_PROFILE (or --profile) is "` + strings.Repeat("x", cache.MaxName+1) + `": want at most 200 bytes, and fewer of those that a URL escapes`}},
		{"profile, of escaped bytes", []string{"--profile=" + strings.Repeat("ä", 40)}, []string{`LARDER_PROFILE (or --profile) is "` + strings.Repeat("ä", 40) + `": want at most 200 bytes, and fewer of those that a URL escapes`}},
		{"scope", []string{"--scope=../main"}, []string{`LARDER_SCOPE (or --scope) is "../main": ` + scope}},
		{"read scopes", []string{"--read-scopes=main,a/b"}, []string{`LARDER_READ_SCOPES (or --read-scopes) is "main,a/b": "a/b": ` + scope}},
		{"no read scopes", []string{"--read-scopes= ,"}, []string{`LARDER_READ_SCOPES (or --read-scopes) is " ,": want at least one scope`}},
		{"key", []string{"--sign-key=ed25519-secret:" + secret}, []string{"LARDER_SIGN_KEY (or --sign-key): " + key.Error()}},
		{"public key", []string{"--sign-key=ed25519:" + secret}, []string{"LARDER_SIGN_KEY (or --sign-key): " + public.Error()}},
		{"trust", []string{"--trust=/file,hmac:" + secret}, []string{"LARDER_TRUST (or --trust): " + key.Error()}},
		{"trust in a secret key", []string{"--trust=ed25519-secret:" + secret}, []string{"LARDER_TRUST (or --trust): " + trust.Error()}},
		{"dir", []string{"--dir=relative"}, []string{`LARDER_DIR (or --dir) is "relative": want an absolute path`}},
		{"readonly", []string{"--readonly=yess"}, []string{`LARDER_READONLY (or --readonly) is "yess": want true or false`}},
		{"bytes", []string{"--bytes=all"}, []string{`LARDER_BYTES (or --bytes) is "all": want one of auto, eager, lazy`}},
		{"close", []string{"--close=later"}, []string{`LARDER_CLOSE (or --close) is "later": want one of linger, wait, defer`}},
		{"close timeout", []string{"--close-timeout=60"}, []string{`LARDER_CLOSE_TIMEOUT (or --close-timeout) is "60": ` + duration}},
		{"linger", []string{"--linger=-1s"}, []string{`LARDER_LINGER (or --linger) is "-1s": ` + duration}},
		{"budget", []string{"--budget=much"}, []string{`LARDER_BUDGET (or --budget) is "much": ` + duration}},
		{"no timeout", []string{"--timeout=0"}, []string{`LARDER_TIMEOUT (or --timeout) is "0": want a duration of more than 0, such as 10s`}},
		{"timeout", []string{"--timeout=ten seconds"}, []string{`LARDER_TIMEOUT (or --timeout) is "ten seconds": ` + duration}},
		{"max age", []string{"--max-age=5 days"}, []string{`LARDER_MAX_AGE (or --max-age) is "5 days": ` + duration}},
		{"max object", []string{"--max-object=big"}, []string{`LARDER_MAX_OBJECT (or --max-object) is "big": ` + size}},
		{"max size", []string{"--max-size=-1"}, []string{`LARDER_MAX_SIZE (or --max-size) is "-1": ` + size}},
		{"max size, beyond 63 bits", []string{"--max-size=9223372036854775808"}, []string{`LARDER_MAX_SIZE (or --max-size) is "9223372036854775808": ` + size}},
		{"stats", []string{"--stats=yes"}, []string{`LARDER_STATS (or --stats) is "yes": want one of 0, 1, json, or the absolute path of a file`}},
		{"log", []string{"--log=WARN"}, []string{`LARDER_LOG (or --log) is "WARN": want one of error, warn, info, debug`}},
		{"bench", []string{"--bench-prefetch=2", "--bench-latency=x", "--bench-bandwidth=x"}, []string{
			`LARDER_BENCH_PREFETCH (or --bench-prefetch) is "2": want true or false`,
			`LARDER_BENCH_LATENCY (or --bench-latency) is "x": ` + duration,
			`LARDER_BENCH_BANDWIDTH (or --bench-bandwidth) is "x": ` + size,
		}},
		{"several, in the table's order", []string{"--log=loud", "--dir=.", "--remote=x"}, []string{
			`LARDER_REMOTE (or --remote) is "x": ` + open.Check("x").Error(),
			`LARDER_DIR (or --dir) is ".": want an absolute path`,
			`LARDER_LOG (or --log) is "loud": want one of error, warn, info, debug`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := configureArgs(t, nil, test.args...)
			wantGiven(t, got, defaults(t))
			if texts := errorTexts(got.wrong); !slices.Equal(texts, test.want) {
				t.Errorf("wrong:\n%s\nwant\n%s", strings.Join(texts, "\n"), strings.Join(test.want, "\n"))
			} else if strings.Contains(strings.Join(texts, ""), secret) {
				t.Errorf("a secret is in %q", texts)
			}
		})
	}

	// A wrong value does not uncover another one.
	t.Setenv("LARDER_STATS", "1")
	t.Setenv("LARDER_READONLY", "true")
	got := configureArgs(t, nil, "--stats=yes")
	want := defaults(t)
	want.readOnly = true
	wantGiven(t, got, want)
}

func errorTexts(errs []error) (texts []string) {
	for _, err := range errs {
		texts = append(texts, err.Error())
	}
	return texts
}

func TestResolveTarget(t *testing.T) {
	t.Parallel()
	module := t.TempDir()
	writeFile(t, filepath.Join(module, "go.mod"), "module example.com/m\n")
	event := filepath.Join(t.TempDir(), "event.json")
	writeFile(t, event, `{"repository": {"default_branch": "trunk"}}`)
	push := environment{"GITHUB_ACTIONS=true", "GITHUB_EVENT_NAME=push", "GITHUB_REF_NAME=trunk", "GITHUB_REF_TYPE=branch", "GITHUB_EVENT_PATH=" + event}
	pull := environment{"GITHUB_ACTIONS=true", "GITHUB_EVENT_NAME=pull_request", "GITHUB_REF=refs/pull/7/merge"}
	const remote = "s3://bucket"
	for _, test := range []struct {
		name  string
		from  surroundings
		given givenSettings
		want  session.Target
	}{
		{"nothing", surroundings{}, givenSettings{}, session.Target{Scope: "main", Read: []string{"main"}}},
		{"a remote", surroundings{}, givenSettings{remote: remote}, session.Target{Remote: remote, Scope: "main", Read: []string{"main"}}},
		{"a scope", surroundings{}, givenSettings{scope: "x"}, session.Target{Scope: "x", Read: []string{"x", "main"}}},
		{"scopes", surroundings{}, givenSettings{scope: "x", readScopes: []string{"y"}}, session.Target{Scope: "x", Read: []string{"y"}}},
		{"scopes to read", surroundings{}, givenSettings{readScopes: []string{"y", "z"}}, session.Target{Scope: "main", Read: []string{"y", "z"}}},
		{"a pull request", surroundings{environ: pull}, givenSettings{}, session.Target{Scope: "pr-7", Read: []string{"pr-7", "main"}}},
		{"a pull request, and a scope", surroundings{environ: pull}, givenSettings{scope: "main"}, session.Target{Scope: "main", Read: []string{"main"}}},
		{"a pull request, and scopes to read", surroundings{environ: pull}, givenSettings{readScopes: []string{"y"}}, session.Target{Scope: "pr-7", Read: []string{"y"}}},
		{"the default branch, by a file", surroundings{environ: push}, givenSettings{}, session.Target{Scope: "main", Read: []string{"main"}}},
		{"a module", surroundings{folder: module}, givenSettings{profile: "p", prefetch: true}, session.Target{Scope: "main", Read: []string{"main"}, Profile: session.Profile{Module: "example.com/m", Name: "p"}}},
		{"a module, without prefetch", surroundings{folder: module}, givenSettings{profile: "p"}, session.Target{Scope: "main", Read: []string{"main"}}},
		{"no module", surroundings{}, givenSettings{profile: "p", prefetch: true}, session.Target{Scope: "main", Read: []string{"main"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := test.given.resolve(test.from)
			if err != nil || !reflect.DeepEqual(s.target, test.want) {
				t.Errorf("%+v, %v, want %+v", s.target, err, test.want)
			}
		})
	}
}

// TestResolveNames: what the build holds anyway is no secret of it.
func TestResolveNames(t *testing.T) {
	t.Parallel()
	module := t.TempDir()
	writeFile(t, filepath.Join(module, "go.mod"), "module quincejam.example/m\n")
	for value, secret := range map[string]bool{
		"quincejam.example/m":              false, // the module
		"xylographer":                      false, // the user
		"zq-preserves":                     false, // the profile
		"quincejam.example/n0t-7he-m0dule": true,
	} {
		environ := environment{"PROJECT_KEY=" + value, "USER=xylographer"}
		s, err := givenSettings{profile: "zq-preserves", prefetch: true}.resolve(surroundings{environ, module})
		if err != nil {
			t.Fatal(err)
		}
		scan := s.policy.Secrets.NewScan()
		if _, err := scan.Write([]byte("the value is " + value)); err != nil || (scan.Found() != "") != secret {
			t.Errorf("%s: found %q, %v, want a secret: %v", value, scan.Found(), err, secret)
		}
	}
}

// TestResolveWrong: beside an error, the settings have no remote and no keys. They
// have everything else, and know what is secret.
func TestResolveWrong(t *testing.T) {
	t.Parallel()
	const secret = "correct horse battery staple"
	from := surroundings{environ: environment{"API_TOKEN=" + secret}, folder: t.TempDir()}
	_, private, _ := newKey(t)
	missing := filepath.Join(t.TempDir(), "missing")
	plain := plainSettings{dir: t.TempDir(), record: "session", budget: time.Second}
	for _, test := range []struct {
		name  string
		given givenSettings
		want  []string // lines of the error
	}{
		{"nothing", givenSettings{signKey: private}, nil},
		{"an option", givenSettings{signKey: private, wrong: []error{errors.New("--x is wrong")}}, []string{"--x is wrong"}},
		{"a file", givenSettings{signKey: missing}, []string{"LARDER_SIGN_KEY (or --sign-key): it is neither a key, as larder keygen writes them, nor the absolute path of a file"}},
		{
			"everything", givenSettings{trust: missing, wrong: []error{errors.New("--x is wrong"), errors.New("--y is, too")}},
			[]string{"--x is wrong", "--y is, too", "LARDER_TRUST (or --trust): it is neither a key, as larder keygen writes them, nor the absolute path of a file"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.given.plainSettings, test.given.remote = plain, "s3://bucket"
			s, err := test.given.resolve(from)
			if want := strings.Join(test.want, "\n"); (err == nil) != (want == "") || err != nil && err.Error() != want {
				t.Errorf("error %v, want %q", err, want)
			}
			plain := plain
			if err == nil {
				plain.objects = objectsAll
			}
			if s.plainSettings != plain {
				t.Errorf("%+v, want %+v", s.plainSettings, plain)
			}
			if complete := err == nil; (s.target.Remote != "") != complete || (s.policy.Key != nil) != complete || (s.policy.Trust != nil) != complete {
				t.Errorf("error %v, target %+v, policy %+v", err, s.target, s.policy)
			}
			scan := s.policy.Secrets.NewScan()
			if _, err := scan.Write([]byte("test output with " + secret)); err != nil || scan.Found() != "value of API_TOKEN" {
				t.Errorf("found %q, %v", scan.Found(), err)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	environ := environment{"=C:=C:\\", "EMPTY=", "A=1", "AB=2", "A=3", "none", "EQUALS=x=y"}
	for name, want := range map[string]string{"A": "1", "AB": "2", "EMPTY": "", "MISSING": "", "none": "", "EQUALS": "x=y"} {
		if got := environ.get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
