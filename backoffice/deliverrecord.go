package backoffice

import (
	"context"
	"errors"
	"sync"
	"time"

	"holdfast"
	"holdfast/pay"
)

const (
	recordHands  = 64   // transactions under way
	maxRecords   = 4096 // that wait to be written; then those who answer have to wait
	perTxn       = 64   // attempts in one transaction
	recordWithin = 20 * time.Second
	stopWithin   = 3 * time.Second
)

// recorder writes deliveries. While a transaction of a merchant is under way, what comes for him waits and goes with the next one: the more there
// is, the more goes in one.
type recorder struct {
	*Office
	ctx    context.Context
	cancel context.CancelFunc
	hands  sync.WaitGroup

	mu      sync.Mutex
	room    sync.Cond // something was written
	work    sync.Cond // somebody is ready, or it is over
	waiting map[holdfast.Owner][]attempt
	busy    map[holdfast.Owner]bool // a transaction is under way, or he is ready
	ready   []holdfast.Owner
	count   int // that wait or are being written
	over    bool
}

type attempt struct {
	delivery pay.Delivery
	written  func() // called once, whether it was or could not be
}

func newRecorder(o *Office) *recorder {
	r := &recorder{Office: o, waiting: map[holdfast.Owner][]attempt{}, busy: map[holdfast.Owner]bool{}}
	r.room.L, r.work.L = &r.mu, &r.mu
	return r
}

func (r *recorder) start() {
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.over = false
	for range recordHands {
		r.hands.Go(r.run)
	}
}

// stop writes what has come, as far as that takes no longer than stopWithin. Nothing comes any more.
func (r *recorder) stop() {
	late := time.AfterFunc(stopWithin, r.cancel)
	r.mu.Lock()
	r.over = true
	r.work.Broadcast()
	r.mu.Unlock()
	r.hands.Wait()
	late.Stop()
	r.cancel()
}

// put has an attempt written. It waits while there is too much to write.
func (r *recorder) put(v pay.Delivery, written func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.count >= maxRecords {
		r.room.Wait()
	}
	r.count++
	r.waiting[v.Merchant] = append(r.waiting[v.Merchant], attempt{v, written})
	if !r.busy[v.Merchant] {
		r.busy[v.Merchant] = true
		r.ready = append(r.ready, v.Merchant)
		r.work.Signal()
	}
}

func (r *recorder) run() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		for len(r.ready) == 0 {
			if r.over {
				return
			}
			r.work.Wait()
		}
		merchant := r.ready[0]
		r.ready = r.ready[1:]
		all := r.waiting[merchant]
		some := all[:min(len(all), perTxn)]
		if r.waiting[merchant] = all[len(some):]; len(all) == len(some) {
			delete(r.waiting, merchant)
		}
		r.mu.Unlock()
		r.write(some)
		r.mu.Lock()
		r.count -= len(some)
		r.room.Broadcast()
		if len(r.waiting[merchant]) > 0 {
			r.ready = append(r.ready, merchant)
			r.work.Signal()
		} else {
			delete(r.busy, merchant)
		}
	}
}

// write records attempts of one merchant. The same is asked for until it is known to stand there; what never does is as if it had not been tried:
// somebody will find it, and the receiver may get it twice.
func (r *recorder) write(some []attempt) {
	list := make([]pay.Delivery, len(some))
	for i := range some {
		list[i] = some[i].delivery
	}
	ctx, cancel := context.WithTimeout(r.ctx, recordWithin)
	defer cancel()
	now, pause := r.now(), 20*time.Millisecond
	for {
		err := r.cfg.Cashier.Attempted(ctx, list, now)
		if err == nil {
			break
		}
		var refusal *pay.Refusal
		if errors.As(err, &refusal) || !sleep(ctx, pause) {
			r.cfg.Logger.Warn("deliveries could not be recorded: they will be made again",
				"merchant", list[0].Merchant.String(), "deliveries", len(list), "error", err)
			break
		}
		pause = min(2*pause, time.Second)
	}
	for i := range some {
		some[i].written()
	}
}

// sleep waits; false: the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
