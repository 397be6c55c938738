package cli

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/larderbuild/larder/cache"
)

var update = flag.Bool("update", false, "write the tables into the pages")

// TestReadme compares the tables in README.md and docs with what the code says. With
// -update it writes them there.
func TestReadme(t *testing.T) {
	for _, block := range []struct{ path, name, want string }{
		{"../README.md", "options", optionsTable(options())},
		{"../docs/trouble.md", "stats", statsTable(cache.SummaryStats())},
	} {
		data, err := os.ReadFile(block.path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), "\r\n", "\n")
		begin, end := "<!-- "+block.name+" -->\n", "<!-- /"+block.name+" -->\n"
		before, rest, found := strings.Cut(text, begin)
		got, after, ended := strings.Cut(rest, end)
		switch {
		case !found || !ended:
			t.Errorf("%s has no section between %q and %q", block.path, begin, end)
		case got == block.want:
		case *update:
			text = before + begin + block.want + end + after
			if err := os.WriteFile(block.path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("%s has\n%s\nwant (go test ./cli -run TestReadme -update)\n%s", block.path, got, block.want)
		}
	}
}

// optionsTable returns the configuration table in Markdown.
func optionsTable(options []option) string {
	var b strings.Builder
	b.WriteString("\n| Variable | Default | |\n|---|---|---|\n")
	for _, o := range options {
		if o.hidden {
			continue
		}
		def := o.shown
		if def == "" && o.value != "" {
			def = "`" + o.value + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", o.variable(), def, cell(o.usage))
	}
	b.WriteString("\n")
	return b.String()
}

// statsTable returns the numbers of LARDER_STATS=json as a table in Markdown.
func statsTable(stats []cache.Stat) string {
	var b strings.Builder
	b.WriteString("\n| Key | Meaning |\n|---|---|\n")
	for _, s := range stats {
		fmt.Fprintf(&b, "| `%s` | %s |\n", s.Name, cell(s.Help))
	}
	b.WriteString("\n")
	return b.String()
}

// cell returns text as it may stand in a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
