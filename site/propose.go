package site

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"holdfast"
	"holdfast/shard"
	"holdfast/transit"
)

// proposer is the part of shard.Host that proposing needs.
type proposer interface {
	// Submit is shard.Host.Submit: the errors are those of package shard.
	Submit(ctx context.Context, id holdfast.ShardID, bulk bool, txns shard.Batch) ([]holdfast.Outcome, error)
}

// errNoAnswerYet says that an attempt was given up because there is somebody better to ask.
var errNoAnswerYet = errors.New("the leader has changed before it answered")

// propose brings a group to the leader of its shard and returns with outcomes, with an error of package shard after which
// nothing was executed, or with errUnknown.
//
// Whatever happens on the way, the group keeps its ids, so that asking again is safe: what was executed by an attempt that
// nobody heard of is answered as it was the first time. Therefore the rules are few:
//
//   - no leader, or another one than we thought: wait for the board to change, and go again;
//   - proposed and lost, or no answer: go again, and remember that it may have been executed;
//   - no majority in reach: do not wait, say so (HonestWithin);
//   - a reason that waiting does not cure (overloaded, disk full): say so, unless an attempt may have been executed;
//   - the deadline: unknown if an attempt may have been executed, not executed otherwise.
func (s *Site) propose(ctx context.Context, g group) ([]holdfast.Outcome, error) {
	p := proposal{site: s, ctx: ctx, group: g}
	for {
		p.seat, p.majority = s.board.seat(g.id), s.watch.majority.Load()
		if !p.majority.heard {
			return nil, p.end(shard.ErrNoQuorum)
		}
		outcomes, err := p.attempt()
		if err == nil {
			return outcomes, nil
		}
		if final := p.judge(err); final != nil {
			return nil, final
		}
		if err := p.pause(); err != nil {
			return nil, p.end(err)
		}
	}
}

// proposal is one group on its way.
type proposal struct {
	group
	site     *Site
	ctx      context.Context
	seat     *seat     // as of this attempt
	majority *majority // as of this attempt
	hint     holdfast.SiteID
	pauses   int  // since somebody else leads
	maybe    bool // an attempt may have been executed
	last     error
}

// attempt asks whoever leads, as far as we know.
func (p *proposal) attempt() ([]holdfast.Outcome, error) {
	leader := p.seat.leader
	if p.hint != 0 {
		leader, p.hint = p.hint, 0
	}
	switch {
	case leader == 0:
		return nil, shard.NotLeaderError{Shard: p.id}
	case p.begins && !p.maybe: // what may be executed already is asked for its outcome, whatever comes beside it
		return p.askInTurn(leader)
	}
	return p.ask(leader)
}

func (p *proposal) ask(leader holdfast.SiteID) ([]holdfast.Outcome, error) {
	if leader == p.site.cfg.Site {
		return p.here()
	}
	return p.forward(leader)
}

// errNotYet is that others are before this one, and it may be its turn in a moment.
var errNotYet = fmt.Errorf("others are before it: %w", shard.ErrOverloaded)

// askInTurn asks unless so much is under way to the leaders at that site that the answer would come too late.
func (p *proposal) askInTurn(leader holdfast.SiteID) ([]holdfast.Outcome, error) {
	l, begun := p.site.limiter(leader), p.site.watch.now()
	until, _ := p.ctx.Deadline()
	switch l.enter(begun, time.Until(until)) {
	case waitTurn:
		return nil, errNotYet
	case turnedAway:
		return nil, fmt.Errorf("the leaders at site %d: %w", leader, shard.ErrOverloaded)
	}
	outcomes, err := p.ask(leader)
	now, took := p.site.watch.now(), time.Duration(0)
	if err == nil {
		took = max(now-begun, 1)
	}
	l.leave(now, took)
	return outcomes, err
}

// here proposes to this site's own replica. The wait ends when the majority is lost: a replica that cannot commit would
// hold the request until its deadline.
func (p *proposal) here() ([]holdfast.Outcome, error) {
	ctx := p.ctx
	if len(p.site.cfg.Peers) > 0 {
		with, cancel := context.WithCancel(p.ctx)
		defer cancel()
		defer p.site.onLoss.add(cancel)()
		if !p.site.watch.majority.Load().heard {
			return nil, shard.ErrNoQuorum // lost between the look and the registration
		}
		ctx = with
	}
	return p.site.submitHere(ctx, p.group)
}

