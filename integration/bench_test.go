package integration

import (
	"crypto/sha256"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/bench"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/testserver"
)

// BenchmarkHandshake measures the time from the start of the process to its
// first byte on stdout. A remote that can't be reached must not show in it, nor
// the number of entries.
func BenchmarkHandshake(b *testing.B) {
	silent := httptest.NewUnstartedServer(nil) // takes connections, says nothing
	b.Cleanup(silent.Close)
	closed := httptest.NewUnstartedServer(nil)
	closed.Close()
	s3 := func(s *httptest.Server) string {
		return "s3://bucket/prefix?path_style=true&region=us-east-1&endpoint=http://" + s.Listener.Addr().String()
	}
	gcs := func(s *httptest.Server) string {
		return "gs://bucket/prefix?endpoint=http://" + s.Listener.Addr().String()
	}
	azure := func(s *httptest.Server) string {
		return "azblob://account/container?endpoint=http://" + s.Listener.Addr().String() + "/account"
	}
	for _, test := range []struct {
		name, remote string
		entries      int
	}{
		{"local", "", 0},
		{"s3/refuses", s3(closed), 0},
		{"s3/hangs", s3(silent), 0},
		{"gcs/refuses", gcs(closed), 0},
		{"gcs/hangs", gcs(silent), 0},
		{"azure/refuses", azure(closed), 0},
		{"azure/hangs", azure(silent), 0},
		{"azure/searches", "azblob://account/container", 0}, // for credentials; it has no key
		{"entries=100000", "", manyEntries},
	} {
		b.Run(test.name, func(b *testing.B) {
			dir := b.TempDir()
			fill(b, dir, test.entries)
			env := environ("LARDER_DIR="+dir, "LARDER_REMOTE="+test.remote,
				"AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=secret")
			if strings.Contains(test.remote, "endpoint=") {
				env = append(env, "AZURE_STORAGE_KEY=c2VjcmV0")
			}
			var took []time.Duration
			for b.Loop() {
				cmd := exec.CommandContext(b.Context(), larder)
				cmd.Env = env
				c := dial(b, cmd)
				took = append(took, c.took)
				c.close()
			}
			b.ReportMetric(0, "ns/op") // would count the session's end, too
			b.ReportMetric(milliseconds(median(took)), "median-ms/op")
			b.ReportMetric(milliseconds(slices.Max(took)), "max-ms/op")
		})
	}
}

// pairs is how many native builds and builds with larder take turns.
const pairs = 7

// BenchmarkLocalWarm builds what has been built before, in turns natively and
// with larder, from the same directory. An operation is seven such pairs.
func BenchmarkLocalWarm(b *testing.B) {
	for _, load := range []struct {
		name string
		make func(testing.TB) workload
	}{
		{"std", std},
		{"versitygw", versitygw},
	} {
		b.Run(load.name, func(b *testing.B) {
			w := load.make(b)
			m := newMachine(b, w.dir, "")
			native(m, w)
			w.build(m) // the go command doesn't index files that are new
			if warm := w.build(m); warm.stats.Misses > 0 || warm.stats.LocalHits == 0 {
				b.Fatalf("not warm: %+v", warm.stats)
			}
			var plain, helped []time.Duration
			for b.Loop() {
				for range pairs {
					plain = append(plain, native(m, w).took)
					helped = append(helped, w.build(m).took)
				}
			}
			report(b, plain, helped)
		})
	}
}

// BenchmarkRemote is larder bench of versitygw, over servers that are 20 ms
// away: what each scenario takes, as times the native build that is warm.
func BenchmarkRemote(b *testing.B) {
	for name, open := range map[string]func(testing.TB) store{"s3": s3Store, "gcs": gcsStore} {
		b.Run(name, func(b *testing.B) {
			s, w := open(b), versitygw(b)
			link := testserver.Proxy(b, s.endpoint)
			link.Latency(20 * time.Millisecond)
			m := newMachine(b, w.dir, s.url(link.Endpoint), s.env...)
			command := append([]string{"bench", "--json", "--", "go", "build"}, w.packages...)
			var report bench.Report
			for b.Loop() {
				r := m.must(larder, command...)
				if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(0, "ns/op")
			for _, r := range report.Results {
				unit := strings.NewReplacer(" ", "-", ",", "").Replace(r.Scenario)
				b.ReportMetric(r.ToNativeWarm, "x-"+unit)
				b.ReportMetric(float64(r.Requests), "requests-"+unit)
			}
		})
	}
}

// report gives the medians of builds without and with larder, and how many
// times the one the other is.
func report(b *testing.B, plain, helped []time.Duration) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(milliseconds(median(plain)), "native-ms")
	b.ReportMetric(milliseconds(median(helped)), "larder-ms")
	b.ReportMetric(float64(median(helped))/float64(median(plain)), "x-native")
}

func median(d []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(d))[len(d)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// workload is something to build.
type workload struct {
	dir      string
	packages []string
}

// build builds w on m, with larder.
func (w workload) build(m *machine) result {
	m.t.Helper()
	return m.must("go", append([]string{"build"}, w.packages...)...)
}

// native builds w without larder, in m's local tier.
func native(m *machine, w workload) result {
	m.t.Helper()
	plain := *m
	plain.env = append(slices.Clone(m.env), "GOCACHEPROG=", "GOCACHE="+m.dir)
	return w.build(&plain)
}

func std(t testing.TB) workload {
	return workload{dir: t.TempDir(), packages: []string{"std"}}
}

// versitygw is the S3 server that the tests use, without its programs: more
// than 500 packages. It is built in a copy, since the go command treats the
// module cache in its own way.
func versitygw(t testing.TB) workload {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "github.com/versity/versitygw")
	cmd.Dir = filepath.Join("..", "testserver", "modules")
	cmd.Env = environ()
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("download versitygw: %v", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "versitygw")
	if err := os.CopyFS(dir, os.DirFS(module.Dir)); err != nil {
		t.Fatal(err)
	}
	packages := "./backend/... ./s3api/... ./auth/... ./s3event/... ./webui/..."
	return workload{dir: dir, packages: strings.Fields(packages)}
}

// manyEntries is a number of entries at which work for each would show.
const manyEntries = 100_000

// fill puts so many entries into the local tier at dir, by number, and sees to
// it that no session trims it.
func fill(t testing.TB, dir string, entries int) {
	t.Helper()
	local := localdisk.New(dir)
	for i := range entries {
		e, body := numbered(i)
		if _, err := local.Put(e, strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := local.TrimDue(); err != nil {
		t.Fatal(err)
	}
}

// numbered returns the i-th of many entries, and its body.
func numbered(i int) (localdisk.Entry, string) {
	body := strconv.Itoa(i)
	return localdisk.Entry{
		Action: sha256.Sum256([]byte("action " + body)),
		Output: sha256.Sum256([]byte(body)),
		Size:   int64(len(body)),
		Time:   time.Unix(1_700_000_000, 0),
	}, body
}
