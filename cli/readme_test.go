package cli

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the configuration table to README.md")

// TestReadme compares README.md with the configuration table. With -update it
// writes the table there.
func TestReadme(t *testing.T) {
	const path, begin, end = "../README.md", "<!-- options -->\n", "<!-- /options -->\n"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	before, rest, found := strings.Cut(text, begin)
	got, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no section between %q and %q", path, begin, end)
	}
	want := markdown(options())
	switch {
	case got == want:
	case *update:
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s has\n%s\nwant (go test ./cli -run TestReadme -update)\n%s", path, got, want)
	}
}

// markdown returns the configuration table as one of Markdown.
func markdown(options []option) string {
	var b strings.Builder
	b.WriteString("\n| Variable | Default | |\n|---|---|---|\n")
	for _, o := range options {
		if o.hidden {
			continue
		}
		def := o.def()
		if def != "" && o.fallback == nil {
			def = "`" + def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", o.variable(), def, strings.ReplaceAll(o.usage, "|", `\|`))
	}
	b.WriteString("\n")
	return b.String()
}
