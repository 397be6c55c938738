package protocol

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// session serves one connection. Its methods run on the goroutine that reads requests.
// Only the replies to gets may run on others.
type session struct {
	*Conn
	ctx  context.Context
	h    Handler
	gets sync.WaitGroup // counts the gets without a reply

	mu   sync.Mutex     // guards open
	open map[int64]bool // IDs of the gets without a reply
}

// run serves requests. It returns nil after close, io.EOF or io.ErrUnexpectedEOF (maybe
// wrapped) at the end of input, and otherwise an error after which the session can't go
// on.
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

// get passes a get to the handler and answers it with the handler's first reply.
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

// put reads the body of a request and answers it. If fault is nil, it passes the put to
// the handler; otherwise it answers with fault.
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

// isOpen reports whether a get with this ID waits for its reply. If two gets with the same
// ID were open, nobody could tell which of them an answer is for. The go command uses
// each ID once.
func (s *session) isOpen(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[id]
}
