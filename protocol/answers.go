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
	held   bool  // the reading goroutine will flush shortly
	closed bool  // drop what still comes
	err    error // the first failure to write
}

func newAnswers(w io.Writer) *answers {
	return &answers{w: bufio.NewWriterSize(w, bufferSize)}
}

// send writes one response, and flushes unless somebody else is about to.
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
	if err == nil && !more && !a.held {
		err = a.w.Flush()
	}
	if a.err == nil {
		a.err = err
	}
}

// hold makes send leave flushing to the caller, who must release soon: before
// anything that waits for the go command or for a slow disk.
func (a *answers) hold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = true
}

// release flushes what was held, and lets send flush again.
func (a *answers) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = false
	if err := a.w.Flush(); a.err == nil {
		a.err = err
	}
}

// close flushes, and drops every later answer.
func (a *answers) close() {
	a.release()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
}

// failure returns the first error of writing.
func (a *answers) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}
