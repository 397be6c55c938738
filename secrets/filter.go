package secrets

import (
	"context"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// nameParts has words. A variable whose name contains one of them holds a secret.
var nameParts = []string{"TOKEN", "SECRET", "PASSWORD", "KEY", "CREDENTIAL"}

// minValue is the length in bytes of the shortest value that is searched for. Shorter
// values occur in bodies by chance.
const minValue = 8

// minName is the length in bytes of the shortest name that counts as the build's. A
// shorter one could be cut out of any secret.
const minName = 4

// patience is how long New waits for file systems. One of them may be a network mount whose
// server is gone.
const patience = 2 * time.Second

// step is how many new bytes a window has, compared with the window before it.
const step = 64 << 10

// Filter has the secrets that are searched for. It is safe for concurrent use.
type Filter struct {
	values []value
	shapes []shape

	// A body is searched in windows that overlap, so that no match is missed at
	// the border between two. Sizes are in bytes.
	overlap    int // length of the longest match, less one
	windowSize int
}

// value is a text that is secret.
type value struct {
	rule string // says which variable has the value
	text []byte
}

// New returns the Filter for a process with the given environment, which has the form of
// the result of os.Environ. New looks whether values that are absolute paths exist as
// files or folders, and leaves those out. It does so for 2 seconds at most: what their file
// systems have not answered then counts as secret. It leaves out ordinary values, too:
// SECURITY.md says which. The names are what the build holds anyway, such as its module
// path.
func New(environ []string, names ...string) *Filter {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	names = ordinaryNames(names)
	f := &Filter{shapes: shapes(), overlap: maxShape - 1}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		for _, text := range secretsOf(name, value) {
			text = strings.TrimSpace(text)
			if len(text) < minValue || !isStrong(text, names) || isPath(ctx, text, os.Stat) {
				continue
			}
			f.add(name, text)
			f.add(name, strings.ReplaceAll(text, "\r\n", "\n"))
		}
	}
	f.windowSize = f.overlap + step
	return f
}

// add adds text, the value of the variable name, to the values of f. It ignores a text
// that is too short or already known.
func (f *Filter) add(name, text string) {
	known := func(v value) bool { return string(v.text) == text }
	if len(text) < minValue || slices.ContainsFunc(f.values, known) {
		return
	}
	f.values = append(f.values, value{"value of " + name, []byte(text)})
	f.overlap = max(f.overlap, len(text)-1)
}

// secretsOf returns what may be secret of a variable's value: all of it, if the name says so;
// the values in a list of headers, such as a=b,c=d; the password in a URL.
func secretsOf(name, value string) (texts []string) {
	switch {
	case isSecret(name):
		texts = []string{value}
	case strings.HasSuffix(strings.ToUpper(name), "HEADERS"):
		for pair := range strings.SplitSeq(value, ",") {
			_, text, _ := strings.Cut(pair, "=")
			texts = append(texts, text, unescaped(text))
		}
	}
	password := passwordIn(value)
	return append(texts, password, unescaped(password))
}

// passwordIn returns the password in a URL as it stands there, or "" if there is none.
func passwordIn(rawURL string) string {
	_, rest, _ := strings.Cut(rawURL, "://")
	user, _, found := strings.Cut(rest, "@")
	if !found || strings.ContainsAny(user, "/?# ") {
		return ""
	}
	_, password, _ := strings.Cut(user, ":")
	return password
}

// unescaped returns what text stands for in a URL, or "" if it is malformed.
func unescaped(text string) string {
	plain, _ := url.PathUnescape(text)
	return plain
}

// isSecret reports whether the variable with this name holds a secret.
func isSecret(name string) bool {
	name = strings.ToUpper(name)
	return slices.ContainsFunc(nameParts, func(part string) bool { return strings.Contains(name, part) })
}

// isPath reports whether text is the absolute path of something that exists, as stat says.
// It returns false if stat has not returned when ctx is done.
func isPath(ctx context.Context, text string, stat func(string) (fs.FileInfo, error)) bool {
	if !filepath.IsAbs(text) {
		return false
	}
	exists := make(chan bool, 1)
	go func() {
		_, err := stat(text)
		exists <- err == nil
	}()
	select {
	case yes := <-exists:
		return yes
	case <-ctx.Done():
		return false
	}
}

// ordinaryNames returns the names in lower case, without those too short to mean much.
func ordinaryNames(names []string) (ordinary []string) {
	for _, name := range names {
		if len(name) >= minName {
			ordinary = append(ordinary, strings.ToLower(name))
		}
	}
	return ordinary
}
