package site

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/shard"
)

// pendings has those wait who were told record-pending: beside the replicas of this site, which see the settle as soon as it is applied, and
// not by asking the log again and again, where each attempt is an entry. One goroutine looks for all, and only while somebody waits.
type pendings struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	stir   stir // somebody has begun to wait

	keys map[pendingKey]*pendingLook // of the goroutine

	mu      sync.Mutex // guards what follows
	waiting []*delay   // in the order in which they came
}

// pendingKey is a record as one shard has it.
type pendingKey struct {
	shard holdfast.ShardID
	key   string
}

// pendingLook is what the replica here said of a record for which somebody waits.
type pendingLook struct {
	since   time.Duration // since when it is pending, by the clock of the process
	next    time.Duration // when it is worth another look
	applied uint64        // up to which entry the replica had come
	pending bool
	freed   int // delays that this round has ended
	used    bool
}

// delay is one transaction that waits for records which a payment under way has left pending.
type delay struct {
	keys  []pendingKey
	free  chan<- struct{} // has room for one: that of the call which it belongs to
	from  time.Duration   // when it may be asked again although its replica has not seen anything pending: it may be behind the leader
	until time.Duration   // when it is asked again although it is pending here: likewise
	times int             // that it has waited before
	seen  bool            // pending here; of the goroutine

	over, queued bool // guarded by pendings.mu: its wait has come to its end; it waits
}

const (
	pendingTick   = 4 * time.Millisecond
	pendingSeldom = 100 * time.Millisecond // between two looks at a record that has been pending for a second
	pendingMost   = time.Second            // after which the leader is asked, whatever is known here
	pendingFew    = 4                      // are asked again at once for one record: one of them may leave it pending again
	pendingRead   = 20 * time.Millisecond  // for all reads of a look: one that is in doubt has to wait for others
	batchWait     = 500 * time.Millisecond // of a call of several, in which nothing came to its end
)

func (s *Site) startPendings(context.Context) error {
	var ctx context.Context
	ctx, s.pendings.cancel = context.WithCancel(context.Background())
	s.pendings.keys = map[pendingKey]*pendingLook{}
	s.pendings.done.Go(func() {
		for s.pendings.stir.wait(ctx) {
			for s.lookPendings(ctx) && pause(ctx, pendingTick) {
			}
		}
	})
	return nil
}

func (s *Site) stopPendings(context.Context) error {
	s.pendings.cancel()
	s.pendings.done.Wait()
	return nil
}

// delays are the transactions of one call that wait, by their place in it.
type delays struct {
	list map[int]*delay
	free chan struct{}
}

// await waits until some of the transactions which were answered record-pending are worth asking again, and says which. None: there is no time
// left. A call of several does not wait for long while nothing comes of it: its other answers are there.
func (d *delays) await(ctx context.Context, s *Site, txns []holdfast.Txn, outcomes []holdfast.Outcome) (again []int) {
	if d.list == nil {
		d.list, d.free = map[int]*delay{}, make(chan struct{}, 1)
	}
	var late <-chan time.Time
	if len(txns) > 1 {
		timer := time.NewTimer(batchWait)
		defer timer.Stop()
		late = timer.C
	}
	s.pendings.add(d, s.watch.now(), txns, outcomes)
	for len(again) == 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-late:
			return nil
		case <-d.free: // what has made it so may have been taken already
			again = s.pendings.take(d)
		}
	}
	return again
}

// add has those of a call wait that do not yet.
func (p *pendings) add(d *delays, now time.Duration, txns []holdfast.Txn, outcomes []holdfast.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range outcomes {
		last := d.list[i]
		if !isPending(outcomes[i]) || last != nil && (last.queued || last.over) {
			continue
		}
		x := &delay{keys: keysOf(&txns[i], outcomes[i].Shard), free: d.free, until: now + pendingMost, queued: true}
		if last != nil {
			x.times = last.times + 1
		}
		x.from = now + settlePause<<min(x.times, 3)
		d.list[i] = x
		p.waiting = append(p.waiting, x)
	}
	p.stir.set()
}

// keysOf are the records of owners that a transaction depends on in a shard.
func keysOf(t *holdfast.Txn, at holdfast.ShardID) (list []pendingKey) {
	add := func(key string) {
		if k := (pendingKey{at, key}); holdfast.OwnerOfKey(key) != 0 && !slices.Contains(list, k) {
			list = append(list, k)
		}
	}
	for i := range t.Preconditions {
		add(t.Preconditions[i].Key)
	}
	for i := range t.Records {
		add(t.Records[i].Key)
	}
	return list
}

// take returns those whose wait is over.
func (p *pendings) take(d *delays) (again []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, x := range d.list {
		if x.over {
			x.over = false
			again = append(again, i)
		}
	}
	slices.Sort(again)
	return again
}

// drop ends the wait of a call.
func (p *pendings) drop(d *delays) {
	if len(d.list) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range d.list {
		x.queued = false
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(x *delay) bool { return !x.queued })
}

// lookPendings looks at every record for which somebody waits, unless nothing has changed, and ends waits. It reports whether any are left.
func (s *Site) lookPendings(ctx context.Context) bool {
	p, now := &s.pendings, s.watch.now()
	ctx, cancel := context.WithTimeout(ctx, pendingRead)
	defer cancel()
	for _, k := range p.keys {
		k.freed, k.used = 0, false
	}
	p.mu.Lock()
	list := slices.Clone(p.waiting)
	p.mu.Unlock()
	still := make([]bool, len(list))
	for i, x := range list {
		still[i] = s.stillPending(ctx, now, x) && now < x.until
	}
	maps.DeleteFunc(p.keys, func(_ pendingKey, k *pendingLook) bool { return !k.used })
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, x := range list {
		if still[i] || !x.queued {
			continue
		}
		x.over, x.queued = true, false
		select {
		case x.free <- struct{}{}:
		default: // its call knows already that something is over
		}
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(x *delay) bool { return !x.queued })
	return len(p.waiting) > 0
}

// stillPending reports whether a transaction is better not asked for again yet. Those who came first go first.
func (s *Site) stillPending(ctx context.Context, now time.Duration, x *delay) bool {
	wait := false
	for _, key := range x.keys {
		k := s.lookPending(ctx, now, key)
		x.seen = x.seen || k.pending
		wait = wait || k.pending || k.freed >= pendingFew
	}
	if wait || !x.seen && now < x.from {
		return true
	}
	for _, key := range x.keys {
		s.pendings.keys[key].freed++
	}
	return false
}

// lookPending says what the replica here knows of a record. It is read when the replica has applied something since, and the more seldom the
// longer it has been pending: thousands may be while the shard that their payments go to has no majority.
func (s *Site) lookPending(ctx context.Context, now time.Duration, key pendingKey) *pendingLook {
	k := s.pendings.keys[key]
	if k == nil {
		k = &pendingLook{since: now, next: now}
		s.pendings.keys[key] = k
	}
	if k.used {
		return k
	}
	k.used = true
	applied := s.host.Applied(key.shard)
	if now < k.next || applied == k.applied && applied > 0 {
		return k
	}
	was := k.pending
	err := s.host.Read(ctx, key.shard, shard.Stale, func(v *shard.View) error {
		r, found, err := v.Record(key.key)
		k.pending = found && err == nil && r.Pending != nil
		return err
	})
	if err != nil {
		k.pending = false // nothing is known here: those who wait ask the leader, ever more seldom
	}
	if !was || !k.pending {
		k.since = now
	}
	k.applied, k.next = applied, now+min((now-k.since)/10, pendingSeldom)
	return k
}
