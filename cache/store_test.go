package cache_test

import (
	"bytes"
	"crypto/md5"
	"io"
	"testing"

	"github.com/larderbuild/larder/backend"
)

func read(t *testing.T, store backend.Store, key string) []byte {
	t.Helper()
	body, _, err := store.Get(t.Context(), key, backend.Range{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, store backend.Store, key string, b []byte) {
	t.Helper()
	opts := backend.PutOptions{Size: int64(len(b)), MD5: md5.Sum(b)}
	if _, err := store.Put(t.Context(), key, bytes.NewReader(b), opts); err != nil {
		t.Fatal(err)
	}
}
