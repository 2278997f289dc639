//go:build !linux

package fault

import "time"

// alarm is a timer of the runtime.
type alarm struct {
	timer  *time.Timer
	closed chan struct{}
}

func newAlarm() (*alarm, error) {
	return &alarm{time.NewTimer(time.Hour), make(chan struct{})}, nil
}

// ring makes wait return after d, instead of what was set before.
func (a *alarm) ring(d time.Duration) { a.timer.Reset(d) }

// wait waits until the alarm rings; false: it was closed.
func (a *alarm) wait() bool {
	select {
	case <-a.timer.C:
		return true
	case <-a.closed:
		return false
	}
}

func (a *alarm) close() { close(a.closed) }
