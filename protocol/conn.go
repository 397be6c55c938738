package protocol

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// blank is what may stand between requests; the go command writes line ends.
const blank = "\n\r\t "

const (
	bufferSize = 64 << 10 // bytes read at once
	maxLine    = 1 << 20  // bytes of a request; real ones take a few hundred
)

// Conn is the connection to one go command.
type Conn struct {
	in  *bufio.Reader
	out *answers
}

// Start writes the handshake to out at once, and returns the connection. The
// go command waits for the handshake, so nothing slow should come before it.
func Start(in io.Reader, out io.Writer) (*Conn, error) {
	c := &Conn{in: bufio.NewReaderSize(in, bufferSize), out: newAnswers(out)}
	c.out.send(response{KnownCommands: []string{cmdGet, cmdPut, cmdClose}})
	if err := c.out.failure(); err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return c, nil
}

// Serve answers requests from h until the go command says close, which is
// answered at once, or its output ends: both return nil, and mean the same.
// It returns an error if the framing is broken or answers can't be written.
//
// It is called once, and starts no goroutines. Once ctx is done the handler
// should answer quickly, but only the input ends Serve. When it returns, the
// ctx given to the handler is done and every get has had its reply; those that
// came after the end of the session were dropped.
func (c *Conn) Serve(ctx context.Context, h Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &session{Conn: c, ctx: ctx, h: h, open: make(map[int64]bool)}
	err := s.run()
	c.out.close()
	cancel()
	s.gets.Wait() // not deferred: a panic in h must not wait for h
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// line returns the next line that is not blank, without copying it where it
// fits the buffer: it is valid until the next read. A line that is cut by the
// end of input was never sent, and is io.EOF.
func (c *Conn) line() ([]byte, error) {
	if err := skipBlank(c.in); err != nil {
		return nil, err
	}
	line, err := c.in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	var long []byte
	for errors.Is(err, bufio.ErrBufferFull) && len(long) <= maxLine {
		long = append(long, line...)
		line, err = c.in.ReadSlice('\n')
	}
	if long = append(long, line...); len(long) > maxLine {
		return nil, fmt.Errorf("request %.60q: longer than %d bytes", long, maxLine)
	}
	return long, err
}

// skipBlank reads up to the next byte that is not white space.
func skipBlank(in *bufio.Reader) error {
	for {
		c, err := in.ReadByte()
		if err != nil {
			return err
		}
		if strings.IndexByte(blank, c) < 0 {
			return in.UnreadByte()
		}
	}
}
