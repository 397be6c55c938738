package cli

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
)

func TestRecorder(t *testing.T) {
	t.Parallel()
	file, log := tempFile(t), new(bytes.Buffer)
	in := io.TeeReader(strings.NewReader("what the go command says"), &recorder{file, newLog(log, slog.LevelWarn)})
	if text, err := io.ReadAll(in); string(text) != "what the go command says" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
	if got := contents(t, file); got != "what the go command says" || log.Len() > 0 {
		t.Errorf("recorded %q, and logged %q", got, log)
	}
}

// TestRecorderFails: the session reads on where its record can't be written, and
// says so once.
func TestRecorderFails(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "record")
	writeFile(t, path, "")
	readOnly, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	log := new(bytes.Buffer)
	parts := io.MultiReader(strings.NewReader("one "), strings.NewReader("two "), strings.NewReader("three"))
	in := io.TeeReader(parts, &recorder{readOnly, newLog(log, slog.LevelWarn)})
	if text, err := io.ReadAll(in); string(text) != "one two three" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
	if want := regexp.MustCompile(`^larder: LARDER_RECORD: .+; the rest of the session is not recorded\n$`); !want.MatchString(log.String()) {
		t.Errorf("logged %q", log)
	}
	if got := contents(t, readOnly); got != "" {
		t.Errorf("recorded %q", got)
	}
}

func TestPrintStats(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		statsOff:  `^$`,
		statsText: `^larder: 0 gets: .*\n$`,
		statsJSON: `^\{"gets":0,.*\}\n$`,
	} {
		var printed strings.Builder
		with := parts{stats: new(cache.Stats)}
		with.statsFormat = format
		printStats(&printed, with)
		if got := printed.String(); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: %q, want %s", format, got, want)
		}
	}
}

// TestAppendStats: each session adds a line to a file, and one that can't be written is named.
func TestAppendStats(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "stats")
	for _, test := range []struct{ path, file, log string }{
		{file, `^(\{"gets":0,.*\}\n){2}$`, `^$`},
		{t.TempDir(), `^$`, `LARDER_STATS: .* is no regular file`},
	} {
		var printed, logged strings.Builder
		with := parts{stats: new(cache.Stats), log: slog.New(newHandler(&logged, slog.LevelWarn))}
		with.statsFormat = test.path
		printStats(&printed, with)
		printStats(&printed, with)
		content, _ := os.ReadFile(test.path)
		if !regexp.MustCompile(test.file).Match(content) || !regexp.MustCompile(test.log).MatchString(logged.String()) || printed.Len() > 0 {
			t.Errorf("%s: %q, logged %q, printed %q", test.path, content, logged.String(), printed.String())
		}
	}
}

// TestAllowLazy: eager never answers with archives whose bytes are not here, and lazy
// does whatever calls it. What auto does depends on that; gocmd has its tests.
func TestAllowLazy(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[string]bool{bytesEager: false, bytesLazy: true} {
		cfg := cache.SessionConfig{Config: parts{local: localdisk.New(t.TempDir()), log: newLog(io.Discard, slog.LevelWarn)}.config()}
		new(program).allowLazy(&cfg, settings{plainSettings: plainSettings{bytes: bytes}})
		if got := cfg.Lazy != nil; got != want {
			t.Errorf("%s: lazy %v, want %v", bytes, got, want)
		}
	}
}
