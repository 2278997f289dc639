package drill

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
)

// HalfLoad as [Options.Rate] is half of what the fleet carries on this machine just then. It is measured before the load, with
// everything running that will run beside it.
const HalfLoad = -1

// MaxRate is the highest rate of a drill, payments a second.
const MaxRate = 5000

// MaxBusy is the highest [Options.Busy].
const MaxBusy = 64

// Burn keeps one core busy for a while, or until ctx ends: what "holdfast busy" does.
func Burn(ctx context.Context, length time.Duration) {
	end := time.Now().Add(length)
	for n := uint64(1); ; n = n*6364136223846793005 + 1 {
		if n&0xffff == 1 && (ctx.Err() != nil || time.Now().After(end)) {
			return
		}
	}
}

// neighbours are processes that take processor time from the sites, and do nothing else.
type neighbours struct {
	procs []*process
	since time.Time
	work  []float64 // share of a core that each took, once they have been stopped
}

// start starts n of them. They end by themselves, should nobody stop them: after the length, and when the drill dies.
func (b *neighbours) start(f *fleet, program string, n int, length time.Duration) error {
	for i := range n {
		p := &process{
			spawn: f.spawn, program: program, args: []string{"busy", "--for", length.String()},
			logFile: filepath.Join(f.dir, fmt.Sprintf("busy-%d.log", i+1)),
		}
		if err := p.start(); err != nil {
			return err
		}
		b.procs = append(b.procs, p)
	}
	b.since = time.Now()
	return nil
}

// stop ends them. The error says that one had ended before: then the machine was less busy than the drill says.
func (b *neighbours) stop() error {
	var errs []error
	for _, p := range b.procs {
		if errs = append(errs, p.unexpected()); p.running() {
			errs = append(errs, p.kill())
		}
		b.work = append(b.work, float64(p.death(p.pid()).used)/float64(time.Since(b.since)))
	}
	b.procs = nil
	return errors.Join(errs...)
}

func cores() int { return runtime.NumCPU() }

const (
	// measureTime is for how long it is measured what the fleet can carry.
	measureTime = 3 * time.Second
	// measureCallers pay at once then, each its next payment when the last is answered.
	measureCallers = 64
)

// capacity measures how many payments a second the fleet carries: as many callers as saturate it, each waiting for its answer.
func (l *load) capacity(ctx context.Context, w *world, id func() holdfast.ID) float64 {
	ctx, cancel := context.WithTimeout(ctx, measureTime)
	defer cancel()
	began := time.Now()
	var done atomic.Int64
	var ids sync.Mutex
	var callers sync.WaitGroup
	for i := range measureCallers {
		callers.Go(func() {
			c := &w.shards[i%len(w.shards)]
			for ctx.Err() == nil {
				ids.Lock()
				t := probePayment(c, i, id())
				ids.Unlock()
				// The deadline of the last payments is their own: one that is cut off would be unknown for no fault of the fleet.
				s := Sample{Shard: c.id, Kind: Prepared, Due: l.clock()}
				if l.pay(context.WithoutCancel(ctx), l.clients[i%len(l.clients)], &t, s) == holdfast.Done {
					done.Add(1)
				}
			}
		})
	}
	callers.Wait()
	return float64(done.Load()) / time.Since(began).Seconds()
}

// probes a second that go beside the payments of the load.
func (o *Options) probeRate() int { return int(time.Duration(o.Shards) * time.Second / o.probeGap()) }

// halfOf is the rate of payments besides the probes that makes half of a capacity.
func halfOf(capacity float64, probes int) int {
	const least = 50 // with a slow machine the probes alone may be half of it
	return min(max(int(capacity/2)-probes, least), MaxRate)
}

// crowd starts what runs beside the sites for the whole drill, and finds out what half of the load is when nobody has said.
func (r *run) crowd(ctx context.Context) error {
	if !r.scenario.calm {
		return nil
	}
	busy := r.o.Busy
	if busy == 0 {
		busy = cores()
	}
	r.view.say(fmt.Sprintf("%d processes that never rest keep %d cores busy", busy, cores()))
	// Bound in time even if the drill hangs: generously, for the preparation comes before the load and the proof after it.
	if err := r.neighbours.start(r.fleet, r.o.Program, busy, r.o.Load+5*time.Minute); err != nil {
		return err
	}
	r.said = fmt.Sprintf("%s orders a second were asked for, besides %d probes", thousands(int64(r.o.Rate)), r.o.probeRate())
	if r.o.Rate == HalfLoad {
		r.view.say(fmt.Sprintf("measuring for %v what this machine can carry beside them", measureTime))
		whole := r.load.capacity(ctx, r.world, ids(r.rand, time.Now()))
		r.o.Rate = halfOf(whole, r.o.probeRate())
		r.said = fmt.Sprintf("%s payments a second were carried by %d callers at once for %v; half load: %s orders a second besides %d probes",
			thousands(int64(whole)), measureCallers, measureTime, thousands(int64(r.o.Rate)), r.o.probeRate())
		r.o.Events = int(float64(r.o.Rate) * r.o.Load.Seconds())
	}
	r.said = fmt.Sprintf("%d busy processes on %d cores beside the sites; %s", busy, cores(), r.said)
	r.view.say(r.said)
	return nil
}
