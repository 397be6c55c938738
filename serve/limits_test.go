package serve_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/serve"
)

// memoryConfig returns the configuration of a server that uses neither the network nor files, so
// that it can live in a bubble of package synctest.
func memoryConfig(t *testing.T, plan func(op, key string) backendtest.Fault) serve.Config {
	return serve.Config{
		Store: backendtest.Faulty(backendtest.Memory(), plan), Access: everybody, MaxObject: 1 << 20,
		Requests: 2, Progress: time.Minute, TempDir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
	}
}

func noFault(string, string) backendtest.Fault { return backendtest.Fault{} }

// ask has a handler answer a request, on another goroutine.
func ask(ctx context.Context, s http.Handler, path string) <-chan *httptest.ResponseRecorder {
	answered := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
		answered <- w
	}()
	return answered
}

// More requests than may be worked on at once wait, but not for ever.
func TestManyRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan bool)
		inside := 0 // as each wait in the bubble shows
		s := serve.New(memoryConfig(t, func(string, string) backendtest.Fault {
			inside++
			<-goOn
			return backendtest.Fault{}
		}))
		first := ask(t.Context(), s, "/v1/s/1")
		synctest.Wait()
		second := ask(t.Context(), s, "/v1/s/2")
		synctest.Wait()

		ctx, cancel := context.WithCancel(t.Context())
		gone, late := ask(ctx, s, "/v1/s/3"), ask(t.Context(), s, "/v1/s/5")
		synctest.Wait()
		if inside != 2 {
			t.Fatalf("%d requests are worked on, want 2", inside)
		}
		if w := <-ask(t.Context(), s, "/healthz"); w.Code != http.StatusOK {
			t.Errorf("healthz: status %d", w.Code)
		}
		cancel()
		<-gone // who hangs up waits no longer
		if w := <-late; w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || w.Header().Get("Larder-Api") != "1" {
			t.Errorf("too many: status %d, header %v", w.Code, w.Header())
		}
		waits := ask(t.Context(), s, "/v1/s/4")
		synctest.Wait()
		close(goOn)
		for _, answered := range []<-chan *httptest.ResponseRecorder{first, second, waits} {
			if w := <-answered; w.Code != http.StatusNotFound {
				t.Errorf("status %d, want 404", w.Code)
			}
		}
		if inside != 3 {
			t.Errorf("the store was asked %d times, want 3", inside)
		}
	})
}

// pipes is a listener whose connections are pipes, which a bubble can see.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.closed); return nil }

func (p *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// onPipe runs a server and gives client a connection to it, in a bubble of package synctest. ended
// is closed when the server has answered the one request.
func onPipe(t *testing.T, cfg serve.Config, client func(t *testing.T, c net.Conn, ended <-chan struct{})) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		handler, ended := serve.New(cfg), make(chan struct{})
		server := handler.HTTP()
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			handler.ServeHTTP(w, r)
		})
		l := &pipes{make(chan net.Conn), make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		c, other := net.Pipe()
		l.conns <- other
		client(t, c, ended)
		c.Close()
		server.Close()
		<-served
	})
}

// answerOn reads an answer, and returns its status.
func answerOn(r *bufio.Reader) (int, error) {
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// A body that comes slowly has time; one that does not come has Config.Progress.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	const body = "slow and steady"
	for name, test := range map[string]struct {
		pause time.Duration
		want  int
	}{
		"slow": {50 * time.Second, http.StatusCreated},
		"too":  {70 * time.Second, http.StatusRequestTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			onPipe(t, memoryConfig(t, noFault), func(t *testing.T, c net.Conn, ended <-chan struct{}) {
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					fmt.Fprintf(c, "PUT /cas/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", sha256Of(body), len(body))
					for _, b := range []byte(body) {
						time.Sleep(test.pause)
						if _, err := c.Write([]byte{b}); err != nil {
							return // the server has closed it
						}
					}
				}()
				r := bufio.NewReader(c)
				if status, err := answerOn(r); status != test.want || err != nil {
					t.Errorf("status %d, %v, want %d", status, err, test.want)
				}
				<-ended
				if test.want == http.StatusCreated {
					return
				}
				if _, err := r.ReadByte(); err == nil {
					t.Error("the connection goes on")
				}
				<-sent // with an error
			})
		})
	}
}

