package main

import (
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/larderbuild/larder/integration/harness"
)

func lacksProcesses() string   { return "" }
func lacksFIFO() string        { return "" }
func lacksUnreachable() string { return "" }

func lacksMounts() string {
	dir, err := os.MkdirTemp("", "campaign-")
	if err == nil {
		defer os.Remove(dir)
		err = harness.MountTmpfs(dir, "size=4k")
	}
	if err != nil {
		return "mounting fails: " + err.Error()
	}
	if err := harness.Unmount(dir); err != nil {
		return err.Error()
	}
	return ""
}

// mount puts a file system in memory at dir. What it returns takes it away.
func mount(dir, options string) (unmount func(), err error) {
	if err := harness.MountTmpfs(dir, options); err != nil {
		return nil, err
	}
	return func() { harness.Unmount(dir) }, nil
}

// kill kills what runs larder on m.
func (m *machine) kill() error {
	pids, err := harness.Processes(m.tier.Dir, m.programs...)
	for _, pid := range pids {
		if errKill := syscall.Kill(pid, syscall.SIGKILL); errKill != nil && !errors.Is(errKill, syscall.ESRCH) {
			err = errors.Join(err, errKill)
		}
	}
	return err
}

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o666) }

// openFIFO opens the FIFO at path both ways, so that opening it ends for everybody. What
// it returns closes it, by which they come to the end of the file.
func openFIFO(path string) (release func()) {
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return func() {}
	}
	return func() { syscall.Close(fd) }
}

// unreachable has nobody answer where the round's link was: the queue of a socket
// there is full, so the kernel drops requests for a connection. What it returns brings
// the link back.
func (r *round) unreachable() (end func(), err error) {
	r.link.Down()
	_, port, err := net.SplitHostPort(r.link.Endpoint[len("http://"):])
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	var open []int
	end = func() {
		for _, fd := range open {
			syscall.Close(fd)
		}
		r.link.Heal()
	}
	socket := func() (int, error) {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		if err == nil {
			open = append(open, fd)
		}
		return fd, err
	}
	addr := &syscall.SockaddrInet4{Port: number, Addr: [4]byte{127, 0, 0, 1}}
	fd, err := socket()
	if err == nil {
		err = errors.Join(
			syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1),
			syscall.Bind(fd, addr), syscall.Listen(fd, 0))
	}
	for range 3 { // more than the queue takes
		if err == nil {
			fd, err = socket()
		}
		if err == nil {
			if errConnect := syscall.Connect(fd, addr); !errors.Is(errConnect, syscall.EINPROGRESS) {
				err = errConnect
			}
		}
	}
	if err != nil {
		end()
		return nil, err
	}
	return end, nil
}
