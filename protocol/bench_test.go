package protocol_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/protocol"
)

// BenchmarkGet measures a hit, from the request to the answer, over pipes as the go
// command uses them. It does so for several numbers of workers that ask at once.
func BenchmarkGet(b *testing.B) {
	for _, handler := range []string{"memory", "disk"} {
		for _, workers := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/workers=%d", handler, workers), func(b *testing.B) {
				h := constant{path: "/home/gopher/.cache/larder/0a/0a1b2c3d4e5f-d"}
				if handler == "disk" {
					h.file = filepath.Join(b.TempDir(), "entry-a")
					if err := os.WriteFile(h.file, make([]byte, 175), 0o600); err != nil {
						b.Fatal(err)
					}
				}
				benchmarkGet(b, h, workers)
			})
		}
	}
}

func benchmarkGet(b *testing.B, h protocol.Handler, workers int) {
	requests, in, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	out, answers, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	conn, err := protocol.Start(requests, answers)
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- conn.Serve(b.Context(), h) }()

	lines := bufio.NewReader(out)
	if _, err := lines.ReadSlice('\n'); err != nil {
		b.Fatal(err)
	}
	action := base64.StdEncoding.EncodeToString(make([]byte, 32))
	ask := func(id int) {
		if _, err := fmt.Fprintf(in, "{\"ID\":%d,\"Command\":\"get\",\"ActionID\":%q}\n\n", id, action); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	asked := 0
	for b.Loop() {
		for asked < workers { // the first time only
			asked++
			ask(asked)
		}
		if _, err := lines.ReadSlice('\n'); err != nil {
			b.Fatal(err)
		}
		asked++
		ask(asked)
	}
	in.Close()
	if err := <-served; err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPut measures how fast bodies are decoded.
func BenchmarkPut(b *testing.B) {
	const size = 16 << 20
	content := bytes.Repeat([]byte("larder"), size/6+1)[:size]
	sum := sha256.Sum256(content)
	head, err := json.Marshal(map[string]any{"ID": 1, "Command": "put", "ActionID": sum[:], "OutputID": sum[:], "BodySize": size})
	if err != nil {
		b.Fatal(err)
	}
	input := fmt.Sprintf("%s\n\n\"%s\"\n", head, base64.StdEncoding.EncodeToString(content))
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		conn, err := protocol.Start(strings.NewReader(input), io.Discard)
		if err != nil {
			b.Fatal(err)
		}
		if err := conn.Serve(b.Context(), constant{path: "/x"}); err != nil {
			b.Fatal(err)
		}
	}
}

// constant answers every get with the same entry. If file is set, it reads that first.
type constant struct{ path, file string }

func (c constant) Get(_ context.Context, _ protocol.ActionID, reply func(protocol.Entry, error)) {
	if c.file != "" {
		if _, err := os.ReadFile(c.file); err != nil {
			reply(protocol.Entry{}, err)
			return
		}
		os.Stat(c.file)
	}
	reply(protocol.Entry{Size: 1, Time: time.Unix(1, 1), DiskPath: c.path}, nil)
}

func (c constant) Put(_ context.Context, put protocol.Put) (string, error) {
	_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, put.Body, make([]byte, 64<<10))
	return c.path, err
}
