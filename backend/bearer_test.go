package backend_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
)

// bearer returns the Bearer for the server at rawURL.
func bearer(t *testing.T, rawURL string) *backend.Bearer {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return backend.NewBearer(u)
}

// noTokens has the environment name no token.
func noTokens(t *testing.T) {
	for _, name := range []string{"LARDER_TOKEN", "LARDER_TOKEN_COMMAND", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"} {
		t.Setenv(name, "")
	}
}

// refused checks that a token is refused for good, by an error that names its variable and
// holds no secret.
func refused(t *testing.T, what string, err error, variable, reason string) {
	t.Helper()
	if !errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), variable) || !strings.Contains(err.Error(), reason) ||
		strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%s: %v, want %s and %q", what, err, variable, reason)
	}
}

func TestTokenOfTheEnvironment(t *testing.T) {
	noTokens(t)
	const spaced = " \thunter2\r\n"
	for value, want := range map[string]string{"": "", "hunter2": "hunter2", spaced: "hunter2"} {
		t.Setenv("LARDER_TOKEN", value)
		if got, err := bearer(t, "https://store").Token(t.Context()); err != nil || got != want {
			t.Errorf("%q: %q, %v", value, got, err)
		}
	}
	for value, reason := range map[string]string{
		"hunter2 hunter2":           "one line, without spaces",
		"hunter2\nhunter2":          "one line, without spaces",
		"hunter2\r\nX-A: hunter2":   "one line, without spaces",
		"hunter2\x7f":               "one line, without spaces",
		"hünter2":                   "one line, without spaces",
		" \n":                       "no token",
		strings.Repeat("x", 65<<10): "66560 bytes",
	} {
		t.Setenv("LARDER_TOKEN", value)
		_, err := bearer(t, "https://store").Token(t.Context())
		refused(t, value[:2], err, "LARDER_TOKEN: ", reason)
	}
	t.Setenv("LARDER_TOKEN", "hunter2")
	if bearer(t, "https://store").Refused("hunter2") {
		t.Error("there is another token than that of LARDER_TOKEN")
	}
}

// command has LARDER_TOKEN_COMMAND note in a file that it ran, and then be script, which finds
// in $n how often it ran. It returns how often that was.
func command(t *testing.T, script string) (runs func() int) {
	t.Helper()
	noTokens(t)
	file := filepath.Join(t.TempDir(), "runs")
	t.Setenv("RUNS", file)
	t.Setenv("LARDER_TOKEN_COMMAND", `echo >>"$RUNS"; n=$(($(wc -l <"$RUNS"))); `+script)
	return func() int {
		data, _ := os.ReadFile(file)
		return strings.Count(string(data), "\n")
	}
}

// TestTokenOfACommand: the command runs once, for many requests at once, and again when its token
// was refused.
func TestTokenOfACommand(t *testing.T) {
	runs := command(t, `echo " token-$n "`)
	b := bearer(t, "https://store")
	tokens := make(chan string)
	for range 10 {
		go func() {
			token, err := b.Token(t.Context())
			if err != nil {
				t.Error(err)
			}
			tokens <- token
		}()
	}
	for range 10 {
		if token := <-tokens; token != "token-1" {
			t.Errorf("got %q", token)
		}
	}
	if n := runs(); n != 1 {
		t.Errorf("the command ran %d times", n)
	}
	for range 2 { // the second one is late
		if !b.Refused("token-1") {
			t.Error("there is no other token")
		}
		if token, err := b.Token(t.Context()); err != nil || token != "token-2" {
			t.Errorf("after a refusal: %q, %v", token, err)
		}
	}
	if n := runs(); n != 2 {
		t.Errorf("the command ran %d times", n)
	}
	if b.Refused("") {
		t.Error("a request without a token has another one")
	}
}

// TestExpiry: a token that says when it ends is got anew half a minute before.
func TestExpiry(t *testing.T) {
	jwt := func(claims string) string {
		return "head." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".signature"
	}
	now := time.Now().Unix()
	for name, test := range map[string]struct {
		token string
		runs  int // of the command, for three requests
	}{
		"good for long":  {jwt(fmt.Sprintf(`{"exp":%d}`, now+3600)), 1},
		"out of date":    {jwt(fmt.Sprintf(`{"exp":%d}`, now-1)), 3},
		"ends soon":      {jwt(fmt.Sprintf(`{"exp":%d}`, now+25)), 3},
		"no end":         {jwt(`{}`), 1},
		"another end":    {jwt(`{"exp":"tomorrow"}`), 1},
		"negative":       {jwt(`{"exp":-1}`), 1},
		"no JSON":        {jwt(`exp`), 1},
		"no base64":      {"a.!.c", 1},
		"not three":      {"a.b", 1},
		"no token of it": {"token", 1},
	} {
		t.Run(name, func(t *testing.T) {
			runs := command(t, `echo "$TOKEN"`)
			t.Setenv("TOKEN", test.token)
			b := bearer(t, "https://store")
			for range 3 {
				if token, err := b.Token(t.Context()); err != nil || token != test.token {
					t.Errorf("%q, %v", token, err)
				}
			}
			if n := runs(); n != test.runs {
				t.Errorf("the command ran %d times, want %d", n, test.runs)
			}
		})
	}
}

