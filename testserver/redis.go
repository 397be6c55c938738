package testserver

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Redis starts a Redis server with flags besides those that it needs, and returns its
// host:port. It keeps its data in memory.
func Redis(t testing.TB, flags ...string) (addr string) {
	t.Helper()
	dir := t.TempDir()
	return startUntil(t, answersRedis, redisServer(t), func(port int) []string {
		return slices.Concat([]string{
			"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir,
			"--save", "", "--appendonly", "no",
		}, flags)
	})
}

// redisServer returns the path of the server.
func redisServer(t testing.TB) string {
	t.Helper()
	file, err := exec.LookPath("redis-server")
	if err != nil {
		unavailable(t, "%v: install Debian's package redis-server", err)
	}
	return file
}

// answersRedis returns nil if a Redis server answers at addr. Whether it lets anybody in is
// another question.
func answersRedis(addr string) error {
	_, err := askRedis(addr, "PING", "")
	return err
}

// askRedis sends a command, and returns the first line of the answer that begins with begin.
func askRedis(addr, command, begin string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second)) // it has no way to fail
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), begin) {
			return lines.Text(), nil
		}
	}
	return "", cmp.Or(lines.Err(), io.ErrUnexpectedEOF)
}

// mustRedis sends a command, which must succeed.
func mustRedis(t testing.TB, addr, command string) {
	t.Helper()
	answer, err := askRedis(addr, command, "")
	if err != nil || strings.HasPrefix(answer, "-") {
		t.Fatalf("%s: %s: %q, %v", addr, command, answer, err)
	}
}

// RedisCluster starts a cluster of three servers, and returns the host:port of each.
func RedisCluster(t testing.TB) (addrs []string) {
	t.Helper()
	const slots = 16384
	buses := make(map[string]string)
	for range 3 {
		bus, err := freePort() // Redis would take its own plus 10000, which may be none
		if err != nil {
			t.Fatal(err)
		}
		addr := Redis(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus))
		addrs, buses[addr] = append(addrs, addr), strconv.Itoa(bus)
	}
	for i, addr := range addrs {
		mustRedis(t, addr, fmt.Sprintf("CLUSTER ADDSLOTSRANGE %d %d", i*slots/3, (i+1)*slots/3-1))
		mustRedis(t, addr, fmt.Sprintf("CLUSTER SET-CONFIG-EPOCH %d", i+1))
	}
	for _, addr := range addrs[1:] {
		host, port, _ := net.SplitHostPort(addr)
		mustRedis(t, addrs[0], fmt.Sprintf("CLUSTER MEET %s %s %s", host, port, buses[addr]))
	}
	waitForRedis(t, "the cluster", func() bool {
		return !slices.ContainsFunc(addrs, func(addr string) bool { return !clusterIsUp(addr) })
	})
	return addrs
}

// clusterIsUp reports whether the server at addr takes its cluster to be complete.
func clusterIsUp(addr string) bool {
	state, err := askRedis(addr, "CLUSTER INFO", "cluster_state:")
	return err == nil && state == "cluster_state:ok"
}

// waitForRedis waits until ready returns true.
func waitForRedis(t testing.TB, what string, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(startLimit); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s is not ready after %v", what, startLimit)
		}
	}
}

// SentinelMaster is the name by which [RedisSentinel] watches its server.
const SentinelMaster = "larder"

// RedisSentinel starts a server and a sentinel that watches it, and returns the sentinel's
// host:port.
func RedisSentinel(t testing.TB) (sentinel string) {
	t.Helper()
	host, port, err := net.SplitHostPort(Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	// A sentinel writes to its file of settings.
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	err = os.WriteFile(config, fmt.Appendf(nil, "sentinel monitor %s %s %s 1\n", SentinelMaster, host, port), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return startUntil(t, answersRedis, redisServer(t), func(port int) []string {
		return []string{config, "--sentinel", "--port", strconv.Itoa(port), "--bind", "127.0.0.1"}
	})
}
