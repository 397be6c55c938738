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
	const denied, busy, fault = "denied", "busy", "fault"
	for text, want := range map[string]string{
		"NOAUTH Authentication required.":                      denied,
		"WRONGPASS invalid username-password pair":             denied,
		"NOPERM this user has no permissions":                  denied,
		"MOVED 3999 127.0.0.1:6381":                            denied,
		"ERR invalid password":                                 denied,
		"ERR AUTH <password> called without any password":      denied,
		"ERR Client sent AUTH, but no password is set":         denied,
		"ERR Protocol error: unauthenticated multibulk length": denied,
		"ERR DB index is out of range":                         denied,
		"ERR SELECT is not allowed in cluster mode":            denied,
		"ERR unknown command 'EVALSHA'":                        denied,
		"ERR This instance has cluster support disabled":       denied,
		"LOADING Redis is loading the dataset in memory":       busy,
		"BUSY Redis is busy running a script":                  busy,
		"TRYAGAIN Multiple keys request during rehashing":      busy,
		"CLUSTERDOWN The cluster is down":                      busy,
		"MASTERDOWN Link with MASTER is down":                  busy,
		"OOM command not allowed":                              fault,
		"READONLY You can't write against a read only replica": fault,
		"ERR something else":                                   fault,
	} {
		err := classified(answer(text))
		var b *backend.Busy
		if errors.Is(err, backend.ErrDenied) != (want == denied) || errors.As(err, &b) != (want == busy) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := classified(io.ErrUnexpectedEOF); err != io.ErrUnexpectedEOF {
		t.Errorf("a fault: %v", err)
	}
}
