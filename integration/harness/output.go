package harness

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/larderbuild/larder/cache"
)

// Counts adds up what sessions with LARDER_STATS=json have printed in output. It returns
// output without that, the sum, and the number of sessions.
func Counts(output string) (rest string, sum cache.Summary, sessions int) {
	var b strings.Builder
	for line := range strings.Lines(output) {
		var s cache.Summary
		if !strings.HasPrefix(line, `{"gets":`) || json.Unmarshal([]byte(line), &s) != nil {
			b.WriteString(line)
			continue
		}
		sessions++
		sum = sum.Plus(s)
	}
	return b.String(), sum, sessions
}

// compile matches the lines of go build -x that compile, assemble or run cgo.
var compile = regexp.MustCompile(`(?m)^.*/(compile|asm|cgo)(\.exe)?"? (-o|-p|-trimpath|-objdir).*$`)

// Compiles returns the compile actions in what a go command printed with -x.
func Compiles(output string) []string { return compile.FindAllString(output, -1) }
