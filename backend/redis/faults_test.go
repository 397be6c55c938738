package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/testserver"
)

// client returns Redis's own client for the server at addr.
func client(t *testing.T, addr string) *goredis.Client {
	c := goredis.NewClient(&goredis.Options{Addr: addr})
	t.Cleanup(func() { c.Close() })
	return c
}

// do sends a command, which must succeed.
func do(t *testing.T, c *goredis.Client, command ...any) any {
	t.Helper()
	answer, err := c.Do(t.Context(), command...).Result()
	if err != nil {
		t.Fatalf("%v: %v", command, err)
	}
	return answer
}

func TestDenied(t *testing.T) {
	addr := testserver.Redis(t, "--requirepass", "secret")
	for name, url := range map[string]string{
		"no password":         "redis://" + addr,
		"another password":    "redis://:wrong@" + addr,
		"an unknown user":     "redis://nobody:secret@" + addr,
		"no such database":    "redis://:secret@" + addr + "/99",
		"a user of no rights": "redis://reader:secret@" + addr,
	} {
		t.Run(name, func(t *testing.T) {
			admin := goredis.NewClient(&goredis.Options{Addr: addr, Password: "secret"})
			defer admin.Close()
			do(t, admin, "ACL", "SETUSER", "reader", "on", ">secret", "+ping", "+select")
			s := open(t, url)
			defer s.Close()
			backendtest.WantDenied(t, s)
		})
	}
	t.Run("the variable's password", func(t *testing.T) {
		t.Setenv("REDISCLI_AUTH", "secret")
		s := open(t, "redis://"+addr)
		defer s.Close()
		backendtest.PutBytes(t, s, "key", []byte("data"))
	})
}

// read returns an object.
func read(t *testing.T, s backend.Store, key string) []byte {
	t.Helper()
	body, _, err := s.Get(t.Context(), key, backend.Range{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestFaultsOnTheWay(t *testing.T) {
	link := testserver.Proxy(t, "http://"+testserver.Redis(t))
	s := open(t, "redis://"+strings.TrimPrefix(link.Endpoint, "http://"))
	defer s.Close()
	backendtest.RunFaults(t, s, map[string]func(){
		"down": link.Down, "reset": link.Reset, "cut": func() { link.Cut(100_000) },
	}, link.Heal)
}

// A server that is full refuses puts for now, and gives out what it has.
func TestFull(t *testing.T) {
	s := open(t, "redis://"+testserver.Redis(t, "--maxmemory", "4mb", "--maxmemory-policy", "noeviction"))
	defer s.Close()
	backendtest.PutBytes(t, s, "small", []byte("data"))
	for _, size := range []int{8 << 20, 200 << 10} {
		data, err := make([]byte, size), error(nil)
		for i := 0; i < 50 && err == nil; i++ {
			_, err = s.Put(t.Context(), fmt.Sprint(size, i), bytes.NewReader(data), backend.OptionsOf(data))
		}
		if err == nil || errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), "maxmemory") {
			t.Errorf("puts of %d bytes: %v", size, err)
		}
	}
	if got := read(t, s, "small"); string(got) != "data" {
		t.Errorf("%q", got)
	}
}

// An object of which the server has thrown away a part is not there: it is not found, and may
// be put again on the condition that there is none.
func TestEvicted(t *testing.T) {
	addr := testserver.Redis(t)
	s := open(t, "redis://"+addr+"?max_value=1MiB")
	defer s.Close()
	data := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	for _, gone := range []string{":0", ":2"} {
		t.Run(gone, func(t *testing.T) {
			backendtest.PutBytes(t, s, "key", data)
			admin := client(t, addr)
			for _, name := range admin.Keys(t.Context(), "*").Val() {
				if strings.HasSuffix(name, gone) {
					do(t, admin, "DEL", name)
				}
			}
			if _, _, err := s.Get(t.Context(), "key", backend.Range{Offset: 1 << 20, Length: 1}); !errors.Is(err, backend.ErrNotFound) {
				t.Errorf("get: %v", err)
			}
			opts := backend.OptionsOf(data)
			opts.If.Absent = true
			if _, err := s.Put(t.Context(), "key", bytes.NewReader(data), opts); err != nil {
				t.Errorf("put: %v", err)
			}
			if got := read(t, s, "key"); !bytes.Equal(got, data) {
				t.Errorf("%d bytes", len(got))
			}
		})
	}
}

// A part that is thrown away while its object is put is missed at once.
func TestEvictedMeanwhile(t *testing.T) {
	addr := testserver.Redis(t)
	s := open(t, "redis://"+addr+"?max_value=4MiB")
	defer s.Close()
	data := make([]byte, 5<<20)
	reads := 0
	body := &watched{Reader: bytes.NewReader(data), during: func() {
		if reads++; reads == 5 {
			admin := client(t, addr)
			for _, name := range admin.Keys(t.Context(), "*").Val() {
				if ttl := admin.TTL(t.Context(), name).Val(); ttl <= 0 || ttl > time.Hour {
					t.Errorf("%s, of what is being put, stays for %v", name, ttl)
				}
			}
			do(t, admin, "FLUSHALL")
		}
	}}
	if _, err := s.Put(t.Context(), "key", body, backend.OptionsOf(data)); err == nil || !strings.Contains(err.Error(), "a part of") {
		t.Errorf("put: %v", err)
	}
	if _, _, err := s.Get(t.Context(), "key", backend.Range{}); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
}

// watched calls during before each Read.
type watched struct {
	*bytes.Reader
	during func()
}

func (w *watched) Read(b []byte) (int, error) {
	w.during()
	return w.Reader.Read(b)
}

// Who reads a large object while others replace it finds one or the other, or meets a fault.
func TestReplacedMeanwhile(t *testing.T) {
	s := open(t, "redis://"+testserver.Redis(t)+"?max_value=1MiB")
	defer s.Close()
	object := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1200<<10) }
	backendtest.PutBytes(t, s, "key", object(0))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := range 50 {
			if _, err := s.Put(t.Context(), "key", bytes.NewReader(object(i)), backend.OptionsOf(object(i))); err != nil {
				t.Errorf("put: %v", err)
			}
		}
	}()
	whole := 0
	for done := false; !done; {
		select {
		case <-ended:
			done = true // and once more
		default:
		}
		body, _, err := s.Get(t.Context(), "key", backend.Range{})
		var data []byte
		if err == nil {
			data, err = io.ReadAll(body)
			body.Close()
		}
		switch {
		case errors.Is(err, backend.ErrNotFound):
			t.Fatalf("get: %v", err)
		case err == nil && !bytes.Equal(data, object(int(data[0]))):
			t.Fatal("bytes of two objects")
		case err == nil:
			whole++
		}
	}
	if whole == 0 {
		t.Error("nothing was read")
	}
}

