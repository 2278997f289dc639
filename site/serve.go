package site

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/shard"
)

// handler answers the other sites. It is a type of its own so that what the link may call is not part of what a Site offers.
type handler struct{ site *Site }

// Receive implements link.Handler.
func (h handler) Receive(from holdfast.SiteID, id holdfast.ShardID, payload []byte) {
	h.site.host.Receive(from, id, payload)
}

// Serve implements link.Handler.
func (h handler) Serve(ctx context.Context, from holdfast.SiteID, method string, payload []byte) ([]byte, error) {
	switch {
	case shard.Serves(method):
		return h.site.host.Serve(ctx, from, method, payload)
	case method == methodSubmit:
		return h.site.serveSubmit(ctx, from, payload)
	case method == methodPulse:
		return h.site.servePulse(from, payload)
	case method == methodHandOver:
		return nil, h.site.serveHandOver(ctx, payload)
	case method == methodVitals:
		return h.site.serveVitals(), nil
	case method == methodMap:
		return h.site.serveMap(), nil
	case servesFleet(method):
		return h.site.serveFleet(ctx, method, payload)
	case method == methodDigest:
		return h.site.serveDigest(ctx, payload)
	case method == methodWitness:
		return h.site.serveWitness(ctx, payload)
	}
	return nil, notExecuted{fmt.Errorf("method %q is unknown here: is that site of a newer version?", method)}
}

// serveSubmit proposes what another site has forwarded. It is never forwarded again: who asked has a newer view of the board
// than a chain of sites pointing at each other.
func (s *Site) serveSubmit(ctx context.Context, from holdfast.SiteID, payload []byte) ([]byte, error) {
	groups, err := readGroups(payload)
	if err != nil {
		return nil, notExecuted{err}
	}
	for i := range groups {
		if o := &groups[i].Origin; o.Ticket != 0 {
			o.Site = from
		}
	}
	answers := make([]answer, len(groups))
	if len(groups) == 1 {
		answers[0] = s.serveGroup(ctx, groups[0])
	} else {
		var all sync.WaitGroup
		for i := range groups {
			all.Go(func() { answers[i] = s.serveGroup(ctx, groups[i]) })
		}
		all.Wait()
	}
	response := []byte{wireVersion}
	for i := range answers {
		response = appendAnswer(response, answers[i])
	}
	return response, nil
}

func (s *Site) serveGroup(ctx context.Context, g group) (a answer) {
	switch err := s.known(g.id); {
	case errors.Is(err, ErrStarting):
		return answer{err: shard.ErrStopping} // which every release knows as an answer after which nothing was executed
	case err != nil:
		return answer{err: err}
	}
	switch s.admit(g.Count()) {
	case holdfast.CodeStopping, holdfast.CodeStarting:
		return answer{err: shard.ErrStopping}
	case holdfast.CodeOverloaded:
		return answer{err: shard.ErrOverloaded}
	}
	defer s.leave(g.Count())
	if g.left > 0 { // the call is for all groups, and ends with the last of them
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, g.left)
		defer cancel()
	}
	a.outcomes, a.err = s.submitHere(ctx, g)
	return a
}

func (s *Site) servePulse(from holdfast.SiteID, payload []byte) ([]byte, error) {
	theirs, err := readPulse(payload)
	if err != nil {
		return nil, notExecuted{err}
	}
	s.heardPulse(from, theirs)
	mine := s.pulse()
	return mine.append(nil), nil
}

// pulse is what this site says of itself.
func (s *Site) pulse() pulse {
	p := pulse{
		version: s.opts.Version, stopping: s.stopping.Load(), digestOK: !s.outs.any(), leads: map[holdfast.ShardID]uint64{},
		knows: knowsTickets | knowsLeft,
	}
	p.ready = s.running.Load() && !p.stopping && p.digestOK && s.watch.majority.Load().heard
	p.diskFull, p.diskFree = s.disk.look(s.store)
	p.unwell = !s.host.Well()
	p.reach = s.reach.told()
	for _, id := range s.seatIDs() {
		if seat := s.board.seat(id); seat.leader == s.cfg.Site {
			p.leads[id] = seat.term
		}
	}
	return p
}

func (s *Site) heardPulse(from holdfast.SiteID, p pulse) {
	if peer := s.watch.peer(from); peer != nil {
		peer.latest.Store(&p)
		s.board.heard(from, p.leads)
	}
}

