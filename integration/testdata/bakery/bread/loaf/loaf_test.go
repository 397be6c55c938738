package loaf_test

import (
	"testing"

	"bakery.example/bread/loaf"
	"bakery.example/bread/unit"
)

func TestBake(t *testing.T) {
	if got, least := loaf.Bake(1), 3*unit.Kilo; got < least {
		t.Errorf("got %d, want %d or more", got, least)
	}
}
