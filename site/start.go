package site

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"holdfast"
	"holdfast/link"
	"holdfast/shard"
	"holdfast/store"
)

// step is one thing a site is made of: how it comes up, how it goes down. down may be nil.
type step struct {
	name string
	up   func(context.Context) error
	down func(context.Context) error
}

// steps is what a site is made of, in the order in which it comes up; it goes down in the reverse order. Each step says why
// it stands where it does.
func (s *Site) steps() []step {
	return []step{
		// First, because who this site is (the identities of its replicas) is on its disk. Last to close: everything writes to it.
		{"store", s.openStore, s.closeStore},
		// Made before the link, because the others speak to it as soon as the link is up. It does nothing yet.
		{"replicas", s.makeHost, nil},
		// Before the replicas run: to be born they ask the other sites. It closes after they have stopped, so that their last
		// answers leave.
		{"link", s.openLink, func(context.Context) error { return s.closeLink() }},
		// Needs the link. Without it this site would not know that it hears a majority, and would refuse everything.
		{"pulse", s.startWatch, func(context.Context) error { s.watch.stop(); return nil }},
		// They find their place in the fleet, replay their logs and take part in elections.
		{"consensus", s.startHost, s.stopHost},
		// Before requests, which wait by it for records.
		{"waits for records", s.startPendings, s.stopPendings},
		// After them, because requests need all of the above. On the way down the gate closes first, and after the leaderships have
		// been handed over, so that requests under way go on at the new leaders.
		{"requests", s.openGate, s.closeGate},
		// Reads what requests read, and makes room for shards that come.
		{"shard map", s.startShards, s.stopShards},
		// Last of all, because it only moves what runs.
		{"homes", s.startHomes, s.stopHomes},
		// Beside them, because it moves leaders too, and makes room for sites that come.
		{"fleet", s.startFleet, s.stopFleet},
		// Needs requests, because it makes some: payments that somebody has left half-way.
		{"couriers", s.startCouriers, s.stopCouriers},
		{"moves of slots", s.startMoves, s.stopMoves},
		// And these only look.
		{"forecasts", s.startForecasts, s.stopForecasts},
		{"audit of payments in transit", s.startAuditor, s.stopAuditor},
		{"trend", s.startTrend, s.stopTrend},
	}
}

// Start brings the site up, step by step. When a step fails those before it are undone and the site can be thrown away.
// It returns when the site takes requests; whether it can answer them is what [Site.Ready] says. It can be called once.
func (s *Site) Start(ctx context.Context) error {
	for _, st := range s.steps() {
		if err := st.up(ctx); err != nil {
			s.running.Store(false)
			s.gate.shut()
			err = fmt.Errorf("site %d does not start: %s: %w", s.cfg.Site, st.name, err)
			return errors.Join(err, s.unwind(ctx))
		}
		s.undo = append(s.undo, st)
	}
	detail := fmt.Sprintf("version %s, %d shards, %d peers", s.opts.Version, s.extent.Load().now, len(s.peers()))
	s.event(Event{Kind: EventStart, Site: s.cfg.Site, Detail: detail})
	return nil
}

// Stop hands leaderships over, refuses what is new, finishes what is under way and closes everything, in that order. It
// takes at most timing.stop, or until ctx ends. After the first call it does nothing.
func (s *Site) Stop(ctx context.Context) error {
	if s.stopping.Swap(true) || len(s.undo) == 0 {
		return nil
	}
	s.watch.tell()
	s.event(Event{Kind: EventStop, Site: s.cfg.Site})
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timing.Stop.Std())
	defer cancel()
	s.handOverAll(ctx)
	return s.unwind(ctx)
}

// unwind takes down what is up, in reverse. An error does not keep the rest from going down.
func (s *Site) unwind(ctx context.Context) error {
	var errs []error
	for _, st := range slices.Backward(s.undo) {
		if st.down == nil {
			continue
		}
		if err := st.down(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", st.name, err))
		}
	}
	s.undo = nil
	return errors.Join(errs...)
}

func (s *Site) openStore(context.Context) (err error) {
	s.store, err = store.Open(store.Options{
		Dir: filepath.Clean(s.cfg.Data), CacheBytes: s.cfg.Store.CacheBytes, ReserveBytes: uint64(s.cfg.Store.ReserveBytes),
		OnFatal: s.die, OnWrite: s.wrote, Logger: s.log,
	})
	if err != nil {
		return err
	}
	if err := s.claim(); err != nil {
		return errors.Join(err, s.store.Close())
	}
	if err := s.recallRoster(); err != nil {
		return errors.Join(err, s.store.Close())
	}
	return nil
}

