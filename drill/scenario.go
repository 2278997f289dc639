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
	stay  time.Duration // that of a shard led from a site which stays; 0: stayBound
	play  func(ctx context.Context, s *stage) error

	// What the drill has unless the caller wants more; 0: the default of all.
	Sites, Carriers, Shards int

	calm      bool // nothing is broken: an election is one that nobody wanted, and fails the drill
	smooth    bool // carriers are broken, never the last one: no election, and nobody waits noticeably longer
	foretells bool // every word of the forecasts has to come true
	strands   bool // clients that reach the wrong side only are part of it
	steady    bool // nothing that votes is touched: no election
	moves     bool // owners move from shard to shard
	splits    bool // to one that is born for them
	sick      bool // a site that leads is sick for a while
	commerce  bool // people pay: the sites have keys for that, and there is a bank
	counter   bool // the bank is what it is about: customers bring money there and take it home

	needs func() error                                        // what has to be on the machine; nil: nothing
	opens func(ctx context.Context, r *run) (business, error) // what people do beside the load; nil: nothing
}

// Fit sets what the caller has not asked for to what the scenario has by default.
func (s *Scenario) Fit(o *Options, asked func(option string) bool) {
	for _, x := range []struct {
		option string
		value  *int
		want   int
	}{{"rate", &o.Rate, s.rate()}, {"sites", &o.Sites, s.Sites}, {"carriers", &o.Carriers, s.Carriers}, {"shards", &o.Shards, s.Shards}} {
		if x.want != 0 && !asked(x.option) {
			*x.value = x.want
		}
	}
	if !s.calm && !asked("rate") {
		o.Rate = s.bearable(o.Rate, o)
	}
}

// entriesPerCore is how many entries in logs the orders of a fleet of several shards make in a second for each core of the machine, so that
// a third of it and more stays idle beside sites, cables, callers and probes. Measured with 8 shards, 3 sites and 2 carriers on 2 cores:
// an entry of an order takes 2.3 ms of processor of all processes together, and everything else 0.6 cores.
const entriesPerCore = 110

// tradeShare is how many trades between shards can be paid for a plain order: a trade reads and writes records of both sides, and has a fee. With
// half, measured as entriesPerCore was, the cables themselves had to wait for a processor; with this they do not. Trades of one shard share
// entries: tradesPerCore of them in a second for each core.
const (
	tradeShare    = 0.3
	tradesPerCore = 100
)

// bearable is as much of a rate of orders as the machine bears without becoming what is measured. An order from one shard to another is
// three entries in logs (depart, land, settle), and of n shards all but one n-th of the orders are. Orders of one shard share
// entries, those of many hardly do, and what an entry costs goes with the number of followers. With the shards that the scenario has of
// its own, the rate is meant for them.
func (s *Scenario) bearable(rate int, o *Options) int {
	entries := entriesPerCore * o.Cores * 2 / float64(max(2, o.Sites-1))
	switch {
	case s.peopled():
		entries *= peopleLeave
	case s.commerce && o.Shards == 1:
		return max(1, min(rate, int(tradesPerCore*o.Cores)))
	case s.commerce:
		entries *= tradeShare
	case o.Shards <= cmp.Or(s.Shards, 1):
		return rate
	}
	return max(1, min(rate, int(entries*float64(o.Shards)/float64(3*o.Shards-2))))
}

// rate of a scenario whose load is measured when nobody says how much it is.
func (s *Scenario) rate() int {
	switch {
	case s.calm:
		return HalfLoad
	case s.peopled():
		return businessRate
	}
	return 0
}

const (
	// businessRate is that of orders beside buyers and sellers, whose trades take many times as much as an order.
	businessRate = 20
	// peopleLeave is the share of what the machine bears that they leave to orders.
	peopleLeave = 0.25
)

// Least is the shortest load in which the scenario can break things and mend them.
func (s *Scenario) Least() time.Duration { return cmp.Or(s.least, s.Load) }

// Bound is the longest pause that passes at a round trip: with sites so far apart that leaders are suspected later than the
// default of 100 ms, the bound grows in proportion.
func (s *Scenario) Bound(rtt time.Duration) time.Duration { return s.stretched(s.bound, rtt) }

func (s *Scenario) stretched(bound, rtt time.Duration) time.Duration {
	const tick, ticks = 10 * time.Millisecond, 10
	return bound * time.Duration(electionTicks(rtt, tick, ticks)) / ticks
}

