//go:build !linux

package drill

import "syscall"

// childAttributes put a site into a process group of its own, so that Ctrl-C in the terminal reaches the drill alone. Only
// Linux can kill a child with its parent: elsewhere a drill that is itself killed with SIGKILL leaves its sites running.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
