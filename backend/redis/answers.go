package redis

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/larderbuild/larder/backend"
)

// The client believes what a server says of the size of its answer, and makes room for that.
// These limits bound it. They have room for what larder asks, and for what the client asks by
// itself: which commands there are, and which server of a cluster has which keys.
const (
	maxAnswer   = 16 << 20 // bytes of a whole answer
	maxString   = 4 * piece
	maxElements = 1 << 16 // of an array
	maxDepth    = 16      // of arrays in each other
	maxLine     = 64 << 10
)

var errAnswer = errors.New("not an answer that larder can take")

// dialer returns a function that connects to a server, by TLS if secure is not nil. It limits
// the answers.
func dialer(secure *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	dial := new(net.Dialer).DialContext
	if secure != nil {
		dial = (&tls.Dialer{Config: secure}).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, backend.ConnectTimeout)
		defer cancel()
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &limitedConn{Conn: conn}, nil
	}
}

// limitedConn ends with an error before an answer that is too large gets to the client.
type limitedConn struct {
	net.Conn
	answers answers
	bad     error // that ended it
}

func (c *limitedConn) Read(b []byte) (int, error) {
	if c.bad != nil {
		return 0, c.bad
	}
	n, err := c.Conn.Read(b)
	if c.bad = c.answers.check(b[:n]); c.bad != nil {
		return 0, c.bad
	}
	return n, err
}

// answers follows the answers of a server as their bytes come. They are of version 2 of the
// protocol, or of version 3, in which the client speaks with sentinels.
type answers struct {
	line   []byte // the beginning of a line
	string int    // bytes of a string that are still to come, with the end of its line
	arrays []int  // how many elements of each array are still to come, the outermost first
	size   int    // bytes of the answer so far
}

// check takes the next bytes. It returns an error if they go past a limit, or are no answer.
func (a *answers) check(b []byte) error {
	for len(b) > 0 {
		next := b // the rest of a string, or of a line
		if a.string > 0 {
			next = b[:min(a.string, len(b))]
		} else if end := bytes.IndexByte(b, '\n'); end >= 0 {
			next = b[:end+1]
		}
		b = b[len(next):]
		if a.size += len(next); a.size > maxAnswer {
			return fmt.Errorf("%w: it is too long", errAnswer)
		}
		if a.string > 0 {
			if a.string -= len(next); a.string == 0 {
				a.end()
			}
			continue
		}
		if a.line = append(a.line, next...); len(a.line) > maxLine {
			return fmt.Errorf("%w: a line is too long", errAnswer)
		}
		if bytes.HasSuffix(next, []byte("\n")) {
			line := a.line
			a.line = nil
			if err := a.begin(line); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin takes a line, which begins an answer or an element of one.
func (a *answers) begin(line []byte) error {
	text := string(bytes.TrimRight(line[1:], "\r\n"))
	each := 1 // elements of an array for each that its size counts
	limit := maxElements
	switch line[0] {
	case '+', '-', ':', '_', ',', '#', '(': // what stands in the line is all
		a.end()
		return nil
	case '$', '!', '=': // a string
		each, limit = 0, maxString
	case '*', '~', '>': // an array
	case '%': // a map
		each = 2
	default:
		return fmt.Errorf("%w: it begins with %q", errAnswer, line[0])
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return fmt.Errorf("%w: a size of %q", errAnswer, text)
	case n > limit, len(a.arrays) == maxDepth:
		return fmt.Errorf("%w: it is too large", errAnswer)
	case n < 0, each > 0 && n == 0:
		a.end()
	case each == 0:
		a.string = n + len("\r\n")
	default:
		a.arrays = append(a.arrays, n*each)
	}
	return nil
}

// end ends an element, and with it the arrays of which it is the last.
func (a *answers) end() {
	for i := len(a.arrays) - 1; i >= 0; i-- {
		if a.arrays[i]--; a.arrays[i] > 0 {
			return
		}
		a.arrays = a.arrays[:i]
	}
	a.size = 0
}
