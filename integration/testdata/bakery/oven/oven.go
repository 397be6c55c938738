// Package oven is C, in a comment and in a file of its own.
package oven

// #include "oven.h"
//
// static int celsius(int gas) { return gas <= 0 ? 0 : 121 + 14 * gas; }
import "C"

import "bakery.example/bread/unit"

// Minutes returns how long so much takes at a gas mark.
func Minutes(weight unit.Gram, gas int) int {
	return int(C.minutes(C.int(weight), C.celsius(C.int(gas))))
}
