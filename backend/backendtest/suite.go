package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
	"go.uber.org/goleak"
)

// Run tests the contract of [backend.Store]. open returns an empty store, and
// is called once for each test; the suite closes what it returns, and looks for
// goroutines that are left.
func Run(t *testing.T, open func(t *testing.T) backend.Store) {
	tests := []struct {
		name string
		run  func(*testing.T, store)
	}{
		{"PutGet", testPutGet},
		{"Ranges", testRanges},
		{"Missing", testMissing},
		{"Keys", testKeys},
		{"Large", testLarge},
		{"BodyStartsWhereItStands", testBodyStartsWhereItStands},
		{"Overwrite", testOverwrite},
		{"WrongMD5", testWrongMD5},
		{"WrongSize", testWrongSize},
		{"IfAbsent", testIfAbsent},
		{"IfVersion", testIfVersion},
		{"OneWinner", testOneWinner},
		{"Delete", testDelete},
		{"List", testList},
		{"ListManyPages", testListManyPages},
		{"ListAbandoned", testListAbandoned},
		{"CancelledBefore", testCancelledBefore},
		{"CancelledDuringBody", testCancelledDuringBody},
		{"CancelledDuringPut", testCancelledDuringPut},
		{"ClosedHalfway", testClosedHalfway},
		{"ManyUsers", testManyUsers},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			s := open(t)
			test.run(t, store{s})
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			goleak.VerifyNone(t, before)
		})
	}
}

// store is what the tests use: a Store with short forms of its methods.
type store struct{ backend.Store }

func (s store) put(t *testing.T, key string, data []byte) backend.Object {
	t.Helper()
	obj, err := s.Put(t.Context(), key, bytes.NewReader(data), Options(data))
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	if obj.Key != key || obj.Size != int64(len(data)) || obj.Version == "" {
		t.Fatalf("put %s of %d bytes returned %+v", key, len(data), obj)
	}
	return obj
}

func (s store) putIf(ctx context.Context, key string, data []byte, cond backend.Condition) (backend.Object, error) {
	opts := Options(data)
	opts.If = cond
	return s.Put(ctx, key, bytes.NewReader(data), opts)
}

func (s store) get(ctx context.Context, key string, r backend.Range) ([]byte, backend.Object, error) {
	body, obj, err := s.Get(ctx, key, r)
	if err != nil {
		return nil, obj, err
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	return data, obj, err
}

// expect checks that key holds data.
func (s store) expect(t *testing.T, key string, data []byte) backend.Object {
	t.Helper()
	got, obj, err := s.get(t.Context(), key, backend.Range{})
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("got %d bytes, want %d others", len(got), len(data))
	}
	if obj.Key != key || obj.Size != int64(len(data)) || obj.Version == "" {
		t.Fatalf("get %s of %d bytes returned %+v", key, len(data), obj)
	}
	return obj
}

func (s store) expectMissing(t *testing.T, key string) {
	t.Helper()
	if _, _, err := s.get(t.Context(), key, backend.Range{}); !only(err, backend.ErrNotFound) {
		t.Fatalf("get of a missing key: %v, want ErrNotFound", err)
	}
}

// list returns the keys under prefix in order.
func (s store) list(t *testing.T, prefix string) []string {
	t.Helper()
	var keys []string
	for obj, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		keys = append(keys, obj.Key)
	}
	slices.Sort(keys)
	return keys
}

// only reports whether err is want, and no other of backend's sentinels.
func only(err, want error) bool {
	for _, sentinel := range []error{
		backend.ErrNotFound, backend.ErrConflict, backend.ErrDigest, backend.ErrDenied, backend.ErrReadOnly,
	} {
		if errors.Is(err, sentinel) != (sentinel == want) {
			return false
		}
	}
	return errors.Is(err, want)
}

// random returns n bytes that do not compress.
func random(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(data)
	return data
}

func testPutGet(t *testing.T, s store) {
	for _, size := range []int{0, 1, 100, 64 << 10, 1<<20 + 1} {
		key := fmt.Sprintf("v1/main/a/5d/%d", size)
		put := s.put(t, key, random(size))
		if got := s.expect(t, key, random(size)); got != put {
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
	if got := s.list(t, ""); !slices.Equal(got, keys) {
		t.Errorf("listed %q\nwant   %q", got, keys)
	}
	for _, key := range keys {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("delete: %v", err)
		}
		s.expectMissing(t, key)
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
	if _, err := s.Put(t.Context(), "key", body, Options([]byte("kept"))); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "key", []byte("kept"))
}

func testOverwrite(t *testing.T, s store) {
	first := s.put(t, "key", []byte("first"))
	second := s.put(t, "key", []byte("other"))
	if first.Version == second.Version {
		t.Errorf("both versions are %q", first.Version)
	}
	s.expect(t, "key", []byte("other"))
	s.put(t, "key", nil)
	s.expect(t, "key", nil)
}

func testWrongMD5(t *testing.T, s store) {
	opts := Options([]byte("other"))
	if _, err := s.Put(t.Context(), "new", strings.NewReader("bytes"), opts); !only(err, backend.ErrDigest) {
		t.Errorf("put with a wrong MD5: %v, want ErrDigest", err)
	}
	s.expectMissing(t, "new")

	s.put(t, "old", []byte("still"))
	if _, err := s.Put(t.Context(), "old", strings.NewReader("bytes"), opts); !only(err, backend.ErrDigest) {
		t.Errorf("overwrite with a wrong MD5: %v, want ErrDigest", err)
	}
	s.expect(t, "old", []byte("still"))
	if got := s.list(t, ""); !slices.Equal(got, []string{"old"}) {
		t.Errorf("listed %q", got)
	}
}

func testWrongSize(t *testing.T, s store) {
	for _, size := range []int64{0, 4, 6, 1 << 20} {
		opts := Options([]byte("bytes"))
		opts.Size = size
		if _, err := s.Put(t.Context(), "key", strings.NewReader("bytes"), opts); !only(err, backend.ErrDigest) {
			t.Errorf("put of 5 bytes as %d: %v, want ErrDigest", size, err)
		}
		s.expectMissing(t, "key")
	}
}
