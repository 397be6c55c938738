package serve_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/serve"
)

// cutOff is a body of which much comes, and then nothing until the connection is closed, which the
// request notices a moment later.
type cutOff struct {
	io.Reader
	closed chan struct{}
}

func (b cutOff) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		<-b.closed
		time.Sleep(time.Millisecond)
		err = errors.New("use of closed network connection")
	}
	return n, err
}

func (cutOff) Close() error { return nil }

// TestCutOffAtTheEnd: requests that are cut off because the server ends leave no temporary files.
func TestCutOffAtTheEnd(t *testing.T) {
	t.Parallel()
	cfg := memoryConfig(t, noFault)
	cfg.MaxObject = 1 << 30
	synctest.Test(t, func(t *testing.T) {
		s := serve.New(cfg)
		body := cutOff{bytes.NewReader(noise(2 << 20)), make(chan struct{})}
		r := httptest.NewRequest(http.MethodPut, "/cas/"+sha256Of("x"), body)
		go s.ServeHTTP(httptest.NewRecorder(), r)
		synctest.Wait()
		if n := len(files(t, cfg.TempDir)); n != 1 {
			t.Errorf("%d temporary files while the body comes", n)
		}
		close(body.closed)
		s.Close()
		if n := len(files(t, cfg.TempDir)); n != 0 {
			t.Errorf("%d temporary files are left", n)
		}
	})
}
