package cache

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/sign"
)

// Stats counts what happens in a session. It may be read while the session goes
// on.
type Stats struct {
	Gets, Misses                        atomic.Int64
	LocalHits, PrefetchHits, RemoteHits atomic.Int64
	Lazy, Filled                        atomic.Int64 // archives given out lazily, and of these those that were read after all
	LazyBytes                           atomic.Int64 // of packs, that the others of these did without
	Puts, Uploads, UploadErrors         atomic.Int64
	Corrupt                             atomic.Int64 // objects of the remote that are not what they should be
	Untrusted                           atomic.Int64 // or that no trusted key has signed
	Withheld                            atomic.Int64 // puts that stay local, for what is in them
	SavedNanos                          atomic.Int64 // sum of the build costs of the remote hits

	Remote backend.Counters
}

// Summary is a session's Stats at one moment, with the names under which
// LARDER_STATS=json prints them.
type Summary struct {
	Gets           int64         `json:"gets"`
	LocalHits      int64         `json:"local_hits"`
	PrefetchHits   int64         `json:"prefetch_hits"`
	RemoteHits     int64         `json:"remote_hits"`
	Misses         int64         `json:"misses"`
	Lazy           int64         `json:"lazy"`
	Filled         int64         `json:"filled"`
	LazyBytes      int64         `json:"lazy_bytes"`
	Puts           int64         `json:"puts"`
	Uploads        int64         `json:"uploads"`
	UploadErrors   int64         `json:"upload_errors"`
	RemoteRequests int64         `json:"remote_requests"`
	RemoteBytesIn  int64         `json:"remote_bytes_in"`
	RemoteBytesOut int64         `json:"remote_bytes_out"`
	Corrupt        int64         `json:"corrupt"`
	Untrusted      int64         `json:"untrusted"`
	Withheld       int64         `json:"withheld"`
	Saved          time.Duration `json:"saved_ns"`
}

// refuse counts an object of the remote that was refused because of err.
func (s *Stats) refuse(err error) {
	switch {
	case errors.Is(err, sign.ErrUntrusted):
		s.Untrusted.Add(1)
	case corrupt(err):
		s.Corrupt.Add(1)
	}
}

// Summary returns the counts as they are now.
func (s *Stats) Summary() Summary {
	remote := s.Remote.Snapshot()
	return Summary{
		Gets:           s.Gets.Load(),
		LocalHits:      s.LocalHits.Load(),
		PrefetchHits:   s.PrefetchHits.Load(),
		RemoteHits:     s.RemoteHits.Load(),
		Misses:         s.Misses.Load(),
		Lazy:           s.Lazy.Load(),
		Filled:         s.Filled.Load(),
		LazyBytes:      s.LazyBytes.Load(),
		Puts:           s.Puts.Load(),
		Uploads:        s.Uploads.Load(),
		UploadErrors:   s.UploadErrors.Load(),
		RemoteRequests: remote.Requests,
		RemoteBytesIn:  remote.BytesIn,
		RemoteBytesOut: remote.BytesOut,
		Corrupt:        s.Corrupt.Load(),
		Untrusted:      s.Untrusted.Load(),
		Withheld:       s.Withheld.Load(),
		Saved:          time.Duration(s.SavedNanos.Load()),
	}
}

// String returns the summary as one line for people.
func (s Summary) String() string {
	line := fmt.Sprintf("%d gets: %d local hits, %d prefetched, %d remote hits, %d misses; %d puts, %d uploaded; %d requests, %s in, %s out; %v of building saved",
		s.Gets, s.LocalHits, s.PrefetchHits, s.RemoteHits, s.Misses, s.Puts, s.Uploads,
		s.RemoteRequests, humanize.IBytes(uint64(s.RemoteBytesIn)), humanize.IBytes(uint64(s.RemoteBytesOut)), s.Saved.Round(10*time.Millisecond))
	if s.Lazy > 0 {
		line += fmt.Sprintf("; %d archives given out lazily, %d filled, %s not downloaded", s.Lazy, s.Filled, humanize.IBytes(uint64(s.LazyBytes)))
	}
	if s.Corrupt > 0 {
		line += fmt.Sprintf("; %d corrupt objects", s.Corrupt)
	}
	if s.Untrusted > 0 {
		line += fmt.Sprintf("; %d objects not signed by a trusted key", s.Untrusted)
	}
	if s.Withheld > 0 {
		line += fmt.Sprintf("; %d entries withheld", s.Withheld)
	}
	if s.UploadErrors > 0 {
		line += fmt.Sprintf("; %d uploads failed", s.UploadErrors)
	}
	return line
}
