package gha

import (
	"context"
	"net/url"
	"sync"
	"time"
)

// location is where the bytes of an entry are.
type location struct {
	label string
	url   *url.URL // signed: whoever has it may read the entry for a while
}

// locations remembers where entries are, so that the service is asked once for all parts of
// one. Its methods may be called at the same time.
type locations struct {
	mu    sync.Mutex
	slots map[string]*slot // by query
}

// slot is what is known of one query.
type slot struct {
	turn  chan struct{} // has an element while somebody uses the slot
	at    location      // its url is nil: unknown
	asked time.Time     // when the service was asked
}

// slot returns the slot of a query.
func (l *locations) slot(query string) *slot {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.slots[query]
	if !ok {
		s = &slot{turn: make(chan struct{}, 1)}
		if l.slots == nil {
			l.slots = make(map[string]*slot)
		}
		l.slots[query] = s
	}
	return s
}

// find returns the location for a query. It calls ask, unless the location is known. If
// it must be fresh, what was asked for before find was called does not count. Of several
// callers at the same time one asks. known reports whether find has not asked.
func (l *locations) find(
	ctx context.Context, query string, fresh bool, ask func(context.Context, string) (location, error),
) (at location, known bool, err error) {
	began, s := time.Now(), l.slot(query)
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return location{}, false, context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	if s.at.url != nil && (!fresh || s.asked.After(began)) {
		return s.at, true, nil
	}
	asked := time.Now()
	if at, err = ask(ctx, query); err != nil {
		s.at = location{}
		return location{}, false, err
	}
	s.at, s.asked = at, asked
	return at, false, nil
}

// forget has the next find for a query ask.
func (l *locations) forget(query string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.slots, query)
}
