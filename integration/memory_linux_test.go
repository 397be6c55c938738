package integration

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/testserver"
)

// TestLargeBodyInLittleMemory: what a put takes of memory does not depend on
// the size of its body, up to and including the upload.
func TestLargeBodyInLittleMemory(t *testing.T) {
	t.Parallel()
	parts := int64(1) // of 128 MiB, a multiple of what memory may grow by
	if whole {
		parts = 2
	}
	program := plainLarder(t)
	random := func() io.Reader { return rand.NewChaCha8([32]byte{}) }
	for _, test := range []struct {
		name string
		size int64
		body func() io.Reader
		kind string // of the object in which the body lies
		set  string
	}{
		{"incompressible", parts << 27, random, "a", "LARDER_BENCH_PREFETCH=false"},
		{"compressible", parts << 27, func() io.Reader { return nibbles{random()} }, "a", "LARDER_BENCH_PREFETCH=false"},
		{"in a pack", parts << 26, random, "p", "LARDER_BENCH_PREFETCH=true"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := testserver.S3(t)
			server.Bucket(t, "bucket")
			stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
			if err != nil {
				t.Fatal(err)
			}
			defer stderr.Close()
			cmd := exec.CommandContext(t.Context(), program)
			cmd.Env = environ(append(server.Environ(), "LARDER_DIR="+t.TempDir(),
				"LARDER_REMOTE="+server.URL("bucket", ""), "LARDER_MAX_OBJECT=2GiB", "LARDER_CLOSE=wait", "LARDER_CLOSE_TIMEOUT=10m", test.set)...)
			cmd.Stderr = stderr
			c := dial(t, cmd)

			sum := sha256.New()
			if _, err := io.CopyN(sum, test.body(), test.size); err != nil {
				t.Fatal(err)
			}
			action, output := protocol.ActionID{1}, protocol.OutputID(sum.Sum(nil))
			if a := c.get(action); !a.Miss { // opens the remote
				t.Fatalf("get of nothing: %+v", a)
			}
			idle := memory(t, cmd, "VmRSS")
			if a := c.put(action, output, test.size, io.LimitReader(test.body(), test.size)); a.Err != "" {
				t.Fatal(a.Err)
			}
			stored := memory(t, cmd, "VmHWM")
			peak := watch(strconv.Itoa(cmd.Process.Pid))
			c.close()
			uploaded := peak()
			if said, err := os.ReadFile(stderr.Name()); err != nil || len(said) > 0 {
				t.Errorf("larder said: %s, %v", said, err)
			}
			objects, err := filepath.Glob(filepath.Join(server.Dir, "bucket", "v1", "main", test.kind, "*", "*"))
			if err != nil || len(objects) != 1 {
				t.Errorf("it lies in %q, %v", objects, err)
			}
			t.Logf("MiB of resident memory: %.1f idle, at most %.1f stored, %.1f uploaded",
				mebibytes(idle), mebibytes(stored), mebibytes(uploaded))
			if uploaded-idle >= 64<<20 {
				t.Errorf("resident memory grew by %.1f MiB, want less than 64", mebibytes(uploaded-idle))
			}
		})
	}
}

// nibbles reads bytes of which half the bits are zero.
type nibbles struct{ io.Reader }

func (r nibbles) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	for i := range p[:n] {
		p[i] &= 0x0f
	}
	return n, err
}

// watch looks at the memory of a process every few milliseconds. The function that it returns
// waits for the end of the process, and returns the most that was resident, in bytes.
func watch(pid string) (peak func() int64) {
	most := make(chan int64)
	go func() {
		var highest int64
		for {
			n, err := procStatus(pid, "VmHWM")
			if err != nil {
				most <- highest
				return
			}
			highest = max(highest, n)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return func() int64 { return <-most }
}

// BenchmarkMemory gives the most resident memory that the helper of one build
// has at any time: where all is local, where nothing is anywhere and all is
// uploaded, and where all is downloaded.
func BenchmarkMemory(b *testing.B) {
	server := testserver.S3(b)
	server.Bucket(b, "bucket")
	w := versitygw(b)
	settings := append(server.Environ(), "LARDER_CLOSE_TIMEOUT=10m")
	newMachine := func() *machine { return newMachine(b, w.dir, server.URL("bucket", ""), settings...) }
	first := newMachine()
	for _, test := range []struct {
		name    string
		machine func() *machine
	}{
		{"cold", func() *machine { return first }},
		{"local", func() *machine { return first }},
		{"remote", newMachine},
	} {
		b.Run(test.name, func(b *testing.B) {
			var peak int64
			var r result
			for b.Loop() {
				var n int64
				r, n = w.watched(test.machine())
				peak = max(peak, n)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(mebibytes(peak), "peak-MiB")
			b.ReportMetric(float64(r.stats.LocalHits), "local-hits")
			b.ReportMetric(float64(r.stats.RemoteHits), "downloads")
			b.ReportMetric(float64(r.stats.Uploads), "uploads")
		})
	}
}

// watched builds w on m, and looks at the helper's memory every few
// milliseconds: peak is the most that was resident, in bytes.
func (w workload) watched(m *machine) (r result, peak int64) {
	m.t.Helper()
	pid := filepath.Join(m.t.TempDir(), "pid")
	copied := *m
	copied.env = append(slices.Clone(m.env), "PID_FILE="+pid, "LARDER_BINARY="+larder,
		`GOCACHEPROG=sh -c 'echo $$ >"$PID_FILE"; exec "$LARDER_BINARY"'`)

	built, looked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(looked)
		for {
			if id, err := os.ReadFile(pid); err == nil {
				n, _ := procStatus(strings.TrimSpace(string(id)), "VmHWM") // 0 once it is gone
				peak = max(peak, n)
			}
			select {
			case <-built:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	r = w.build(&copied)
	close(built)
	<-looked
	return r, peak
}

// memory returns a field of cmd's status, in bytes.
func memory(t *testing.T, cmd *exec.Cmd, field string) int64 {
	t.Helper()
	n, err := procStatus(strconv.Itoa(cmd.Process.Pid), field)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// procStatus returns a field of a process's status, in bytes.
func procStatus(pid, field string) (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if err != nil {
		return 0, err
	}
	match := regexp.MustCompile(`(?m)^` + field + `:\s+(\d+) kB$`).FindSubmatch(text)
	if match == nil {
		return 0, fmt.Errorf("process %s has no %s", pid, field)
	}
	kib, err := strconv.ParseInt(string(match[1]), 10, 64)
	return kib << 10, err
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
