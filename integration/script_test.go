package integration

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

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
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "age": age},
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

// age makes all files of a folder older:
//
//	age 48h folder
func age(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: age duration folder")
	}
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	ts.Check(makeOlder(ts.MkAbs(args[1]), d))
}

// makeOlder makes all files below folder older by d.
func makeOlder(folder string, d time.Duration) error {
	return filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		return os.Chtimes(path, time.Time{}, info.ModTime().Add(-d))
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
