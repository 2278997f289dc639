package main

import (
	"os"
	"syscall"
)

// diesWithParent puts a child into a process group of its own, so that Ctrl-C reaches this process alone, and has the kernel kill it when this
// process ends in whatever way.
func diesWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// lockFile waits until this process alone has the file; closing it ends that.
func lockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }
