package testserver

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

// startLimit is how long a server may take to answer; startAttempts is how
// often another port is tried when it exits instead (the port was taken
// between our choosing it and its using it).
const (
	startLimit    = 30 * time.Second
	startAttempts = 3
)

// start runs the server file with the arguments that args returns for a free
// port, waits until it answers HTTP, and returns its host:port. The server
// ends with the test; its output is logged if the test failed.
func start(t testing.TB, file string, args func(port int) []string) string {
	t.Helper()
	var err error
	for range startAttempts {
		var port int
		if port, err = freePort(); err != nil {
			break
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if err = run(t, addr, exec.Command(file, args(port)...)); err == nil {
			return addr
		}
	}
	unavailable(t, "start %s: %v", file, err)
	return ""
}

// run starts cmd and returns once it answers at addr.
func run(t testing.TB, addr string, cmd *exec.Cmd) error {
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
		if t.Failed() {
			t.Logf("output of %s:\n%s", cmd.Path, out.String())
		}
	})

	client := http.Client{
		Timeout:   time.Second,
		Transport: &http.Transport{DisableKeepAlives: true},
		// One server sends to its maker's site who asks for nothing in particular.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	deadline := time.After(startLimit)
	for {
		res, err := client.Get("http://" + addr)
		if err == nil {
			res.Body.Close()
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("%v\n%s", cmd.ProcessState, out.String())
		case <-deadline:
			return fmt.Errorf("no answer at %s after %v: %w", addr, startLimit, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// output collects what a server prints while the test may read it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
