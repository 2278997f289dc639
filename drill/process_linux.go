package drill

import "syscall"

// childAttributes put a site into a process group of its own, so that Ctrl-C in the terminal reaches the drill alone, which
// then ends its sites in order; and have the kernel kill it when the drill dies in whatever way, so that none is left behind.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
