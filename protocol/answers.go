package protocol

import (
	"bufio"
	"encoding/json"
	"io"
	"sync"
	"sync/atomic"
)

// answers writes responses to the go command, each as a whole. It is safe for concurrent
// use.
type answers struct {
	waiting atomic.Int32 // number of senders that wait for mu

	mu     sync.Mutex // guards the fields below
	w      *bufio.Writer
	closed bool  // later responses are dropped
	err    error // the first failure to write
}

func newAnswers(w io.Writer) *answers {
	return &answers{w: bufio.NewWriter(w)}
}

// send writes one response. It flushes unless another sender is waiting, which flushes
// then. BenchmarkGet shows that holding answers back for longer does not pay: each
// worker of the go command waits for one answer.
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

// close flushes what was sent. Responses that are sent later are dropped.
func (a *answers) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	if a.err == nil {
		a.err = a.w.Flush()
	}
}

// failure returns the first failure to write, or nil.
func (a *answers) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}
