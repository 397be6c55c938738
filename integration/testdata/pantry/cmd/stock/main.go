// Stock prints what is in the pantry, in order.
package main

import (
	"fmt"

	"pantry.example/count"
	"pantry.example/label"
	"pantry.example/shelf"
)

func main() {
	var s shelf.Shelf[string]
	var jars int64
	for _, name := range label.All() {
		s.Put(name)
		jars = count.Add(jars, 1)
	}
	fmt.Println(jars, s.Sorted())
}
