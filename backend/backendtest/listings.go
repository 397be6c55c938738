package backendtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larderbuild/larder/backend"
)

// This file has the suite's tests of List.

func testList(t *testing.T, s store) {
	s.expectList(t, "")
	for _, key := range []string{"a/1", "a/12", "a/2", "ab/1", "b/a/1", "c"} {
		s.put(t, key, []byte(key))
	}
	for prefix, want := range map[string][]string{
		"":      {"a/1", "a/12", "a/2", "ab/1", "b/a/1", "c"},
		"a":     {"a/1", "a/12", "a/2", "ab/1"},
		"a/":    {"a/1", "a/12", "a/2"},
		"a/1":   {"a/1", "a/12"},
		"b/":    {"b/a/1"},
		"c":     {"c"},
		"c/":    nil,
		"x/y/z": nil,
	} {
		s.expectList(t, prefix, want...)
	}
	for obj, err := range s.List(t.Context(), "a/12") {
		if err != nil || obj.Size != 4 || obj.Version == "" {
			t.Errorf("listed %+v, %v", obj, err)
		}
	}
}

// testListTimes takes the clocks of the store and of this machine to be within a minute of
// each other.
func testListTimes(t *testing.T, s store) {
	s.put(t, "key", []byte("first"))
	s.put(t, "key", []byte("second"))
	n := 0
	for obj, err := range s.List(t.Context(), "") {
		if n++; err != nil || obj.Age().Abs() > time.Minute || time.Since(obj.Listed).Abs() > time.Minute {
			t.Errorf("written %v, listed %v, %v", obj.Written, obj.Listed, err)
		}
	}
	if n != 1 {
		t.Errorf("%d objects, want 1", n)
	}
}

func testListManyPages(t *testing.T, s store) {
	const n = 2100 // S3 and GCS give at most 1000 in one answer
	var group errgroup.Group
	group.SetLimit(32)
	want := make([]string, n)
	for i := range n {
		want[i] = fmt.Sprintf("v1/main/a/%02x/%04d", i%16, i)
		group.Go(func() error {
			_, err := s.putIf(t.Context(), want[i], []byte("x"), backend.Condition{})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	s.expectList(t, "v1/main/a/", want...)
}

func testListAbandoned(t *testing.T, s store) {
	for i := range 10 {
		s.put(t, fmt.Sprintf("key-%d", i), nil)
	}
	n := 0
	for range s.List(t.Context(), "") {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d objects, want 3", n)
	}
}
