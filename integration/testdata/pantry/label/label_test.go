package label_test

import (
	"os"
	"strings"
	"testing"

	"pantry.example/label"
)

// The go command notes that this file was read, and when it was changed last.
func TestAll(t *testing.T) {
	want, err := os.ReadFile("testdata/want.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(label.All(), " ") + "\n"; got != string(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
