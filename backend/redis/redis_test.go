package redis_test

import (
	"errors"
	"net/url"
	"os"
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

// TestRights runs the suite as a user who has the rights that docs/remotes.md names.
func TestRights(t *testing.T) {
	page, err := os.ReadFile("../../docs/remotes.md")
	if err != nil {
		t.Fatal(err)
	}
	addr := testserver.Redis(t)
	users := 0
	for line := range strings.Lines(string(page)) {
		if words := strings.Fields(line); len(words) > 2 && words[0] == "ACL" {
			users++
			command := make([]any, len(words))
			for i, word := range words {
				command[i] = strings.ReplaceAll(word, "~larder:*", "~TestRights*")
			}
			do(t, client(t, addr), command...)
		}
	}
	if users != 2 {
		t.Errorf("%d users, want 2", users)
	}
	backendtest.Run(t, func(t *testing.T) backend.Store { return open(t, "redis://larder:password@"+addr+"/2") })
	writer, reader := open(t, "redis://larder:password@"+addr+"/2"), open(t, "redis://reader:password@"+addr+"/2")
	defer writer.Close()
	defer reader.Close()
	for _, size := range []int{1, 1 << 20} {
		backendtest.PutBytes(t, writer, "key", make([]byte, size))
		if got := read(t, reader, "key"); len(got) != size {
			t.Errorf("%d bytes, want %d", len(got), size)
		}
	}
	if _, err := reader.Put(t.Context(), "key", strings.NewReader("x"), backend.OptionsOf([]byte("x"))); !errors.Is(err, backend.ErrDenied) {
		t.Errorf("put: %v", err)
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
