package shard

import (
	"time"

	"holdfast"
)

// beatShard is the shard that beats are addressed to: there is none of that number.
const beatShard holdfast.ShardID = 0

const (
	// lookTime is how often a shard that is asleep is looked at for what time brings about: a segment that is old, a hold that expires.
	lookTime = time.Second
	// stuckTicks is for how many ticks the goroutine of one may be at work before nobody vouches for it any more.
	stuckTicks = 5
	// restBeats is how many heartbeats apart the beats of a site are in which every shard sleeps: two of them still come before anybody
	// doubts. A beat that is missed then costs a few needless ticks, and nothing else.
	restBeats = 2
)

// sentBeat is when a beat left.
type sentBeat struct {
	number uint64
	at     time.Time
}

// heardBeat is the heartbeat that a beat stood for, for a replica that is awake.
type heardBeat struct {
	from holdfast.SiteID
	word Slumber
}

// keepTime is the clock of all shards: one goroutine that ticks those that are awake, and sends the beats. All shards that are awake
// tick at one moment, so that what they say to another site then travels together. While all sleep, and all beats come, it ticks when a
// beat is due.
func (h *Host) keepTime() {
	tick := h.config.Timing.Tick
	rest := tick * time.Duration(h.beats.RestTicks())
	due := time.Now().Add(tick)
	t := time.NewTimer(untilNext(tick, h.config.Site))
	defer t.Stop()
	for n, ticks := 0, 1; ; n += ticks {
		select {
		case <-t.C:
		case <-h.ctx.Done():
			return
		}
		h.late(time.Since(due))
		pause := tick
		if h.tick(n, ticks) { // nothing needs the ticks in between
			pause = rest
		}
		wait := untilNext(pause, h.config.Site)
		ticks = max(1, int((wait+tick/2)/tick))
		h.ahead.Store(int64(ticks))
		due = time.Now().Add(wait)
		t.Reset(wait)
	}
}

// untilNext is how long it is until the clock shows a multiple of a period. Whatever a site does again and again it does at multiples of
// the same moments, so that it wakes once for all of it; and sites at different ones, so that not all of them stand for election at one.
func untilNext(period time.Duration, site holdfast.SiteID) time.Duration {
	shifted := time.Duration(time.Now().UnixNano()) + time.Duration(site)*sitePhase
	return period - shifted%period
}

// sitePhase is by how much the moments of one site are earlier than those of the one before it.
const sitePhase = 3 * time.Millisecond

// tick passes so many units of time, the n-th being the last. It reports whether every shard sleeps, and no beat is late.
func (h *Host) tick(n, ticks int) (asleep bool) {
	h.beatMu.Lock()
	asleep, h.ticked = true, time.Now()
	due := false
	for range ticks {
		due = h.beats.Tick() || due
	}
	looks := n%max(1, int(lookTime/h.config.Timing.Tick)) < ticks // all at one moment: to wake once for many costs less than many times for one
	h.beats.Lame = false
	for _, s := range *h.seats.Load() {
		asleep = s.tick(looks) && asleep
		h.beats.Lame = h.beats.Lame || s.life.Load() == nil
	}
	h.beatMu.Unlock()
	if due {
		h.sendBeats()
	}
	if looks && h.astrayBy() > 0 {
		h.astray.set()
	}
	return asleep
}

// tick passes a moment for one shard. It reports whether it sleeps and may go on without the next tick. The caller holds beatMu.
func (s *seat) tick(looks bool) (asleep bool) {
	rest, beats := s.rest.Load(), s.host.beats
	s.watch(rest != nil)
	if rest == nil || !beats.Keeps(rest) {
		s.ticks.set()
		return false
	}
	if l := s.life.Load(); l != nil && looks {
		l.commit.ask(false)
	}
	return !beats.Late(rest)
}

// watch takes a shard off the list whose goroutine hangs: awake it would send no heartbeats either. Called by the clock.
func (s *seat) watch(asleep bool) {
	if s.late++; !asleep || !s.steps.Load() {
		s.late = 0
	}
	if s.late > stuckTicks {
		s.host.beats.Unlist(s.id)
	}
}

func (h *Host) sendBeats() {
	for _, site := range h.peers() {
		if site == h.config.Site {
			continue
		}
		h.beatMu.Lock()
		h.beats.Wall = h.config.Wall()
		beat := h.beats.Beat(site)
		h.sent[h.beats.ticks%uint64(len(h.sent))] = sentBeat{h.beats.ticks, time.Now()}
		h.beatMu.Unlock()
		h.config.SendUrgent(site, beatShard, beat)
	}
}

// hearBeat takes a beat, and passes on what it says to those replicas that are awake.
func (h *Host) hearBeat(from holdfast.SiteID, beat []byte) {
	list, ours, err := h.takeBeat(from, beat)
	if err != nil {
		h.config.Logger.Debug("beat ignored", "site", from, "err", err)
	}
	if ours.number > 0 {
		h.config.OnHeard(from, ours.at)
	}
	for id, word := range list {
		if s := h.at(id); s != nil && s.rest.Load() == nil {
			s.inbox.heard(&heardBeat{from, word})
		}
	}
}

// takeBeat returns also the latest beat of this site that the other has heard; its number is 0 when there is none.
func (h *Host) takeBeat(from holdfast.SiteID, beat []byte) (list map[holdfast.ShardID]Slumber, ours sentBeat, err error) {
	h.beatMu.Lock()
	defer h.beatMu.Unlock()
	h.beats.Part = min(int(time.Since(h.ticked)/h.config.Timing.Tick), int(h.ahead.Load())-1)
	list, err = h.beats.Hear(from, beat)
	wall, echo := h.beats.TheirWall(from)
	if ours = h.sent[echo%uint64(len(h.sent))]; ours.number != echo {
		ours = sentBeat{} // so old that it is forgotten
	}
	if wall != 0 && ours.number > 0 {
		h.hearClock(from, wall, ours.at)
	}
	return list, ours, err
}

// unlist says that a shard that was asleep is not any more.
func (h *Host) unlist(id holdfast.ShardID) {
	h.beatMu.Lock()
	defer h.beatMu.Unlock()
	h.beats.Unlist(id)
}

// doze lets the replica fall asleep, if it may.
func (l *life) doze() error {
	s := l.seat
	s.host.beatMu.Lock()
	rest, err := s.host.beats.Doze(s.id, l.replica)
	s.host.beatMu.Unlock()
	if rest == nil || err != nil {
		return err
	}
	select {
	case <-s.ticks: // one from before
	default:
	}
	l.publish()
	s.rest.Store(rest)
	return nil
}

// rouse wakes the replica, if it sleeps.
func (l *life) rouse() {
	s := l.seat
	rest := s.rest.Load()
	if rest == nil {
		return
	}
	s.host.beatMu.Lock()
	s.host.beats.Rouse(l.replica, rest)
	s.host.beatMu.Unlock()
	s.rest.Store(nil)
}
