package cli

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

// detach takes cmd off the caller's console and out of its process group: no
// closing window and no interrupt reaches it.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP,
	}
}
