package localdisk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"
)

// BenchmarkGet shows that a hit costs the same however many entries there are.
func BenchmarkGet(b *testing.B) {
	for _, entries := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("entries=%d", entries), func(b *testing.B) {
			d := New(b.TempDir())
			ids := make([]Entry, entries)
			for i := range ids {
				ids[i] = numberedEntry(i, nil)
				mustPut(b, d, ids[i], nil)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, _, err := d.Get(ids[i%100].Action); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

func BenchmarkGetMiss(b *testing.B) {
	d := New(b.TempDir())
	mustPut(b, d, numberedEntry(1, nil), nil)
	missing := numberedEntry(2, nil).Action
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := d.Get(missing); err == nil {
			b.Fatal("hit")
		}
	}
}

// BenchmarkPut puts new bodies under new actions, except for the empty one.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{0, 2 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			d := New(b.TempDir())
			body := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				b.StopTimer()
				if size > 0 {
					binary.BigEndian.PutUint64(body, uint64(i))
				}
				e := numberedEntry(i, body)
				i++
				b.StartTimer()
				mustPut(b, d, e, body)
			}
		})
	}
}

// numberedEntry returns the n-th of many entries with different actions.
func numberedEntry(n int, body []byte) Entry {
	return Entry{
		Action: sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n))),
		Output: sha256.Sum256(body),
		Size:   int64(len(body)),
		Time:   time.Unix(1_700_000_000, 123_456_789),
	}
}

func mustPut(t testing.TB, d *Dir, e Entry, body []byte) string {
	t.Helper()
	path, err := d.Put(e, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return path
}
