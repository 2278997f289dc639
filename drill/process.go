package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"holdfast/fault"
)

// process is the server process of one site, started again and again.
type process struct {
	spawn   *spawner
	program string
	args    []string
	logFile string // what it says on standard output and error, over all its lives

	mu       sync.Mutex
	cmd      *exec.Cmd
	ended    chan struct{} // closed when cmd has been waited for
	expected bool          // its end was ordered
	surprise error         // it ended without having been told to
	ends     map[int]death // how those ended that are over, by pid
}

// death is how a process ended.
type death struct {
	how  string        // killed, inOrder, or as the system says it
	used time.Duration // processor time, in all its life
}

const (
	killed  = "killed"
	inOrder = "in order"
)

func deathOf(s *os.ProcessState) death {
	if s == nil { // it could not be waited for
		return death{how: "somehow"}
	}
	d := death{s.String(), s.UserTime() + s.SystemTime()}
	switch w, ok := s.Sys().(syscall.WaitStatus); {
	case ok && w.Signaled() && w.Signal() == syscall.SIGKILL:
		d.how = killed
	case s.Success():
		d.how = inOrder
	}
	return d
}

var (
	errNotRunning = errors.New("the process is not running")
	errUnasked    = errors.New("in order, and unasked")
)

// start brings the process up. It does not wait until it is of use.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	out, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of a site: %w", err)
	}
	cmd := exec.Command(p.program, p.args...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, childAttributes()
	err = p.spawn.do(cmd.Start)
	err = errors.Join(err, out.Close())
	if err != nil {
		return fmt.Errorf("start %s %s: %w", p.program, strings.Join(p.args, " "), err)
	}
	p.cmd, p.expected, p.ended = cmd, false, make(chan struct{})
	go p.wait(cmd, p.ended)
	return nil
}

// wait ends with its process; stop and kill wait for it.
func (p *process) wait(cmd *exec.Cmd, ended chan struct{}) {
	err := cmd.Wait()
	p.mu.Lock()
	if p.ends == nil {
		p.ends = map[int]death{}
	}
	p.ends[cmd.Process.Pid] = deathOf(cmd.ProcessState)
	if !p.expected && p.cmd == cmd {
		p.surprise = fmt.Errorf("the process ended by itself (%w); it said last:\n%s", cmp.Or(err, errUnasked), tail(p.logFile))
	}
	p.mu.Unlock()
	close(ended)
}

// kill ends the process with SIGKILL and waits until it is gone.
func (p *process) kill() error {
	return p.end(context.Background(), fault.Kill)
}

// terminate asks the process to stop in order, and kills it when ctx ends before it has.
func (p *process) terminate(ctx context.Context) error {
	return p.end(ctx, func(o *os.Process) error { return o.Signal(syscall.SIGTERM) })
}

func (p *process) end(ctx context.Context, order func(*os.Process) error) error {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.expected = true
	p.mu.Unlock()
	if cmd == nil {
		return errNotRunning
	}
	if err := order(cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	if err := fault.Kill(cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-ended
	return fmt.Errorf("a site that was told to stop had not ended in time and was killed: %w", ctx.Err())
}

// freeze stops the process with SIGSTOP; thaw lets it go on.
func (p *process) freeze() error { return p.signal(fault.Stop) }

func (p *process) thaw() error { return p.signal(fault.Cont) }

func (p *process) signal(send func(*os.Process) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return errNotRunning
	}
	return send(p.cmd.Process)
}

func (p *process) running() bool {
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	if ended == nil {
		return false
	}
	select {
	case <-ended:
		return false
	default:
		return true
	}
}

// pid is that of the process as it was last started; 0: it never was.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// death is how the process of a pid ended; without words when it has not.
func (p *process) death(pid int) death {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ends[pid]
}

// unexpected is the error of a process that ended without having been told to, nil otherwise.
func (p *process) unexpected() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.surprise
}

// tail gives the last lines of a log, for an error text.
func tail(file string) string {
	const lines = 12
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return "  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}

// spawner starts processes from one operating-system thread that lives as long as it does: Linux kills a child that asked for
// it when the thread that started it ends, not when the process does.
type spawner struct {
	work chan func()
	done chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{work: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for f := range s.work {
			f()
		}
	}()
	return s
}

func (s *spawner) do(f func() error) error {
	result := make(chan error, 1)
	s.work <- func() { result <- f() }
	return <-result
}

func (s *spawner) close() {
	close(s.work)
	<-s.done
}

// stopTime is how long a site may take to stop in order.
const stopTime = 8 * time.Second
