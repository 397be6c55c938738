package backendtest

import (
	"bytes"
	"testing"

	"github.com/larderbuild/larder/backend"
)

// PutBytes stores data under key. If that fails, the test fails.
func PutBytes(t testing.TB, s backend.Store, key string, data []byte) backend.Object {
	t.Helper()
	obj, err := s.Put(t.Context(), key, bytes.NewReader(data), backend.OptionsOf(data))
	if err != nil {
		t.Fatal(err)
	}
	return obj
}
