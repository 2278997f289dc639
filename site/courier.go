package site

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/shard"
	"holdfast/transit"
)

// couriers bring the payments that stand in the outboxes of the shards led here to their end. One goroutine steps them all;
// each proposal is made by a goroutine of its own, as many as transit.CourierConfig.InFlight allows.
type couriers struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	stir   stir

	returned atomic.Pointer[func(ctx context.Context, t *holdfast.Txn) error] // see OnReturned

	mu    sync.Mutex // guards what follows, couriers included
	posts map[holdfast.ShardID]*post
}

// post is the courier of one shard during one reign of this site. A later reign gets a new one.
type post struct {
	term    uint64
	courier *transit.Courier
	told    error  // of the courier, as was told last
	idle    bool   // nothing was under way at the last step
	applied uint64 // what its outbox had come from then
}

const (
	courierTick  = 20 * time.Millisecond
	courierBatch = 64              // lands and settles in one call: more would be bulk, and wait
	courierWait  = 5 * time.Second // for an answer
	returnedWait = 2 * time.Second // for what a payment is noted by that goes back
)

// full reports whether as much as may be is on its way from a shard that is led here to another.
func (c *couriers) full(home, away holdfast.ShardID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.posts[home]
	return p != nil && p.courier.UnderWay(away) >= transit.MaxUnderWay
}

func (s *Site) startCouriers(context.Context) error {
	s.couriers.posts = map[holdfast.ShardID]*post{}
	var ctx context.Context
	ctx, s.couriers.cancel = context.WithCancel(context.Background())
	s.couriers.done.Go(func() { s.runCouriers(ctx) })
	return nil
}

func (s *Site) stopCouriers(context.Context) error {
	if s.couriers.cancel != nil {
		s.couriers.cancel()
		s.couriers.done.Wait()
	}
	return nil
}

// runCouriers steps them every courierTick while anything is under way, and otherwise when something has changed.
func (s *Site) runCouriers(ctx context.Context) {
	timer := time.NewTimer(courierTick)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(courierTick)
		ids, idle := s.ShardIDs(), true
		if len(ids) == 1 {
			ids = nil // nothing crosses
		}
		for _, id := range ids {
			idle = s.stepCourier(ctx, id) && idle
		}
		if idle && !s.couriers.stir.wait(ctx) {
			return
		}
	}
}

// stir wakes a goroutine that has nothing to do until something happens; any number of calls before it looks count as one. The zero
// value is not usable.
type stir chan struct{}

func newStir() stir { return make(stir, 1) }

func (s stir) set() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// wait is false when the context ends before.
func (s stir) wait(ctx context.Context) bool {
	select {
	case <-s:
		return true
	case <-ctx.Done():
		return false
	}
}

// changed wakes couriers and movers: an entry of a shard was applied, somebody else leads it, or there is a new map.
func (s *Site) changed(holdfast.ShardID) {
	s.couriers.stir.set()
	s.moves.stir.set()
}

