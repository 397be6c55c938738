// Package town has shops, and everything below them.
package town

import (
	"bakery.example/bread/shelf"
	"bakery.example/bread/shop"
)

// Bread returns how many grams of bread there are in town.
func Bread() int {
	return int(shop.Stock(shelf.Shelf{Baskets: 2}, shelf.Shelf{Baskets: 3}))
}
