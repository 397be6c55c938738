package backendtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
)

// This file has the suite's tests of one object at a time.

func testPutGet(t *testing.T, s store) {
	for _, size := range []int{0, 1, 100, 64 << 10, 1<<20 + 1} {
		key := fmt.Sprintf("v1/main/a/5d/%d", size)
		put := s.put(t, key, random(size))
		if got := s.expect(t, key, random(size)); got != put && put.Version != "" {
			t.Errorf("put returned %+v, get %+v", put, got)
		}
	}
}

func testRanges(t *testing.T, s store) {
	data := random(1000)
	s.put(t, "key", data)
	s.put(t, "empty", nil)
	for _, test := range []struct {
		name string
		r    backend.Range
		want []byte
	}{
		{"start", backend.Range{Offset: 0, Length: 10}, data[:10]},
		{"middle", backend.Range{Offset: 500, Length: 100}, data[500:600]},
		{"one byte", backend.Range{Offset: 999, Length: 1}, data[999:]},
		{"to the end", backend.Range{Offset: 990}, data[990:]},
		{"exactly all", backend.Range{Length: 1000}, data},
		{"over the end", backend.Range{Offset: 990, Length: 100}, data[990:]},
	} {
		got, obj, err := s.get(t.Context(), "key", test.r)
		if err != nil || !bytes.Equal(got, test.want) {
			t.Errorf("%s: got %d bytes and %v, want %d bytes", test.name, len(got), err, len(test.want))
		}
		if obj.Size != 1000 {
			t.Errorf("%s: object size %d, want 1000", test.name, obj.Size)
		}
	}
	for _, test := range []struct {
		name, key string
		r         backend.Range
	}{
		{"at the end", "key", backend.Range{Offset: 1000}},
		{"past the end", "key", backend.Range{Offset: 5000, Length: 10}},
		{"of nothing", "empty", backend.Range{Length: 10}},
	} {
		got, _, err := s.get(t.Context(), test.key, test.r)
		if len(got) > 0 || errors.Is(err, backend.ErrNotFound) {
			t.Errorf("%s: got %d bytes and %v, want none", test.name, len(got), err)
		}
	}
}

func testMissing(t *testing.T, s store) {
	s.expectMissing(t, "missing")
	s.expectMissing(t, "in/a/folder/missing")
	s.put(t, "folder/key", []byte("x"))
	s.expectMissing(t, "folder")
	s.expectMissing(t, "folder/key/below")
	if _, _, err := s.get(t.Context(), "missing", backend.Range{Offset: 5, Length: 5}); !only(err, backend.ErrNotFound) {
		t.Errorf("get of a part: %v, want ErrNotFound", err)
	}
}

func testKeys(t *testing.T, s store) {
	keys := []string{
		"plain", "v1/pr-123/m/github.com%2Fsome%2Fmodule", "with space", "plus+sign", "a=b&c=d",
		"question?mark", "hash#sign", "percent%41", "colon:semi;comma,", "(round)[square]{curly}",
		"'single'\"double\"", "star*dollar$at@bang!", "tilde~caret^pipe|", "less<greater>", ".hidden",
		"ünïcödé/日本語", "trailing.dot/x", strings.Repeat("long/", 40) + "key",
	}
	for i, key := range keys {
		s.put(t, key, random(i))
	}
	for i, key := range keys {
		s.expect(t, key, random(i))
	}
	slices.Sort(keys)
	s.expectList(t, "", keys...)
	for _, key := range keys {
		if s.remove(t, key); !s.Traits().Unlisted {
			s.expectMissing(t, key)
		}
	}
}

func testLarge(t *testing.T, s store) {
	data := random(64 << 20)
	s.put(t, "large", data)
	s.expect(t, "large", data)
}

func testBodyStartsWhereItStands(t *testing.T, s store) {
	body := bytes.NewReader([]byte("skipped, kept"))
	body.Seek(9, io.SeekStart)
	if _, err := s.Put(t.Context(), "key", body, backend.OptionsOf([]byte("kept"))); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "key", []byte("kept"))
}

