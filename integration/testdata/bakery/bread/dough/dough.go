// Package dough is where it all comes together.
package dough

import (
	"bakery.example/bread/flour"
	"bakery.example/bread/salt"
	"bakery.example/bread/unit"
	"bakery.example/bread/water"
	"bakery.example/bread/yeast"
)

// Knead returns what the dough for so many loaves weighs, once it has risen.
func Knead(loaves int) unit.Gram {
	weight := unit.Sum(water.Litre(loaves), flour.Sack(loaves), salt.Spoons(loaves))
	return unit.Gram(yeast.Rise(int64(weight)))
}
