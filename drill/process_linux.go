package drill

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// childAttributes put a site into a process group of its own, so that Ctrl-C in the terminal reaches the drill alone, which
// then ends its sites in order; and have the kernel kill it when the drill dies in whatever way, so that none is left behind.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// standsStill reports whether a process has been stopped by a signal, as the system sees it.
func standsStill(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	name := strings.LastIndexByte(string(text), ')') // the state is behind the name of the program, which may contain anything
	return strings.HasPrefix(string(text[name+1:]), " T")
}
