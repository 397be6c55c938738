package backend

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// Connections are all that a transport has opened. The transport itself does not close one on
// which it has just given up an HTTP/2 stream. Many goroutines may use them.
type Connections struct {
	mu   sync.Mutex
	open []net.Conn
}

// Track has c keep the connections that t opens.
func (c *Connections) Track(t *http.Transport) {
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.open = append(c.open, conn)
		}
		return conn, err
	}
}

// Close closes them. Those that were closed before are no error.
func (c *Connections) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.open {
		_ = conn.Close()
	}
}
