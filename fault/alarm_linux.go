package fault

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm is a timer of the kernel. It is exact to some tens of microseconds, and waits where the sockets do.
type alarm struct {
	fd   int
	file *os.File // of fd
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	return &alarm{fd, os.NewFile(uintptr(fd), "alarm")}, nil
}

// ring makes wait return after d, instead of what was set before. It must not be called after close.
func (a *alarm) ring(d time.Duration) {
	next := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, d.Nanoseconds()))} // 0 would switch it off
	_ = unix.TimerfdSettime(a.fd, 0, &next, nil)                                  // fails for arguments that make no sense only
}

// wait waits until the alarm rings; false: it was closed.
func (a *alarm) wait() bool {
	var times [8]byte
	_, err := a.file.Read(times[:])
	return err == nil
}

func (a *alarm) close() { _ = a.file.Close() }