// peopled reports a scenario in which people pay beside the load.
func (s *Scenario) peopled() bool { return s.opens != nil }

// sells reports a scenario whose orders are trades of people themselves.
func (s *Scenario) sells() bool { return s.commerce && !s.peopled() }

// Missing says what the machine lacks for the scenario; nil: nothing.
func (s *Scenario) Missing() error {
	if s.needs == nil {
		return nil
	}
	return s.needs()
}

// undisturbed reports a scenario in which every shard has one leader from beginning to end.
func (s *Scenario) undisturbed() bool { return s.calm || s.smooth || s.steady }

// hurtsCarriers reports a scenario that is about one carrier of several.
func (s *Scenario) hurtsCarriers() bool { return s.smooth || s.foretells || s.Name == "demo" }

// Bounds on pauses. A planned change is announced to the successor, so nobody has to notice a silence first.
const (
	failoverBound = 500 * time.Millisecond
	plannedBound  = 100 * time.Millisecond
	demoBound     = time.Second            // twice as long: the machine is a laptop that does other things too
	demoStay      = 2 * stayBound          // for the same reason
	outageBound   = 5 * time.Second        // nothing runs at all: as long as a process takes to start and read its log
	smoothBound   = 200 * time.Millisecond // longer than any hiccup of a disk; what callers notice is compared more finely
	learnerBound  = 200 * time.Millisecond // nobody waits for a learner; longer than most hiccups of a disk
	moveBound     = 200 * time.Millisecond // of the owners of a slot that moves
	busyBound     = payDeadline            // nothing fails, the machine is slow: as long as every caller still gets an answer
)

// smoothLoad is as short as three faults of a carrier can be with times between them in which nothing is broken: what callers wait
// is compared within one run, because between two runs a machine changes more than the fault does.
const smoothLoad = 13 * time.Second

// splitLoad is longer than a hundred and more slots take that move one after the other.
const splitLoad = 45 * time.Second

