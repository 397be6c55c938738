package redis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
)

// TestAnswers has answers that are taken, whole and byte by byte, and such that are refused.
func TestAnswers(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for name, test := range map[string]struct {
		answers string
		reason  string // "": taken
	}{
		"simple ones":           {"+OK\r\n-ERR no\r\n:17\r\n$-1\r\n*-1\r\n*0\r\n", ""},
		"strings":               {"$0\r\n\r\n$5\r\na\r\nbc\r\n+OK\r\n", ""},
		"arrays":                {"*2\r\n*2\r\n$1\r\na\r\n:1\r\n*0\r\n*1\r\n-ERR\r\n+OK\r\n", ""},
		"the largest string":    {fmt.Sprintf("$%d\r\n", maxString), ""},
		"a larger one":          {fmt.Sprintf("$%d\r\n", maxString+1), "too large"},
		"a huge one":            {"*1\r\n$999999999999999\r\n", "too large"},
		"one of no size":        {"$99999999999999999999\r\n", "a size of"},
		"a large array":         {fmt.Sprintf("*%d\r\n", maxElements+1), "too large"},
		"arrays in arrays":      {strings.Repeat("*1\r\n", maxDepth+1), "too large"},
		"a long line":           {"+" + long + "\r\n", "too long"},
		"a line without end":    {"-" + long, "too long"},
		"many strings":          {"*60000\r\n" + strings.Repeat("$1000\r\n"+long[:1000]+"\r\n", 20_000), "too long"},
		"many that are not one": {strings.Repeat("$1000\r\n"+long[:1000]+"\r\n", 20_000), ""},
		"of version 3":          {"%1\r\n+a\r\n*1\r\n_\r\n~1\r\n#t\r\n,1.5\r\n(12\r\n=5\r\ntxt:a\r\n!2\r\nno\r\n>1\r\n+a\r\n", ""},
		"a large map":           {fmt.Sprintf("%%%d\r\n", maxElements+1), "too large"},
		"with an attribute":     {"|1\r\n+a\r\n+b\r\n+c\r\n", "begins with"},
		"another protocol":      {"HTTP/1.1 400 Bad Request\r\n", "begins with"},
		"an empty line":         {"\r\n", "begins with"},
		"something behind":      {"$1\r\nab\r\n", "begins with"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, step := range []int{len(test.answers), 1} {
				var a answers
				var err error
				for rest := []byte(test.answers); len(rest) > 0 && err == nil; rest = rest[min(step, len(rest)):] {
					err = a.check(rest[:min(step, len(rest))])
				}
				switch {
				case test.reason == "" && err != nil:
					t.Error(err)
				case test.reason != "" && (!errors.Is(err, errAnswer) || !strings.Contains(err.Error(), test.reason)):
					t.Errorf("error %v, want %q", err, test.reason)
				}
			}
		})
	}
}

// TestHostileServer has a server whose answers would take all memory. Each call fails, and takes
// little.
func TestHostileServer(t *testing.T) {
	for name, answer := range map[string]string{
		"a huge string":    "*4\r\n$70000000000\r\n",
		"a huge array":     "*9000000000\r\n",
		"arrays in arrays": strings.Repeat("*1\r\n", 1<<20),
		"no end":           "+" + strings.Repeat("x", 1<<20),
		"a huge object":    "*4\r\n$1\r\nv\r\n$19\r\n9000000000000000000\r\n$1\r\n1\r\n$0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := ParseConfig("redis://" + hostile(t, answer))
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if body, _, err := s.Get(t.Context(), "key", backend.Range{}); err == nil {
				body.Close()
				t.Error("got an object")
			}
			if _, err := s.Put(t.Context(), "key", strings.NewReader("data"), backend.OptionsOf([]byte("data"))); err == nil {
				t.Error("put an object")
			}
			for _, err := range s.List(t.Context(), "") {
				if err == nil {
					t.Error("listed an object")
				}
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
				t.Errorf("%d bytes allocated", n)
			}
		})
	}
}

// hostile starts a server that answers all that it is sent with the same, and returns its
// address.
func hostile(t *testing.T, answer string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	answers := strings.Repeat(answer, 4)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(time.Minute))
				request := bufio.NewReader(conn)
				for {
					if _, err := request.ReadByte(); err != nil {
						return
					}
					_, _ = request.Discard(request.Buffered())
					if _, err := io.WriteString(conn, answers); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
