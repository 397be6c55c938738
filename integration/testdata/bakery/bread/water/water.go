// Package water weighs as much as its volume.
package water

import "bakery.example/bread/unit"

// Litre weighs n litres.
func Litre(n int) unit.Gram { return unit.Gram(n) * unit.Kilo }
