// Package pantry is what the tests of protocol have the go command build. It
// imports nothing, so that a cold build takes no time.
package pantry

// Shelf returns the shelf for a jar, by the length of its label.
func Shelf(label string) int {
	if label == "" {
		return -1
	}
	return len(label) % 3
}
