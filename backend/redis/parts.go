package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/larderbuild/larder/backend"
)

// upload writes body to the parts of o, which nobody else knows of yet.
func (s *store) upload(ctx context.Context, o stored, parts []string, body io.Reader) error {
	buffer := make([]byte, piece)
	for i, name := range parts {
		length := min(o.part, o.size-int64(i)*o.part)
		for at := int64(0); at < length; {
			b := buffer[:min(piece, length-at)]
			if _, err := io.ReadFull(body, b); err != nil {
				return err
			}
			ask := s.client.Pipeline()
			ask.SetRange(ctx, name, at, string(b))
			ask.PExpire(ctx, name, uploadTime)
			if _, err := ask.Exec(ctx); err != nil {
				return err
			}
			at += int64(len(b))
		}
	}
	return nil
}

// dropTime is how long removing parts may take that nobody needs any more.
const dropTime = 5 * time.Second

// drop removes parts, also if ctx is done. What it can't remove goes when its time is up.
func (s *store) drop(ctx context.Context, parts []string) {
	if len(parts) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTime)
	defer cancel()
	_ = s.client.Unlink(ctx, parts...).Err()
}

// partReader reads a range of an object that lies in parts.
type partReader struct {
	store *store
	ctx   context.Context
	stored
	names   []string
	at, end int64  // in bytes of the object
	here    string // the bytes before at that were not read yet
}

// errPartGone says that the server has thrown away a part of an object.
var errPartGone = errors.New("a part of it is gone")

// fetch fetches the next piece, and has the parts called kept stay for the whole ttl again.
func (p *partReader) fetch(kept ...string) error {
	i, from := p.at/p.part, p.at%p.part
	length := min(piece, p.end-p.at, p.part-from)
	ask := p.store.client.Pipeline()
	answer := ask.GetRange(p.ctx, p.names[i], from, from+length-1)
	p.store.keep(p.ctx, ask, kept...)
	if err := send(p.ctx, ask); err != nil {
		return err
	}
	got, err := answer.Result()
	if err != nil {
		return err
	}
	if int64(len(got)) != length {
		// Without its hash, nobody takes the object to be there.
		_ = p.store.remove(p.ctx, p.name, p.version)
		return fmt.Errorf("%w: %w", backend.ErrNotFound, errPartGone)
	}
	p.here, p.at = got, p.at+length
	return nil
}

func (p *partReader) Read(b []byte) (int, error) {
	if p.here == "" {
		if p.at == p.end {
			return 0, io.EOF
		}
		if err := p.fetch(); err != nil {
			return 0, classified(err)
		}
	}
	n := copy(b, p.here)
	p.here = p.here[n:]
	return n, nil
}
