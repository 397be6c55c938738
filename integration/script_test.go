package integration

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/larderbuild/larder/testserver"
)

// TestScript runs the scripts in testdata/script: larder as people meet it.
// Each has larder and go in its PATH, its own LARDER_DIR, and a module that is
// built in no time, as it imports nothing.
func TestScript(t *testing.T) {
	t.Parallel()
	s3 := testserver.S3(t)
	s3.Bucket(t, "bucket")
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Setup: func(e *testscript.Env) error {
			path := filepath.Dir(larder) + string(filepath.ListSeparator) + e.Getenv("PATH")
			at := func(name string) string { return filepath.Join(e.WorkDir, name) }
			e.Vars = environ("PATH="+path, "WORK="+e.WorkDir, "HOME="+at("home"), "TMPDIR="+e.Getenv("TMPDIR"),
				"USERPROFILE="+at("home"), "LocalAppData="+at("home"), "XDG_CACHE_HOME="+at("home/cache"),
				"GOCACHE="+at("gocache"), "GOPATH="+at("gopath"), "GOENV=off", "GOPROXY=off", "GOFLAGS=-buildvcs=false",
				"GOCACHEPROG=larder", "LARDER_DIR="+at("larder"), "LARDER_CLOSE=wait",
				"REMOTE=file:///"+strings.TrimPrefix(filepath.ToSlash(at("remote")), "/"),
				"S3="+s3.URL("bucket", "/"+filepath.Base(e.WorkDir)), "S3_KEY="+s3.AccessKey, "S3_SECRET="+s3.SecretKey)
			return nil
		},
	})
}

// exits runs a command and checks its exit status:
//
//	exits 2 larder flush --jsno
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits status command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}