// stepCourier lets the courier of a shard do what is due, if the shard is led here. It reports whether nothing will be until an entry is
// applied.
func (s *Site) stepCourier(ctx context.Context, id holdfast.ShardID) (idle bool) {
	c := &s.couriers
	lead := s.host.Leader(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.posts[id]
	switch {
	case !lead.Self:
		delete(c.posts, id)
		return true
	case p == nil || p.term != lead.Term:
		p = &post{term: lead.Term, courier: transit.NewCourier(transit.CourierConfig{Home: id, Wait: holdfast.Time(2 * courierWait)})}
		c.posts[id] = p
	}
	applied := s.host.Applied(id)
	if p.idle && p.applied == applied {
		return true // most shards have nothing for others most of the time
	}
	work := p.courier.Step(s.courierTime(), courierView{s, ctx, id})
	p.idle, p.applied = work.Next == 0 && applied > 0, applied
	for _, b := range work.Lands {
		s.deliver(ctx, group{id: b.To}, b.List, p.courier.Landed)
	}
	s.settle(ctx, id, work.Settles, p.courier.Settled)
	if err := p.courier.Err(); err != nil && p.told == nil {
		p.told = err
		s.event(Event{Kind: EventCourier, Shard: id, Site: s.cfg.Site, Detail: err.Error()})
	}
	return p.idle
}

// OnReturned has f called with each payment that has written records and goes back, because the away shard has refused it, before it does: at the site that
// leads its home shard, and again if that site dies meanwhile. So what f writes there does not depend on the site that took the payment being alive. f gets two
// seconds; whatever it returns, the money goes back.
func (s *Site) OnReturned(f func(ctx context.Context, t *holdfast.Txn) error) {
	s.couriers.returned.Store(&f)
}

// settle proposes settles. Called with the lock held.
func (s *Site) settle(ctx context.Context, id holdfast.ShardID, list []transit.Proposal, report func(holdfast.Time, holdfast.ID, holdfast.Outcome)) {
	home, told := group{id: id, bulk: true}, s.couriers.returned.Load()
	var plain []transit.Proposal
	for i := range list {
		p := list[i : i+1]
		if told == nil || len(p[0].Caller.Records) == 0 || !transit.Voids(&p[0].Txn) {
			plain = append(plain, p[0])
			continue
		}
		s.couriers.done.Go(func() {
			within, cancel := context.WithTimeout(ctx, returnedWait)
			err := (*told)(within, p[0].Caller)
			cancel()
			if err != nil && ctx.Err() == nil {
				s.log.Warn("a payment goes back, and that could not be noted: whether those concerned are told rests with the site that took it", "payment", p[0].Payment.String(), "error", err)
			}
			s.deliver(ctx, home, p, report)
		})
	}
	s.deliver(ctx, home, plain, report)
}

// hurryCourier lets the courier of a shard look now for what has landed.
func (s *Site) hurryCourier(ctx context.Context, id holdfast.ShardID) {
	c := &s.couriers
	c.mu.Lock()
	if p := c.posts[id]; p != nil {
		p.courier.Hurry(s.courierTime())
	}
	c.mu.Unlock()
	s.stepCourier(ctx, id)
}

// deliver proposes in calls of bounded size and reports every outcome to the courier. Called with the lock held; the answers
// take it again.
func (s *Site) deliver(
	ctx context.Context, to group, list []transit.Proposal, report func(holdfast.Time, holdfast.ID, holdfast.Outcome),
) {
	for len(list) > 0 {
		part := list[:min(courierBatch, len(list))]
		list = list[len(part):]
		g := to
		for i := range part {
			g.Add(&part[i].Txn)
		}
		s.couriers.done.Go(func() { s.deliverOne(ctx, g, part, report) })
	}
}

func (s *Site) deliverOne(
	ctx context.Context, g group, list []transit.Proposal, report func(holdfast.Time, holdfast.ID, holdfast.Outcome),
) {
	ctx, cancel := context.WithTimeout(ctx, courierWait)
	defer cancel()
	outcomes, err := s.propose(ctx, g)
	if err != nil {
		status, code := outcomeOf(err)
		outcomes = make([]holdfast.Outcome, len(list))
		for i := range outcomes {
			outcomes[i].Status, outcomes[i].Code = status, code
		}
	}
	s.couriers.mu.Lock()
	defer s.couriers.mu.Unlock()
	for i := range list {
		report(s.courierTime(), list[i].Payment, outcomes[i])
	}
}

// courierTime is what couriers compare moments of one process by.
func (s *Site) courierTime() holdfast.Time { return holdfast.Time(s.watch.now()) + 1 }

// courierView is what a courier sees: the replicas of this site, which has one of every shard.
type courierView struct {
	site *Site
	ctx  context.Context
	home holdfast.ShardID
}

// Outbox implements transit.View. A replica that cannot be read shows nothing.
func (v courierView) Outbox(after uint64, max int) (list []holdfast.Queued) {
	_ = v.site.host.Read(v.ctx, v.home, shard.Stale, func(view *shard.View) error {
		list = view.Outbox(after, max)
		return nil
	})
	return list
}

// Decided implements transit.View.
func (v courierView) Decided(at holdfast.ShardID, id holdfast.ID) (t *holdfast.Txn, o holdfast.Outcome, ok bool) {
	err := v.site.host.Read(v.ctx, at, shard.Stale, func(view *shard.View) error {
		f, found, err := view.Txn(id)
		t, o, ok = f.Txn, f.Outcome, found
		return err
	})
	return t, o, ok && err == nil
}

// Places implements transit.View.
func (v courierView) Places(p *transit.Payment) []holdfast.ShardID {
	return p.Places(directory{v.site.ShardMap()})
}

// Whereto implements transit.View.
func (v courierView) Whereto(p *transit.Payment) (to holdfast.ShardID, whole, ok bool) {
	return transit.Land(p, directory{v.site.ShardMap()}, v.site.lookup(v.ctx))
}
