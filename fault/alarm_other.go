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

// ring makes the alarm ring after d, instead of what was set before.
func (a *alarm) ring(d time.Duration) { a.timer.Reset(d) }

// serve calls rung whenever the alarm rings, until it is closed.
func (a *alarm) serve(rung func()) {
	for {
		select {
		case <-a.timer.C:
			rung()
		case <-a.closed:
			return
		}
	}
}

func (a *alarm) close() { close(a.closed) }
