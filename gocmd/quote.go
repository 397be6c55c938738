package gocmd

import (
	"fmt"
	"strings"
)

// QuoteField returns text as one field of GOCACHEPROG. The go command splits that
// variable at spaces. A field that begins with a single or double quote ends at the
// next such quote. There is no escape in between. So QuoteField returns an error for
// some texts that have quotes of both kinds.
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
