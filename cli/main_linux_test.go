package cli

import (
	"os"
	"testing"
)

// TestOnTerminal: on a terminal it is a person that calls larder.
func TestOnTerminal(t *testing.T) {
	t.Parallel()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	p := &program{stdin: terminal}
	if p.calledByGo(p.command()) {
		t.Error("called by the go command")
	}
}
