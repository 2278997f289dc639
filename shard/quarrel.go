package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"holdfast"
	"holdfast/ledger"
)

// quarrelPause is how long a replica whose state is in doubt waits before it asks the others again.
const quarrelPause = 200 * time.Millisecond

// openAfter is after how many rounds without a verdict the doubt is made known. Until then whoever reads waits: most doubts are over
// after one round, and sites that start together need some.
const openAfter = 3

// quarrel tells the replica whether its state is in doubt, and begins to ask the others when it is. One goroutine at a time asks,
// until the doubt is over or this life is. Consensus goroutine.
func (l *life) quarrel(doubted bool) {
	l.replica.SetDoubted(doubted)
	if doubted && !l.quarrels.Swap(true) {
		l.seat.host.spawn(l.settle)
	}
}

// doubt is why the replica answers nothing although it runs; nil: it does.
func (s *seat) doubt() *error {
	if l := s.life.Load(); l != nil {
		return l.doubt.Load()
	}
	return nil
}

// back says that a replica is in service again of which something else was said.
func (s *seat) back(why string) {
	if s.doubted.Swap(false) {
		s.host.config.OnEvent(Event{Kind: EventBack, Shard: s.id, Text: "the replica is in service again: " + why})
	}
}

func (l *life) settle() {
	for rounds := 1; l.unsettled(); rounds++ {
		if l.round(rounds >= openAfter) {
			select {
			case <-time.After(quarrelPause):
			case <-l.seat.host.ctx.Done():
			}
		}
	}
}

// unsettled reports whether there is something to ask. A doubt that comes at the moment when the last one is over is not missed.
func (l *life) unsettled() bool {
	if l.seat.life.Load() != l || l.seat.host.ctx.Err() != nil {
		return false
	}
	if l.machine.Doubted() {
		return true
	}
	l.quarrels.Store(false)
	return l.machine.Doubted() && !l.quarrels.Swap(true)
}

// round asks the others once. again: it has brought no verdict, which is made known if open.
func (l *life) round(open bool) (again bool) {
	s := l.seat
	list := s.askOpinions(l)
	if s.life.Load() != l {
		return true
	}
	l.asked.Store(true)
	cause, doubt := l.machine.Doubt()
	if !doubt {
		return false // somebody has decided
	}
	verdict, differ := l.machine.Judge(s.host.config.Site, s.replica(), list)
	switch verdict {
	case Right:
		s.keep(l)
		l.trusted("a majority of the voters has the same state, or somebody has decided for it")
		l.blame(cause, differ)
		return false
	case Wrong:
		l.fail(fmt.Errorf("a majority of the voters has another state: %w", cause))
		return true
	}
	if open {
		l.openly(cause)
	}
	l.yieldTo(list)
	return true
}

// askOpinions tells all others what this replica has, and asks what they have.
func (s *seat) askOpinions(l *life) (list []Opinion) {
	own := l.machine.Opinion(s.host.config.Site, s.replica())
	s.askOthers(methodOpinion, own.Append(appendShard(nil, s.id)), func(site holdfast.SiteID, answer []byte) {
		if o, err := ParseOpinion(answer); err == nil && o.Site == site {
			list = append(list, o)
		}
	})
	return list
}

func (s *seat) replica() ReplicaID { return ReplicaID(s.shard.Identity().Replica) }

// serveOpinion answers another replica that is in doubt, which may put this one in doubt.
func (s *seat) serveOpinion(from holdfast.SiteID, payload []byte) ([]byte, error) {
	l := s.life.Load()
	if l == nil {
		return nil, s.absent()
	}
	theirs, err := ParseOpinion(payload)
	if err != nil || theirs.Site != from {
		return nil, fmt.Errorf("%s of site %d: %w", methodOpinion, from, errors.Join(errShortCall, err))
	}
	l.machine.Hear(&theirs)
	s.keep(l)
	s.inbox.wake.set() // it may be in doubt now
	own := l.machine.Opinion(s.host.config.Site, s.replica())
	return own.Append(nil), nil
}

// keep stores what was decided, if that has changed. An error is that of a store that is dead, and its owner hears of it, or of a replica
// that is damaged and about to be wiped.
func (s *seat) keep(l *life) {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	b, unsaved := l.machine.Decision(l.replica.Node.config.Replica) // the disk may have been wiped meanwhile
	if !unsaved {
		return
	}
	if err := s.shard.SetTrust(b); err != nil {
		s.host.config.Logger.Warn("a decision about the state was not stored", "shard", s.id, "err", err)
	}
}

