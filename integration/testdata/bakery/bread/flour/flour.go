// Package flour is ground.
package flour

import "bakery.example/bread/unit"

// Grind returns what is left of each grain, which is less than a byte.
func Grind(grain []byte) (flour []byte) {
	for _, b := range grain {
		flour = append(flour, b>>1)
	}
	return flour
}

// Sack weighs n sacks.
func Sack(n int) unit.Gram {
	return unit.Sum(unit.Gram(n)*unit.Kilo, unit.Gram(len(Grind([]byte("rye")))))
}
