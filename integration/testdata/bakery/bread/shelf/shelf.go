// Package shelf holds baskets.
package shelf

import (
	"bakery.example/bread/basket"
	"bakery.example/bread/unit"
)

// Shelf is so many baskets wide.
type Shelf struct{ Baskets int }

// Weight returns what is on the shelf.
func (s Shelf) Weight() unit.Gram { return basket.Full(s.Baskets) }
