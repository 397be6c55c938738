// Errand runs the go command.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// always is what the go command is told before the arguments. The linker can
// set it: with "tool vet", this is a tool for go vet.
var always string

func main() {
	cmd := exec.Command("go", append(strings.Fields(always), os.Args[1:]...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
