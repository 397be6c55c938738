//go:build burnt

// Package burnt has what vet finds and the compiler does not.
package burnt

import "fmt"

// Smell says how bad it is, or tries to.
func Smell(minutes int) string { return fmt.Sprintf("%s minutes too long", minutes) }
