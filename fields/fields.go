// Package fields reads what the formats of larder have in common: bytes, and numbers as
// uvarints in their shortest form.
package fields

import "encoding/binary"

// A Parser reads the fields of one piece of a format, which others may have damaged or made.
// After its first error its methods return zeros, so a caller may look for the error at the
// end. It must not be used by more than one goroutine at a time.
type Parser struct {
	b     []byte                    // what is not yet read
	wrap  func(reason string) error // makes an error of the caller's
	first error
}

// NewParser returns a Parser of b. Its errors are those that wrap makes of a reason.
func NewParser(b []byte, wrap func(reason string) error) *Parser { return &Parser{b: b, wrap: wrap} }

// Err returns the first error, or nil.
func (p *Parser) Err() error { return p.first }

// Len returns how many bytes are not yet read. After an error it is 0.
func (p *Parser) Len() int { return len(p.b) }

// Fail sets the error, unless there is one already.
func (p *Parser) Fail(reason string) {
	if p.first == nil {
		p.first = p.wrap(reason)
	}
	p.b = nil
}

// Bytes reads n bytes, which share memory with what is parsed.
func (p *Parser) Bytes(n int64) []byte {
	if n > int64(len(p.b)) {
		p.Fail("cut")
		return nil
	}
	b := p.b[:n:n]
	p.b = p.b[n:]
	return b
}

// Number reads a number that is at most limit.
func (p *Parser) Number(limit uint64) int64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 || v > limit || n > 1 && p.b[n-1] == 0 {
		p.Fail("a number that is cut, too large or not in its shortest form")
		return 0
	}
	p.b = p.b[n:]
	return int64(v)
}
