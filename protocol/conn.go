package protocol

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// blank has the bytes that may stand between requests. The go command writes only line
// ends there.
const blank = "\n\r\t "

const (
	bufferSize = 64 << 10 // of the input, in bytes
	maxLine    = 1 << 20  // the longest request in bytes; real ones have a few hundred
)

// Conn is the connection to a go command.
type Conn struct {
	in  *bufio.Reader
	out *answers
}

// Start writes the handshake to out at once and returns the connection. The go command
// waits for the handshake, so call Start before anything that takes time. Start returns
// an error if it can't write to out.
func Start(in io.Reader, out io.Writer) (*Conn, error) {
	c := &Conn{in: bufio.NewReaderSize(in, bufferSize), out: newAnswers(out)}
	c.out.send(response{KnownCommands: []string{cmdGet, cmdPut, cmdClose}})
	if err := c.out.failure(); err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return c, nil
}

// Serve reads requests, passes them to h and writes the answers. It returns nil when the
// go command has sent close, which Serve answers at once, or when the input ends. Both
// mean the same. It returns an error if it can't tell where the next request begins, or
// if it can't write an answer.
//
// Serve must be called only once. It starts no goroutines. When ctx is done, h should
// reply quickly, but Serve goes on until the input ends. At the end of the session,
// Serve cancels the context of h and waits until h has replied to every get. It drops
// those late replies.
func (c *Conn) Serve(ctx context.Context, h Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &session{Conn: c, ctx: ctx, h: h, open: make(map[int64]bool)}
	err := s.run()
	c.out.close()
	cancel()
	s.gets.Wait() // not deferred: after a panic in h the replies might never come
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// line returns the next line that is not blank. The line is valid until the next read,
// because line does not copy it if it fits the buffer. If the input ends within a line,
// line returns io.EOF: such a line was never sent completely.
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

// skipBlank reads blank bytes, up to the next byte that is not blank.
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
