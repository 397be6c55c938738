package yeast

import "testing"

func TestRise(t *testing.T) {
	if got := Rise(21); got != 42 {
		t.Errorf("got %d, want 42", got)
	}
}
