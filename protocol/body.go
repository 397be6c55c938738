package protocol

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
)

// errAbandoned says that the go command gave up a put in the middle of its
// body. It has forgotten the request's ID: an answer would end the build.
var errAbandoned = errors.New("given up by the go command")

// body decodes the body that follows a request, and is its Put.Body.
type body struct {
	letters letters
	size    int64  // announced
	read    int64  // letters so far
	n       int64  // bytes so far, decoded from them
	ready   []byte // the last of them, in data
	err     error  // what follows ready

	text [4 << 10]byte // whole groups of four letters
	data [3 << 10]byte
}

// newBody takes the opening quote, which must be next but for blank bytes. A
// body without bytes has no quotes either.
func newBody(in *bufio.Reader, size int64) (*body, error) {
	if size <= 0 {
		return &body{letters: letters{end: io.EOF}, err: io.EOF}, nil
	}
	if err := skipBlank(in); err != nil {
		return nil, err
	}
	if c, _ := in.ReadByte(); c != '"' {
		return nil, fmt.Errorf("%q where a body of %d bytes should begin", c, size)
	}
	return &body{letters: letters{in: in}, size: size}, nil
}

// Read fills all of p where it can, since p may become a write to a file.
func (b *body) Read(p []byte) (n int, err error) {
	for n < len(p) && (len(b.ready) > 0 || b.err == nil) {
		if len(b.ready) == 0 {
			b.decode()
		}
		m := copy(p[n:], b.ready)
		b.ready = b.ready[m:]
		n += m
	}
	if n > 0 || len(p) == 0 {
		return n, nil
	}
	return 0, b.err
}

// decode sets ready, err or both to what comes next. It decodes all that is
// there in front of a fault.
func (b *body) decode() {
	// The decoder skips line breaks, and sees padding only to the end of one
	// text: both show in texts that gave fewer bytes than they have letters for.
	whole := b.n*4 == b.read*3
	m, err := io.ReadFull(&b.letters, b.text[:])
	n, bad := base64.StdEncoding.Strict().Decode(b.data[:], b.text[:m])
	b.read += int64(m)
	left := b.size - b.n
	closed := err == io.EOF || err == io.ErrUnexpectedEOF // as ReadFull has it
	switch {
	case m > 0 && !whole:
		n, err = 0, errors.New("line break, or more after the padding")
	case bad != nil && (err == nil || closed):
		err = bad
	case int64(n) > left:
		n, err = int(left), fmt.Errorf("longer than %d bytes", b.size)
	case closed && int64(n) < left:
		err = fmt.Errorf("only %d bytes: %w", b.n+int64(n), io.ErrUnexpectedEOF)
	case closed && b.read != (b.size+2)/3*4:
		n, err = 0, errors.New("line break")
	case closed:
		err = io.EOF
	}
	b.n += int64(n)
	b.ready = b.data[:n]
	b.err = err
	if err != nil && err != io.EOF {
		b.err = fmt.Errorf("body of %d bytes: %w", b.size, err)
	}
}

// finish reads what is left of the body, whatever is wrong with it. It returns
// nil once the closing quote is taken; otherwise errAbandoned or why there is
// nothing more to read, and the request wants no answer. Whether the body was
// intact is for fault to say.
func (b *body) finish() error {
	_, _ = io.Copy(io.Discard, b)
	_, _ = io.Copy(io.Discard, &b.letters) // from where decoding gave up
	if b.letters.end == io.EOF {
		return nil
	}
	return b.letters.end
}

// fault returns what is wrong with a finished body.
func (b *body) fault() error {
	if b.err == io.EOF {
		return nil
	}
	return b.err
}

// letters reads the inside of a string, undecoded, and ends with io.EOF at the
// closing quote, which it takes. It knows no escapes: base64 needs none and
// the go command writes none, so the first quote is the closing one. A brace
// is the next request, written into a body that was given up; it is left.
type letters struct {
	in  *bufio.Reader
	end error
}

func (l *letters) Read(p []byte) (int, error) {
	if l.end != nil || len(p) == 0 {
		return 0, l.end
	}
	if _, err := l.in.Peek(1); err != nil {
		if err == io.EOF { // which is for intact bodies
			err = io.ErrUnexpectedEOF
		}
		l.end = fmt.Errorf("no closing quote: %w", err)
		return 0, l.end
	}
	text, _ := l.in.Peek(min(len(p), l.in.Buffered()))
	next := text[0]
	for _, stop := range []byte(`"{`) {
		if i := bytes.IndexByte(text, stop); i >= 0 {
			text = text[:i]
		}
	}
	n := copy(p, text)
	switch {
	case n > 0:
		_, _ = l.in.Discard(n) // they are in the buffer
	case next == '"':
		_, _ = l.in.Discard(1)
		l.end = io.EOF
	default:
		l.end = errAbandoned
	}
	return n, l.end
}