func testOverwrite(t *testing.T, s store) {
	first := s.put(t, "key", []byte("first"))
	second := s.put(t, "key", []byte("other"))
	if first.Version == second.Version && !s.Traits().Unconditional {
		t.Errorf("both versions are %q", first.Version)
	}
	s.expect(t, "key", []byte("other"))
	s.put(t, "key", nil)
	s.expect(t, "key", nil)
}

func testWrongMD5(t *testing.T, s store) {
	opts := backend.OptionsOf([]byte("other"))
	if _, err := s.Put(t.Context(), "new", strings.NewReader("bytes"), opts); !only(err, backend.ErrDigest) {
		t.Errorf("put with a wrong MD5: %v, want ErrDigest", err)
	}
	s.expectMissing(t, "new")

	s.put(t, "old", []byte("still"))
	if _, err := s.Put(t.Context(), "old", strings.NewReader("bytes"), opts); !only(err, backend.ErrDigest) {
		t.Errorf("overwrite with a wrong MD5: %v, want ErrDigest", err)
	}
	s.expect(t, "old", []byte("still"))
	s.expectList(t, "", "old")
}

func testWrongSize(t *testing.T, s store) {
	for _, size := range []int64{0, 4, 6, 1 << 20} {
		opts := backend.OptionsOf([]byte("bytes"))
		opts.Size = size
		if _, err := s.Put(t.Context(), "key", strings.NewReader("bytes"), opts); !only(err, backend.ErrDigest) {
			t.Errorf("put of 5 bytes as %d: %v, want ErrDigest", size, err)
		}
		s.expectMissing(t, "key")
	}
}

func testDelete(t *testing.T, s store) {
	s.put(t, "a/key", []byte("x"))
	s.put(t, "a/keys", []byte("x"))
	for range 2 {
		if err := s.Delete(t.Context(), "a/key", ""); err != nil {
			t.Errorf("delete: %v", err)
		}
		s.expectMissing(t, "a/key")
	}
	if err := s.Delete(t.Context(), "never/was", ""); err != nil {
		t.Errorf("delete: %v", err)
	}
	s.expectList(t, "", "a/keys")
}

func testDeleteVersion(t *testing.T, s store) {
	old := s.put(t, "a/key", []byte("old"))
	s.put(t, "a/key", []byte("new"))
	if err := s.Delete(t.Context(), "a/key", old.Version); !only(err, backend.ErrConflict) {
		t.Errorf("delete of an old version: %v, want ErrConflict", err)
	}
	s.expect(t, "a/key", []byte("new"))
	for obj := range s.List(t.Context(), "a/") {
		if err := s.Delete(t.Context(), "a/key", obj.Version); err != nil {
			t.Errorf("delete of the version that is listed: %v", err)
		}
	}
	s.expectMissing(t, "a/key")
	if err := s.Delete(t.Context(), "a/key", old.Version); err != nil && !only(err, backend.ErrConflict) {
		t.Errorf("delete of what is gone: %v", err)
	}
}

func testUnlisted(t *testing.T, s store) {
	s.put(t, "key", []byte("x"))
	if err := s.Delete(t.Context(), "key", ""); !only(err, backend.ErrUnsupported) {
		t.Errorf("delete: %v, want ErrUnsupported", err)
	}
	n := 0
	for _, err := range s.List(t.Context(), "") {
		if n++; !only(err, backend.ErrUnsupported) {
			t.Errorf("list: %v, want ErrUnsupported", err)
		}
	}
	if n != 1 {
		t.Errorf("the list has %d elements, want one error", n)
	}
	s.expect(t, "key", []byte("x"))
}

// testNewest tests that a key which ends with a slash stands for the newest object below.
func testNewest(t *testing.T, s store) {
	s.expectMissing(t, "a/")
	for _, key := range []string{"a/first", "a/second,#!", "ab/third", "a/first"} {
		data := []byte(key)
		put := s.put(t, key, data)
		prefix := key[:strings.Index(key, "/")+1]
		got, obj, err := s.get(t.Context(), prefix, backend.Range{})
		if err != nil || !bytes.Equal(got, data) || obj != put {
			t.Errorf("the newest below %s is %q, %+v, %v; want %+v", prefix, got, obj, err, put)
		}
	}
	s.expectMissing(t, "b/")
}
