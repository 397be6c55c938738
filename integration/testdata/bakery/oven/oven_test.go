package oven

import "testing"

func TestMinutes(t *testing.T) {
	if got := Minutes(1000, 6); got != 48 {
		t.Errorf("got %d, want 48", got)
	}
}
