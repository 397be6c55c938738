//go:build !linux

package gocmd

import gopsutil "github.com/shirou/gopsutil/v4/process"

// process is a process of this system, by its ID.
type process int

func (p process) library() *gopsutil.Process { return &gopsutil.Process{Pid: int32(p)} }

// exe returns the path of the program that p runs.
func (p process) exe() (string, error) { return p.library().Exe() }

// dir returns the folder in which p runs.
func (p process) dir() (string, error) { return p.library().Cwd() }

// args returns the arguments of p, with the program's name.
func (p process) args() ([]string, error) { return p.library().CmdlineSlice() }

// environ returns the environment with which p was started, as os.Environ does.
func (p process) environ() ([]string, error) { return p.library().Environ() }

// parent returns the parent of p.
func (p process) parent() (process, error) {
	id, err := p.library().Ppid()
	return process(id), err
}

// children returns the children of p that can be found.
func (p process) children() []process {
	found, _ := p.library().Children() // what could be found
	children := make([]process, len(found))
	for i, child := range found {
		children[i] = process(child.Pid)
	}
	return children
}
