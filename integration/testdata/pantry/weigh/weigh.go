// Package weigh is C, in a comment and in a file of its own.
package weigh

// #include "scale.h"
//
// static int tare(int grams) { return grams < 200 ? 0 : grams - 200; }
import "C"

// Net returns the weight in grams of what is in n jars of so many grams each.
func Net(n, grams int) int {
	return int(C.scale(C.int(n), C.tare(C.int(grams))))
}
