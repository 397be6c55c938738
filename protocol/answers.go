package protocol

import (
	"bufio"
	"encoding/json"
	"io"
	"sync"
	"sync/atomic"
)

// answers writes responses from many goroutines, each whole, in the order in
// which they come.
type answers struct {
	waiting atomic.Int32 // senders that have yet to take mu

	mu     sync.Mutex // guards the rest
	w      *bufio.Writer
	closed bool  // drop what still comes
	err    error // the first failure to write
}

func newAnswers(w io.Writer) *answers {
	return &answers{w: bufio.NewWriter(w)}
}

// send writes one response, and flushes unless somebody else is about to.
// Waiting for more than that does not pay: the go command's workers each wait
// for one answer (BenchmarkGet, when the reader held back its own answers while
// it had further requests at hand).
func (a *answers) send(r response) {
	line, err := json.Marshal(r)
	a.waiting.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	more := a.waiting.Add(-1) > 0
	if a.closed {
		return
	}
	if err == nil {
		_, err = a.w.Write(append(line, '\n'))
	}
	if err == nil && !more {
		err = a.w.Flush()
	}
	if a.err == nil {
		a.err = err
	}
}

// close flushes, and drops every later answer.
func (a *answers) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	if a.err == nil {
		a.err = a.w.Flush()
	}
}

// failure returns the first error of writing.
func (a *answers) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}
