//go:build !linux

package main

import (
	"os"
	"syscall"
)

// diesWithParent puts a child into a process group of its own. Only Linux can end it with its parent: elsewhere a sandbox that is killed with
// SIGKILL leaves its test bank running.
func diesWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// lockFile waits until this process alone has the file; closing it ends that.
func lockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }
