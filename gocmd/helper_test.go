package gocmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/gocmd"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
)

// These variables turn the test binary into a helper for the go command.
const (
	helperReport = "LARDER_GOCMD_TEST_REPORT" // the file to which it appends a line for each session
	helperHeads  = "LARDER_GOCMD_TEST_HEADS"  // if set, archives are given out as heads

	helperStarted = "LARDER_GOCMD_TEST_STARTED" // the file to which it writes its arguments before it ends
)

// report is what one session of the helper found out.
type report struct {
	gocmd.Command
	Nested                 bool
	Outer                  string // folder of the go command from which it descends
	NoParent, NotHeadsOnly string // errors
	NotRebuilt             string // the error of running Rebuild's go list
	Heads                  int    // archives given out as heads
	Misses                 int    // gets that missed after the first of them
}

// whole says that tests try every row of their tables and every version of the go
// command, not one for each reason.
var whole = os.Getenv("LARDER_TEST_ALL") != ""

func TestMain(m *testing.M) {
	if file := os.Getenv(helperStarted); file != "" {
		if err := os.WriteFile(file, []byte(strings.Join(os.Args[1:], "\n")), 0o600); err != nil {
			panic(err)
		}
		os.Exit(1)
	}
	if file := os.Getenv(helperReport); file != "" {
		if err := helper(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	m.Run()
}

// helper serves a session from the go command's own cache.
func helper(file string) error {
	conn, err := protocol.Start(os.Stdin, os.Stdout)
	if err != nil {
		return err
	}
	c, err := gocmd.Parent()
	outer, nested := gocmd.Nested()
	r := report{Command: c, Nested: nested, Outer: outer.Dir, NoParent: errorText(err), NotHeadsOnly: errorText(c.HeadsOnly())}
	h := &handler{local: localdisk.New(os.Getenv("GOCACHE"))}
	if os.Getenv(helperHeads) == "" {
		if r.NotHeadsOnly == "" {
			r.NotRebuilt = errorText(rebuild(c))
		}
		return errors.Join(r.write(file), conn.Serve(context.Background(), h)) // Rebuild's go list does not wait for the end
	}
	if h.heads, err = os.MkdirTemp("", "larder-gocmd-"); err != nil {
		return err
	}
	defer os.RemoveAll(h.heads)
	err = conn.Serve(context.Background(), h)
	r.Heads, r.Misses = len(h.given), h.misses
	return errors.Join(err, r.write(file))
}

// rebuild runs what Rebuild makes of c, without a helper.
func rebuild(c gocmd.Command) error {
	args, err := c.Rebuild()
	if err != nil {
		return err
	}
	cmd := exec.Command(c.Exe, args...)
	cmd.Dir, cmd.Env = c.Dir, append(os.Environ(), "GOCACHEPROG=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func (r report) write(file string) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(line, '\n'))
	return err
}

// lastReport returns the last line of a file of reports.
func lastReport(t *testing.T, file string) report {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.TrimSpace(b)
	var last report
	if err := json.Unmarshal(b[bytes.LastIndexByte(b, '\n')+1:], &last); err != nil {
		t.Fatal(err)
	}
	return last
}

// handler answers from a local tier. If heads is a folder, it gives out archives that
// have a hole behind their heads, until the first get that misses.
type handler struct {
	local *localdisk.Dir
	heads string

	mu        sync.Mutex
	given     map[string]string // from each file with a hole to the whole body
	completed bool
	misses    int
}

func (h *handler) Get(_ context.Context, action protocol.ActionID, reply func(protocol.Entry, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, path, err := h.local.Get(action)
	if err == nil && h.heads != "" && !h.completed {
		path, err = h.head(action, path)
	}
	if err != nil {
		if len(h.given) > 0 {
			h.misses++
			err = errors.Join(err, h.complete())
		}
		reply(protocol.Entry{}, fmt.Errorf("%w: %w", protocol.ErrMiss, err))
		return
	}
	reply(protocol.Entry{OutputID: e.Output, Size: e.Size, Time: e.Time, DiskPath: path}, nil)
}

// head returns the path of a file that has only the head of the body at path, if that
// body is an archive. Otherwise it returns path.
func (h *handler) head(action protocol.ActionID, path string) (string, error) {
	body, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(body, []byte("!<arch>\n")) {
		return path, err
	}
	end := regexp.MustCompile(`\nbuild id ".*"\n`).FindIndex(body)[1]
	clear(body[end:])
	file := filepath.Join(h.heads, action.String())
	if h.given == nil {
		h.given = make(map[string]string)
	}
	h.given[file] = path
	return file, os.WriteFile(file, body, 0o600)
}

// complete makes the files with holes whole, once. The linker maps such a file, which
// must not change then.
func (h *handler) complete() error {
	if h.completed {
		return nil
	}
	h.completed = true
	for file, path := range h.given {
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, body, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (h *handler) Put(_ context.Context, put protocol.Put) (string, error) {
	return h.local.Put(localdisk.Entry{Action: put.ActionID, Output: put.OutputID, Size: put.Size, Time: time.Now()}, put.Body)
}
