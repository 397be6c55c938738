// Package salt is measured by the spoon.
package salt

import "bakery.example/bread/unit"

// Spoon is what a spoon holds.
const Spoon unit.Gram = 15

// Spoons weighs n spoons.
func Spoons(n int) unit.Gram { return unit.Gram(n) * Spoon }
