package cli

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

// detach takes cmd off the caller's console and out of the caller's process group: a
// window that closes does not end it, nor does an interrupt.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP,
	}
}