var scenarios = append(withSick([]Scenario{
	{
		Name: "site-cut", Story: "Every cable of the site that leads goes silent for a while; nobody is told.",
		Load: 14 * time.Second, bound: failoverBound, play: playSiteCut,
	},
	{
		Name: "site-kill", Story: "The process of the site that leads is killed (SIGKILL) and started again.",
		Load: 14 * time.Second, bound: failoverBound, play: playSiteKill,
	},
	{
		Name: "site-stop", Story: "The site that leads is frozen for 10 s (SIGSTOP) and comes back believing that it still leads.",
		Load: 20 * time.Second, bound: failoverBound, play: playSiteStop,
	},
	{
		Name: "one-way-cut", Story: "The site that leads hears but is not heard; later, the site that leads is heard but hears nothing.",
		Load: 20 * time.Second, bound: failoverBound, play: playOneWayCut,
	},
	{
		Name: "leader-handover", Story: "An operator moves the leadership to another site, three times, under load.",
		Load: 12 * time.Second, bound: plannedBound, play: playHandOver,
	},
	{
		Name: "rolling-restart", Story: "Every site is stopped in order and started again, one after another, as for an upgrade.",
		Load: 20 * time.Second, bound: plannedBound, play: playRollingRestart,
	},
	{
		Name: "all-kill", Story: "Every process is killed at once (SIGKILL) and started again: nothing but the disks is left.",
		Load: 12 * time.Second, bound: outageBound, play: playAllKill,
	},
	{
		Name: "site-add", Story: "Two sites are added to the running fleet, and one of the first is retired.",
		Load: 20 * time.Second, least: 10 * time.Second, bound: failoverBound, play: playSiteAdd,
	},
	{
		Name: "site-replace", Story: "The site that leads is killed (SIGKILL) for good, and a new one takes its place.",
		Load: 20 * time.Second, least: 10 * time.Second, bound: failoverBound, play: playSiteReplace,
	},
	{
		Name: "site-learner", Story: "A site far away is added that holds a copy and has no vote; then it is cut off for a while.",
		Load: 20 * time.Second, least: 10 * time.Second, bound: learnerBound, play: playSiteLearner, steady: true,
	},
	{
		Name: "site-promote", Story: "A copy without a vote gets its vote, another site loses its own, and of those that are left the leader is killed (SIGKILL).",
		Load: 20 * time.Second, least: 15 * time.Second, bound: failoverBound, play: playSitePromote,
	},
	{
		Name: "slot-move", Story: "A slot with busy owners moves to a shard that is led from another site, and back.",
		Load: 32 * time.Second, least: 30 * time.Second, bound: moveBound, play: playSlotMove, Shards: 3, moves: true,
	},
	{
		Name: "shard-split", Story: "A shard is born, and takes over half of the slots of another one, with busy owners.",
		Load: splitLoad, bound: moveBound, play: playShardSplit, Shards: 3, moves: true, splits: true,
	},
	{
		Name: "shard-split-kill", Story: "A shard is split, and in the midst of it the site that leads it is killed (SIGKILL) and started again.",
		Load: splitLoad, bound: failoverBound + moveBound, play: playShardSplitKill, Shards: 3, moves: true, splits: true,
	},
	{
		Name: "busy-machine", Story: "Half of the load this machine can carry, while a process that never rests keeps every core busy.",
		Load: 20 * time.Second, least: 5 * time.Second, bound: busyBound, play: playBusyMachine, Shards: 1, calm: true,
	},
	{
		Name: "carrier-cut", Story: "One of two carriers goes silent everywhere, then the other, then the first again.",
		Load: smoothLoad, bound: smoothBound, play: playCarrierCut, Carriers: 2, smooth: true,
	},
	{
		Name: "carrier-cut-pair", Story: "One carrier goes silent between the site that leads and another; later the other carrier, to a third.",
		Load: smoothLoad, bound: smoothBound, play: playCarrierCutPair, Carriers: 2, smooth: true,
	},
	{
		Name: "carrier-one-way", Story: "The site that leads is not heard on one carrier; later it hears nothing on the other.",
		Load: smoothLoad, bound: smoothBound, play: playCarrierOneWay, Carriers: 2, smooth: true,
	},
	{
		Name: "carrier-lossy", Story: "Of what is sent over one carrier, 30 % comes late by 200 ms or more; later the same of the other.",
		Load: smoothLoad, bound: smoothBound, play: playCarrierLossy, Carriers: 2, smooth: true,
	},
	{
		Name: "carrier-flap", Story: "One carrier goes down and comes up every 200 ms; later the other does.",
		Load: smoothLoad, bound: smoothBound, play: playCarrierFlap, Carriers: 2, smooth: true,
	},
	{
		Name: "two-sites-of-five", Story: "Of five sites in three cities, the one that leads and one in another city are cut off at once.",
		Load: 14 * time.Second, bound: failoverBound, play: playTwoSites, Sites: 5, Carriers: 2,
	},
	{
		Name: "minority-side", Story: "The network parts: the site that leads is on the smaller side, with clients that reach no other site.",
		Load: 14 * time.Second, bound: failoverBound, play: playMinoritySide, Sites: 5, Carriers: 2, strands: true,
	},
	{
		Name: "city-cut", Story: "A city with two of five sites is cut off from the others; within the city everything still works.",
		Load: 14 * time.Second, bound: failoverBound, play: playCityCut, Sites: 5, Carriers: 2, strands: true,
	},
	{
		Name: "forecast", Story: "The fleet is asked what a loss would do; then exactly that is lost: a carrier, a cable, a site, two sites.",
		Load: 26 * time.Second, bound: outageBound, play: playForecast, Carriers: 2, foretells: true,
	},
}), append(payScenarios, bankScenarios...)...)

// demoScenario is what "holdfast demo" plays.
var demoScenario = Scenario{
	Name: "demo", Story: "Customers pay merchants. One of two carriers is cut everywhere, and nothing happens; then the site that leads is cut off; later another site is killed and started again.",
	Load: DemoLoad, least: 10 * time.Second, bound: demoBound, stay: demoStay, play: playDemo, Carriers: 2, commerce: true,
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
	if err := s.oneWay(ctx, outbound, s.leader(ctx), 0.4, s.mute, s.heal); err != nil {
		return err
	}
	if err := s.until(ctx, 0.55); err != nil {
		return err
	}
	return s.oneWay(ctx, inbound, s.leader(ctx), 0.8, s.deafen, s.heal)
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
	if err := s.hurt(ctx, s.alone(everywhere(1, 0.13, 0.27))); err != nil {
		return err
	}
	if err := s.until(ctx, 0.37); err != nil {
		return err
	}
	if err := s.during(ctx, "site-cut", s.leader(ctx), 0.56, s.cut, s.heal); err != nil {
		return err
	}
	if err := s.until(ctx, 0.78); err != nil { // the leadership is back at home by then
		return err
	}
	return s.during(ctx, "site-kill", s.other(s.cutBefore(), s.leader(ctx)), 0.88, s.kill, s.revive)
}
