// Package label embeds a file.
package label

import (
	_ "embed"
	"strings"
)

//go:embed labels.txt
var labels string

// All returns what is written on the jars.
func All() []string { return strings.Fields(labels) }
