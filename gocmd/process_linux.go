package gocmd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// process is a process of this system, by its ID. It is read from /proc, and not by a
// library: the one that other systems use reads /proc/stat at the start of every program.
type process int

func (p process) file(name string) string {
	return filepath.Join("/proc", strconv.Itoa(int(p)), name)
}

// exe returns the path of the program that p runs.
func (p process) exe() (string, error) { return os.Readlink(p.file("exe")) }

// dir returns the folder in which p runs.
func (p process) dir() (string, error) { return os.Readlink(p.file("cwd")) }

// args returns the arguments of p, with the program's name.
func (p process) args() ([]string, error) { return p.words("cmdline") }

// environ returns the environment with which p was started, as os.Environ does.
func (p process) environ() ([]string, error) { return p.words("environ") }

// words reads a file in which a zero byte ends each word.
func (p process) words(name string) ([]string, error) {
	data, err := os.ReadFile(p.file(name))
	if err != nil || len(data) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00"), nil
}

// parent returns the parent of p.
func (p process) parent() (process, error) {
	stat, err := os.ReadFile(p.file("stat"))
	if err != nil {
		return 0, err
	}
	// The second field is the program's name, in parentheses. It may hold any bytes.
	_, rest, ok := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	fields := bytes.Fields(rest)
	if !ok || len(fields) < 2 {
		return 0, fmt.Errorf("unknown format of %s", p.file("stat"))
	}
	id, err := strconv.Atoi(string(fields[1]))
	return process(id), err
}

// children returns the children of p that can be found.
func (p process) children() []process {
	all, _ := os.ReadDir("/proc") // what could be read
	var children []process
	for _, entry := range all {
		id, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if parent, err := process(id).parent(); err == nil && parent == p {
			children = append(children, process(id))
		}
	}
	return children
}
