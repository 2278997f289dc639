package site

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"holdfast"
	"holdfast/link"
	"holdfast/shard"
)

// homes keeps the leaderships of the fleet spread as the shard map has it. Each site sends home what it leads for others; no
// site takes anything.
type homes struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

const (
	homeTick    = 250 * time.Millisecond
	homeBetween = 500 * time.Millisecond // one shard after the other: a move that goes wrong stops at one
)

func (s *Site) startHomes(context.Context) error {
	if len(s.cfg.Peers) == 0 {
		return nil
	}
	var ctx context.Context
	ctx, s.homes.cancel = context.WithCancel(context.Background())
	s.homes.done.Go(func() { s.keepHomes(ctx) })
	return nil
}

func (s *Site) stopHomes(context.Context) error {
	if s.homes.cancel != nil {
		s.homes.cancel()
		s.homes.done.Wait()
	}
	return nil
}

func (s *Site) keepHomes(ctx context.Context) {
	s.reach.contacts = shard.NewContacts()
	timer := time.NewTimer(homeTick)
	defer timer.Stop()
	h := shard.NewHoming(s.cfg.Timing.Home.Std(), homeBetween)
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(untilNext(homeTick, s.cfg.Site))
		now := s.watch.now()
		s.listen()
		s.reach.look(s)
		for _, p := range s.peers() {
			h.Note(now, p.Site, s.wellPeer(p.Site) && !s.host.ClockAhead(p.Site))
		}
		if g, ok := h.Move(now, s.guests()); ok {
			s.sendHome(ctx, g)
		}
	}
}

// listen tells the host how well the other sites are heard.
func (s *Site) listen() {
	badly, peers := 0, s.link.Peers()
	for i := range peers {
		if heardBadly(&peers[i]) {
			badly++
		}
	}
	s.host.Hears(len(peers), badly)
}

const (
	// A carrier on which round trips take so many times as long as the quickest ever, and so much longer, loses what it carries, or its
	// line is full: TCP sends again after 200 ms. A busy machine adds some tens of milliseconds.
	badRatio = 4
	badExtra = 100 * time.Millisecond
	// deadAfter is the silence after which a carrier is cut rather than bad: that is for elections to settle.
	deadAfter = 500 * time.Millisecond
)

// heardBadly reports whether a peer is there, and everything comes late on every carrier that leads to it.
func heardBadly(p *link.PeerStatus) bool {
	if !p.Up || p.Silence > deadAfter {
		return false
	}
	up := false
	for i := range p.Carriers {
		c := &p.Carriers[i]
		if c.Up && c.RTT < max(badRatio*c.MinRTT, c.MinRTT+badExtra) {
			return false
		}
		up = up || c.Up
	}
	return up
}

// wellPeer reports whether a site is fit to lead, by what it says of itself.
func (s *Site) wellPeer(id holdfast.SiteID) bool {
	p := s.watch.peer(id)
	return s.worksPeer(id) && !p.latest.Load().unwell
}

// worksPeer reports whether a site takes its part, by what it says of itself: it votes and stores, fit to lead or not.
func (s *Site) worksPeer(id holdfast.SiteID) bool {
	p := s.watch.peer(id)
	if !s.watch.answers(p) {
		return false
	}
	l := p.latest.Load()
	return l != nil && l.ready && l.digestOK && !l.stopping && !l.diskFull
}

// guests are the shards that this site leads and that are at home elsewhere.
func (s *Site) guests() (list []shard.Guest) {
	m := s.ShardMap()
	for _, st := range s.host.Status() {
		home := m.Home(st.Shard)
		if home == 0 || home == s.cfg.Site || !st.Node.Leader.Self {
			continue
		}
		g := shard.Guest{Shard: st.Shard, Home: home}
		for _, f := range st.Node.Followers {
			if f.Site == home && f.Role&shard.Voter != 0 && f.UpToDate {
				g.UpToDate = true
			}
		}
		list = append(list, g)
	}
	return list
}

func (s *Site) sendHome(ctx context.Context, g shard.Guest) {
	try, cancel := context.WithTimeout(ctx, 4*s.cfg.Timing.Election())
	defer cancel()
	if err := s.host.OfferLead(try, g.Shard, g.Home); err != nil {
		s.log.Info("a leadership did not go home", "shard", g.Shard, "home", g.Home, "err", err)
		return
	}
	s.event(Event{Kind: EventHome, Shard: g.Shard, Site: g.Home, Detail: fmt.Sprintf("site %d has been well for long enough: it leads again", g.Home)})
}

// MoveLeader makes a site the home of a shard and moves the leadership there; it returns when the site leads. The home comes first: without
// it the leadership would go back by itself. If the leadership does not move, the home is put back, and nothing has changed. After
// [ErrUnknown] the home is what was asked for, or may be: then the leadership goes there by itself as soon as it can.
func (s *Site) MoveLeader(ctx context.Context, id holdfast.ShardID, to holdfast.SiteID) error {
	if err := s.known(id); err != nil {
		return err
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	m, err := s.readMap(ctx, shard.Linearizable)
	if err != nil {
		return err
	}
	if err := s.SetHome(ctx, id, to); err != nil {
		return err
	}
	err = s.HandOver(ctx, id, to)
	switch was := m.Home(id); {
	case err == nil:
		return nil
	case errors.Is(err, ErrUnknown) || ctx.Err() != nil:
		return fmt.Errorf("%w: site %d is the home of shard %d now, and its leadership goes there by itself when it can: %w", ErrUnknown, to, id, err)
	case was == to || was == 0:
		return err
	default:
		return s.putBack(ctx, id, to, was, err)
	}
}

// putBack makes a site the home of a shard again, unless somebody else has moved it meanwhile, and says why.
func (s *Site) putBack(ctx context.Context, id holdfast.ShardID, from, to holdfast.SiteID, why error) error {
	m, err := s.readMap(ctx, shard.Linearizable)
	if err == nil && m.Home(id) == from {
		err = s.SetHome(ctx, id, to)
	}
	if err != nil {
		return fmt.Errorf("%w: site %d may be the home of shard %d now, and its leadership go there when it can: %w; the home was to be put back: %w",
			ErrUnknown, from, id, why, err)
	}
	return why
}