// An object whose put was not answered may be there. Then it is so whole.
func TestAnswerLost(t *testing.T) {
	addr := testserver.Redis(t)
	through := open(t, "redis://"+addr+"?max_value=1MiB")
	defer through.Close()
	old, data := make([]byte, 3<<20), bytes.Repeat([]byte{1}, 3<<20)
	backendtest.PutBytes(t, through, "key", old) // the server knows the script
	link := testserver.Proxy(t, "http://"+addr)
	s := open(t, "redis://"+strings.TrimPrefix(link.Endpoint, "http://")+"?max_value=1MiB")
	defer s.Close()
	reads := 0
	body := &watched{Reader: bytes.NewReader(data), during: func() {
		if reads++; reads == 12 { // the last one
			link.Hang()
		}
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := s.Put(ctx, "key", body, backend.OptionsOf(data)); err == nil {
		t.Error("put without an answer")
	}
	link.Heal()
	if got := read(t, through, "key"); !bytes.Equal(got, old) && !bytes.Equal(got, data) {
		t.Errorf("%d bytes, of neither object", len(got))
	}
}

// What is replaced, removed or given up leaves no parts behind, and all that is there goes by
// itself unless it is read.
func TestNothingStays(t *testing.T) {
	t.Run("2 days", func(t *testing.T) { testNothingStays(t, "ttl=48h", 24*time.Hour, 48*time.Hour) })
	t.Run("for good", func(t *testing.T) { testNothingStays(t, "ttl=0", -2, -1) })
}

// testNothingStays wants each key to stay for more than least, and no more than most.
func testNothingStays(t *testing.T, ttl string, least, most time.Duration) {
	addr := testserver.Redis(t)
	admin := client(t, addr)
	s := open(t, "redis://"+addr+"?max_value=1MiB&"+ttl)
	defer s.Close()
	large := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	wantKeys := func(when string, n int) {
		t.Helper()
		names := admin.Keys(t.Context(), "*").Val()
		if len(names) != n {
			t.Errorf("%s: %d keys, want %d: %q", when, len(names), n, names)
		}
		for _, name := range names {
			if ttl := admin.TTL(t.Context(), name).Val(); ttl <= least || ttl > most {
				t.Errorf("%s: %s stays for %v", when, name, ttl)
			}
		}
	}
	backendtest.PutBytes(t, s, "key", large)
	wantKeys("put", 5)
	backendtest.PutBytes(t, s, "key", large[16:])
	wantKeys("replaced", 5)
	backendtest.PutBytes(t, s, "key", []byte("small"))
	wantKeys("replaced by less", 1)
	opts := backend.OptionsOf(large)
	opts.If.Absent = true
	if _, err := s.Put(t.Context(), "key", bytes.NewReader(large), opts); !errors.Is(err, backend.ErrConflict) {
		t.Errorf("put: %v", err)
	}
	wantKeys("put in vain", 1)
	backendtest.PutBytes(t, s, "key", large)
	if most > 0 {
		for _, name := range admin.Keys(t.Context(), "*").Val() {
			do(t, admin, "EXPIRE", name, 60)
		}
	}
	read(t, s, "key")
	wantKeys("read", 5)
	if err := s.Delete(t.Context(), "key", ""); err != nil {
		t.Error(err)
	}
	wantKeys("removed", 0)
}

// Another program's keys are none of larder's, whatever they are called.
func TestStrangers(t *testing.T) {
	addr := testserver.Redis(t)
	s := open(t, "redis://"+addr)
	defer s.Close()
	backendtest.PutBytes(t, s, "mine", []byte("data"))
	admin := client(t, addr)
	prefix := strings.TrimSuffix(admin.Keys(t.Context(), "*").Val()[0], "{mine}")
	do(t, admin, "SET", "session:1", "x")
	do(t, admin, "SET", prefix+"{string}", "x")
	do(t, admin, "HSET", prefix+"{hash}", "field", "x")
	do(t, admin, "HSET", prefix+"{almost}", "version", "1", "size", "many", "part", "0")
	var keys []string
	for obj, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, obj.Key)
	}
	if len(keys) != 1 || keys[0] != "mine" {
		t.Errorf("listed %q", keys)
	}
	for _, key := range []string{"string", "hash", "almost"} {
		if _, _, err := s.Get(t.Context(), key, backend.Range{}); !errors.Is(err, backend.ErrNotFound) {
			t.Errorf("get of %s: %v", key, err)
		}
	}
}

