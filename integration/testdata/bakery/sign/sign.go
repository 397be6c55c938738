// Package sign embeds a file.
package sign

import (
	_ "embed"
	"fmt"

	"bakery.example/bread/town"
)

//go:embed sign.txt
var text string

// Text returns what the sign says.
func Text() string { return fmt.Sprintf(text, town.Bread()) }
