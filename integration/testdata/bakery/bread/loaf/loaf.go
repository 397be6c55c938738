// Package loaf is baked dough.
package loaf

import (
	"bakery.example/bread/dough"
	"bakery.example/bread/unit"
)

// Bake returns what n loaves weigh.
func Bake(n int) unit.Gram { return dough.Knead(n) * 9 / 10 }
