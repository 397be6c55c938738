package backend

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// Busy is the error of a request that the store refuses for now, because it gets too many.
// Drivers return it, wrapped, in place of one of the errors above.
type Busy struct {
	// Object says that there are too many writes of this one object: the store takes one
	// a second, or is busy with another one. Other requests are welcome.
	Object bool

	After time.Duration // how long the store asks to wait; 0: it does not say
}

func (b *Busy) Error() string {
	if b.Object {
		return "too many writes of this object"
	}
	return "too many requests"
}

// RetryAfter returns the time that the header Retry-After of an HTTP answer asks to wait:
// a number of seconds, or a date. Of a larger number it takes 65535. It returns 0 if there
// is no such header, or if it is malformed.
func RetryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 16); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(date))
	}
	return 0
}