// A client that does not read its answer does not keep the server.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	body := string(noise(1 << 20))
	for _, request := range []string{"GET /cas/{sum} HTTP/1.1\r\n", "GET /cas/{sum} HTTP/1.1\r\nAccept-Encoding: zstd\r\n", "GET /cache/a HTTP/1.1\r\n"} {
		cfg := memoryConfig(t, noFault)
		for _, path := range []string{"/cas/" + sha256Of(body), "/cache/a"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, path, strings.NewReader(body))
			r.Header.Set("Content-MD5", md5Of(body))
			w := httptest.NewRecorder()
			if serve.New(cfg).ServeHTTP(w, r); w.Code != http.StatusCreated {
				t.Fatalf("PUT %s: status %d", path, w.Code)
			}
		}
		onPipe(t, cfg, func(t *testing.T, c net.Conn, ended <-chan struct{}) {
			fmt.Fprintf(c, "%sHost: x\r\n\r\n", strings.ReplaceAll(request, "{sum}", sha256Of(body)))
			<-ended
		})
	}
}

// TestStuckConnection is TestSlowReader for HTTP/2: the client lets the server send much, and then
// takes no bytes from the connection.
func TestStuckConnection(t *testing.T) {
	t.Parallel()
	body := string(noise(1 << 20))
	cfg := memoryConfig(t, noFault)
	if w := request(serve.New(cfg), http.MethodPut, "/cas/"+sha256Of(body), body); w.Code != http.StatusCreated {
		t.Fatalf("status %d", w.Code)
	}
	onPipe(t, cfg, func(t *testing.T, c net.Conn, ended <-chan struct{}) {
		const window = 1 << 30
		var header bytes.Buffer
		encoder := hpack.NewEncoder(&header)
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "localhost"}, {":path", "/cas/" + sha256Of(body)}} {
			if err := encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
				t.Fatal(err)
			}
		}
		var sent bytes.Buffer
		sent.WriteString(http2.ClientPreface)
		frames := http2.NewFramer(&sent, nil)
		err := errors.Join(
			frames.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}),
			frames.WriteWindowUpdate(0, window),
			frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: header.Bytes(), EndStream: true, EndHeaders: true}),
		)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(sent.Bytes()); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 64<<10)); err != nil { // of the answer
			t.Fatal(err)
		}
		<-ended
	})
}

// A store may take longer than Config.Progress for a body that has come as a whole.
func TestSlowStore(t *testing.T) {
	t.Parallel()
	slow := func(op, _ string) backendtest.Fault {
		if op == "put" {
			return backendtest.Fault{Delay: 5 * time.Minute}
		}
		return backendtest.Fault{}
	}
	for _, length := range []string{"Content-Length: 4\r\n\r\nbody", "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"} {
		onPipe(t, memoryConfig(t, slow), func(t *testing.T, c net.Conn, _ <-chan struct{}) {
			fmt.Fprintf(c, "PUT /v1/s/a HTTP/1.1\r\nHost: x\r\nContent-MD5: %s\r\n%s", md5Of("body"), length)
			r := bufio.NewReader(c)
			if status, err := answerOn(r); status != http.StatusCreated || err != nil {
				t.Errorf("status %d, %v", status, err)
			}
		})
	}
}

// TestRefusedAtOnce: whoever is refused hears so, although the body never comes.
func TestRefusedAtOnce(t *testing.T) {
	k := open(t, func(c *serve.Config) { c.Access = serve.NewAccess(new(serve.Rules), c.Log) })
	for _, length := range []string{"Content-Length: 1000", "Transfer-Encoding: chunked"} {
		conn, err := net.Dial("tcp", k.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "PUT /v1/main/key HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", length); err != nil {
			t.Fatal(err)
		}
		answers := bufio.NewReader(conn)
		res, err := http.ReadResponse(answers, nil)
		if err != nil || res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("%s: %v, %v", length, res, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		if _, err := answers.ReadByte(); err != io.EOF {
			t.Errorf("%s: the connection stays: %v", length, err)
		}
	}
}

// TestLocal: a web page that gives this machine another name gets nothing.
func TestLocal(t *testing.T) {
	k := open(t, func(c *serve.Config) { c.Local = true })
	for host, want := range map[string]int{
		"localhost": 404, "LOCALHOST:80": 404, "127.0.0.1:8080": 404, "[::1]:8080": 404, "[::1]": 404,
		"evil.example": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example:80": 421, "10.0.0.1": 421,
	} {
		if a := k.send("GET /v1/main/key", []string{"Host: " + host}, ""); a.status != want {
			t.Errorf("%s: status %d, want %d", host, a.status, want)
		}
	}
}
