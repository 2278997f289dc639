package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast"
)

// stage is where a play happens: it breaks things, mends them, and writes down when.
type stage struct {
	fleet  *fleet
	throne *throne
	clock  func() time.Duration // since the start of the load
	length time.Duration        // of the load, or of the round of it that is played
	rand   *rand.Rand

	// Of a drill of carriers that has several rounds:
	round    int           // that is played, from 0
	begins   time.Duration // when it does
	troubles map[int]error // rounds that could not be played to their end
	clears   time.Duration // when nothing that a lossy carrier has lost is in its line any more

	carriers int
	stranded *stranded // nil: nobody is on the wrong side of anything
	newIDs   func() func() holdfast.ID
	nomads   *nomads // nil: nobody moves
	stutter  *stutter

	mu     sync.Mutex
	faults []Fault
	last   time.Time // something was mended
}

// until waits for a share of the load, or of the round, to have passed, give or take a few heartbeats.
func (s *stage) until(ctx context.Context, share float64) error {
	jitter := time.Duration(s.rand.Int64N(int64(60 * time.Millisecond)))
	return rest(ctx, s.begins+time.Duration(share*float64(s.length))+jitter-s.clock())
}

// leader is the site that leads the first shard, waiting for there to be one; 0 when there is none for long.
func (s *stage) leader(ctx context.Context) holdfast.SiteID {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		if id := s.throne.leader(1); id != 0 && s.fleet.state(id) == Whole {
			return id
		}
		if rest(ctx, pollPause) != nil {
			return 0
		}
	}
}

// other is a site that is none of those given; with all given it is the last.
func (s *stage) other(not ...holdfast.SiteID) holdfast.SiteID {
	for _, m := range s.fleet.sites {
		if !slices.Contains(not, m.id) {
			return m.id
		}
	}
	return s.fleet.sites[len(s.fleet.sites)-1].id
}

// cutBefore is the first site that a fault was about; 0 when there was none.
func (s *stage) cutBefore() holdfast.SiteID {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.faults {
		for _, m := range s.fleet.sites {
			if s.faults[i].Target == strings.ToLower(m.name) {
				return m.id
			}
		}
	}
	return 0
}

var errNoLeader = errors.New("no site has led for 5 s: the fault cannot be tried on a leader")

// during breaks a site, waits until a share of the load has passed, and mends it.
func (s *stage) during(ctx context.Context, kind string, id holdfast.SiteID, share float64, harm, mend func(context.Context, *member) error) error {
	if id == 0 {
		return errNoLeader
	}
	var f *flows
	if kind == "site-cut" {
		f = &flows{From: []holdfast.SiteID{id}, Both: true}
	}
	return s.breaks(ctx, kind, strings.ToLower(s.fleet.site(id).name), id, f, share, harm, mend)
}

// oneWay is during for a cut of one direction, which the target tells: "hangzhou:outbound" is not heard, "hangzhou:inbound"
// hears nothing.
func (s *stage) oneWay(ctx context.Context, direction string, id holdfast.SiteID, share float64, harm, mend func(context.Context, *member) error) error {
	if id == 0 {
		return errNoLeader
	}
	f := &flows{From: []holdfast.SiteID{id}}
	if direction == inbound {
		f = &flows{To: []holdfast.SiteID{id}}
	}
	return s.breaks(ctx, "one-way-cut", strings.ToLower(s.fleet.site(id).name)+":"+direction, id, f, share, harm, mend)
}

// The directions of a cut of one.
const (
	outbound = "outbound"
	inbound  = "inbound"
)

func (s *stage) breaks(ctx context.Context, kind, target string, id holdfast.SiteID, f *flows, share float64, harm, mend func(context.Context, *member) error) error {
	m := s.fleet.site(id)
	var said foretelling
	if target == strings.ToLower(m.name) {
		said = s.foretell(ctx, lossOf(id))
	}
	i := s.begin(kind, target)
	s.note(i, said, false)
	look := s.lookAt(i, f, id)
	if err := harm(ctx, m); err != nil {
		return fmt.Errorf("%s of %s: %w", kind, m.name, err)
	}
	look.struck()
	if err := s.until(ctx, share); err != nil {
		return err
	}
	look.ending()
	if err := mend(ctx, m); err != nil {
		return fmt.Errorf("end the %s of %s: %w", kind, m.name, err)
	}
	s.healed(i)
	look.over()
	return nil
}

func (s *stage) begin(kind, target string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, Fault{Kind: kind, Target: target, At: s.clock(), round: s.round})
	return len(s.faults) - 1
}

func (s *stage) healed(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[i].Healed, s.last = s.clock(), time.Now()
}

// back notes how long the carriers took to return after a heal.
func (s *stage) back(i int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[i].back = took
}

