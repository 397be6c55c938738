package redis

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/larderbuild/larder/backend"
)

// answer is an error that a server has sent.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

var _ redis.Error = answer("")

func TestClassified(t *testing.T) {
	var busy *backend.Busy
	for text, want := range map[string]error{
		"NOAUTH Authentication required.":                      backend.ErrDenied,
		"WRONGPASS invalid username-password pair":             backend.ErrDenied,
		"NOPERM this user has no permissions":                  backend.ErrDenied,
		"MOVED 3999 127.0.0.1:6381":                            backend.ErrDenied,
		"ERR invalid password":                                 backend.ErrDenied,
		"ERR AUTH <password> called without any password":      backend.ErrDenied,
		"ERR Client sent AUTH, but no password is set":         backend.ErrDenied,
		"ERR Protocol error: unauthenticated multibulk length": backend.ErrDenied,
		"ERR DB index is out of range":                         backend.ErrDenied,
		"ERR SELECT is not allowed in cluster mode":            backend.ErrDenied,
		"ERR unknown command 'EVALSHA'":                        backend.ErrDenied,
		"ERR This instance has cluster support disabled":       backend.ErrDenied,
		"LOADING Redis is loading the dataset in memory":       busy,
		"BUSY Redis is busy running a script":                  busy,
		"TRYAGAIN Multiple keys request during rehashing":      busy,
		"CLUSTERDOWN The cluster is down":                      busy,
		"MASTERDOWN Link with MASTER is down":                  busy,
		"OOM command not allowed":                              nil,
		"READONLY You can't write against a read only replica": nil,
		"ERR something else":                                   nil,
	} {
		err := classified(answer(text))
		isBusy := errors.As(err, &busy)
		if errors.Is(err, backend.ErrDenied) != (want == backend.ErrDenied) || isBusy != (want != nil && want != backend.ErrDenied) {
			t.Errorf("%s: %v", text, err)
		}
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := classified(io.ErrUnexpectedEOF); err != io.ErrUnexpectedEOF {
		t.Errorf("a fault: %v", err)
	}
}
