package dough

import (
	"os"
	"testing"
)

var warm bool

func TestMain(m *testing.M) {
	warm = true
	os.Exit(m.Run())
}

func TestKnead(t *testing.T) {
	if !warm {
		t.Fatal("the dough is cold")
	}
	if got := Knead(2); got != 8066 {
		t.Errorf("got %d, want 8066", got)
	}
}
