package count

import "testing"

func TestAdd(t *testing.T) {
	if got := Add(40, 2); got != 42 {
		t.Errorf("got %d, want 42", got)
	}
}
