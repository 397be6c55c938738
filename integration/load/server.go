package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/larderbuild/larder/integration/harness"
	"github.com/larderbuild/larder/reapi"
)

// server is a larder serve that can be killed. Its store is a directory.
type server struct {
	dir, address, url string
	hasTier           bool
	process           *exec.Cmd
	most              int64 // memory of those that were killed, at most
}

// newServer builds larder and starts it. The caller calls end.
func newServer(hasTier bool) (*server, error) {
	dir, err := os.MkdirTemp("", "larder-load-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, hasTier: hasTier}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		s.address = l.Addr().String()
		s.url = "http://" + s.address
		err = errors.Join(l.Close(), harness.BuildLarder(filepath.Join(dir, "larder.exe")))
	}
	if err == nil {
		err = s.start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// tierSize is less than what the clients put in a second or two, so objects also leave the tier.
const tierSize = "256MiB"

// store is the directory of the server's store.
func (s *server) store() string { return filepath.Join(s.dir, "store") }

// start starts the process, and returns once it answers.
func (s *server) start() error {
	url := "file:///" + strings.TrimPrefix(filepath.ToSlash(s.store()), "/")
	s.process = exec.Command(filepath.Join(s.dir, "larder.exe"), "serve", "--listen", s.address, "--store", url)
	if s.hasTier {
		s.process.Args = append(s.process.Args, "--tier", filepath.Join(s.dir, "tier"), "--tier-size", tierSize)
	}
	s.process.Stderr = os.Stderr
	if err := s.process.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		res, err := http.Get(s.url + "/readyz")
		if err == nil {
			return res.Body.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server does not answer: %w", err)
		}
	}
}

// restart kills the process and starts another one.
func (s *server) restart() error {
	s.most = s.memory()
	if err := s.process.Process.Kill(); err != nil {
		return err
	}
	_ = s.process.Wait() // it was killed
	return s.start()
}

// removeTier waits until the tier has stored everything, and starts the server again without one.
func (s *server) removeTier() error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		res, err := http.Get(s.url + "/metrics")
		if err != nil {
			return err
		}
		metrics, err := io.ReadAll(res.Body)
		_ = res.Body.Close() // it was read
		if err != nil {
			return err
		}
		if bytes.Contains(metrics, []byte("\nlarder_tier_waiting_objects 0\n")) {
			break
		}
		if time.Now().After(deadline) {
			return errors.New("the tier does not store what is waiting")
		}
	}
	s.hasTier = false
	return s.restart()
}

// memory returns how much memory the server had at most, in KiB, and 0 where the system does
// not say.
func (s *server) memory() int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmHWM:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return max(s.most, kib)
		}
	}
	return s.most
}

// end ends the process and removes everything.
func (s *server) end() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	_ = os.RemoveAll(s.dir)
}

// checkFiles checks that each file that is an object has all of its bytes.
func (s *server) checkFiles() error {
	return filepath.WalkDir(s.store(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), "@") || d.Name() == "%40gc" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		key, err := filepath.Rel(s.store(), path)
		if err != nil {
			return err
		}
		switch folder, _, _ := strings.Cut(filepath.ToSlash(key), "/"); folder {
		case "ac":
			return new(reapi.ActionResult).Unmarshal(data)
		case "cas":
			if fmt.Sprintf("%x", sha256.Sum256(data)) != d.Name() {
				return fmt.Errorf("%s does not have its name", path)
			}
			return nil
		case "cache": // has a line before the body
			_, data, _ = bytes.Cut(data, []byte("\n"))
		}
		n, err := strconv.Atoi(d.Name())
		if err != nil {
			return err
		}
		if !bytes.Equal(data, body(n)) {
			return fmt.Errorf("%s is not whole", path)
		}
		return nil
	})
}
