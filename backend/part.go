package backend

import (
	"crypto/md5"
	"io"
)

// Part is a part of the body of a Put that is stored by several requests, one after the
// other. Only one Part of a body is used at a time: each begins to read with a Seek.
type Part struct {
	body        io.ReadSeeker
	begin, size int64 // in bytes
	at          int64 // what is read next
}

// NewPart returns the part of body that begins at begin and has size bytes.
func NewPart(body io.ReadSeeker, begin, size int64) *Part {
	return &Part{body: body, begin: begin, size: size}
}

// Size returns the number of bytes in p.
func (p *Part) Size() int64 { return p.size }

// MD5 reads all of p, and copies it to whole as well. Then p is at its beginning again.
func (p *Part) MD5(whole io.Writer) (sum [md5.Size]byte, err error) {
	digest := md5.New()
	if _, err := p.Seek(0, io.SeekStart); err != nil {
		return sum, err
	}
	if _, err := io.Copy(io.MultiWriter(digest, whole), p); err != nil {
		return sum, err
	}
	_, err = p.Seek(0, io.SeekStart)
	return [md5.Size]byte(digest.Sum(nil)), err
}

func (p *Part) Read(b []byte) (int, error) {
	if p.at >= p.size {
		return 0, io.EOF
	}
	n, err := p.body.Read(b[:min(int64(len(b)), p.size-p.at)])
	p.at += int64(n)
	return n, err
}

// Seek does what io.Seeker says.
func (p *Part) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += p.at
	case io.SeekEnd:
		offset += p.size
	}
	if _, err := p.body.Seek(p.begin+offset, io.SeekStart); err != nil {
		return 0, err
	}
	p.at = offset
	return offset, nil
}
