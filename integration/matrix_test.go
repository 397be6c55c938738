package integration

import (
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/testserver"
)

// TestMatrix reaches goals on one machine, and then with no compile action, and
// the go command's own outcome, on others that begin with nothing but the remote.
// One remote brings the standard library, too, as it is compiled for those goals; the others
// bring the module alone. One of them is for all goals, and where whole is set it is the first
// one. The others are for some goals, because what differs from store to store does not depend
// on the goal: most of them for two where whole is not set.
func TestMatrix(t *testing.T) {
	t.Parallel()
	s3, gcs, azure, actions := testserver.S3(t), testserver.GCS(t), testserver.Azure(t), testserver.Actions(t)
	s3.Bucket(t, "bucket")
	gcs.Bucket(t, "bucket")
	azure.Container(t, "container")
	var flags []string
	if whole {
		flags = []string{"-trimpath", "-race"}
	}
	stocked := newStockedPantry(t, flags...)
	plain := plainOutcomes(stocked.plain(t), goals())
	empty := stocked
	empty.stocks = nil // a machine gets the standard library from the remote
	only := func(goals []goal) []reached {
		return slices.DeleteFunc(slices.Clone(plain), func(g reached) bool { return !slices.Contains(goals, g.goal) })
	}
	ofS3, ofGCS, ofOthers := only(someGoals()), plain, only(fewGoals())
	if whole {
		ofS3, ofGCS = ofGCS, ofS3
	}
	type row struct {
		name, url string
		settings  []string
		in        pantry
		goals     []reached
	}
	test := func(t *testing.T, remote row) {
		first := stocked.machine(t, remote.url, remote.settings...)
		testMachines(t, remote.goals, first, func(t *testing.T) *machine {
			return remote.in.machine(t, remote.url, remote.settings...)
		})
	}
	for _, remote := range []row{
		{"s3", s3.URL("bucket", "/team"), append(s3.Environ(), "GOCACHEPROG="+larder), empty, ofS3}, // looks for races
		{"gcs", gcs.URL("bucket", ""), nil, stocked, ofGCS},
		{"azure", azure.URL("container", "team"), azure.Environ(), stocked, ofOthers},
		{"gha", "gha://", actions.Environ(actions.Token(mainRef)), stocked, ofOthers},
		{"directory", directory(t), nil, stocked, ofOthers},
	} {
		t.Run(remote.name, func(t *testing.T) { test(t, remote) })
	}
	for name, open := range map[string]func(testing.TB) store{
		"redis": redisStore, "serve": serveStore, "nginx": nginxStore, "bazel-remote": bazelRemoteStore, "serve over gRPC": callsStore,
	} {
		t.Run(name, func(t *testing.T) {
			server := open(t) // without one, this alone is skipped
			test(t, row{name, server.url(server.endpoint), nil, stocked, ofOthers})
		})
	}
}

// otherVersions returns go commands that are not the one that runs the tests: the
// oldest that has helpers and, where whole is set, the newest.
func otherVersions() []string {
	versions := []string{"go1.24.13", "go1.27.2"}
	if whole {
		return versions
	}
	return versions[:1]
}

// TestVersions is a part of the matrix for go commands other than the one that
// runs the tests.
func TestVersions(t *testing.T) {
	t.Parallel()
	for _, version := range otherVersions() {
		t.Run(version, func(t *testing.T) {
			p, remote := newPantry(t), directory(t)
			p.stocks = wideStock(t, version)
			alone := p.plain(t)
			alone.version = version
			if out := alone.must("go", "version").stdout; !strings.Contains(out, version+" ") {
				t.Fatalf("%s is %s", version, out)
			}
			newMachine := func(t *testing.T) *machine {
				m := p.machine(t, remote)
				m.version = version
				return m
			}
			testMachines(t, plainOutcomes(alone, fewGoals()), newMachine(t), newMachine)
		})
	}
}

// reached is a goal and what it comes to without larder, once that is cached.
type reached struct {
	goal
	plain outcome
}

// plainOutcomes reaches goals on m, which has no larder and nothing cached.
func plainOutcomes(m *machine, goals []goal) []reached {
	m.t.Helper()
	// What the other machines must not show is seen here.
	tools := strings.Join(m.must("go", "build", "-x", "./...").compiles(), "\n")
	for _, tool := range []string{"/compile", "/asm", "/cgo"} {
		if !strings.Contains(strings.ReplaceAll(tools, ".exe", ""), tool+" ") {
			m.t.Fatalf("a cold build shows no %s:\n%s", tool, tools)
		}
	}
	var all []reached
	for _, g := range goals {
		m.reach(g)
		all = append(all, reached{g, m.reach(g)})
	}
	return all
}

// testMachines reaches goals on first, and then each on a new machine with the same remote.
func testMachines(t *testing.T, goals []reached, first *machine, newMachine func(*testing.T) *machine) {
	for _, g := range goals {
		wantSame(t, first.reach(g.goal).timeless(), g.plain.timeless())
	}
	for _, g := range goals {
		t.Run(g.name, func(t *testing.T) {
			out := newMachine(t).reach(g.goal, "-x")
			wantSame(t, out, g.plain)
			wantNoCompiles(t, out.result)
			if out.fromRemote() == 0 {
				t.Errorf("nothing came from the remote: %s", out.stats)
			}
			if strings.HasPrefix(g.args, "test") && !strings.Contains(out.stdout, "\t(cached)") {
				t.Errorf("the tests ran again:\n%s", out.stdout)
			}
		})
	}
}
