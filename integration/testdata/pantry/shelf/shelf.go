// Package shelf has type parameters, and goroutines for the race detector.
package shelf

import (
	"cmp"
	"slices"
	"sync"
)

// Shelf holds things in no order, for any number of users at once.
type Shelf[T cmp.Ordered] struct {
	mu    sync.Mutex
	items []T
}

// Put adds an item.
func (s *Shelf[T]) Put(item T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = append(s.items, item)
}

// Sorted returns what is on the shelf, in order.
func (s *Shelf[T]) Sorted() []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.items))
}
