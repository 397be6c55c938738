package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"unicode"
)

// newLog returns a logger whose lines appear in the output of a build. A line has
// larder's name and the message. The attributes are details for people who look for more:
// at the levels info and debug they follow in brackets.
func newLog(w io.Writer, level slog.Level) *slog.Logger { return slog.New(newHandler(w, level)) }

// newHandler returns the handler of newLog.
func newHandler(w io.Writer, level slog.Level) slog.Handler {
	return &lineHandler{level: level, mu: new(sync.Mutex), w: w}
}

type lineHandler struct {
	level slog.Level
	attrs []slog.Attr

	mu *sync.Mutex // of all handlers of w: one line is written at a time
	w  io.Writer
}

func (h *lineHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var attrs []string
	add := func(a slog.Attr) bool {
		attrs = append(attrs, a.String())
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	line := "larder: " + r.Message
	if len(attrs) > 0 && h.level <= slog.LevelInfo {
		line += " (" + strings.Join(attrs, ", ") + ")"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := fmt.Fprintln(h.w, printable(line))
	return err
}

// maxLine is the length in bytes of the longest line that is logged.
const maxLine = 2000

// printable returns line without anything that could control a terminal: parts of
// the line come from servers, which may send anything.
func printable(line string) string {
	if len(line) > maxLine {
		line = line[:maxLine] + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ReplaceAll(line, "\n", "; "))
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &lineHandler{h.level, append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...), h.mu, h.w}
}

// WithGroup returns h: in lines this short, attributes need no longer names.
func (h *lineHandler) WithGroup(string) slog.Handler { return h }
