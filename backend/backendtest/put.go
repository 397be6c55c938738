package backendtest

import (
	"bytes"
	"crypto/md5"
	"testing"

	"github.com/larderbuild/larder/backend"
)

// Options returns the options of an unconditional Put of data.
func Options(data []byte) backend.PutOptions {
	return backend.PutOptions{Size: int64(len(data)), MD5: md5.Sum(data)}
}

// PutBytes stores data under key. If that fails, the test fails.
func PutBytes(t testing.TB, s backend.Store, key string, data []byte) backend.Object {
	t.Helper()
	obj, err := s.Put(t.Context(), key, bytes.NewReader(data), Options(data))
	if err != nil {
		t.Fatal(err)
	}
	return obj
}
