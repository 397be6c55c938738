package reapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"iter"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/grpc"
	"github.com/larderbuild/larder/reapi"
)

const (
	// maxMessage is the size of the largest message with bytes of a blob that is received, in
	// bytes. Servers send up to 4 MiB, which is what clients of gRPC usually take. Other
	// messages, about one blob or one action, have no more than maxShortMessage.
	maxMessage      = 8 << 20
	maxShortMessage = 64 << 10

	// maxBatch is the size of the largest blob that goes in a batch, in bytes. It bounds the
	// memory of a Get and of a Put. The messages of gRPC have up to 4 MiB.
	maxBatch = 1 << 20

	// quiet is for how long nothing comes on a connection until the server is asked whether it
	// is still there, and answerTime is how long it has to answer. A proxy may have dropped the
	// connection without a word. Servers that take many pings for an attack close the
	// connection, which costs another one.
	quiet      = 15 * time.Second
	answerTime = 5 * time.Second

	// window is how many bytes a server may send on a stream before they are read.
	window = 1 << 20
)

// store is one instance of a cache.
type store struct {
	Config
	transport *http.Transport
	client    grpc.Client
	headers   http.Header
	bearer    *backend.Bearer
	opened    backend.Connections
	known     knowledge
	unlimited atomic.Bool // the server can not do with limits of a Read
}

// Open returns the store that cfg names. It reads the files of certificates that the
// environment names, and does not use the network.
func Open(_ context.Context, cfg Config) (backend.Store, error) {
	s := &store{Config: cfg, transport: backend.NewTransport(), bearer: backend.NewBearer(cfg.Server)}
	s.known.turn = make(chan struct{}, 1)
	var err error
	if s.headers, err = backend.Headers(headersVariable); err != nil {
		return nil, err
	}
	if s.transport.TLSClientConfig, err = backend.TLSConfig(); err != nil {
		return nil, err
	}
	s.transport.Protocols = new(http.Protocols)
	if cfg.Server.Scheme == "https" {
		s.transport.Protocols.SetHTTP2(true)
	} else {
		s.transport.Protocols.SetUnencryptedHTTP2(true)
		s.transport.Proxy = nil // proxies pass no HTTP/2 on that has no TLS
	}
	s.transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: quiet, PingTimeout: answerTime, MaxReceiveBufferPerStream: window}
	s.opened.Track(s.transport)
	s.client = grpc.Client{Server: cfg.Server, HTTP: backend.NewClient(s.transport), MaxMessage: maxMessage}
	return s, nil
}

func (s *store) Close() error {
	s.transport.CloseIdleConnections()
	s.opened.Close()
	return nil
}

const (
	// domain is the line before a key whose digest names an action.
	domain = "larder object\n"

	// outputPath is the path of the file that an action has made.
	outputPath = "object"
)

// action returns the digest of the action that stands for key.
func action(key string) reapi.Digest { return digestOf([]byte(domain + key)) }

func digestOf(data []byte) reapi.Digest {
	sum := sha256.Sum256(data)
	return reapi.Digest{Hash: hex.EncodeToString(sum[:]), SizeBytes: int64(len(data))}
}

// object returns the object whose blob is d.
func object(key string, d reapi.Digest) backend.Object {
	return backend.Object{Key: key, Size: d.SizeBytes, Version: d.Hash}
}

func (s *store) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	body, d, err := s.get(ctx, key, r)
	if err != nil {
		return nil, backend.Object{}, backend.Wrap(ctx, "get", key, err)
	}
	return backend.NewBody(ctx, key, body), object(key, d), nil
}

func (s *store) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	d, err := s.put(ctx, key, body, opts)
	if err != nil {
		return backend.Object{}, backend.Wrap(ctx, "put", key, err)
	}
	return object(key, d), nil
}

func (s *store) Delete(ctx context.Context, key, _ string) error {
	return backend.Wrap(ctx, "delete", key, backend.ErrUnsupported)
}

func (s *store) List(ctx context.Context, prefix string) iter.Seq2[backend.Object, error] {
	return func(yield func(backend.Object, error) bool) {
		yield(backend.Object{}, backend.Wrap(ctx, "list", prefix, backend.ErrUnsupported))
	}
}