// mended is when something was mended last; zero: never.
func (s *stage) mended() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// note writes down what is known of a fault beside its name.
func (s *stage) note(i int, t foretelling, alone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[i].Foretold, s.faults[i].told, s.faults[i].alone = t.forecast, t, alone
}

func (s *stage) history() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Fault(nil), s.faults...)
}

func (s *stage) cut(_ context.Context, m *member) error {
	s.fleet.mark(m.id, CutOff)
	return s.fleet.net.do(orderCut, m.id)
}

func (s *stage) mute(_ context.Context, m *member) error {
	s.fleet.mark(m.id, Muted)
	return s.fleet.net.do(orderMute, m.id)
}

func (s *stage) deafen(_ context.Context, m *member) error {
	s.fleet.mark(m.id, Deafened)
	return s.fleet.net.do(orderDeafen, m.id)
}

func (s *stage) heal(_ context.Context, m *member) error {
	if err := s.fleet.net.do(orderHeal, m.id); err != nil {
		return err
	}
	s.fleet.mark(m.id, Whole)
	return nil
}

func (s *stage) kill(_ context.Context, m *member) error {
	s.fleet.mark(m.id, Killed)
	return m.proc.kill()
}

// revive starts a site again and waits until it takes requests.
func (s *stage) revive(ctx context.Context, m *member) error {
	s.fleet.mark(m.id, Restarting)
	if err := m.proc.start(); err != nil {
		return err
	}
	if err := m.readyWithin(ctx); err != nil {
		return err
	}
	s.fleet.mark(m.id, Whole)
	return nil
}

// patience is how long a site may take from its start until it takes requests.
const patience = 20 * time.Second

func (m *member) readyWithin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return m.ready(ctx)
}

func (s *stage) freeze(_ context.Context, m *member) error {
	s.fleet.mark(m.id, Frozen)
	return m.proc.freeze()
}

func (s *stage) thaw(_ context.Context, m *member) error {
	s.fleet.mark(m.id, Whole)
	return m.proc.thaw()
}

// handOver moves the leadership of the first shard to the next site in the circle, as an operator does.
func (s *stage) handOver(ctx context.Context) error {
	from := s.leader(ctx)
	if from == 0 {
		return errNoLeader
	}
	to := s.fleet.sites[int(from)%len(s.fleet.sites)]
	i := s.begin("leader-handover", strings.ToLower(s.fleet.site(from).name))
	s.see(i, nil, func(x *sighting) { x.heir = to.id })
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.fleet.site(from).own.HandOver(ctx, 1, to.id); err != nil {
		return fmt.Errorf("hand over from %s to %s: %w", s.fleet.site(from).name, to.name, err)
	}
	s.healed(i)
	return nil
}

// restart stops a site in order and starts it again.
func (s *stage) restart(ctx context.Context, id holdfast.SiteID) error {
	m := s.fleet.site(id)
	i := s.begin("restart", strings.ToLower(m.name))
	look := s.lookAt(i, nil, id)
	s.fleet.mark(id, Restarting)
	stop, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	if err := m.proc.terminate(stop); err != nil {
		return fmt.Errorf("stop %s: %w", m.name, err)
	}
	if err := s.revive(ctx, m); err != nil {
		return fmt.Errorf("start %s again: %w", m.name, err)
	}
	s.healed(i)
	look.over()
	return nil
}

// killAll kills every process, and only then starts the first again.
func (s *stage) killAll(ctx context.Context) error {
	for _, m := range s.fleet.sites {
		s.fleet.mark(m.id, Killed)
	}
	i := s.begin("all-kill", s.everywhere())
	look := s.lookAt(i, nil, s.rest(nil)...)
	if err := s.fleet.killAtOnce(); err != nil {
		return err
	}
	for _, m := range s.fleet.sites {
		if err := m.proc.start(); err != nil {
			return err
		}
		s.fleet.mark(m.id, Restarting)
	}
	for _, m := range s.fleet.sites {
		if err := m.readyWithin(ctx); err != nil {
			return err
		}
		s.fleet.mark(m.id, Whole)
	}
	s.healed(i)
	look.over()
	return nil
}

// everywhere is the target of what concerns all sites.
func (s *stage) everywhere() string {
	var all []string
	for _, m := range s.fleet.sites {
		all = append(all, strings.ToLower(m.name))
	}
	return strings.Join(all, "+")
}

// killAtOnce sends every process its SIGKILL before it waits for any.
func (f *fleet) killAtOnce() error {
	errs := make([]error, len(f.sites))
	var wg sync.WaitGroup
	for i, m := range f.sites {
		wg.Go(func() { errs[i] = m.proc.kill() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
