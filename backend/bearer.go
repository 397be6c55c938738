package backend

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// The variables that say which bearer token goes to a server. GitHub sets the last two in
// jobs with the permission id-token: write.
const (
	tokenVariable        = "LARDER_TOKEN"
	tokenCommandVariable = "LARDER_TOKEN_COMMAND"

	gitHubURLVariable   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	gitHubTokenVariable = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

const (
	// tokenTime is how long a command or GitHub may take for a token.
	tokenTime = 30 * time.Second

	// tokenMargin is how long before its end a token counts as expired.
	tokenMargin = 30 * time.Second

	maxToken = 64 << 10 // bytes
)

// Bearer gets the bearer tokens for one server: from LARDER_TOKEN, from the output of
// LARDER_TOKEN_COMMAND or, in a job of GitHub Actions, from GitHub, which says in it who
// the job is. The audience of GitHub's token is the server, so no other server accepts it.
// Many goroutines may use a Bearer.
type Bearer struct {
	server *url.URL
	turn   chan struct{} // has an element while somebody gets a token

	mu    sync.Mutex
	token string
	until time.Time // zero: for as long as the server accepts it
}

// NewBearer returns the Bearer for a server.
func NewBearer(server *url.URL) *Bearer { return &Bearer{server: server, turn: make(chan struct{}, 1)} }

// Token returns a token, and an empty one if the environment names none. It may run a command
// or use the network. Its errors name the variable. They wrap ErrDenied if another attempt does
// not help.
func (b *Bearer) Token(ctx context.Context) (string, error) {
	if token := b.current(); token != "" {
		return token, nil
	}
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if token := b.current(); token != "" { // somebody else was faster
		return token, nil
	}
	variable, token, err := b.fetch(ctx)
	if err == nil && variable != "" {
		err = checkToken(token)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", variable, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.token, b.until = token, expiry(token)
	return token, nil
}

// Authorize sets the header that says who sends a request: user, with a password, or if that is
// nil whoever a token names. It returns the token, or "" if it has set none. Its errors are those
// of Token.
func (b *Bearer) Authorize(ctx context.Context, header http.Header, user *url.Userinfo) (token string, err error) {
	if user != nil {
		password, _ := user.Password()
		(&http.Request{Header: header}).SetBasicAuth(user.Username(), password)
		return "", nil
	}
	if token, err = b.Token(ctx); token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return token, err
}

// current returns the last token, or "" if another one is to be got.
func (b *Bearer) current() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() || time.Now().Before(b.until) {
		return b.token
	}
	return ""
}

// Refused says that the server has refused token. It reports whether another one may be had.
func (b *Bearer) Refused(token string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if os.Getenv(tokenVariable) != "" || token == "" {
		return false
	}
	if b.token == token {
		b.token = ""
	}
	return true
}

// fetch returns a new token and the variable that it comes from, both empty if there is none.
func (b *Bearer) fetch(ctx context.Context) (variable, token string, err error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTime)
	defer cancel()
	switch token, command := os.Getenv(tokenVariable), os.Getenv(tokenCommandVariable); {
	case token != "":
		return tokenVariable, strings.TrimSpace(token), nil
	case command != "":
		token, err := runForToken(ctx, command)
		return tokenCommandVariable, token, err
	case os.Getenv(gitHubURLVariable) != "" && os.Getenv(gitHubTokenVariable) != "" && b.isPrivate():
		token, err := b.askGitHub(ctx)
		return gitHubURLVariable, token, err
	}
	return "", "", nil
}

// isPrivate reports whether nobody else can read what goes to the server.
func (b *Bearer) isPrivate() bool {
	return b.server.Scheme == "https" || IsLoopback(b.server.Hostname())
}

// runForToken returns what a command of the system's shell prints. Its error repeats none of
// that, but what the command says on stderr.
func runForToken(ctx context.Context, command string) (string, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	if runtime.GOOS == "windows" {
		cmd = exec.CommandContext(ctx, "cmd", "/c", command)
	}
	cmd.WaitDelay = time.Second // for what it has started and left behind
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", fmt.Errorf("the command has not ended: %w", context.Cause(ctx))
	}
	if err != nil {
		said, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return "", fmt.Errorf("%w: %w: %s", ErrDenied, err, said)
	}
	return strings.TrimSpace(stdout.String()), nil
}

// askGitHub returns a token that says who the job is.
func (b *Bearer) askGitHub(ctx context.Context) (string, error) {
	u, err := url.Parse(os.Getenv(gitHubURLVariable))
	if err != nil {
		return "", fmt.Errorf("%w: it is not a URL", ErrDenied)
	}
	query := u.Query()
	query.Set("audience", b.server.Scheme+"://"+b.server.Host)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+os.Getenv(gitHubTokenVariable))
	t := NewTransport()
	defer t.CloseIdleConnections()
	res, err := NewClient(t).Do(req)
	if err != nil {
		return "", errors.Unwrap(err) // without the URL
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusOK:
	case res.StatusCode >= 500, res.StatusCode == http.StatusTooManyRequests:
		return "", errors.New(res.Status)
	default:
		return "", fmt.Errorf("%w: %s", ErrDenied, res.Status)
	}
	var answer struct {
		Value string `json:"value"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxToken)).Decode(&answer); err != nil {
		return "", fmt.Errorf("not an answer with a token: %w", err)
	}
	return answer.Value, nil
}

// checkToken returns an error unless token can stand in a header. The error does not
// repeat it.
func checkToken(token string) error {
	switch {
	case token == "":
		return fmt.Errorf("%w: there is no token", ErrDenied)
	case len(token) > maxToken:
		return fmt.Errorf("%w: a token of %d bytes, more than %d", ErrDenied, len(token), maxToken)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return fmt.Errorf("%w: want a token of one line, without spaces", ErrDenied)
	}
	return nil
}

// expiry returns when token, which may be a JSON Web Token, is to be replaced, or zero if it
// says nothing of that. It checks no signature: that is the server's business.
func expiry(token string) time.Time {
	var claims struct {
		Expiry int64 `json:"exp"` // in Unix seconds
	}
	if !UnverifiedClaims(token, &claims) || claims.Expiry <= 0 {
		return time.Time{}
	}
	return time.Unix(claims.Expiry, 0).Add(-tokenMargin)
}

// UnverifiedClaims sets claims to what token says of itself, if it is a JSON Web Token. It checks
// no signature. It reports whether it could.
func UnverifiedClaims(token string, claims any) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	return err == nil && json.Unmarshal(payload, claims) == nil
}
