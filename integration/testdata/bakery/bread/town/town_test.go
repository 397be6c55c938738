package town_test

import (
	"fmt"

	"bakery.example/bread/town"
)

func ExampleBread() {
	fmt.Println(town.Bread() > 10000)
	// Output: true
}
