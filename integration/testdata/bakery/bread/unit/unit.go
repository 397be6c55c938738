// Package unit is what all others rest on.
package unit

// Gram is a weight.
type Gram int

// Kilo is a thousand grams.
const Kilo Gram = 1000

// Sum adds up what is like an integer.
func Sum[T ~int](all ...T) (sum T) {
	for _, one := range all {
		sum += one
	}
	return sum
}
