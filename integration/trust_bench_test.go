package integration

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/secrets"
	"github.com/larderbuild/larder/sign"
	"github.com/larderbuild/larder/testserver"
)

// BenchmarkTrust repeats a build on a machine that has nothing but the remote, in
// turns believing everybody and those alone who sign: with all bytes, each entry of
// which has a signature, and without.
func BenchmarkTrust(b *testing.B) {
	key, err := sign.Generate()
	if err != nil {
		b.Fatal(err)
	}
	public, _ := key.Public()
	w, s := versitygw(b), s3Store(b)
	link := testserver.Proxy(b, s.endpoint)
	m := newMachine(b, w.dir, s.url(link.Endpoint), s.env...)
	m.env = append(m.env, "LARDER_SIGN_KEY="+key.Text())
	w.build(m)
	m.env = append(m.env, "LARDER_SIGN_KEY=", "LARDER_READONLY=true")
	link.Latency(20 * time.Millisecond)
	command := append([]string{"build"}, w.packages...)
	for b.Loop() {
		b.ReportMetric(0, "ns/op")
		for _, bytes := range []string{"eager", "auto"} {
			var anybody, signed []result
			for range rounds {
				anybody = append(anybody, m.emptied(command, "LARDER_BYTES="+bytes))
				signed = append(signed, m.emptied(command, "LARDER_BYTES="+bytes, "LARDER_TRUST="+public))
			}
			b.ReportMetric(ratio(signed, anybody), "x-"+bytes)
		}
	}
}

// BenchmarkSecrets compares the time that it takes to search all that a cold build
// puts, as often as larder does on the way to the remote, with what the build takes
// of the processors.
func BenchmarkSecrets(b *testing.B) {
	w := versitygw(b)
	m := newMachine(b, w.dir, "")
	cmd := m.command(b.Context(), "go", append([]string{"build"}, w.packages...)...)
	m.await(cmd)
	took := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	var bodies []string
	walkFiles(b, m.dir, func(path string) {
		if strings.HasSuffix(path, "-d") {
			bodies = append(bodies, path)
		}
	})
	// About what a job of GitHub Actions has: the lengths matter.
	var environ []string
	for name, size := range map[string]int{
		"ACTIONS_RUNTIME_TOKEN": 1400, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": 1300, "ACTIONS_ID_TOKEN_REQUEST_URL": 120,
		"GITHUB_TOKEN": 40, "AWS_ACCESS_KEY_ID": 20, "AWS_SECRET_ACCESS_KEY": 40, "AWS_SESSION_TOKEN": 900,
		"LARDER_SIGN_KEY": 59, "DATABASE_PASSWORD": 24, "SIGNING_KEY": 64,
	} {
		environ = append(environ, name+"="+strings.Repeat(name+"0123456789abcdefghijklmnopqrstuvwxyz", 40)[:size])
	}
	filter := secrets.New(environ)
	const passes = 3 // at the put, for the entry object and for the pack
	for b.Loop() {
		var size int64
		start := time.Now()
		for range passes {
			for _, path := range bodies {
				f, err := os.Open(path)
				if err != nil {
					b.Fatal(err)
				}
				scan := filter.NewScan()
				n, err := io.Copy(scan, f)
				f.Close()
				if rule := scan.Found(); err != nil || rule != "" {
					b.Fatalf("%s: %q, %v", filepath.Base(path), rule, err)
				}
				size += n
			}
		}
		searched := time.Since(start)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(size)/passes/(1<<20), "MiB")
		b.ReportMetric(100*searched.Seconds()/took.Seconds(), "%-of-cold-build")
	}
}
