package secrets

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// nameParts are what tells the name of a variable that holds a secret.
var nameParts = []string{"TOKEN", "SECRET", "PASSWORD", "KEY", "CREDENTIAL"}

// minValue is the length in bytes of the shortest value that is searched: shorter
// ones stand in bodies by chance.
const minValue = 8

// chunk is how many bytes of a window the one before it did not have.
const chunk = 64 << 10

// Filter knows what is secret here. It is safe for concurrent use.
type Filter struct {
	values []value
	shapes []shape

	overlap int // bytes that a window repeats of the one before it: the longest match less one
	full    int // bytes of a window that is to be searched
}

// value is a text that must not leave.
type value struct {
	rule string
	text []byte
}

// New returns the Filter for a process with the given environment, which has the
// form of os.Environ's. It looks up whether values that look like paths are some.
func New(environ []string) *Filter {
	f := &Filter{shapes: shapes(), overlap: maxShape - 1}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		text = strings.TrimSpace(text)
		if !isSecret(name) || isPath(text) {
			continue
		}
		f.add(name, text)
		f.add(name, strings.ReplaceAll(text, "\r\n", "\n"))
	}
	f.full = f.overlap + chunk
	return f
}

// add makes text, the value of the variable name, one of f's values.
func (f *Filter) add(name, text string) {
	known := func(v value) bool { return string(v.text) == text }
	if len(text) < minValue || slices.ContainsFunc(f.values, known) {
		return
	}
	f.values = append(f.values, value{"value of " + name, []byte(text)})
	f.overlap = max(f.overlap, len(text)-1)
}

func isSecret(name string) bool {
	name = strings.ToUpper(name)
	return slices.ContainsFunc(nameParts, func(part string) bool { return strings.Contains(name, part) })
}

func isPath(text string) bool {
	if !filepath.IsAbs(text) {
		return false
	}
	_, err := os.Stat(text)
	return err == nil
}
