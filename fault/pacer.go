package fault

import (
	"container/heap"
	"sync"
	"time"
)

// pacer wakes flows when bytes in them are due. The cables of a network share one, and it sleeps until the earliest moment: with a timer of
// its own each flow would wake this process for itself, once too early, because the runtime waits in whole milliseconds, and then up to one
// too late, which callers would see as a longer fibre.
type pacer struct {
	alarm *alarm
	began time.Time
	ended chan struct{}

	mu     sync.Mutex
	due    dueFlows
	set    time.Time // what the alarm is set to; zero: not set
	closed bool
}

// newPacer starts the pacer's goroutine; close ends it.
func newPacer() (*pacer, error) {
	a, err := newAlarm()
	if err != nil {
		return nil, err
	}
	p := &pacer{alarm: a, began: time.Now(), ended: make(chan struct{})}
	go p.run()
	return p, nil
}

// at asks that a flow be woken at a moment, or before it if somebody has asked for that: who is woken too early asks again.
func (p *pacer) at(f *flow, due time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed || f.place > 0 && !due.Before(f.dueAt):
		return
	case f.place > 0:
		f.dueAt = due
		heap.Fix(&p.due, f.place-1)
	default:
		f.dueAt = due
		heap.Push(&p.due, f)
	}
	p.arm(time.Now())
}

// forget takes a flow out that has ended.
func (p *pacer) forget(f *flow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.place > 0 {
		heap.Remove(&p.due, f.place-1)
	}
}

// arm sets, under mu, the alarm to the earliest moment, unless it rings before that already.
func (p *pacer) arm(now time.Time) {
	if len(p.due) == 0 || !p.set.IsZero() && !p.due[0].dueAt.Before(p.set) {
		return
	}
	p.set = p.due[0].dueAt
	p.alarm.ring(p.set.Sub(now))
}

func (p *pacer) run() {
	defer close(p.ended)
	p.alarm.serve(func() { p.wake(time.Now()) })
}

// wake wakes whose bytes are due, and those whose bytes nearly are: see grain.
func (p *pacer) wake(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.set = time.Time{}
	for len(p.due) > 0 && p.due[0].dueAt.Sub(now) <= p.due[0].grain() {
		f := heap.Pop(&p.due).(*flow)
		f.rung.Store(int64(f.dueAt.Sub(p.began)))
		f.kick()
	}
	p.arm(now)
}

// close ends the pacer. The alarm is closed without the lock: that waits until wake has returned, which takes it. Nobody sets the alarm any
// more by then.
func (p *pacer) close() {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	p.mu.Unlock()
	if first {
		p.alarm.close()
	}
	<-p.ended
}

// dueFlows is a heap by when they are due.
type dueFlows []*flow

func (d dueFlows) Len() int           { return len(d) }
func (d dueFlows) Less(i, j int) bool { return d[i].dueAt.Before(d[j].dueAt) }

func (d dueFlows) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i+1, j+1
}

// Push implements heap.Interface.
func (d *dueFlows) Push(x any) {
	f := x.(*flow)
	*d = append(*d, f)
	f.place = len(*d)
}

// Pop implements heap.Interface.
func (d *dueFlows) Pop() any {
	last := len(*d) - 1
	f := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	f.place = 0
	return f
}
