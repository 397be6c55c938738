package reapi

import (
	"context"
	"io"
	"maps"
	"net/http"

	"github.com/larderbuild/larder/grpc"
	"github.com/larderbuild/larder/protobuf"
	"github.com/larderbuild/larder/reapi"
)

// call calls a method with one message, and sets answer to the one that comes. Its errors are
// those of failure.
func (s *store) call(ctx context.Context, method string, request protobuf.Marshaler, answer protobuf.Unmarshaler) error {
	client := s.client
	if method != reapi.GetActionResult && method != reapi.BatchReadBlobs {
		client.MaxMessage = maxShortMessage
	}
	return s.authorized(ctx, func(header http.Header) error {
		return client.Call(ctx, method, header, request, answer)
	})
}

// open calls a method with the messages that requests returns, which it calls for each attempt.
// Its errors are those of failure.
func (s *store) open(ctx context.Context, method string, requests func() (io.Reader, error)) (stream *grpc.Stream, err error) {
	err = s.authorized(ctx, func(header http.Header) error {
		messages, err := requests()
		if err == nil {
			stream, err = s.client.Open(ctx, method, header, messages)
		}
		return err
	})
	return stream, err
}

// authorized calls do with the headers that say who we are, once more with other ones if the
// server refuses those.
func (s *store) authorized(ctx context.Context, do func(http.Header) error) error {
	header, token, err := s.credentials(ctx)
	if err != nil {
		return err
	}
	if err = do(header); code(err) != grpc.Unauthenticated || !s.bearer.Refused(token) {
		return failure(err)
	}
	if header, _, err = s.credentials(ctx); err != nil {
		return err
	}
	return failure(do(header))
}

// credentials returns the headers of a call, and the token that is among them.
func (s *store) credentials(ctx context.Context) (header http.Header, token string, err error) {
	header = maps.Clone(s.headers)
	token, err = s.bearer.Authorize(ctx, header, s.User)
	return header, token, err
}
