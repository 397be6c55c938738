//go:build !linux

package main

import "errors"

// The faults for which there are these functions are left out here.

func lacksProcesses() string   { return onlyLinux.Error() }
func lacksFIFO() string        { return onlyLinux.Error() }
func lacksUnreachable() string { return onlyLinux.Error() }
func lacksMounts() string      { return onlyLinux.Error() }

var onlyLinux = errors.New("this is no Linux")

func mount(string, string) (func(), error)    { return nil, onlyLinux }
func (m *machine) kill() error                { return onlyLinux }
func mkfifo(string) error                     { return onlyLinux }
func openFIFO(string) func()                  { return func() {} }
func (r *round) unreachable() (func(), error) { return nil, onlyLinux }
