package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"holdfast"
)

// ErrNotSafe is in the chain of the error of [Host.Rebuild] when wiping the replica could lose something that was acknowledged.
var ErrNotSafe = errors.New("wiping this replica could lose acknowledged payments")

// rebuildOrder is an operator's wish. As an error it ends the life of a replica in service.
type rebuildOrder struct {
	ctx   context.Context
	force bool
	done  chan error // one place
}

func (o *rebuildOrder) Error() string { return "the replica is to be rebuilt" }

// answer may be called on nil: nobody asked.
func (o *rebuildOrder) answer(err error) {
	if o != nil {
		o.done <- err
	}
}

// Bounds of waiting: how long an order waits for the others to be far enough when its context allows more, and how long a
// replica that may not be wiped waits before it asks again.
const (
	rebuildWithin = 5 * time.Second
	forgetPause   = 500 * time.Millisecond
	// answersLast is how old an answer of another site may be when something is wiped because of it.
	answersLast = 2 * time.Second
)

// Rebuild wipes this site's replica of a shard and lets it join again under a new identity: one in service, or one that has left
// it because it is corrupt or differs. Unless force, it does so only when [MayForget] allows it, and otherwise gives
// [ErrNotSafe] with what is missing; a replica that was in service goes on then. With force the operator answers for it: when
// no other disk has what this one has, it is gone.
func (h *Host) Rebuild(ctx context.Context, shard holdfast.ShardID, force bool) error {
	s, err := h.seat(shard)
	if err != nil {
		return err
	}
	if s.alone() {
		return fmt.Errorf("shard %d has its only replica here: wiping it would lose everything", shard)
	}
	ctx, cancel := context.WithTimeout(ctx, rebuildWithin)
	defer cancel()
	order := &rebuildOrder{ctx: ctx, force: force, done: make(chan error, 1)}
	if err := s.give(order); err != nil {
		return err
	}
	select {
	case err := <-order.done:
		return err
	case <-h.ctx.Done():
		return ErrStopping
	}
}

// give hands an order to the consensus goroutine, wherever that is.
func (s *seat) give(order *rebuildOrder) error {
	if s.out.Load() == nil {
		return s.do(order.ctx, func(*Replica) error { return order })
	}
	select {
	case s.orders <- order:
		return nil
	case <-order.ctx.Done():
		return fmt.Errorf("shard %d: %w", s.id, order.ctx.Err())
	case <-s.host.ctx.Done():
		return ErrStopping
	}
}

// condemned is a replica whose disk is not what was written. With other sites it is wiped and joins again as soon as that can
// lose nothing.
func (s *seat) condemned(err error) bool {
	s.corrupt.Store(true)
	defer s.corrupt.Store(false)
	text := "the replica has left service; it is wiped and joins again under a new identity when enough other sites hold its data"
	if s.alone() {
		text = "the replica has left service, and nobody else has its data: restore a copy of the data directory"
	}
	s.host.config.OnEvent(Event{Kind: EventCorrupt, Shard: s.id, Err: err, Text: text})
	return s.outOfService(err, !s.alone())
}

// outOfService keeps a replica from answering anything until it is wiped: on order or, when unbidden, as soon as nothing can be
// lost by it. False: the host stops, or the disk failed.
func (s *seat) outOfService(cause error, unbidden bool) bool {
	defer s.out.Store(nil)
	defer s.waits.Store(nil)
	s.out.Store(&cause)
	var order *rebuildOrder
	var now Forgetting
	for {
		s.intake.Refuse(ErrOutOfService)
		s.refuseMail(ErrOutOfService)
		switch {
		case order != nil && order.force:
			now.Wipe = true
		case order != nil || unbidden:
			now = s.mayForget(now.Mark)
		}
		if now.Wipe {
			return s.rebuild(cause, order)
		}
		if order != nil {
			order.answer(fmt.Errorf("shard %d: %w: %s", s.id, ErrNotSafe, now.Waits))
		}
		if unbidden {
			s.waitFor(now.Waits, cause)
		}
		select {
		case order = <-s.orders:
		case <-time.After(forgetPause):
			order = nil
		case <-s.host.ctx.Done():
			return false
		}
	}
}

// waitFor makes known what a corrupt replica waits for. It is said once, not at every round.
func (s *seat) waitFor(what string, cause error) {
	if old := s.waits.Swap(&what); old != nil && *old == what {
		return
	}
	waiting := fmt.Errorf("%w; it keeps its data, because %s", cause, what)
	s.out.Store(&waiting)
	s.host.config.OnEvent(Event{
		Kind: EventWaits, Shard: s.id, Err: cause, Text: "the corrupt replica keeps its data, because " + what +
			": bring these sites back; or, if their data is gone for good, order a rebuild with force",
	})
}

// obey carries out an order that ended the life of a replica in service. It has to leave service before it may ask, and goes on
// serving when the answer is no.
func (s *seat) obey(order *rebuildOrder) bool {
	defer s.out.Store(nil)
	out := error(order)
	s.out.Store(&out)
	now := Forgetting{Wipe: order.force}
	for !now.Wipe {
		if now = s.mayForget(now.Mark); now.Wipe {
			break
		}
		s.refuseMail(ErrOutOfService)
		select {
		case <-time.After(birthPause):
		case <-order.ctx.Done():
			order.answer(fmt.Errorf("shard %d: %w: %s", s.id, ErrNotSafe, now.Waits))
			return true
		case <-s.host.ctx.Done():
			return false
		}
	}
	return s.rebuild(order, order)
}

// mayForget asks the others and decides.
func (s *seat) mayForget(mark uint64) Forgetting {
	began := time.Now()
	var list []Standing
	s.askOthers(methodStanding, appendShard(nil, s.id), func(site holdfast.SiteID, answer []byte) {
		if x, err := ParseStanding(answer); err == nil && x.Site == site {
			list = append(list, x)
		}
	})
	now := MayForget(s.host.config.Site, mark, list)
	if now.Wipe && time.Since(began) > answersLast { // this process was stopped in between
		return Forgetting{Mark: now.Mark, Waits: "the answers of the other sites are too old"}
	}
	return now
}

// standing is what this site answers to a corrupt replica.
func (s *seat) standing(ctx context.Context) Standing {
	self := Standing{Site: s.host.config.Site, Replica: ReplicaID(s.shard.Identity().Replica)}
	if s.corrupt.Load() {
		self.Service = Condemned
		return self
	}
	if l := s.life.Load(); l != nil && l.machine.Doubted() {
		return self // nobody could be taught from it
	}
	var serving Standing
	err := s.do(ctx, func(r *Replica) error {
		serving = r.Standing(self.Site)
		return nil
	})
	if err != nil || s.shard.Damage() != nil { // damage may be known before anybody has stumbled over it
		return self
	}
	return serving
}

// rebuild forgets everything, the identity first of all: the replica that was here votes no more.
func (s *seat) rebuild(cause error, order *rebuildOrder) bool {
	s.host.config.OnEvent(Event{Kind: EventWiped, Shard: s.id, Err: cause, Text: "the replica is wiped and joins again under a new identity"})
	if s.stopPull != nil { // nothing may write to the shard beside Wipe
		s.stopPull()
		s.pulls.Wait()
		s.refuseMail(ErrNoQuorum) // a pull that was done meanwhile: what it fetched is wiped as well
	}
	err := s.shard.Wipe()
	order.answer(err)
	if err != nil {
		s.host.die(fmt.Errorf("wiping shard %d: %w", s.id, err))
		return false
	}
	return true
}
