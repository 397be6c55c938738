package shelf

import (
	"slices"
	"sync"
	"testing"
)

func TestSorted(t *testing.T) {
	var s Shelf[string]
	var users sync.WaitGroup
	for _, jar := range []string{"plum", "apple", "quince"} {
		users.Add(1)
		go func() {
			defer users.Done()
			s.Put(jar)
		}()
	}
	users.Wait()
	if got := s.Sorted(); !slices.Equal(got, []string{"apple", "plum", "quince"}) {
		t.Errorf("got %q", got)
	}
}
