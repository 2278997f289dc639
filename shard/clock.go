package shard

import (
	"time"

	"holdfast"
)

// beatShard is the shard that beats are addressed to: there is none of that number.
const beatShard holdfast.ShardID = 0

// In ticks: how often a shard that is asleep is looked at for what time brings about (a segment that is old, a hold that expires), and
// for how long the goroutine of one may be at work before nobody vouches for it any more.
const (
	asleepTicks = 100
	stuckTicks  = 5
)

// heardBeat is the heartbeat that a beat stood for, for a replica that is awake.
type heardBeat struct {
	from holdfast.SiteID
	word Slumber
}

// keepTime is the clock of all shards: one goroutine that ticks those that are awake, and sends the beats. All shards that are awake
// tick at one moment, so that what they say to another site then travels together.
func (h *Host) keepTime() {
	t := time.NewTicker(h.config.Timing.Tick)
	defer t.Stop()
	for n := 0; ; n++ {
		select {
		case <-t.C:
		case <-h.ctx.Done():
			return
		}
		h.tick(n)
	}
}

func (h *Host) tick(n int) {
	h.beatMu.Lock()
	due := h.beats.Tick()
	for _, s := range h.order {
		rest := s.rest.Load()
		switch {
		case rest == nil || !h.beats.Keeps(rest):
			s.ticks.set()
		case (n+int(s.id))%asleepTicks == 0:
			if l := s.life.Load(); l != nil {
				l.commit.ask(false)
			}
		}
		s.watch(rest != nil)
	}
	h.beatMu.Unlock()
	if due {
		h.sendBeats()
	}
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
		beat := h.beats.Beat(site)
		h.beatMu.Unlock()
		h.config.SendUrgent(site, beatShard, beat)
	}
}

// hearBeat takes a beat, and passes on what it says to those replicas that are awake.
func (h *Host) hearBeat(from holdfast.SiteID, beat []byte) {
	h.beatMu.Lock()
	defer h.beatMu.Unlock()
	list, err := h.beats.Hear(from, beat)
	if err != nil {
		h.config.Logger.Debug("beat ignored", "site", from, "err", err)
	}
	for id, word := range list {
		if s := h.seats[id]; s != nil && s.rest.Load() == nil {
			s.inbox.heard(&heardBeat{from, word})
		}
	}
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