// wrote runs on the goroutine that writes.
func (s *Site) wrote(took time.Duration, bytes int) {
	s.metrics.wrote(took, bytes)
	s.opts.OnWrite(took, bytes)
}

func (s *Site) closeStore(context.Context) error {
	if s.stuck {
		return errors.New("left open, because replicas still use it: what was acknowledged is on disk")
	}
	return s.store.Close()
}

func (s *Site) makeHost(context.Context) (err error) {
	s.host, err = shard.NewHost(shard.HostConfig{
		Site: s.cfg.Site, Sites: s.configured(), Shards: shardIDs(s.extent.Load().first), Store: s.store,
		Send:       func(to holdfast.SiteID, id holdfast.ShardID, payload []byte) { s.link.Send(to, id, payload) },
		SendUrgent: func(to holdfast.SiteID, id holdfast.ShardID, payload []byte) { s.link.SendUrgent(to, id, payload) },
		Call: func(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error) {
			return s.link.Call(ctx, to, method, payload)
		},
		OnApplied: s.changed, Wall: s.opts.Wall,
		OnHeard: func(from holdfast.SiteID, left time.Time) { s.watch.confirmed(from, left) },
		OnWell:  func(bool) { s.watch.tell() },
		OnFatal: s.die, OnEvent: s.hostEvent, OnCheckpoint: s.checkpointMade, Logger: s.log, Machine: s.opts.Machine, Replica: s.opts.Replica, Care: s.opts.Care,
		Timing: shard.Timing{
			Tick: s.cfg.Timing.Tick.Std(), HeartbeatTicks: s.cfg.Timing.HeartbeatTicks, ElectionTicks: s.cfg.Timing.ElectionTicks,
		},
	})
	s.proposer = s.host
	if err != nil {
		return err
	}
	s.host.SetSites(s.sites())
	for _, id := range s.seatIDs() {
		s.host.AddShard(id) // one that was born later; the others are there
	}
	return nil
}

func (s *Site) checkpointMade(c shard.CheckpointMade) {
	s.metrics.checkpoint(c)
	s.opts.OnCheckpoint(c)
}

// certificateWarning is how long before the end of a certificate a site that starts says so. holdfast doctor warns as early.
const certificateWarning = 30 * 24 * time.Hour

func (s *Site) openLink(context.Context) error {
	if len(s.cfg.Peers) == 0 {
		return nil // a fleet of one speaks to nobody, and needs no certificate
	}
	credentials, err := link.LoadCredentials(s.cfg.Link.CA, s.cfg.Link.Cert, s.cfg.Link.Key, time.Now())
	if err != nil {
		return err
	}
	s.credentials.Store(credentials)
	if left := time.Until(credentials.Expires()); left < certificateWarning {
		s.log.Warn("a certificate is about to end: then the other sites turn this one away; see docs/runbooks/certificates.md",
			"ends", credentials.Expires().UTC().Format(time.RFC3339), "days", int(left.Hours()/24))
	}
	s.link, err = link.New(link.Config{
		Site: s.cfg.Site, Listen: s.cfg.Link.Listen, Peers: addressesOf(s.peers()), Credentials: credentials, Handler: handler{s}, Logger: s.log,
		Version: s.opts.Version, Timing: s.cfg.Timing.link(),
	})
	if err != nil {
		return err
	}
	if err := s.link.Start(); err != nil {
		return err
	}
	s.openLanes(s.peers())
	return nil
}

// link has pings leave together with beats where they are about as frequent: a site at rest then wakes once for both, and so does the
// other one.
func (t *Timing) link() link.Timing {
	out := link.Timing{Silence: t.Silence.Std()}
	beat := t.Tick.Std() * time.Duration(2*t.HeartbeatTicks)
	if ping := (out.Silence / 6).Truncate(beat); ping > 0 {
		out.Ping = ping
	}
	return out
}

func (s *Site) closeLink() error {
	if s.link == nil {
		return nil
	}
	err := s.link.Close() // first: it ends the calls that the lanes wait for
	for _, l := range *s.lanes.Load() {
		l.close()
	}
	return err
}

func (s *Site) startWatch(context.Context) error {
	if s.link != nil {
		s.watch.link = s.link
	}
	s.watch.start()
	return nil
}