// trusted ends a doubt.
func (l *life) trusted(why string) {
	s := l.seat
	l.asked.Store(false)
	l.doubt.Store(nil)
	s.back(why)
	l.persisted.set() // what waited because there was no room goes on
	s.judged.send()
	s.inbox.wake.set()
}

// blame makes known that others are wrong: once for the same ones, because a leader that does not go would be found every second.
func (l *life) blame(cause ledger.ErrDigest, differ []holdfast.SiteID) {
	text := "a digest in the log is not that of a majority of the voters, which this replica has"
	if len(differ) > 0 {
		text = fmt.Sprintf("the replicas at sites %v differ; this one has the state of a majority of the voters", differ)
	}
	if text != l.blamed {
		l.blamed = text
		l.seat.host.config.OnEvent(Event{Kind: EventOthersDiffer, Shard: l.seat.id, Err: cause, Text: text})
	}
}

// openly takes the replica out of service for everybody to see, when the others could not settle the doubt at once. It goes on voting
// and storing the log, which does not depend on its state.
func (l *life) openly(cause ledger.ErrDigest) {
	s := l.seat
	out := fmt.Errorf("%w; no majority of the voters has told that it has one state or the other", cause)
	if l.doubt.Swap(&out) != nil {
		return
	}
	s.doubted.Store(true)
	s.intake.Refuse(NotLeaderError{Shard: s.id})
	s.judged.send()
	s.host.config.OnEvent(Event{
		Kind: EventOutOfService, Shard: s.id, Err: out,
		Text: "the replica answers nothing until it knows whether its state is right: bring the other sites back; or, if they cannot decide, " +
			"order the one that is right to be trusted, and then another to be rebuilt with force",
	})
	switch { // whoever has changed this meanwhile may have looked before it was said
	case s.life.Load() != l && s.out.Load() == nil:
		s.back("it has begun anew from its disk")
	case !l.machine.Doubted():
		l.trusted("somebody has decided that its state is right")
	}
}

// yieldTo hands a leadership, which is good for nothing while the state is in doubt, to a replica that is not in doubt.
func (l *life) yieldTo(list []Opinion) {
	for _, o := range list {
		if o.Doubts {
			continue
		}
		ctx, cancel := context.WithTimeout(l.seat.host.ctx, quarrelPause)
		defer cancel()
		_ = l.seat.do(ctx, func(r *Replica) error { // tried again after the next round
			if m, ok := r.Members().Find(o.Replica); ok && m.Role&Voter != 0 && r.Node.leader.Self {
				return r.TransferAnyway(o.Replica) // a sick disk is better than a wrong state
			}
			return nil
		})
		return
	}
}

// sure waits until the state is not in doubt, which takes one question to the others. An error: it stays in doubt.
func (s *seat) sure(ctx context.Context, l *life) error {
	for {
		judged := s.judged.wait()
		switch {
		case s.life.Load() != l || l.doubt.Load() != nil:
			return s.absent()
		case !l.machine.Doubted():
			return nil
		}
		select {
		case <-judged:
		case <-ctx.Done():
			return fmt.Errorf("shard %d: the state is being compared with that of the others: %w: %w", s.id, ErrNoQuorum, ctx.Err())
		case <-s.host.ctx.Done():
			return ErrStopping
		}
	}
}

// ErrDecided is in the chain of the error of [Host.Trust] when another replica serves with another state already.
var ErrDecided = errors.New("another replica is taken for the right one already: rebuild this one, or the other first")

// Trust is an operator's decision that the state of this site's replica is the right one, when it is in doubt and the others cannot
// decide because no majority has the same. The replica leads as soon as it can, and those that differ learn it from a majority
// once one of them was rebuilt. It is stored, and holds until the replica is wiped or its log gives another state than now. For a replica
// that is not in doubt it does nothing. A majority with another state, should there be one after all, is stronger. [ErrDecided]: another
// replica serves.
func (h *Host) Trust(shard holdfast.ShardID) error {
	s, err := h.seat(shard)
	if err != nil {
		return err
	}
	l := s.life.Load()
	if l == nil {
		return s.absent()
	}
	if !l.machine.Doubted() {
		return nil
	}
	list := s.askOpinions(l)
	if site := l.machine.opposed(list); site != 0 {
		return fmt.Errorf("shard %d: %w: site %d serves with another state", shard, ErrDecided, site)
	}
	differ := l.machine.Believe(list)
	s.keep(l)
	s.host.config.Logger.Warn("somebody has decided that the state of this replica is right", "shard", s.id, "differ", differ)
	l.trusted("somebody has decided that its state is right")
	return nil
}
