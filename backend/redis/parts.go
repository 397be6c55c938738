package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	goredis "github.com/redis/go-redis/v9"

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
			size := goredis.NewIntCmd(ctx, "APPEND", name, b)
			_ = ask.Process(ctx, size) // its error is that of Exec
			ask.PExpire(ctx, name, uploadTime)
			if _, err := ask.Exec(ctx); err != nil {
				return err
			}
			if at += int64(len(b)); size.Val() != at {
				return errPartGone
			}
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

var (
	errPartGone = errors.New("a part of it is gone")
	errReplaced = errors.New("it was replaced meanwhile")
)

// begin looks whether all parts are there, has them stay for the whole ttl again, and fetches
// the first piece.
func (p *partReader) begin() error {
	ask := p.store.client.Pipeline()
	there := ask.Exists(p.ctx, p.names...) // not every user may ask that
	next := p.ask(ask)
	p.store.keep(p.ctx, ask, p.names...)
	if err := send(p.ctx, ask); err != nil {
		return err
	}
	if n, err := there.Result(); err == nil && n != int64(len(p.names)) {
		return p.gone()
	}
	return p.take(next)
}

// ask asks for the next piece.
func (p *partReader) ask(client goredis.Cmdable) *goredis.StringCmd {
	i, from := p.at/p.part, p.at%p.part
	return client.GetRange(p.ctx, p.names[i], from, from+p.next()-1)
}

// next returns the size of the next piece in bytes.
func (p *partReader) next() int64 { return min(piece, p.end-p.at, p.part-p.at%p.part) }

// take makes the answer to ask the piece that is here.
func (p *partReader) take(answer *goredis.StringCmd) error {
	got, err := answer.Result()
	if err != nil {
		return err
	}
	if int64(len(got)) != p.next() {
		return p.gone()
	}
	p.here, p.at = got, p.at+int64(len(got))
	return nil
}

// gone returns why a part is gone: the object was replaced, or the server has thrown the part
// away. Then gone removes the hash, so that nobody takes the object to be there.
func (p *partReader) gone() error {
	if err := p.store.remove(p.ctx, p.name, p.version); errors.Is(err, backend.ErrConflict) {
		return errReplaced
	}
	return fmt.Errorf("%w: %w", backend.ErrNotFound, errPartGone)
}

func (p *partReader) Read(b []byte) (int, error) {
	if p.here == "" {
		if p.at == p.end {
			return 0, io.EOF
		}
		if err := p.take(p.ask(p.store.client)); err != nil {
			return 0, classified(err)
		}
	}
	n := copy(b, p.here)
	p.here = p.here[n:]
	return n, nil
}
