// Plain needs nothing of the standard library but the runtime. It has a profile.
package main

import "bakery.example/bread/town"

func main() { println(town.Bread()) }
