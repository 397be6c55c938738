// Mould can be a plugin.
package main

import "bakery.example/bread/loaf"

// Loaf is what a program that opens the plugin looks for.
func Loaf() int { return int(loaf.Bake(1)) }

func main() {}
