//go:build !linux

package drill

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// childAttributes put a site into a process group of its own, so that Ctrl-C in the terminal reaches the drill alone. Only
// Linux can kill a child with its parent: elsewhere a drill that is itself killed with SIGKILL leaves its sites running.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// standsStill reports whether a process has been stopped by a signal, as the system sees it.
func standsStill(pid int) bool {
	state, err := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.HasPrefix(strings.TrimSpace(string(state)), "T")
}
