// Till is a library for C.
package main

import "C"

import "bakery.example/bread/town"

// Bread is what C calls.
//
//export Bread
func Bread() C.int { return C.int(town.Bread()) }

func main() {}
