package sign

import (
	"os"
	"testing"
)

// The go command notes that this file was read, and when it was changed last.
func TestText(t *testing.T) {
	want, err := os.ReadFile("testdata/want.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := Text(); got != string(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