func TestCommandFails(t *testing.T) {
	for script, reason := range map[string]string{
		`echo hunter2; echo "log in first" >&2; echo "then hunter2" >&2; exit 3`: "exit status 3: log in first",
		`exit 1`:                              "exit status 1",
		`no-such-command-of-all`:              "no-such-command-of-all",
		`true`:                                "no token",
		`echo hunter2; echo hunter2`:          "one line",
		`printf 'hunter2\r\nX: y'`:            "one line",
		`head -c 70000 /dev/zero | tr '\0' x`: "70000 bytes",
	} {
		runs := command(t, script)
		b := bearer(t, "https://store")
		for n := range 2 { // a failure is not remembered
			_, err := b.Token(t.Context())
			refused(t, script, err, "LARDER_TOKEN_COMMAND: ", reason)
			if runs() != n+1 {
				t.Errorf("%s: ran %d times", script, runs())
			}
		}
	}
}

// TestCommandHangs: the end of a request's context ends the command, and the wait for one that
// another request has begun.
func TestCommandHangs(t *testing.T) {
	runs := command(t, `exec sleep 1000`)
	b := bearer(t, "https://store")
	cause := errors.New("given up")
	ctx, cancel := context.WithCancelCause(t.Context())
	var first sync.WaitGroup
	first.Go(func() {
		if _, err := b.Token(ctx); !errors.Is(err, cause) {
			t.Errorf("of a command that hangs: %v", err)
		}
	})
	for runs() == 0 {
		time.Sleep(time.Millisecond)
	}
	late, end := context.WithCancelCause(t.Context())
	end(cause)
	if _, err := b.Token(late); !errors.Is(err, cause) {
		t.Errorf("while another request waits for the command: %v", err)
	}
	b.Refused("other") // does not wait
	cancel(cause)
	first.Wait()
}

// gitHub starts what gives tokens in a job. It answers with code and body, and returns the
// audiences for which it was asked.
func gitHub(t *testing.T, code int, body string) (audiences func() []string) {
	t.Helper()
	noTokens(t)
	var mu sync.Mutex
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer job-secret" || r.URL.Path != "/token" || r.FormValue("api-version") != "2.0" {
			t.Errorf("%s with %v", r.URL, r.Header)
		}
		asked = append(asked, r.FormValue("audience"))
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", server.URL+"/token?api-version=2.0")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job-secret")
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return asked
	}
}

// TestTokenOfGitHub: GitHub gives a token for the store alone, unless others could read it.
func TestTokenOfGitHub(t *testing.T) {
	for server, audience := range map[string]string{
		"https://store.example":      "https://store.example",
		"https://store.example:8443": "https://store.example:8443",
		"http://127.0.0.1:80":        "http://127.0.0.1:80",
		"http://127.1.2.3":           "http://127.1.2.3",
		"http://[::1]:1":             "http://[::1]:1",
		"http://localhost:1":         "http://localhost:1",
		"http://store.example":       "",
		"http://10.0.0.1":            "",
		"http://localhost.example":   "",
		"grpc://store.example:80":    "",
	} {
		audiences := gitHub(t, 200, `{"count":1,"value":"token"}`)
		want := "token"
		if audience == "" {
			want = ""
		}
		b := bearer(t, server)
		for range 2 {
			if token, err := b.Token(t.Context()); err != nil || token != want {
				t.Errorf("%s: %q, %v", server, token, err)
			}
		}
		if got := strings.Join(audiences(), " "); got != audience {
			t.Errorf("%s: asked for %q, want %q", server, got, audience)
		}
	}
}

// TestGitHubRefuses: what GitHub's answers mean. An answer that comes of a fault may be another
// one the next time.
func TestGitHubRefuses(t *testing.T) {
	for _, test := range []struct {
		code   int
		body   string
		denied bool
	}{
		{403, "hunter2", true},
		{400, "", true},
		{404, "", true},
		{302, "", true},
		{429, "", false},
		{500, "hunter2", false},
		{503, "", false},
		{200, "hunter2", false},
		{200, `{"value":"` + strings.Repeat("x", 65<<10), false},
		{200, `{"value":""}`, true},
		{200, `{}`, true},
		{200, `{"value":"hunter2\r\nX: y"}`, true},
	} {
		audiences := gitHub(t, test.code, test.body)
		_, err := bearer(t, "https://store").Token(t.Context())
		if err == nil || errors.Is(err, backend.ErrDenied) != test.denied || !strings.Contains(err.Error(), "ACTIONS_ID_TOKEN_REQUEST_URL: ") ||
			strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "job-secret") {
			t.Errorf("%d %.20s: %v", test.code, test.body, err)
		}
		if n := len(audiences()); n != 1 {
			t.Errorf("%d: asked %d times", test.code, n)
		}
	}
	gitHub(t, 200, "")
	for address, denied := range map[string]bool{"http://127.0.0.1:1/hunter2": false, "http://[hunter2": true} {
		t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", address)
		_, err := bearer(t, "https://store").Token(t.Context())
		if err == nil || errors.Is(err, backend.ErrDenied) != denied || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestTokenComesFirst: which of the variables counts.
func TestTokenComesFirst(t *testing.T) {
	audiences := gitHub(t, 200, `{"value":"of-github"}`)
	for _, test := range []struct{ variable, value, want string }{
		{"", "", "of-github"},
		{"LARDER_TOKEN_COMMAND", "echo of-command", "of-command"},
		{"LARDER_TOKEN", "of-environment", "of-environment"},
	} {
		if test.variable != "" {
			t.Setenv(test.variable, test.value)
		}
		if got, err := bearer(t, "https://store").Token(t.Context()); err != nil || got != test.want {
			t.Errorf("%q, %v; want %q", got, err, test.want)
		}
	}
	if n := len(audiences()); n != 1 {
		t.Errorf("GitHub was asked %d times", n)
	}
}
