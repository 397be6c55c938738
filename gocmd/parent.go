package gocmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Parent returns the go command that started this process as its helper. It returns an
// error if the parent is another program, or if this package cannot read the arguments
// of a process on this system. Parent reads a few files of /proc, or asks the kernel.
// Call it after the handshake.
func Parent() (Command, error) {
	c, err := parent()
	if err != nil {
		return Command{}, fmt.Errorf("parent process: %w", err)
	}
	return c, nil
}

func parent() (Command, error) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		return Command{}, fmt.Errorf("its arguments are not read on %s", runtime.GOOS)
	}
	p := process(os.Getppid())
	exe, err := p.exe()
	if err != nil {
		return Command{}, err
	}
	args, err := p.args()
	if err != nil {
		return Command{}, err
	}
	dir, err := p.dir()
	if err != nil {
		return Command{}, err
	}
	switch {
	case os.Getppid() != int(p):
		return Command{}, errors.New("it is gone")
	case filepath.Base(exe) != "go":
		return Command{}, fmt.Errorf("%s is not the go command", filepath.Base(exe))
	case len(args) < 2:
		return Command{}, errors.New("go without a verb")
	}
	// The go command sets these variables before it starts a helper.
	return Command{
		Exe:     exe,
		Dir:     dir,
		Args:    args[1:],
		Flags:   os.Getenv("GOFLAGS"),
		Version: strings.TrimSpace(os.Getenv("GOVERSION")),
	}, nil
}
