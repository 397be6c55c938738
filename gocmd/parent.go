package gocmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/shirou/gopsutil/v4/common"
	"github.com/shirou/gopsutil/v4/process"
)

// Parent returns the go command that started this process as its helper. The
// error says why it is not known: the parent is another program, or the system
// is one where its arguments are not read. It reads a few files of /proc, or asks
// the kernel; call it behind the handshake.
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
	// Whatever HOST_PROC says: the number is one of our own processes.
	ctx := context.WithValue(context.Background(), common.EnvKey, common.EnvMap{common.HostProcEnvKey: "/proc"})
	pid := os.Getppid()
	p := process.Process{Pid: int32(pid)}
	exe, err := p.ExeWithContext(ctx)
	if err != nil {
		return Command{}, err
	}
	args, err := p.CmdlineSliceWithContext(ctx)
	if err != nil {
		return Command{}, err
	}
	dir, err := p.CwdWithContext(ctx)
	if err != nil {
		return Command{}, err
	}
	switch {
	case os.Getppid() != pid:
		return Command{}, errors.New("it is gone")
	case filepath.Base(exe) != "go":
		return Command{}, fmt.Errorf("%s is not the go command", filepath.Base(exe))
	case len(args) < 2:
		return Command{}, errors.New("go without a verb")
	}
	// The go command exports what is in effect before it starts a helper.
	return Command{
		Exe:     exe,
		Dir:     dir,
		Args:    args[1:],
		Flags:   os.Getenv("GOFLAGS"),
		Version: strings.TrimSpace(os.Getenv("GOVERSION")),
	}, nil
}
