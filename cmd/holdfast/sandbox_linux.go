package main

import "syscall"

// diesWithParent puts a child into a process group of its own, so that Ctrl-C reaches this process alone, and has the kernel kill it when this
// process ends in whatever way.
func diesWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
