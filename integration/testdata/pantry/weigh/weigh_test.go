package weigh

import "testing"

func TestNet(t *testing.T) {
	if got := Net(3, 700); got != 1500 {
		t.Errorf("got %d, want 1500", got)
	}
}
