package fault

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// alarm is a timer of the kernel. It is exact to some tens of microseconds, and waits where the sockets do.
type alarm struct {
	fd   int
	file *os.File // of fd
	raw  syscall.RawConn
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	a := &alarm{fd: fd, file: os.NewFile(uintptr(fd), "alarm")}
	if a.raw, err = a.file.SyscallConn(); err != nil {
		_ = a.file.Close()
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	return a, nil
}

// ring makes the alarm ring after d, instead of what was set before. It must not be called after close.
func (a *alarm) ring(d time.Duration) {
	next := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, d.Nanoseconds()))} // 0 would switch it off
	_ = unix.TimerfdSettime(a.fd, 0, &next, nil)                                 // fails for arguments that make no sense only
}

// serve calls rung whenever the alarm rings, and once before that, until it is closed. How many times it has rung need not be read: each
// time makes the file ready anew.
func (a *alarm) serve(rung func()) {
	_ = a.raw.Read(func(uintptr) bool {
		rung()
		return false
	})
}

func (a *alarm) close() { _ = a.file.Close() }
