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

// TestCluster runs the conformance suite on a cluster. Objects stay there for good, and large
// ones lie in many parts.
func TestCluster(t *testing.T) {
	addrs := testserver.RedisCluster(t)
	url := "redis://" + addrs[0] + "?cluster=true&ttl=0&max_value=1MiB&addr=" + strings.Join(addrs[1:], ",")
	backendtest.Run(t, func(t *testing.T) backend.Store { return open(t, url) })
}

// TestSentinel finds a server through a sentinel.
func TestSentinel(t *testing.T) {
	s := open(t, "redis://"+testserver.RedisSentinel(t)+"?master_name="+testserver.SentinelMaster)
	defer s.Close()
	backendtest.PutBytes(t, s, "key", []byte("data"))
	if got := read(t, s, "key"); string(got) != "data" {
		t.Errorf("%q", got)
	}
	for obj, err := range s.List(t.Context(), "") {
		if err != nil || obj.Key != "key" {
			t.Errorf("listed %+v, %v", obj, err)
		}
	}
}

// TestRights runs the suite on a single server, as a user who has the rights that
// docs/remotes.md names.
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
