package protocol

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// session serves one connection. Its methods run on the reading goroutine,
// except for the replies to gets.
type session struct {
	*Conn
	ctx  context.Context
	h    Handler
	gets sync.WaitGroup // those without a reply

	mu   sync.Mutex
	open map[int64]bool // IDs of the gets without a reply
}

// run handles requests until close (nil), the end of input (io.EOF or
// io.ErrUnexpectedEOF), or an error that leaves nothing to go on with.
func (s *session) run() error {
	for {
		if err := s.out.failure(); err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
		line, err := s.line()
		if err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		req, err := parseRequest(line)
		if err != nil {
			return err
		}
		if s.isOpen(req.ID) {
			return fmt.Errorf("request %.60q: the ID is in use", line)
		}
		fault := req.check()
		switch {
		case req.Command == cmdClose:
			s.out.send(response{ID: req.ID})
			return s.out.failure()
		case req.Command == cmdGet && fault == nil:
			s.get(req)
		default:
			if err := s.put(req, fault); err != nil {
				return fmt.Errorf("read body: %w", err)
			}
		}
	}
}

// get hands a get to the handler, whose first reply is the answer.
func (s *session) get(req request) {
	s.mu.Lock()
	s.open[req.ID] = true
	s.mu.Unlock()
	s.gets.Add(1)
	var once sync.Once
	s.h.Get(s.ctx, ActionID(req.ActionID), func(e Entry, err error) {
		once.Do(func() {
			s.mu.Lock()
			delete(s.open, req.ID)
			s.mu.Unlock()
			s.out.send(getResponse(req.ID, e, err))
			s.gets.Done()
		})
	})
}

// put hands a put to the handler, or only answers with fault if there is one.
// Either way it takes the body.
func (s *session) put(req request, fault error) error {
	b, err := newBody(s.in, req.BodySize)
	if err != nil {
		return err
	}
	var path string
	if fault == nil {
		path, fault = s.h.Put(s.ctx, Put{
			ActionID: ActionID(req.ActionID),
			OutputID: OutputID(req.OutputID),
			Size:     req.BodySize,
			Body:     b,
		})
	}
	switch err := b.finish(); {
	case errors.Is(err, errAbandoned):
		return nil
	case err != nil:
		return err
	}
	if fault == nil {
		if fault = b.fault(); fault != nil {
			fault = fmt.Errorf("put %x: %w", req.ActionID, fault)
		}
	}
	s.out.send(putResponse(req.ID, path, fault))
	return nil
}

// isOpen says whether a get under this ID waits for its reply. The go command
// uses an ID once; the same again would leave open which get an answer is for.
func (s *session) isOpen(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[id]
}
