package cli

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLog(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		level slog.Level
		write func(*slog.Logger)
		want  string
	}{
		{"a message", slog.LevelWarn, func(l *slog.Logger) { l.Warn("look out") }, "larder: look out\n"},
		{"details that nobody asked for", slog.LevelWarn, func(l *slog.Logger) { l.Error("look out", "n", 3) }, "larder: look out\n"},
		{"attributes", slog.LevelInfo, func(l *slog.Logger) { l.Error("look out", "n", 3, "err", errors.New("gone")) }, "larder: look out (n=3, err=gone)\n"},
		{"attributes of a logger", slog.LevelInfo, func(l *slog.Logger) { l.With("a", 1).WithGroup("g").With("b", 2).Warn("look out", "c", 3) }, "larder: look out (a=1, b=2, c=3)\n"},
		{"loggers of one", slog.LevelInfo, func(l *slog.Logger) {
			one := l.With("a", 1).With("b", 2).With("c", 3) // room for a fourth
			two, three := one.With("d", 4), one.With("e", 5)
			two.Warn("x")
			three.Warn("x")
			one.Warn("x")
		}, "larder: x (a=1, b=2, c=3, d=4)\nlarder: x (a=1, b=2, c=3, e=5)\nlarder: x (a=1, b=2, c=3)\n"},
		{"below the level", slog.LevelWarn, func(l *slog.Logger) { l.Info("by the way"); l.Debug("and") }, ""},
		{"at the level", slog.LevelDebug, func(l *slog.Logger) { l.Info("by the way"); l.Debug("and") }, "larder: by the way\nlarder: and\n"},
		{"several lines", slog.LevelInfo, func(l *slog.Logger) { l.Warn("one\ntwo", "err", "three\nfour") }, "larder: one; two (err=three; four)\n"},
		{"controls", slog.LevelInfo, func(l *slog.Logger) { l.Warn("a\x1b[31m\tb\rc\x00", "d", "\x07") }, "larder: a?[31m?b?c? (d=?)\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			test.write(newLog(&b, test.level))
			if b.String() != test.want {
				t.Errorf("%q, want %q", b.String(), test.want)
			}
		})
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("x", maxLine)
	for line, want := range map[string]string{
		"":                      "",
		"plain":                 "plain",
		"größer als 3 € – “日本”": "größer als 3 € – “日本”",
		"\x1b]0;title\x07":      "?]0;title?",
		"\x9b1m\u009b1m":        "\ufffd1m?1m", // a byte that is no character, and C1
		"\u202eright to left":   "?right to left",
		"\u200b\ufeff":          "??",
		"\u2028a\u00a0b":        "?a?b",
		"a\r\nb":                "a?; b",
		full:                    full,
		full + "y":              full + "…",
		full + "\n" + full:      full + "…",
		"\n" + full[1:]:         "; " + full[1:],
		full[:maxLine-1] + "ä ": full[:maxLine-1] + "\ufffd…", // cut inside a character
	} {
		if got := printable(line); got != want {
			t.Errorf("printable(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestOpenLog(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		before int // bytes; -1: there is no log
		kept   bool
	}{
		{"none", -1, false},
		{"empty", 0, true},
		{"short", 10, true},
		{"full", maxLog, true},
		{"too long", maxLog + 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log")
			var want string
			if test.before >= 0 {
				text := strings.Repeat("x", test.before)
				writeFile(t, path, text)
				if test.kept {
					want = text
				}
			}
			file, err := openLog(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if _, err := file.WriteString("more\n"); err != nil {
				t.Fatal(err)
			}
			if got := contents(t, file); got != want+"more\n" {
				t.Errorf("%d bytes, want %d", len(got), len(want)+len("more\n"))
			}
		})
	}
	if _, err := openLog(filepath.Join(t.TempDir(), "missing", "log")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a folder that is missing: %v", err)
	}
}
