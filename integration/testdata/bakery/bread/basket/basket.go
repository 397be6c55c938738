// Package basket holds more than one thing.
package basket

import (
	"bakery.example/bread/crust"
	"bakery.example/bread/roll"
	"bakery.example/bread/unit"
)

// Full returns what n full baskets weigh.
func Full(n int) unit.Gram { return unit.Sum(crust.Of(n), roll.Dozens(n)) }
