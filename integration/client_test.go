package integration

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/larderbuild/larder/protocol"
)

// client is the go command's end of a session with a helper: it sends one
// request at a time.
type client struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	answer *json.Decoder
	id     int64
	took   time.Duration // from the start to the handshake
}

// answer is what a client reads of an answer.
type answer struct {
	ID       int64
	Err      string
	Miss     bool
	Size     int64
	DiskPath string
}

// dial starts cmd, a helper, and takes its handshake.
func dial(t testing.TB, cmd *exec.Cmd) *client {
	t.Helper()
	c := &client{t: t, cmd: cmd}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdin = stdin
	out := bufio.NewReader(stdout)
	c.answer = json.NewDecoder(out)

	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, err = out.Peek(1)
	c.took = time.Since(start)
	if err == nil {
		err = c.answer.Decode(new(answer))
	}
	if err != nil {
		t.Fatalf("no handshake: %v", err)
	}
	return c
}

// get returns the answer to a get.
func (c *client) get(action protocol.ActionID) answer {
	c.t.Helper()
	return c.ask(fmt.Sprintf(`"Command":"get","ActionID":%q`, text(action[:])), nil)
}

// put returns the answer to a put of size bytes of body.
func (c *client) put(action protocol.ActionID, output protocol.OutputID, size int64, body io.Reader) answer {
	c.t.Helper()
	request := `"Command":"put","ActionID":%q,"OutputID":%q,"BodySize":%d`
	return c.ask(fmt.Sprintf(request, text(action[:]), text(output[:]), size), body)
}

// close ends the session, and waits for the helper's end.
func (c *client) close() {
	c.t.Helper()
	c.ask(`"Command":"close"`, nil)
	c.stdin.Close()
	if err := c.cmd.Wait(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) ask(request string, body io.Reader) answer {
	c.t.Helper()
	c.id++
	_, err := fmt.Fprintf(c.stdin, "{\"ID\":%d,%s}\n\n", c.id, request)
	if err == nil && body != nil {
		err = c.send(body)
	}
	if err != nil {
		c.t.Fatalf("send %s: %v", request, err)
	}
	var a answer
	if err := c.answer.Decode(&a); err != nil {
		c.t.Fatalf("answer to %s: %v", request, err)
	}
	if a.ID != c.id {
		c.t.Fatalf("answer to request %d, want %d", a.ID, c.id)
	}
	return a
}

func (c *client) send(body io.Reader) error {
	out := bufio.NewWriterSize(c.stdin, 64<<10)
	_ = out.WriteByte('"') // Flush tells
	letters := base64.NewEncoder(base64.StdEncoding, out)
	if _, err := io.Copy(letters, body); err != nil {
		return err
	}
	_ = letters.Close()
	_, _ = out.WriteString("\"\n")
	return out.Flush()
}

func text(id []byte) string { return base64.StdEncoding.EncodeToString(id) }
