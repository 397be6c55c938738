package integration

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/testserver"
)

// rounds is how often each way takes its turn in an operation of
// BenchmarkOnDemand.
const rounds = 7

// BenchmarkOnDemand repeats commands of which everything is cached, in turns
// with a warm local tier and with an empty one, before which the server is 20 ms
// away: without the bytes of archives, and with all of them. Where the command
// says what to edit, it also measures those two after a change there.
func BenchmarkOnDemand(b *testing.B) {
	for _, load := range []struct {
		name    string
		make    func(testing.TB) workload
		command string
		job     []string // commands that the remote has been filled by
		edit    string   // a file of the workload
	}{
		{"build", versitygw, "build", []string{"build"}, filepath.Join("auth", "acl.go")},
		{"vet", tested, "vet", []string{"build", "test", "vet"}, ""},
		{"test", tested, "test", []string{"build", "test", "vet"}, ""},
	} {
		for _, at := range []struct {
			name string
			open func(testing.TB) store
		}{{"s3", s3Store}, {"gcs", gcsStore}} {
			b.Run(load.name+"/"+at.name, func(b *testing.B) {
				w, s := load.make(b), at.open(b)
				link := testserver.Proxy(b, s.endpoint)
				m := newMachine(b, w.dir, s.url(link.Endpoint), s.env...)
				command := append([]string{load.command}, w.packages...)
				for _, command := range load.job {
					m.must("go", append([]string{command}, w.packages...)...)
				}
				m.env = append(m.env, "LARDER_READONLY=true")
				link.Latency(20 * time.Millisecond)
				for b.Loop() {
					m.must("go", command...) // makes the indexes of files that were new
					var local, lazy, eager []result
					for range rounds {
						local = append(local, m.must("go", command...))
						lazy = append(lazy, m.emptied(command, "LARDER_BYTES=auto"))
						eager = append(eager, m.emptied(command, "LARDER_BYTES=eager"))
					}
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(milliseconds(medianTime(local)), "local-ms")
					b.ReportMetric(ratio(lazy, local), "x-local")
					b.ReportMetric(ratio(eager, local), "x-local-all-bytes")
					b.ReportMetric(float64(medianOf(lazy, result.requests)), "requests")
					b.ReportMetric(100*float64(medianOf(lazy, result.bytesIn))/float64(medianOf(eager, result.bytesIn)), "%-of-bytes")
					if load.edit == "" {
						continue
					}
					source := readFile(b, filepath.Join(w.dir, load.edit))
					lazy, eager = nil, nil
					for range rounds {
						lazy = append(lazy, w.edited(m, load.edit, source, command, "LARDER_BYTES=auto"))
						eager = append(eager, w.edited(m, load.edit, source, command, "LARDER_BYTES=eager"))
					}
					b.ReportMetric(ratio(lazy, eager), "edited-x-all-bytes")
				}
			})
		}
	}
}

// emptied runs a go command on m with an empty local tier, in the same folder, and
// puts m's own back. The one that was filled stays until the benchmark ends: ext4
// without a journal takes its time to make files where many have just been removed.
func (m *machine) emptied(command []string, settings ...string) result {
	m.t.Helper()
	aside, used := m.dir+"-aside", m.t.TempDir()
	rename := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			m.t.Fatal(err)
		}
	}
	rename(m.dir, aside)
	fresh := *m
	fresh.env = append(slices.Clone(m.env), settings...)
	r := fresh.must("go", command...)
	if r.fromRemote() == 0 {
		m.t.Fatalf("nothing came from the remote: %+v", r.stats)
	}
	rename(m.dir, filepath.Join(used, "larder"))
	rename(aside, m.dir)
	return r
}

// edited is emptied after a change of one file's exports, which is undone.
func (w workload) edited(m *machine, file string, source []byte, command []string, settings ...string) result {
	m.t.Helper()
	write := func(content []byte) {
		if err := os.WriteFile(filepath.Join(w.dir, file), content, 0o666); err != nil {
			m.t.Fatal(err)
		}
	}
	text := rand.Text()
	write(fmt.Appendf(slices.Clone(source), "\nvar Edited%s = %q\n", text, text))
	defer write(source)
	return m.emptied(command, settings...)
}

// testedPackages is the number of packages that tested returns.
const testedPackages = 110

// tested is a module of many packages with a test each, and without a program:
// linking reads archives whatever is cached.
func tested(t testing.TB) workload {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.com/tested\n\ngo 1.26\n")
	for i := range testedPackages {
		name := fmt.Sprintf("p%03d", i)
		imports, before := "", `"`+name+`"`
		if i%10 > 0 {
			last := fmt.Sprintf("p%03d", i-1)
			imports, before = fmt.Sprintf("import %q\n\n", "example.com/tested/"+last), last+".Name()"
		}
		write(filepath.Join(name, name+".go"), fmt.Sprintf("package %s\n\n%sfunc Name() string { return %s }\n", name, imports, before))
		write(filepath.Join(name, name+"_test.go"), fmt.Sprintf("package %s\n\nimport \"testing\"\n\nfunc TestName(t *testing.T) {\n\tif Name() == \"\" {\n\t\tt.Fail()\n\t}\n}\n", name))
	}
	return workload{dir: dir, packages: strings.Fields("./...")}
}

func (r result) requests() int64 { return r.stats.RemoteRequests }

func (r result) bytesIn() int64 { return r.stats.RemoteBytesIn }

// medianOf returns the median of what value says of results.
func medianOf(results []result, value func(result) int64) int64 {
	values := make([]int64, len(results))
	for i, r := range results {
		values[i] = value(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func medianTime(results []result) time.Duration {
	return time.Duration(medianOf(results, func(r result) int64 { return int64(r.took) }))
}

// ratio returns how many times the median of the one the other's takes.
func ratio(results, others []result) float64 {
	return float64(medianTime(results)) / float64(medianTime(others))
}
