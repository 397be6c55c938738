package backend

import (
	"context"
	"fmt"
	"io"
)

// ReadOnly returns a store that reads from s, and refuses Put and Delete with
// ErrReadOnly.
func ReadOnly(s Store) Store { return readOnly{s} }

type readOnly struct{ Store }

func (readOnly) Put(_ context.Context, key string, _ io.ReadSeeker, _ PutOptions) (Object, error) {
	return Object{}, fmt.Errorf("put %s: %w", key, ErrReadOnly)
}

func (readOnly) Delete(_ context.Context, key, _ string) error {
	return fmt.Errorf("delete %s: %w", key, ErrReadOnly)
}
