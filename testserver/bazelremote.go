package testserver

import (
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// bazelRemote is the main package of the server that [BazelRemote] starts.
const bazelRemote = "github.com/buchgr/bazel-remote/v2"

// BazelRemote starts bazel-remote, a cache of the Remote Execution API, with flags besides those
// that it needs, and returns the host:port where it speaks gRPC. It checks no certificate that
// it was not given by flags.
func BazelRemote(t testing.TB, flags ...string) (addr string) {
	t.Helper()
	dir := t.TempDir()
	return startUntil(t, listens, binary(t, bazelRemote), func(port int) []string {
		return slices.Concat([]string{
			"--dir", filepath.Join(dir, "cache"), "--max_size", "1",
			"--grpc_address", "127.0.0.1:" + strconv.Itoa(port), "--http_address", "unix://" + filepath.Join(dir, "http"),
		}, flags)
	})
}

// listens returns nil if a server takes connections at addr.
func listens(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}
