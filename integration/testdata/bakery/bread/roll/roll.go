// Package roll is a loaf in small.
package roll

import (
	"bakery.example/bread/loaf"
	"bakery.example/bread/unit"
)

// Dozens returns what n dozens weigh.
func Dozens(n int) unit.Gram { return loaf.Bake(n) / 2 }