// submitHere proposes a group to this site's replica, unless too much is on its way to where it departs.
func (s *Site) submitHere(ctx context.Context, g group) ([]holdfast.Outcome, error) {
	if g.away != 0 && s.couriers.full(g.id, g.away) {
		return nil, fmt.Errorf("shard %d to shard %d: %w: %d payments are under way already", g.id, g.away, shard.ErrOverloaded, transit.MaxUnderWay)
	}
	return s.proposer.Submit(ctx, g.id, g.bulk, g.Batch)
}

// forward sends the group to another site and waits for the answer, or for a reason to wait no longer.
func (p *proposal) forward(leader holdfast.SiteID) ([]holdfast.Outcome, error) {
	lane := p.site.lane(leader, p.bulk)
	if lane == nil {
		return nil, errUnreachable // a leader that the configuration does not name
	}
	until, _ := p.ctx.Deadline()
	sent := &parcel{group: p.group, bytes: len(p.Body), until: until, done: make(chan answer, 1)}
	if err := lane.put(sent); err != nil {
		return nil, err
	}
	seat := p.seat
	for {
		select {
		case a := <-sent.done:
			return a.outcomes, a.err
		case <-p.majority.changed:
			return nil, abandon(sent, shard.ErrNoQuorum)
		case <-p.ctx.Done():
			return nil, abandon(sent, shard.ErrTimeout)
		case <-seat.changed:
			// An answer may still come from the old leader; only a new one is a better address.
			if seat = p.site.board.seat(p.id); seat.leader != 0 && seat.leader != leader {
				return nil, abandon(sent, errNoAnswerYet)
			}
		}
	}
}

// abandon stops waiting for a parcel: with the reason if it is still here, and as lost if it was sent.
func abandon(p *parcel, why error) error {
	if p.leave() {
		return why
	}
	return shard.ErrLost
}

// judge decides after a failed attempt: nil means go again.
func (p *proposal) judge(err error) error {
	p.last = err
	if status, _ := outcomeOf(err); status == holdfast.Unknown && !errors.Is(err, errNoAnswerYet) {
		p.maybe = true
	}
	if notLeader, ok := errors.AsType[shard.NotLeaderError](err); ok {
		p.hint = notLeader.Leader
		return nil
	}
	if errors.Is(err, errNotYet) {
		return nil
	}
	final := errors.Is(err, shard.ErrOverloaded) || errors.Is(err, shard.ErrDiskFull) || errors.Is(err, shard.ErrNoQuorum)
	if final && !p.maybe {
		return err
	}
	return nil
}

// retryPause bounds how often the same leader is asked when nothing that we can see changes: twice, and from then on after twice the pause
// of the time before, up to retryMost. Thousands may be waiting, and all of them asking again and again would be a load of its own.
const (
	retryPause = 15 * time.Millisecond
	retryMost  = 120 * time.Millisecond
)

// pause waits until going again makes sense: at once when the board has changed since the attempt, or when the attempt
// itself named the leader.
func (p *proposal) pause() error {
	timer := time.NewTimer(p.patience())
	defer timer.Stop()
	select {
	case <-p.ctx.Done():
		return shard.ErrTimeout
	case <-p.majority.changed:
		return nil // the next round says what it means
	case <-p.seat.changed:
		p.pauses = 0
		return nil
	case <-timer.C:
		return nil
	}
}

func (p *proposal) patience() time.Duration {
	if p.hint != 0 && p.hint != p.seat.leader {
		return retryPause / 8 // who pointed elsewhere may be ahead of our board; two that point at each other must not spin
	}
	p.pauses++
	return min(retryPause<<max(min(p.pauses, 10)-2, 0), retryMost)
}

// end is the error of a proposal that nobody waits for any longer.
func (p *proposal) end(why error) error {
	if p.maybe {
		return errUnknown{why}
	}
	if errors.Is(why, shard.ErrTimeout) && p.last != nil && !errors.Is(p.last, errNoAnswerYet) {
		return p.last // why the last attempt failed says more than that the time is over
	}
	return why
}

// freshID is the id of a transaction that this site makes itself.
func freshID(now time.Time) holdfast.ID {
	var random [10]byte
	rand.Read(random[:]) // never fails
	return holdfast.NewID(holdfast.TimeOf(now), random)
}
