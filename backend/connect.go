package backend

import (
	"net"
	"net/http"
	"time"
)

// connectTimeout is how long looking up a server's name and connecting to it may take,
// and how long TLS may take after that. It has room for one packet that is lost, and is
// far below the timeout of a request: a server that can be reached answers at once, also
// if it then takes long for the request.
const connectTimeout = 3 * time.Second

// LimitConnecting has t give up a server that can't be reached within a few seconds.
func LimitConnecting(t *http.Transport) {
	t.DialContext = (&net.Dialer{Timeout: connectTimeout}).DialContext
	t.TLSHandshakeTimeout = connectTimeout
}
