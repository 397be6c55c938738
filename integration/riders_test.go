package integration

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestOneObjectForAPackage: all that the go command keeps of a package is in one entry object,
// however the uploads are done, and one request brings it.
func TestOneObjectForAPackage(t *testing.T) {
	t.Parallel()
	c := writeChained(t, t.TempDir(), 10)
	packages := c.packages
	if _, err := exec.LookPath("gcc"); err == nil {
		c.write(t, "c/c.go", "package c\n\n// int one(void) { return 1; }\nimport \"C\"\n\nfunc One() int { return int(C.one()) }\n")
		packages++
	}
	for _, closing := range []string{"wait", "defer"} {
		t.Run(closing, func(t *testing.T) {
			t.Parallel()
			s := s3Store(t)
			m := s.machine(t, c, s.endpoint, "LARDER_CLOSE="+closing, "CGO_ENABLED=1")
			objects := 0
			// Building puts at least three entries for each package, and vet at least two. A few
			// belong to no package, such as what cgo finds out about the C compiler.
			for i, command := range []string{"build", "vet"} {
				each := int64(3 - i)
				puts := m.must("go", command, "./...").stats.Puts
				m.must(larder, "flush")
				before := objects
				objects = 0
				walkFiles(t, filepath.Join(s.folder, "v1", "main", "a"), func(string) { objects++ })
				if news, most := objects-before, int(puts/each)+10; news > most || puts < each*int64(packages) {
					t.Errorf("%s: %d entry objects for %d puts, want %d at most", command, news, puts, most)
				}
			}

			other := s.machine(t, c, s.endpoint, "LARDER_BENCH_PREFETCH=false", "LARDER_READONLY=true", "CGO_ENABLED=1")
			for _, command := range []string{"build", "vet"} {
				r := other.must("go", command, "-x", "./...")
				if left := r.compiles(); len(left) > 0 {
					t.Errorf("go %s: compiled again: %q", command, left)
				}
				// At least what each package's compiler has printed comes without a request.
				if st := r.stats; st.RemoteHits < int64(2*packages) || st.RemoteRequests > st.RemoteHits+st.Misses-int64(packages) {
					t.Errorf("go %s: %+v", command, st)
				}
			}
		})
	}
}
