// Hot is linked with C.
package main

import (
	"bakery.example/bread/loaf"
	"bakery.example/oven"
)

func main() { println(oven.Minutes(loaf.Bake(1), 6)) }
