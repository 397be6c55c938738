// Package crust is what makes it worth it.
package crust

import (
	"bakery.example/bread/loaf"
	"bakery.example/bread/unit"
)

// Of returns what the crusts of n loaves weigh.
func Of(n int) unit.Gram {
	all := loaf.Bake(n)
	return all / 7
}
