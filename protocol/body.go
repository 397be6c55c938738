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
var errAbandoned = errors.New("the go command gave up in the middle of the body")

// body decodes the body that follows a request, and is its Put.Body.
type body struct {
	letters letters
	decoded io.Reader // letters, decoded
	size    int64     // announced
	n       int64     // decoded so far
	err     error     // what reading ended with
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
		return nil, fmt.Errorf("%q where a body should begin", c)
	}
	b := &body{letters: letters{in: in}, size: size}
	b.decoded = base64.NewDecoder(base64.StdEncoding.Strict(), &b.letters)
	return b, nil
}

// Read fills all of p where it can: the decoder below gives out less than a
// kilobyte at a time, and p may be a write to a file.
func (b *body) Read(p []byte) (n int, err error) {
	for n < len(p) && b.err == nil {
		var m int
		m, err = b.decoded.Read(p[n:])
		if left := b.size - b.n; int64(m) > left {
			m, err = int(left), fmt.Errorf("body is longer than the %d bytes announced", b.size)
		}
		n += m
		b.n += int64(m)
		if err != nil {
			b.err = b.verdict(err)
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

// verdict turns what decoding ended with into what Read ends with: io.EOF for
// an intact body only.
func (b *body) verdict(err error) error {
	switch {
	case errors.Is(err, io.EOF) && b.n < b.size:
		return fmt.Errorf("body ends after %d of %d bytes: %w", b.n, b.size, io.ErrUnexpectedEOF)
	case errors.Is(err, io.EOF) && b.letters.n != encodedLen(b.size):
		// Line breaks: the decoder skips them, the go command writes none.
		return fmt.Errorf("body of %d bytes takes %d letters instead of %d", b.size, b.letters.n, encodedLen(b.size))
	case errors.Is(err, io.EOF) && b.letters.broken:
		// The decoder sees this only within one of its own reads.
		return errors.New("body goes on after its padding")
	case errors.Is(err, io.EOF):
		return io.EOF
	}
	return fmt.Errorf("body of %d bytes, after %d: %w", b.size, b.n, err)
}

// encodedLen is base64.Encoding.EncodedLen for sizes beyond an int.
func encodedLen(size int64) int64 { return (size + 2) / 3 * 4 }

// finish reads what is left of the body, whatever is wrong with it. It returns
// nil once the closing quote is taken; otherwise errAbandoned or why there is
// nothing more to read, and the request wants no answer. Whether the body was
// intact is for fault to say.
func (b *body) finish() error {
	io.Copy(io.Discard, b)
	io.Copy(io.Discard, &b.letters) // from where decoding gave up
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
// the go command writes none, so the first quote is the closing one, and a
// brace (which it leaves) is the next request, written into a body that was
// given up.
type letters struct {
	in     *bufio.Reader
	n      int64 // read so far
	padded bool  // padding was seen
	broken bool  // something else came after it
	end    error
}

func (l *letters) Read(p []byte) (int, error) {
	if l.end != nil || len(p) == 0 {
		return 0, l.end
	}
	if _, err := l.in.Peek(1); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		l.end = err
		return 0, l.end
	}
	text, _ := l.in.Peek(min(len(p), l.in.Buffered()))
	next := text[0]
	for _, stop := range []byte(`"{`) {
		if i := bytes.IndexByte(text, stop); i >= 0 {
			text = text[:i]
		}
	}
	if len(text) == 0 {
		l.end = errAbandoned
		if next == '"' {
			l.in.Discard(1)
			l.end = io.EOF
		}
		return 0, l.end
	}
	l.broken = l.broken || l.padded && text[0] != '='
	l.padded = l.padded || bytes.IndexByte(text, '=') >= 0
	n := copy(p, text)
	l.in.Discard(n)
	l.n += int64(n)
	return n, nil
}
