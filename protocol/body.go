package protocol

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
)

// errAbandoned says that the go command gave up a put in the middle of its body. The put
// must not be answered: the go command has forgotten its ID, and an answer would end the
// build.
var errAbandoned = errors.New("given up by the go command")

// body reads and decodes the body that follows a request. It is the Body of a Put.
type body struct {
	letters letters
	size    int64  // the announced size in bytes
	read    int64  // number of letters read so far
	n       int64  // number of bytes decoded so far
	ready   []byte // the part of data that is decoded but not yet returned by Read
	err     error  // what Read returns behind ready

	text [4 << 10]byte // letters to decode, in whole groups of four
	data [3 << 10]byte // the bytes decoded from text
}

// newBody returns the body that comes next in the input. It reads the opening quote, and
// blank bytes before it. A body of no bytes has no quotes.
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

// Read fills p completely unless the body ends before, because the caller may write p to
// a file.
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

// decode decodes the next part of the body. It sets ready to the bytes before the first
// fault, if there are any, and err to the fault or io.EOF.
func (b *body) decode() {
	// The decoder accepts line breaks anywhere, and padding at the end of a text
	// even if the body goes on. In both cases the texts so far have given fewer
	// bytes than their letters stand for.
	whole := b.n*4 == b.read*3
	m, err := io.ReadFull(&b.letters, b.text[:])
	n, bad := base64.StdEncoding.Strict().Decode(b.data[:], b.text[:m])
	b.read += int64(m)
	left := b.size - b.n
	closed := err == io.EOF || err == io.ErrUnexpectedEOF // of ReadFull, at the closing quote
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

// finish reads the rest of the body, even if something is wrong with the body. It returns
// nil if it reached the closing quote, and errAbandoned if the go command gave up the
// put. Otherwise it returns the error that ended the input. After an error the request
// must not be answered. finish does not say whether the body was intact; see fault.
func (b *body) finish() error {
	_, _ = io.Copy(io.Discard, b)
	_, _ = io.Copy(io.Discard, &b.letters) // what decode left after a fault
	if b.letters.end == io.EOF {
		return nil
	}
	return b.letters.end
}

// fault returns what is wrong with a body that was read to its end, or nil.
func (b *body) fault() error {
	if b.err == io.EOF {
		return nil
	}
	return b.err
}

// letters reads the letters of a body, without decoding them. At the closing quote, which
// it also reads, it returns io.EOF. The first quote is the closing one, because the go
// command writes no escapes. At a brace it returns errAbandoned and does not read the
// brace: there the next request begins. If the input ends before, its error wraps
// io.ErrUnexpectedEOF.
type letters struct {
	in  *bufio.Reader
	end error // why there are no more letters; nil: there may be more
}

func (l *letters) Read(p []byte) (int, error) {
	if l.end != nil || len(p) == 0 {
		return 0, l.end
	}
	if _, err := l.in.Peek(1); err != nil {
		if err == io.EOF { // io.EOF means the closing quote
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
		_, _ = l.in.Discard(n) // can't fail: they are in the buffer
	case next == '"':
		_, _ = l.in.Discard(1)
		l.end = io.EOF
	default:
		l.end = errAbandoned
	}
	return n, l.end
}
