package fault

import (
	"fmt"
	"os"
	"syscall"
)

// Stop freezes a process with SIGSTOP: it keeps its memory, its connections and its beliefs. The caller owns the process.
func Stop(p *os.Process) error { return signal(p, syscall.SIGSTOP) }

// Cont lets a stopped process go on.
func Cont(p *os.Process) error { return signal(p, syscall.SIGCONT) }

// Kill ends a process with SIGKILL: nothing of it runs any more, its files stay as the kernel has them. The caller still
// has to wait for it.
func Kill(p *os.Process) error { return signal(p, syscall.SIGKILL) }

func signal(p *os.Process, s syscall.Signal) error {
	if err := p.Signal(s); err != nil {
		return fmt.Errorf("send %v to process %d: %w", s, p.Pid, err)
	}
	return nil
}
