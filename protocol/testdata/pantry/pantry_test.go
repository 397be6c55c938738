package pantry

import "testing"

func TestShelf(t *testing.T) {
	if got := Shelf("plum"); got != 1 {
		t.Errorf("Shelf(plum) = %d, want 1", got)
	}
}