// lostPeer is called when a peer has not answered for a silence: what it said about leading is not worth anything any more.
func (s *Site) lostPeer(peer holdfast.SiteID) {
	s.board.heard(peer, nil)
	s.event(Event{Kind: EventCut, Site: peer, Detail: fmt.Sprintf("no answer for %s", s.cfg.Timing.QuorumSilence)})
}

func (s *Site) peerBack(peer holdfast.SiteID) {
	s.event(Event{Kind: EventHeal, Site: peer, Detail: "it answers"})
}

func (s *Site) majorityTurned(heard bool) {
	s.watch.tell() // it is ready, or not any more
	if heard {
		s.event(Event{Kind: EventMajority, Site: s.cfg.Site, Detail: "this site hears a majority"})
		return
	}
	s.onLoss.call()
	s.event(Event{Kind: EventAlone, Site: s.cfg.Site, Detail: "this site hears no majority: it refuses what is new until it does"})
}

// diskWatch remembers the free space of the disk, which is asked for at most once a second.
type diskWatch struct {
	asked atomic.Int64 // Unix, in nanoseconds
	full  atomic.Bool
	free  atomic.Uint64
}

type freeSpace interface {
	DiskFull() (full bool, free uint64, err error)
}

func (d *diskWatch) look(disk freeSpace) (full bool, free uint64) {
	now := time.Now().UnixNano()
	if last := d.asked.Load(); now-last > int64(time.Second) && d.asked.CompareAndSwap(last, now) {
		if full, free, err := disk.DiskFull(); err == nil { // the host, which refuses work by it, logs the error
			d.full.Store(full)
			d.free.Store(free)
		}
	}
	return d.full.Load(), d.free.Load()
}

// HandOver moves the leadership of a shard to another site and returns when it is there. It costs no failed request. After
// [ErrUnknown] the leadership may be there, or go there yet.
func (s *Site) HandOver(ctx context.Context, id holdfast.ShardID, to holdfast.SiteID) error {
	if err := s.known(id); err != nil {
		return err
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	seat := s.board.seat(id)
	for ; seat.leader == 0; seat = s.board.seat(id) {
		select {
		case <-seat.changed:
		case <-ctx.Done():
			return fmt.Errorf("shard %d has no leader that could hand over: %w", id, context.Cause(ctx))
		}
	}
	switch seat.leader {
	case to:
		return nil
	case s.cfg.Site:
		if err := s.host.HandOver(ctx, id, to); err != nil {
			return maybeHanded(err)
		}
	default:
		request := binary.BigEndian.AppendUint16([]byte{wireVersion}, uint16(id))
		request = binary.BigEndian.AppendUint16(request, uint16(to))
		if _, err := s.link.Call(ctx, seat.leader, methodHandOver, request); err != nil {
			return fmt.Errorf("asking site %d, which leads shard %d: %w", seat.leader, id, maybeAsked(err))
		}
	}
	return maybeHanded(s.awaitLeader(ctx, id, to))
}

// maybeHanded marks the end of waiting: what has begun goes on.
func maybeHanded(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return err
}

// maybeAsked marks the errors of a call after which the other site may do what it was asked for.
func maybeAsked(err error) error {
	if errors.Is(callError(err), shard.ErrLost) {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return err
}

// Rebuild wipes this site's own replica of a shard and lets it join again under a new identity: only when that can lose nothing,
// unless force. It returns when the replica has forgotten. See [shard.Host.Rebuild].
func (s *Site) Rebuild(ctx context.Context, id holdfast.ShardID, force bool) error {
	if err := s.known(id); err != nil {
		return err
	}
	s.log.Warn("a rebuild was ordered", "shard", id, "force", force)
	return s.host.Rebuild(ctx, id, force)
}

// Trust decides that the state of this site's own replica of a shard is the right one, when replicas differ and no majority has the
// same. See [shard.Host.Trust].
func (s *Site) Trust(_ context.Context, id holdfast.ShardID) error {
	if err := s.known(id); err != nil {
		return err
	}
	s.log.Warn("it was decided that the state here is right", "shard", id)
	return s.host.Trust(id)
}

func (s *Site) serveHandOver(ctx context.Context, payload []byte) error {
	r := reader{b: payload}
	version, id, to := r.u8(), holdfast.ShardID(r.u16()), holdfast.SiteID(r.u16())
	if version != wireVersion || !r.ok() {
		return notExecuted{errWire}
	}
	err := s.known(id)
	if err == nil {
		err = s.host.HandOver(ctx, id, to)
	}
	if err == nil || errors.Is(maybeHanded(err), ErrUnknown) {
		return err
	}
	return notExecuted{err}
}
