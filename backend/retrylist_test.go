package backend_test

import (
	"context"
	"iter"
	"testing"

	"github.com/larderbuild/larder/backend"
)

// stumbling is a store whose lists have the keys of the next string, a letter each. A ! is a
// fault.
type stumbling struct {
	backend.Store
	lists []string
}

func (s *stumbling) List(context.Context, string) iter.Seq2[backend.Object, error] {
	list := s.lists[0]
	s.lists = s.lists[1:]
	return func(yield func(backend.Object, error) bool) {
		for _, key := range list {
			if key == '!' {
				yield(backend.Object{}, errFault)
				return
			}
			if !yield(backend.Object{Key: string(key)}, nil) {
				return
			}
		}
	}
}

// A list that breaks off goes on where it was. What is not sorted may be yielded twice or not
// at all by another list, so that ends.
func TestRetryOfAList(t *testing.T) {
	for _, test := range []struct {
		name  string
		lists []string
		want  string
	}{
		{"at the beginning", []string{"!", "!", "abc"}, "abc"},
		{"in the middle", []string{"ab!", "abcd"}, "abcd"},
		{"at the end", []string{"abc!", "abc"}, "abc"},
		{"again and again", []string{"a!", "ab!", "!", "abc!", "abcd"}, "abcd"},
		{"some are gone, others new", []string{"abc!", "aacde"}, "abcde"},
		{"not sorted", []string{"acb!", "acbd"}, "acb!"},
		{"not sorted later", []string{"ab!", "abdc!", "abdce"}, "abdc!"},
	} {
		t.Run(test.name, synctested(func(t *testing.T) {
			got := ""
			for obj, err := range backend.WithRetry(&stumbling{lists: test.lists}, patient).List(t.Context(), "") {
				if got += obj.Key; err != nil {
					got += "!"
				}
			}
			if got != test.want {
				t.Errorf("listed %q, want %q", got, test.want)
			}
		}))
	}
}