func (s *Site) startHost(context.Context) error {
	s.host.Start()
	return nil
}

func (s *Site) stopHost(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	err := s.host.Stop(ctx)
	s.stuck = err != nil
	return err
}

// stopGrace is what the replicas get to finish their last writes, whatever the time: closing the store under them would
// turn an orderly stop into a crash.
const stopGrace = 2 * time.Second

// openGate lets requests in. A fleet of one waits for its own election first: there is nothing else that could go wrong.
func (s *Site) openGate(ctx context.Context) error {
	s.running.Store(true)
	s.gate.open()
	s.watch.tell()
	if len(s.cfg.Peers) > 0 {
		return nil
	}
	for _, id := range s.ShardIDs() {
		for seat := s.board.seat(id); seat.leader == 0; seat = s.board.seat(id) {
			select {
			case <-seat.changed:
			case <-ctx.Done():
				return fmt.Errorf("shard %d is not ready: %w", id, context.Cause(ctx))
			}
		}
	}
	return nil
}

// closeGate waits for what is under way. What is not done when the time is over is answered by the replicas as they stop.
func (s *Site) closeGate(ctx context.Context) error {
	defer s.running.Store(false)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timing.Stop.Std()/drainShare)
	defer cancel()
	return s.gate.close(ctx)
}

// Parts of the time for stopping that may be spent on handing leaderships over, and on requests that are under way.
const (
	handOverShare = 2
	drainShare    = 3
)

// handOverAll gives every leadership of this site to another one, all shards at once. What does not succeed is settled by an
// election after this site is gone, which takes longer and loses nothing.
func (s *Site) handOverAll(ctx context.Context) {
	if len(s.cfg.Peers) == 0 || !s.watch.majority.Load().heard {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timing.Stop.Std()/handOverShare)
	defer cancel()
	all := s.seatIDs()
	done := make(chan error, len(all))
	for _, id := range all {
		go func() { done <- s.handOverFrom(ctx, id) }() // every one is waited for below
	}
	for range all {
		if err := <-done; err != nil {
			s.log.Warn("leadership was not handed over before stopping", "err", err)
		}
	}
}

// handOverFrom tries the followers of a shard until one of them leads, those that are up to date first.
func (s *Site) handOverFrom(ctx context.Context, id holdfast.ShardID) error {
	for {
		if s.board.seat(id).leader != s.cfg.Site {
			return nil
		}
		var last error
		for _, to := range s.heirs(id) {
			try, cancel := context.WithTimeout(ctx, 4*s.cfg.Timing.Election())
			last = s.host.HandOver(try, id, to)
			cancel()
			if last == nil {
				return s.awaitLeader(ctx, id, to)
			}
		}
		if ctx.Err() != nil || last == nil {
			return last
		}
	}
}

// heirs are the sites that could lead a shard, the best first. One that is not well comes last: it is still better than an election.
func (s *Site) heirs(id holdfast.ShardID) []holdfast.SiteID {
	var ready, late, unwell []holdfast.SiteID
	for _, st := range s.host.Status() {
		if st.Shard != id {
			continue
		}
		for _, f := range st.Node.Followers {
			switch p := s.watch.peer(f.Site); {
			case f.Role&shard.Voter == 0 || p == nil || !s.watch.answers(p) || p.stops():
			case p.unwell():
				unwell = append(unwell, f.Site)
			case f.UpToDate:
				ready = append(ready, f.Site)
			default:
				late = append(late, f.Site)
			}
		}
	}
	return slices.Concat(ready, late, unwell)
}

// awaitLeader waits until this site's board shows another leader, so that its requests go there at once.
func (s *Site) awaitLeader(ctx context.Context, id holdfast.ShardID, to holdfast.SiteID) error {
	for seat := s.board.seat(id); seat.leader != to; seat = s.board.seat(id) {
		select {
		case <-seat.changed:
		case <-ctx.Done():
			return fmt.Errorf("shard %d: waiting for site %d to lead: %w", id, to, context.Cause(ctx))
		}
	}
	return nil
}

// die is what happens when the disk has failed or the log cannot be trusted: nothing more is acknowledged, and the owner of
// the process hears why.
func (s *Site) die(err error) {
	s.fatal.Do(func() {
		s.outs.all()
		s.gate.shut()
		s.log.Error("this site must stop", "err", err)
		s.opts.OnFatal(err)
	})
}
