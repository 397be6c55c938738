// Package shop has shelves.
package shop

import (
	"bakery.example/bread/shelf"
	"bakery.example/bread/unit"
)

// Stock returns what lies on shelves.
func Stock(shelves ...shelf.Shelf) (all unit.Gram) {
	for _, s := range shelves {
		all += s.Weight()
	}
	return all
}
