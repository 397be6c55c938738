package redis_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/redis"
	"github.com/larderbuild/larder/testserver"
)

// TestStore runs the conformance suite on each kind of server, and on one where most objects
// lie in several parts.
func TestStore(t *testing.T) {
	cluster := func(t *testing.T) string {
		addrs := testserver.RedisCluster(t)
		return "redis://" + addrs[0] + "?cluster=true&addr=" + strings.Join(addrs[1:], ",")
	}
	for name, start := range map[string]func(t *testing.T) string{
		"server":  func(t *testing.T) string { return "redis://" + testserver.Redis(t) + "/3" },
		"parts":   func(t *testing.T) string { return "redis://" + testserver.Redis(t) + "?max_value=1MiB&ttl=0" },
		"cluster": cluster,
		"sentinel": func(t *testing.T) string {
			return "redis://" + testserver.RedisSentinel(t) + "?master_name=" + testserver.SentinelMaster
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			backendtest.Run(t, func(t *testing.T) backend.Store { return open(t, server) })
		})
	}
}

// open returns a store of the test's own, which is empty.
func open(t *testing.T, server string) backend.Store {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("prefix", t.Name()+"*:")
	u.RawQuery = query.Encode()
	cfg, err := redis.ParseConfig(u.String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := redis.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