// TestTLS shows who gets in where the server wants certificates.
func TestTLS(t *testing.T) {
	authority, other := testserver.NewAuthority(t), testserver.NewAuthority(t)
	soon := time.Now().Add(time.Hour)
	serverCert, serverKey := authority.Issue("server", soon)
	addr := testserver.Redis(t)
	do(t, client(t, addr), "CONFIG", "SET", "tls-cert-file", serverCert, "tls-key-file", serverKey, "tls-ca-cert-file", authority.File, "tls-auth-clients", "yes")
	secure := testserver.FreePort(t)
	do(t, client(t, addr), "CONFIG", "SET", "tls-port", secure)

	issue := func(a *testserver.Authority, end time.Time) [2]string {
		cert, key := a.Issue("larder", end)
		return [2]string{cert, key}
	}
	for name, test := range map[string]struct {
		ca     string
		client [2]string
		ok     bool
	}{
		"a certificate":             {authority.File, issue(authority, soon), true},
		"none":                      {authority.File, [2]string{}, false},
		"an expired one":            {authority.File, issue(authority, time.Now().Add(-time.Hour)), false},
		"another authority's":       {authority.File, issue(other, soon), false},
		"a server of another's":     {other.File, issue(authority, soon), false},
		"a server that none trusts": {"", issue(authority, soon), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("LARDER_TLS_CA", test.ca)
			t.Setenv("LARDER_TLS_CERT", test.client[0])
			t.Setenv("LARDER_TLS_KEY", test.client[1])
			s := open(t, "rediss://127.0.0.1:"+secure)
			defer s.Close()
			_, err := s.Put(t.Context(), "key", strings.NewReader("data"), backend.OptionsOf([]byte("data")))
			if (err == nil) != test.ok {
				t.Errorf("put: %v", err)
			}
		})
	}
}
