package integration

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestRefusedCredentials: a key that the server does not know, and none.
func TestRefusedCredentials(t *testing.T) {
	t.Parallel()
	c, server := usualChain(t), s3Store(t)
	for name, env := range map[string][]string{
		"wrong": {"AWS_ACCESS_KEY_ID=larder-test", "AWS_SECRET_ACCESS_KEY=wrong"},
		"none":  {"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "HOME=" + t.TempDir(), "AWS_EC2_METADATA_DISABLED=true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := server.apart(name)
			m := s.machine(t, c, s.endpoint, append(env, "LARDER_BUDGET="+faultBudget.String(), goPath(t))...)
			r := c.buildInTime(m, c.withoutCacheAnd(faultBudget))
			r.wantOneLine(t)
			// Those under way at once, of reading and of writing; no more.
			if r.stats.RemoteRequests > 20 {
				t.Errorf("%d requests to a server that refuses", r.stats.RemoteRequests)
			}
			m.env = append(m.env, s.env...)
			s.wantCaughtUp(t, c, m)
		})
	}
}

// goPath returns GOPATH as a setting, for machines without the usual HOME.
func goPath(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("GOPATH"); dir != "" {
		return "GOPATH=" + dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	return "GOPATH=" + filepath.Join(home, "go")
}

// TestMisbehavingServer has a server that answers, but never as one should.
// What a sound server does is shown by the real ones.
func TestMisbehavingServer(t *testing.T) {
	t.Parallel()
	c := usualChain(t)
	for name, handler := range map[string]http.HandlerFunc{
		"500": status(http.StatusInternalServerError),
		"503": status(http.StatusServiceUnavailable),
		"429": status(http.StatusTooManyRequests),
		"a login page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<!doctype html><title>Welcome to our guest network</title>")
		},
		"a way to a login page": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusFound)
		},
		"nothing in full length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
		},
		"more than an answer": func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\nand another thing")
			io.Copy(io.Discard, conn) // until the client gives the connection up
		},
		"zeros for ever": func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			for zeros := make([]byte, 32<<10); r.Context().Err() == nil; {
				w.Write(zeros)
			}
		},
		"a header and no more": func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Length", "100000")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		for scheme, query := range map[string]string{"s3": "&region=us-east-1&path_style=true", "gs": ""} {
			t.Run(scheme+"/"+name, func(t *testing.T) {
				t.Parallel()
				server := httptest.NewServer(handler)
				// Before the clean-up of the machine, which waits for its uploads.
				defer server.Close()
				defer server.CloseClientConnections()
				m := c.newStocked(t, scheme+"://bucket/?endpoint="+server.URL+query,
					"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y", "LARDER_CLOSE_TIMEOUT=1s",
					"LARDER_LINGER=1s", "LARDER_BUDGET="+faultBudget.String(), "LARDER_TIMEOUT=5s")
				r := c.buildInTime(m, c.withoutCacheAnd(faultBudget+time.Second))
				r.wantOneLine(t)
				if r.fromRemote() != 0 {
					t.Errorf("%+v", r.stats)
				}
			})
		}
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}
