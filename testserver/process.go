package testserver

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

// startLimit is how long a server may take until it answers. startAttempts is how many
// ports are tried: a server exits if another process takes its port before it does.
const (
	startLimit    = 30 * time.Second
	startAttempts = 3
)

// Start runs a server that the test has built, in file, with the arguments that args returns
// for a free port of 127.0.0.1. It returns the server's URL, of scheme http or https, once
// that answers. The server ends with the test.
func Start(t testing.TB, scheme, file string, args func(port int) []string) (endpoint string) {
	t.Helper()
	return scheme + "://" + startUntil(t, answersHTTP(scheme), file, args)
}

// start runs the server in file, with the arguments that args returns for a free port. It
// waits until the server answers HTTP, and returns its host:port. The server ends with the
// test. If the test has failed, its output is logged.
func start(t testing.TB, file string, args func(port int) []string) string {
	t.Helper()
	return startUntil(t, answersHTTP("http"), file, args)
}

// startUntil is start for a server that is up once answers returns nil.
func startUntil(t testing.TB, answers func(addr string) error, file string, args func(port int) []string) string {
	t.Helper()
	var err error
	for range startAttempts {
		var port int
		if port, err = freePort(); err != nil {
			break
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if err = run(t, func() error { return answers(addr) }, exec.Command(file, args(port)...)); err == nil {
			return addr
		}
	}
	unavailable(t, "start %s: %v", file, err)
	return ""
}

// answersHTTP returns a function that says whether a server answers, by http or https.
func answersHTTP(scheme string) func(addr string) error {
	client := http.Client{
		Timeout: time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // any answer will do
		},
		// One of the servers redirects a request for / to a site on the Internet.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(addr string) error {
		res, err := client.Get(scheme + "://" + addr)
		if err == nil {
			res.Body.Close()
		}
		return err
	}
}

// run starts cmd and returns when answers returns nil.
func run(t testing.TB, answers func() error, cmd *exec.Cmd) error {
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

	deadline := time.After(startLimit)
	for {
		err := answers()
		if err == nil {
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("%v\n%s", cmd.ProcessState, out.String())
		case <-deadline:
			return fmt.Errorf("no answer after %v: %w", startLimit, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// FreePort returns a port of this machine that nothing uses.
func FreePort(t testing.TB) string {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// output collects what a server prints. The test may read it at the same time.
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
