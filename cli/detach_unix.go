//go:build unix

package cli

import (
	"os/exec"
	"syscall"
)

// detach gives cmd a session of its own: neither the caller's terminal nor a
// signal to the caller's process group reaches it.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}
