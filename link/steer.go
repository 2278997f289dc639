package link

import (
	"cmp"
	"slices"
	"time"
)

// wait is what a connection knows of the answers it waits for: to pings, and to bulk, which the peer acknowledges at once. It
// is guarded by the lock of its sender.
type wait struct {
	since  time.Duration // when the peer last did what was waited for, or when the waiting began; 0: nothing is waited for
	until  uint64        // bytes written when bulk left last
	ping   time.Duration // when the last ping left
	ponged time.Duration // when the last ping that was answered left
}

// expect begins to wait for the peer to take what has been written so far.
func (w *wait) expect(now time.Duration, written uint64) {
	w.until = written
	if w.since == 0 {
		w.since = now
	}
}

// pinged begins to wait for a pong.
func (w *wait) pinged(now time.Duration) {
	w.ping = now
	if w.since == 0 {
		w.since = now
	}
}

// answered takes a pong, and returns how long it was waited for. While more is waited for, the time counts from here.
func (w *wait) answered(now, stamp time.Duration, received uint64) (late time.Duration) {
	if w.since != 0 {
		late = now - w.since
	}
	w.ponged = max(w.ponged, stamp)
	w.since = 0
	if w.ponged < w.ping || received < w.until {
		w.since = now
	}
	return late
}

// overdue is how long an answer is overdue; below 0: how long it may still take.
func (s *sender) overdue(now time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since == 0 {
		return -time.Hour
	}
	return now - s.since - s.path.patience()
}

// stallSlack is added to what the round trip and its deviation say before a carrier counts as stalled: what a goroutine may
// have to wait for a processor.
const stallSlack = 5 * time.Millisecond

// patience is how long an answer may take: RFC 6298's estimate, with less slack, since to be wrong costs only bytes.
func (p *path) patience() time.Duration {
	return min(time.Duration(p.srtt.Load()+4*p.rttvar.Load())+stallSlack, p.peer.link.timing.Silence)
}

// steer looks for carriers that have stalled while another one works. Bulk moves over at once, and what is not urgent is kept
// from a stalled carrier, which then has no backlog of old frames before fresh ones when it comes back.
//
// That another one works has to be shown by a sign of life that is younger than the wait: where this process or the peer had
// no processor time, all carriers are late, and nothing is moved.
func (p *peer) steer(now time.Duration) {
	live := *p.live.Load()
	if on := p.bulkOn.Load(); len(live) > 0 && !slices.Contains(live, on) {
		p.leaveBulk(on, best(live))
	}
	if len(live) == 1 {
		live[0].resume()
		return
	}
	for _, s := range live {
		late := s.overdue(now)
		if late <= -stallSlack {
			continue
		}
		better := p.better(live, s)
		if late > 0 && better != nil && !s.conn.unread() {
			if !s.stalled.Swap(true) {
				s.path.stalls.Add(1)
			}
			p.leaveBulk(s, better)
		}
	}
}

// resume takes a connection into full use again.
func (s *sender) resume() {
	if s.stalled.Swap(false) {
		s.wake()
	}
}

// better returns the best other connection with a sign of life since the one given is waited for, and asks those that are
// silent for one.
func (p *peer) better(live []*sender, than *sender) *sender {
	than.mu.Lock()
	since := than.since
	than.mu.Unlock()
	var works []*sender
	for _, s := range live {
		switch {
		case s == than:
		case time.Duration(s.heardAt.Load()) > since:
			works = append(works, s)
		case s.lastPing() <= since:
			s.ping()
		}
	}
	if len(works) == 0 {
		return nil
	}
	return best(works)
}

func (s *sender) lastPing() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wait.ping
}

// leaveBulk moves bulk from one connection to another, which begins with what the peer is not known to have.
func (p *peer) leaveBulk(from, to *sender) {
	if !p.bulkOn.CompareAndSwap(from, to) {
		return
	}
	if from != nil && !p.large.empty() {
		p.moves.Add(1)
	}
	to.wake()
}

// chooseBulk chooses the connection for bulk, the best one, anew whenever nothing is under way: to change while something is
// means to send that again.
func (p *peer) chooseBulk(live []*sender) {
	if on := p.bulkOn.Load(); on == nil || p.large.empty() {
		p.bulkOn.CompareAndSwap(on, best(live))
	}
}

// best returns the connection with the shortest round trip among those that answer.
func best(live []*sender) *sender {
	return slices.MinFunc(live, func(a, b *sender) int {
		if a.answers() != b.answers() {
			if a.answers() {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.path.srtt.Load(), b.path.srtt.Load())
	})
}

// answers reports whether the peer has answered lately.
func (s *sender) answers() bool { return !s.stalled.Load() && s.quiet.Load() <= 1 }
