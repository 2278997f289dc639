package drill

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scenario is one way in which things go wrong, told as a list of steps.
type Scenario struct {
	Name  string
	Story string        // one sentence for people
	Load  time.Duration // how long the load runs, unless the caller wants longer
	least time.Duration // the shortest load in which it can be played; 0: Load
	bound time.Duration // the longest pause that passes, with elections after 100 ms
	play  func(ctx context.Context, s *stage) error
	calm  bool // nothing is broken: an election is one that nobody wanted, and fails the drill
}

// Least is the shortest load in which the scenario can break things and mend them.
func (s *Scenario) Least() time.Duration { return cmp.Or(s.least, s.Load) }

// Bound is the longest pause that passes at a round trip: with sites so far apart that leaders are suspected later than the
// default of 100 ms, the bound grows in proportion.
func (s *Scenario) Bound(rtt time.Duration) time.Duration {
	const tick, ticks = 10 * time.Millisecond, 10
	return s.bound * time.Duration(electionTicks(rtt, tick, ticks)) / ticks
}

// HalfLoad reports whether the load of the scenario is measured when nobody says how much it is.
func (s *Scenario) HalfLoad() bool { return s.calm }

// Bounds on pauses. A planned change is announced to the successor, so nobody has to notice a silence first.
const (
	failoverBound = 500 * time.Millisecond
	plannedBound  = 100 * time.Millisecond
	demoBound     = time.Second     // the machine is a laptop that does other things too
	outageBound   = 5 * time.Second // nothing runs at all: as long as a process takes to start and read its log
	busyBound     = payDeadline     // nothing fails, the machine is slow: as long as every caller still gets an answer
)

var scenarios = []Scenario{
	{"site-cut", "Every cable of the site that leads goes silent for a while; nobody is told.", 14 * time.Second, 0, failoverBound, playSiteCut, false},
	{"site-kill", "The process of the site that leads is killed (SIGKILL) and started again.", 14 * time.Second, 0, failoverBound, playSiteKill, false},
	{"site-stop", "The site that leads is frozen for 10 s (SIGSTOP) and comes back believing that it still leads.", 20 * time.Second, 0, failoverBound, playSiteStop, false},
	{"one-way-cut", "The site that leads hears but is not heard; later, the site that leads is heard but hears nothing.", 20 * time.Second, 0, failoverBound, playOneWayCut, false},
	{"leader-handover", "An operator moves the leadership to another site, three times, under load.", 12 * time.Second, 0, plannedBound, playHandOver, false},
	{"rolling-restart", "Every site is stopped in order and started again, one after another, as for an upgrade.", 20 * time.Second, 0, plannedBound, playRollingRestart, false},
	{"all-kill", "Every process is killed at once (SIGKILL) and started again: nothing but the disks is left.", 12 * time.Second, 0, outageBound, playAllKill, false},
	{"site-add", "Two sites are added to the running fleet, and one of the first is retired.", 20 * time.Second, 10 * time.Second, failoverBound, playSiteAdd, false},
	{"site-replace", "The site that leads is killed (SIGKILL) for good, and a new one takes its place.", 20 * time.Second, 10 * time.Second, failoverBound, playSiteReplace, false},
	{"busy-machine", "Half of the load this machine can carry, while a process that never rests keeps every core busy.", 20 * time.Second, 5 * time.Second, busyBound, playBusyMachine, true},
}

// demoScenario is what "holdfast demo" plays.
var demoScenario = Scenario{
	"demo", "The site that leads is cut off for a quarter of the time; later another site is killed and started again.",
	DemoLoad, 10 * time.Second, demoBound, playDemo, false,
}

// DemoLoad is how long the load of the demo runs.
const DemoLoad = 30 * time.Second

// Scenarios lists every scenario in the order in which "all" runs them.
func Scenarios() []Scenario { return slices.Clone(scenarios) }

// Demo is the scenario of the demo.
func Demo() Scenario { return demoScenario }

// Find gives the scenario of a name.
func Find(name string) (Scenario, error) {
	i := slices.IndexFunc(scenarios, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		return Scenario{}, fmt.Errorf("no scenario is called %q: there are %s, and all", name, strings.Join(names(), ", "))
	}
	return scenarios[i], nil
}

func names() (all []string) {
	for _, s := range scenarios {
		all = append(all, s.Name)
	}
	return all
}

// The plays. A wait of a share means that share of the load, spread a little by the seed, so that runs meet the heartbeats of
// the fleet in different phases.

func playSiteCut(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.3); err != nil {
		return err
	}
	return s.during(ctx, "site-cut", s.leader(ctx), 0.65, s.cut, s.heal)
}

func playSiteKill(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.3); err != nil {
		return err
	}
	return s.during(ctx, "site-kill", s.leader(ctx), 0.55, s.kill, s.revive)
}

func playSiteStop(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.2); err != nil {
		return err
	}
	const frozen = 10 * time.Second
	share := 0.2 + float64(frozen)/float64(s.length)
	return s.during(ctx, "site-stop", s.leader(ctx), share, s.freeze, s.thaw)
}

func playOneWayCut(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.15); err != nil {
		return err
	}
	if err := s.oneWay(ctx, "outbound", s.leader(ctx), 0.4, s.mute, s.heal); err != nil {
		return err
	}
	if err := s.until(ctx, 0.55); err != nil {
		return err
	}
	return s.oneWay(ctx, "inbound", s.leader(ctx), 0.8, s.deafen, s.heal)
}

func playHandOver(ctx context.Context, s *stage) error {
	for _, share := range []float64{0.25, 0.5, 0.75} {
		if err := s.until(ctx, share); err != nil {
			return err
		}
		if err := s.handOver(ctx); err != nil {
			return err
		}
	}
	return nil
}

func playRollingRestart(ctx context.Context, s *stage) error {
	for i := range s.fleet.sites {
		if err := s.until(ctx, 0.1+0.8*float64(i)/float64(len(s.fleet.sites))); err != nil {
			return err
		}
		if err := s.restart(ctx, s.fleet.sites[i].id); err != nil {
			return err
		}
	}
	return nil
}

func playAllKill(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.35); err != nil {
		return err
	}
	return s.killAll(ctx)
}

// playBusyMachine breaks nothing: the processes beside the sites run already, since half of the load was measured beside them.
func playBusyMachine(ctx context.Context, s *stage) error {
	i := s.begin("busy-machine", s.everywhere())
	if err := rest(ctx, s.length-s.clock()); err != nil {
		return err
	}
	s.healed(i)
	return nil
}

func playDemo(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.21); err != nil {
		return err
	}
	if err := s.during(ctx, "site-cut", s.leader(ctx), 0.45, s.cut, s.heal); err != nil {
		return err
	}
	if err := s.until(ctx, 0.66); err != nil {
		return err
	}
	return s.during(ctx, "site-kill", s.other(s.cutBefore(), s.leader(ctx)), 0.8, s.kill, s.revive)
}
