package backendtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/larderbuild/larder/backend"
)

// Run tests the contract of [backend.Store]. It calls open for each test. open
// returns an empty store, which the suite closes. Run also checks that the store
// leaves no goroutines behind.
func Run(t *testing.T, open func(t *testing.T) backend.Store) {
	for _, test := range tests() {
		t.Run(test.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			s := open(t)
			if test.of == nil || test.of(s.Traits()) {
				test.run(t, store{s})
			}
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			// A server in this process takes a while to end its connections.
			goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("net/http.(*conn).serve"))
		})
	}
}

// contractTest is one test of the suite.
type contractTest struct {
	name string
	run  func(*testing.T, store)
	of   func(backend.Traits) bool // which stores it is about; nil: all
}

func tests() []contractTest {
	conditional := func(t backend.Traits) bool { return !t.Unconditional }
	unconditional := func(t backend.Traits) bool { return t.Unconditional }
	listed := func(t backend.Traits) bool { return !t.Unlisted }
	unlisted := func(t backend.Traits) bool { return t.Unlisted }
	appends := func(t backend.Traits) bool { return t.Appends }
	return []contractTest{
		{"PutGet", testPutGet, nil},
		{"Ranges", testRanges, nil},
		{"Missing", testMissing, nil},
		{"Keys", testKeys, nil},
		{"Large", testLarge, nil},
		{"BodyStartsWhereItStands", testBodyStartsWhereItStands, nil},
		{"Overwrite", testOverwrite, nil},
		{"WrongMD5", testWrongMD5, nil},
		{"WrongSize", testWrongSize, nil},
		{"IfAbsent", testIfAbsent, conditional},
		{"IfVersion", testIfVersion, conditional},
		{"OneWinner", testOneWinner, conditional},
		{"NoConditions", testNoConditions, unconditional},
		{"Delete", testDelete, listed},
		{"DeleteVersion", testDeleteVersion, listed},
		{"List", testList, listed},
		{"ListTimes", testListTimes, listed},
		{"ListManyPages", testListManyPages, listed},
		{"ListAbandoned", testListAbandoned, listed},
		{"Unlisted", testUnlisted, unlisted},
		{"Newest", testNewest, appends},
		{"CancelledBefore", testCancelledBefore, nil},
		{"CancelledDuringBody", testCancelledDuringBody, nil},
		{"CancelledDuringPut", testCancelledDuringPut, nil},
		{"ClosedHalfway", testClosedHalfway, nil},
		{"ManyUsers", testManyUsers, nil},
	}
}

// store is a Store with shorter methods for the tests.
type store struct{ backend.Store }

func (s store) put(t *testing.T, key string, data []byte) backend.Object {
	t.Helper()
	obj, err := s.Put(t.Context(), key, bytes.NewReader(data), backend.OptionsOf(data))
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	if obj.Key != key || obj.Size != int64(len(data)) || s.lacksVersion(obj) {
		t.Fatalf("put %s of %d bytes returned %+v", key, len(data), obj)
	}
	return obj
}

func (s store) putIf(ctx context.Context, key string, data []byte, cond backend.Condition) (backend.Object, error) {
	opts := backend.OptionsOf(data)
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

// expect checks that the object under key has the bytes data.
func (s store) expect(t *testing.T, key string, data []byte) backend.Object {
	t.Helper()
	got, obj, err := s.get(t.Context(), key, backend.Range{})
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("got %d bytes, want %d others", len(got), len(data))
	}
	if obj.Key != key || obj.Size != int64(len(data)) || s.lacksVersion(obj) {
		t.Fatalf("get %s of %d bytes returned %+v", key, len(data), obj)
	}
	return obj
}

// lacksVersion reports whether obj should have a version and has none.
func (s store) lacksVersion(obj backend.Object) bool {
	return obj.Version == "" && !s.Traits().Unconditional
}

func (s store) expectMissing(t *testing.T, key string) {
	t.Helper()
	if _, _, err := s.get(t.Context(), key, backend.Range{}); !only(err, backend.ErrNotFound) {
		t.Fatalf("get of a missing key: %v, want ErrNotFound", err)
	}
}

// expectList checks which keys begin with prefix, if the store lists them. want is sorted.
func (s store) expectList(t *testing.T, prefix string, want ...string) {
	t.Helper()
	if s.Traits().Unlisted {
		return
	}
	var keys []string
	for obj, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		keys = append(keys, obj.Key)
	}
	slices.Sort(keys)
	if !slices.Equal(keys, want) {
		t.Errorf("list %q gave %q, want %q", prefix, keys, want)
	}
}

// remove deletes an object, if the store can do that.
func (s store) remove(t *testing.T, key string) {
	t.Helper()
	if s.Traits().Unlisted {
		return
	}
	if err := s.Delete(t.Context(), key, ""); err != nil {
		t.Errorf("delete: %v", err)
	}
}

// only reports whether err wraps want, and wraps no other error of package backend.
func only(err, want error) bool {
	for _, sentinel := range []error{
		backend.ErrNotFound, backend.ErrConflict, backend.ErrDigest, backend.ErrDenied, backend.ErrReadOnly,
		backend.ErrNoConditions, backend.ErrUnsupported,
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
