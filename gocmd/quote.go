package gocmd

import (
	"fmt"
	"strings"
)

// QuoteField returns text as one field of GOCACHEPROG. The go command splits that
// variable at spaces. A field that begins with a single or double quote goes on to
// the next such quote, and nothing is special in between: there is no escape. So
// some texts that have quotes of both kinds can't be a field.
func QuoteField(text string) (string, error) {
	switch {
	case text != "" && !strings.ContainsAny(text, " \t\n\r") && text[0] != '\'' && text[0] != '"':
		return text, nil
	case !strings.Contains(text, "'"):
		return "'" + text + "'", nil
	case !strings.Contains(text, `"`):
		return `"` + text + `"`, nil
	}
	return "", fmt.Errorf("can't quote %q, which has both kinds of quotes", text)
}
