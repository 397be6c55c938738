package serve

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// ring has a slot for each of the last intervals since the server's start. The newest interval
// is not over yet. Ages are times since the start, by the monotonic clock.
type ring[T any] struct {
	width  time.Duration // of an interval
	slots  []T           // of interval i, at i modulo the length
	newest int           // number of the newest interval
}

func newRing[T any](width time.Duration, n int) ring[T] {
	return ring[T]{width: width, slots: make([]T, n)}
}

// at returns the slot of the interval in which the server has age, which never falls from call
// to call. It forgets intervals that are too old then.
func (r *ring[T]) at(age time.Duration) *T {
	var none T
	now := int(age / r.width)
	for i := max(r.newest+1, now-len(r.slots)+1); i <= now; i++ {
		r.slots[i%len(r.slots)] = none
	}
	r.newest = now
	return &r.slots[now%len(r.slots)]
}

// clone brings r up to date with age, and returns a copy.
func (r *ring[T]) clone(age time.Duration) ring[T] {
	r.at(age)
	return ring[T]{r.width, slices.Clone(r.slots), r.newest}
}

// all returns the intervals that there were, the oldest one first.
func (r *ring[T]) all() []T {
	n := min(r.newest+1, len(r.slots))
	all := make([]T, 0, n)
	for i := r.newest - n + 1; i <= r.newest; i++ {
		all = append(all, r.slots[i%len(r.slots)])
	}
	return all
}

// slowRequest is a request that took long.
type slowRequest struct {
	Method   string    `json:"method"`
	Key      string    `json:"key"` // shortened
	Status   int       `json:"status"`
	BytesIn  int64     `json:"bytes_in"`
	BytesOut int64     `json:"bytes_out"`
	Seconds  float64   `json:"seconds"`
	Ended    time.Time `json:"ended"`
}

// slowest are the slowest requests, up to listLength of them, in any order.
type slowest []slowRequest

// listLength is how many keys or requests the lists in an answer have at most.
const listLength = 10

// add adds r if it is among the slowest. Its key need not be shortened.
func (s *slowest) add(r slowRequest) {
	if len(*s) < listLength {
		r.Key = shorten(r.Key)
		*s = append(*s, r)
		return
	}
	fastest := 0
	for i := range *s {
		if (*s)[i].Seconds < (*s)[fastest].Seconds {
			fastest = i
		}
	}
	if r.Seconds > (*s)[fastest].Seconds {
		r.Key = shorten(r.Key)
		(*s)[fastest] = r
	}
}

// shorten returns a copy of key, or of its beginning and its end if it is long. key itself is a
// part of a request, which would be kept with it.
func shorten(key string) string {
	const most, end = 96, 32 // bytes
	if len(key) <= most {
		return strings.Clone(key)
	}
	first, last := most-end, len(key)-end
	for first > 0 && !utf8.RuneStart(key[first]) {
		first--
	}
	for last < len(key) && !utf8.RuneStart(key[last]) {
		last++
	}
	return key[:first] + "…" + key[last:]
}
