package cache_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/protocol"
)

// sizes are those of a vet or stdout entry, of an archive of ordinary size and
// of a large one, in bytes.
var sizes = []int{1 << 10, 64 << 10, 4 << 20}

// BenchmarkGetLocal measures a hit in the local tier.
func BenchmarkGetLocal(b *testing.B) {
	m := newMachine(b, b.TempDir(), nil)
	defer m.Close(0)
	m.put(b, "name", "body")
	action := actionID("name")
	b.ReportAllocs()
	for b.Loop() {
		m.Get(b.Context(), action, func(_ protocol.Entry, err error) {
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkFetch measures a hit in the remote, without the way there: decoding,
// verifying, and storing in the local tier.
func BenchmarkFetch(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			store, text := backendtest.Memory(), bodyOf(size)
			first := newMachine(b, b.TempDir(), store)
			first.put(b, "name", text)
			if left := first.Close(time.Minute); left {
				b.Fatal("something is left")
			}
			m := newMachine(b, b.TempDir(), store)
			defer m.Close(0)
			action := actionID("name")
			id := action.String()
			file := filepath.Join(m.dir, id[:2], id+"-a")
			answered := make(chan error)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				m.Get(b.Context(), action, func(_ protocol.Entry, err error) { answered <- err })
				if err := <-answered; err != nil {
					b.Fatal(err)
				}
				if err := os.Remove(file); err != nil { // forgets the entry
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPut measures puts with their uploads, without the way there:
// storing in the local tier, compressing, and reading what that made twice.
func BenchmarkPut(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			m := newMachine(b, b.TempDir(), sink{backendtest.Memory()})
			text := bodyOf(size)
			output := sha256.Sum256([]byte(text))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N { // not b.Loop, which would not count Close
				_, err := m.Put(b.Context(), protocol.Put{
					ActionID: actionID(strconv.Itoa(i)),
					OutputID: output,
					Size:     int64(size),
					Body:     strings.NewReader(text),
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			if left := m.Close(time.Hour); left {
				b.Fatal("something is left")
			}
		})
	}
}

// sink is a store that forgets what is put.
type sink struct{ backend.Store }

func (sink) Put(_ context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	_, err := io.CopyN(io.Discard, body, opts.Size)
	return backend.Object{Key: key, Size: opts.Size}, err
}

// bodyOf returns a body that zstd makes about half as large.
func bodyOf(size int) string {
	bytes := make([]byte, size/2)
	_, _ = rand.NewChaCha8([32]byte{}).Read(bytes) // never fails
	return hex.EncodeToString(bytes)
}
