package cli

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
)

// TestOutput: a warning is for stderr, and its details are in the log, also those of lines
// that were written before the place of the log was known.
func TestOutput(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "larder", "log")
	stderr := tempFile(t)
	out := newOutput(stderr, slog.LevelWarn, false)
	out.log.Warn("early", "why", "x")
	out.file.begin(path)
	out.log.Info("by the way", "n", 1)
	out.log.Debug("in detail")
	out.log.Error("late")
	if got := contents(t, stderr); got != "larder: early\nlarder: late\n" {
		t.Errorf("stderr: %q", got)
	}
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line := `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d larder: `
	if want := "^" + line + `early \(why=x\)` + "\n" + line + `by the way \(n=1\)` + "\n" + line + "late\n$"; !regexp.MustCompile(want).Match(log) {
		t.Errorf("log: %q, want %s", log, want)
	}
}

// TestOutputWithoutLog: where there is no place for the log, stderr has the line all the
// same.
func TestOutputWithoutLog(t *testing.T) {
	t.Parallel()
	file := tempFile(t)
	stderr := tempFile(t)
	out := newOutput(stderr, slog.LevelWarn, false)
	out.file.begin(filepath.Join(file.Name(), "larder", "log"))
	out.log.Warn("look out")
	if got := contents(t, stderr); got != "larder: look out\n" {
		t.Errorf("stderr: %q", got)
	}
}

func TestPatiently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		if n, err := patiently("/file", func() (int, error) { return 3, gone }); n != 3 || err != gone {
			t.Errorf("%d, %v", n, err)
		}
		never := make(chan struct{})
		_, err := patiently("/file", func() (int, error) { <-never; return 3, nil })
		if err == nil || !strings.HasPrefix(err.Error(), "/file: ") {
			t.Errorf("%v, want an error that names the file", err)
		}
		close(never)
	})
}

func TestOpenRecord(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "record")
	writeFile(t, path, "of another session")
	file, err := openRecord(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got := contents(t, file); got != "" {
		t.Errorf("it begins with %q", got)
	}
	if _, err := openRecord(os.DevNull); err == nil || !strings.Contains(err.Error(), os.DevNull) {
		t.Errorf("a device: %v, want an error that names it", err)
	}
}
