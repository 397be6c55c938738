package cache

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/sign"
)

// Summary is what was counted in one or more sessions. It is the one list of
// larder's statistics: LARDER_STATS=json prints each under the name in its json
// tag, and the table in docs/trouble.md has the text in its help tag.
type Summary struct {
	Gets           int64         `json:"gets" help:"what the go command asked for"`
	LocalHits      int64         `json:"local_hits" help:"of these, found in the local tier"`
	PrefetchHits   int64         `json:"prefetch_hits" help:"promised by the manifest, and brought ahead of the build or given out lazily"`
	RemoteHits     int64         `json:"remote_hits" help:"found in the remote by a lookup, or because of one"`
	Misses         int64         `json:"misses" help:"found nowhere"`
	Indexes        int64         `json:"indexes" help:"found nowhere, and made here: notes about folders (module indexes), which are of no use elsewhere"`
	Lazy           int64         `json:"lazy" help:"compiled packages that were answered before their bytes were here"`
	Filled         int64         `json:"filled" help:"of these, downloaded after all"`
	LazyBytes      int64         `json:"lazy_bytes" help:"bytes of the others, which were not downloaded"`
	Puts           int64         `json:"puts" help:"what the go command stored"`
	Uploads        int64         `json:"uploads" help:"entries written to the remote by uploads"`
	Objects        int64         `json:"objects" help:"entry objects that they took: what belongs to one package shares one"`
	UploadErrors   int64         `json:"upload_errors" help:"uploads that failed"`
	Published      int64         `json:"published" help:"entries that went into a pack or the manifest"`
	RemoteRequests int64         `json:"remote_requests" help:"requests to the remote"`
	RemoteBytesIn  int64         `json:"remote_bytes_in" help:"bytes downloaded"`
	RemoteBytesOut int64         `json:"remote_bytes_out" help:"bytes uploaded"`
	Corrupt        int64         `json:"corrupt" help:"objects of the remote that were not what they should be"`
	Untrusted      int64         `json:"untrusted" help:"objects of the remote that no trusted key had signed"`
	Withheld       int64         `json:"withheld" help:"entries that stayed local, since a secret was in them"`
	Saved          time.Duration `json:"saved_ns" help:"what building the prefetched and remote hits had cost, in nanoseconds"`
}

// Stat describes one number of a [Summary].
type Stat struct {
	Name string // its key in JSON
	Help string
}

// SummaryStats returns what a Summary holds, in its order.
func SummaryStats() []Stat {
	var stats []Stat
	t := reflect.TypeFor[Summary]()
	for i := range t.NumField() {
		stats = append(stats, Stat{t.Field(i).Tag.Get("json"), t.Field(i).Tag.Get("help")})
	}
	return stats
}

// Plus returns the sum of s and other.
func (s Summary) Plus(other Summary) Summary {
	sum, more := reflect.ValueOf(&s).Elem(), reflect.ValueOf(other)
	for i := range sum.NumField() {
		sum.Field(i).SetInt(sum.Field(i).Int() + more.Field(i).Int())
	}
	return s
}

// String returns the summary as one line for people.
func (s Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d gets: %d local hits, %d prefetched, %d remote hits, %d misses, %d indexes; %d puts, %d uploaded; %d requests, %s in, %s out; %v of building saved",
		s.Gets, s.LocalHits, s.PrefetchHits, s.RemoteHits, s.Misses, s.Indexes, s.Puts, s.Uploads,
		s.RemoteRequests, humanize.IBytes(uint64(s.RemoteBytesIn)), humanize.IBytes(uint64(s.RemoteBytesOut)), s.Saved.Round(10*time.Millisecond))
	if s.Lazy > 0 {
		fmt.Fprintf(&b, "; %d archives given out lazily, %d filled, %s not downloaded", s.Lazy, s.Filled, humanize.IBytes(uint64(s.LazyBytes)))
	}
	for _, rare := range []struct {
		count int64
		text  string
	}{
		{s.Corrupt, "corrupt objects"},
		{s.Untrusted, "objects not signed by a trusted key"},
		{s.Withheld, "entries withheld"},
		{s.UploadErrors, "uploads failed"},
	} {
		if rare.count > 0 {
			fmt.Fprintf(&b, "; %d %s", rare.count, rare.text)
		}
	}
	return b.String()
}

// Stats counts what happens in a session. Its methods may be called at the same
// time. The zero value has counted nothing.
type Stats struct {
	Remote backend.Counters // requests and their bytes

	mu      sync.Mutex
	summary Summary // without what Remote counts
}

// count changes the counts as change says.
func (s *Stats) count(change func(*Summary)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.summary)
}

// countIndex counts the put of a homebound index in place of the miss before it.
func (s *Stats) countIndex() {
	s.count(func(s *Summary) {
		s.Indexes++
		s.Misses = max(0, s.Misses-1)
	})
}

// countRefusal counts an object of the remote that was refused because of err.
func (s *Stats) countRefusal(err error) {
	s.count(func(s *Summary) {
		switch {
		case errors.Is(err, sign.ErrUntrusted):
			s.Untrusted++
		case corrupt(err):
			s.Corrupt++
		}
	})
}

// Summary returns the counts as they are now.
func (s *Stats) Summary() Summary {
	remote := s.Remote.Snapshot()
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.summary
	sum.RemoteRequests, sum.RemoteBytesIn, sum.RemoteBytesOut = remote.Requests, remote.BytesIn, remote.BytesOut
	return sum
}
