package drill

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/evidence"
	"holdfast/retail"
	"holdfast/site"
)

// Options of a run. [Options.Check] says what is allowed.
type Options struct {
	Program  string          // the executable whose "serve --config" is a site
	Seed     uint64          // of ids, of the moments of the faults, and of what is sampled
	Sites    int             // 3 to MaxSites, odd
	Shards   int             // 1 to 256
	Carriers int             // cables between each two sites, 1 to 4
	Rate     int             // payments a second, on average, besides the probes; or HalfLoad
	Load     time.Duration   // how long the load runs; 0: as the scenario has it
	Rounds   int             // of a drill of carriers: how often its faults are played under one load; 0: once
	RTT      time.Duration   // round trip between each two sites
	Events   int             // how many of the recorded events are replayed; 0: Rate times Load; or AllEvents
	Cores    float64         // for which the load of several shards is made
	Busy     int             // processes beside the sites in busy-machine; 0: as many as there are cores
	Keep     bool            // keep data and logs of the sites also when all is well
	Sign     bool            // have the sites sign what they answer when everything is proved, for Evidence.Signed
	Version  string          // of the program, for the evidence
	Watch    func(*Snapshot) // called ten times a second; nil: nobody watches
	Visitors *Visitors       // of a scenario in which people pay; nil: nobody comes
	bare     bool            // no cables: sites dial each other directly
	rehearse bool            // sites make trouble for themselves when they are told to
	commerce bool            // there are payments of people, and a bank
	counter  bool            // which customers bring money to as well, and take it home
	tills    bool            // there are payments of people
	peopled  bool            // people pay beside the load
}

// AllEvents replays every recorded event once, whatever the rate; of a load that is shorter than the scenario has it, a share of
// them, so that the rate is the same, and with several shards as many as the machine bears.
const AllEvents = -1

// Defaults are the options of a drill of which nothing was said: the fleet is as the generated configuration has it.
func Defaults() Options {
	return Options{Seed: 1, Sites: 3, Shards: site.FleetShards, Carriers: 2, Rate: 300, Cores: float64(cores()), RTT: 10 * time.Millisecond}
}

// Check reports the first option that makes no sense.
func (o *Options) Check(s *Scenario) error {
	switch {
	case o.Sites < 3 || o.Sites > MaxSites || o.Sites%2 == 0:
		return fmt.Errorf("%d sites: a drill has 3 or 5, so that a majority remains when one fails", o.Sites)
	case o.Shards < 1 || o.Shards > 64:
		return fmt.Errorf("%d shards: a drill on one machine has 1 to 64", o.Shards)
	case o.Shards < 2 && s.moves:
		return fmt.Errorf("%d shard: the scenario %s needs 2 or more, for a slot to go from one to another", o.Shards, s.Name)
	case o.Sites < s.Sites:
		return fmt.Errorf("%d sites: the scenario %s needs %d, in three cities", o.Sites, s.Name, s.Sites)
	case o.Carriers < 1 || o.Carriers > 4:
		return fmt.Errorf("%d carriers: a drill has 1 to 4", o.Carriers)
	case o.Carriers < s.Carriers && s.hurtsCarriers():
		return fmt.Errorf("%d carriers: the scenario %s needs %d or more: the cut of the only one is the cut of every site", o.Carriers, s.Name, s.Carriers)
	case (o.Rate < 1 || o.Rate > MaxRate) && (o.Rate != HalfLoad || !s.calm):
		return fmt.Errorf("rate %d: 1 to %d payments a second", o.Rate, MaxRate)
	case o.Busy < 0 || o.Busy > MaxBusy:
		return fmt.Errorf("%d busy processes: 0 to %d", o.Busy, MaxBusy)
	case o.RTT < 0 || o.RTT > 200*time.Millisecond:
		return fmt.Errorf("round trip %v: 0 to 200ms", o.RTT)
	case o.Visitors != nil && !s.commerce:
		return fmt.Errorf("nobody can sign in where no people pay: the scenario %s has no visitors", s.Name)
	case o.Rounds < 0 || o.Rounds > MaxRounds:
		return fmt.Errorf("%d rounds: 1 to %d", o.Rounds, MaxRounds)
	case o.Rounds > 1 && !s.smooth:
		return fmt.Errorf("%d rounds: only the drills of carriers have any, and %s is none", o.Rounds, s.Name)
	case o.Rounds > 1 && o.Load != 0:
		return fmt.Errorf("duration %v: with %d rounds the load takes %v", o.Load, o.Rounds, s.loadOf(o.Rounds))
	case o.Load != 0 && o.Load < s.Least():
		return fmt.Errorf("duration %v: the scenario %s needs %v or more to break things and mend them; without --duration it takes %v", o.Load, s.Name, s.Least(), s.Load)
	}
	return nil
}

// Evidence is everything a run leaves behind: the result for programs, and what the report for people is drawn from.
type Evidence struct {
	Result   Result
	Scenario Scenario
	Samples  []Sample
	Faults   []Fault
	Reigns   []Reign
	Pauses   [][]ShardPause // of each fault, by shard
	Smooth   *Smoothness    // nil: no carrier was broken
	Rounds   []Round        // of a drill of carriers that has several
	Noise    time.Duration  // by how much stretches without a fault differ from each other, where there are rounds
	Stalls   []Stall        // in which the machine stood still for everybody
	Moves    []Wandering    // of the faults in which a slot moved
	Sick     []Sickness     // of the faults in which a site was sick
	Traffic  []Reading      // of the carriers
	Forced   []string       // elections that the drill itself forced, where nobody wanted any
	Forecast []*Comparison  // of the faults of which the fleet said something
	Signed   *evidence.Run  // nil: Options.Sign was not set
	Stranded *Stranded      // nil: nobody was on the wrong side
	Trades   *Trades        // nil: orders were plain transfers
	Told     []string       // what people did beside the orders, a sentence each
	Checks   []Check
	Sites    []string
	Bound    time.Duration // the longest pause that passes
	ProbeGap time.Duration // between two probes of a shard
	Rate     int           // orders a second, on average
	Recorded time.Duration // from the first of the orders to the last, when they were recorded
	// StayBound is that of a shard that was led from a site which stayed.
	StayBound time.Duration
	Length    time.Duration // from the start of the load to its last answer
	Started   time.Time
	Machine   []Fact
	Load      string // what ran beside the sites and how much load that left room for; "" where nothing did
	Kept      string // directory with data and logs of the sites; "" when it was removed
}

// Fact is a line of a table.
type Fact struct{ Name, Value string }

// run is one drill while it lasts.
type run struct {
	o        Options
	scenario Scenario
	rand     *rand.Rand
	started  time.Time
	zero     atomic.Int64 // from started to the start of the load, in nanoseconds; until then 0
	world    *world
	fleet    *fleet
	load     *load
	book     *book
	throne   *throne
	stage    *stage
	sampler  *sampler
	meter    *meter
	stranded *stranded // nil: the scenario has none
	business business  // nil: nobody buys anything
	view     *viewer
	door     Door // for visitors

	metronome  *metronome // nil: nobody's waits are compared
	neighbours neighbours // beside the sites
	said       string     // about them and the load
}

// Run plays a scenario and proves what became of the payments. The error says that the drill itself could not be done; what a
// drill finds is in the evidence. Every process it started is gone when it returns.
func Run(ctx context.Context, s Scenario, o Options) (_ *Evidence, err error) {
	if err := o.Check(&s); err != nil {
		return nil, err
	}
	if s.needs != nil {
		if err := s.needs(); err != nil {
			return nil, err
		}
	}
	r, err := prepare(s, o)
	if err != nil {
		return nil, err
	}
	var evidence *Evidence
	defer func() { err = r.finish(evidence, err) }()
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	if err := r.receive(ctx); err != nil {
		return nil, err
	}
	broken := r.play(ctx)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	evidence = r.judge(ctx, broken)
	r.see(ctx, evidence)
	return evidence, nil
}

func prepare(s Scenario, o Options) (_ *run, err error) {
	r := &run{o: o, scenario: s, rand: rand.New(rand.NewPCG(o.Seed, 1)), started: time.Now()}
	if r.o.Load == 0 {
		r.o.Load = s.loadOf(o.Rounds)
	}
	trade, err := retail.Load()
	if err != nil {
		return nil, err
	}
	switch r.o.Events {
	case 0:
		most := r.o.Rate
		if most == HalfLoad {
			most = MaxRate // until it is known
		}
		r.o.Events = int(float64(most) * r.o.Load.Seconds())
	case AllEvents:
		r.o.Events = s.events(len(trade.Events), &r.o)
	}
	if r.world, err = newWorld(trade, o.Shards); err != nil {
		return nil, err
	}
	if s.sells() {
		if err := r.world.openMarket(); err != nil {
			return nil, err
		}
	}
	if s.moves {
		if err := r.world.settleNomads(s.splits); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "holdfast-drill-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the sites: %w", err)
	}
	r.o.rehearse, r.o.commerce, r.o.counter, r.o.peopled = s.sick || s.commerce, s.commerce, s.counter, s.peopled()
	if r.fleet, err = newFleet(&r.o, dir, r.rand); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	r.book = newBook()
	if o.Shards > 1 {
		r.book.crosses, r.book.nomads = r.world.crosses, r.world.nomads
	}
	return r, nil
}

// events is how many of all events are replayed: of a load that is shorter than the scenario has it, a share, and as many of those as the
// machine bears.
func (s *Scenario) events(all int, o *Options) int {
	share := min(1, o.Load.Seconds()/s.Load.Seconds())
	most := int(float64(all) * share)
	rate := int(float64(all) / s.Load.Seconds())
	if bearable := s.bearable(rate, o); bearable < rate {
		return min(most, int(float64(bearable)*o.Load.Seconds()))
	}
	return most
}

// finish ends every process and removes what they stored, unless somebody will want to look at it.
func (r *run) finish(e *Evidence, err error) error {
	if r.load != nil {
		r.load.close()
	}
	r.view.stop()
	if r.business != nil {
		err = errors.Join(err, r.business.close())
	}
	err = errors.Join(err, r.neighbours.stop(), r.metronome.close(), r.fleet.close())
	failed := err != nil || e == nil || !e.Result.Passed()
	if !failed && !r.o.Keep {
		return os.RemoveAll(r.fleet.dir)
	}
	if e != nil {
		e.Kept = r.fleet.dir
		return err
	}
	return fmt.Errorf("%w (data and logs of the sites are in %s)", err, r.fleet.dir)
}

// clock is the time since the start of the load; before it, since the start of the run.
func (r *run) clock() time.Duration { return time.Since(r.started) - time.Duration(r.zero.Load()) }

// begin brings up the fleet and everything the load stands on.
func (r *run) begin(ctx context.Context) (err error) {
	r.throne = newThrone(r.fleet, r.clock)
	r.stage = &stage{fleet: r.fleet, throne: r.throne, clock: r.clock, length: r.o.Load, rand: r.rand, carriers: r.o.Carriers, nomads: r.world.nomads}
	r.meter = &meter{cables: r.fleet.net, clock: r.clock}
	if r.load, err = newLoad(r.fleet, r.book, r.clock); err != nil {
		return err
	}
	r.strand()
	if r.scenario.smooth || r.scenario.foretells || r.scenario.peopled() {
		if r.metronome, err = newMetronome(r.fleet.dir, r.clock); err != nil {
			return err
		}
	}
	r.sampler = &sampler{clients: r.load.clients, book: r.book, clock: r.clock, rand: rand.New(rand.NewPCG(r.o.Seed, 2))}
	if free := r.o.Cores; r.o.Shards > 1 && free < float64(cores()) {
		r.said = fmt.Sprintf("%.1f of %d cores were free when it began: %s orders a second, besides %d probes",
			free, cores(), thousands(int64(math.Round(float64(r.o.Events)/r.o.Load.Seconds()))), r.o.probeRate())
	}
	r.view = startViewer(r)
	r.view.say(fmt.Sprintf("starting %d sites as %d processes, %v apart", r.o.Sites, r.o.Sites, r.o.RTT))
	up, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := r.fleet.start(up); err != nil {
		return err
	}
	r.view.say(fmt.Sprintf("opening and funding %d accounts", len(r.world.customers)))
	rounds := (r.o.Events + len(r.world.trade.Events) - 1) / len(r.world.trade.Events)
	if err := r.load.settle(ctx, r.world, r.world.funding(rounds, ids(r.rand, time.Now()))); err != nil {
		return err
	}
	if err := r.register(ctx); err != nil {
		return err
	}
	if err := r.fleet.place(ctx); err != nil {
		return err
	}
	if r.scenario.opens != nil {
		if r.business, err = r.scenario.opens(ctx, r); err != nil {
			return err
		}
	}
	if err := r.crowd(ctx); err != nil || !r.scenario.undisturbed() && !r.scenario.moves && !r.scenario.sick && r.o.Shards == 1 {
		return err
	}
	r.view.say("waiting until every shard is led from its home")
	return r.fleet.settled(ctx)
}

// register makes merchants and customers known to the platform, where people pay.
func (r *run) register(ctx context.Context) error {
	if r.world.market == nil {
		return nil
	}
	r.load.market = r.world
	buyers := r.world.buyers(r.o.Events)
	said := func(done, all int) {
		r.view.say(fmt.Sprintf("registering merchants and customers: %d of %d", done, all))
	}
	said(0, len(buyers)+len(r.world.market.sellers))
	if err := r.load.register(ctx, r.world, buyers, said); err != nil {
		return fmt.Errorf("register merchants and customers: %w", err)
	}
	return nil
}

// strand prepares the clients on the wrong side of a cut.
func (r *run) strand() {
	if !r.scenario.strands {
		return
	}
	r.stranded = newStranded(r.load, r.world, r.fleet.key)
	r.stage.stranded = r.stranded
	r.stage.newIDs = func() func() holdfast.ID { return ids(rand.New(rand.NewPCG(r.o.Seed, 4)), time.Now()) }
}

// play runs the load and the faults beside it, and returns when both are over. What it returns is what went wrong with the
// drill itself.
func (r *run) play(ctx context.Context) []error {
	errands := r.world.plan(r.o.Events, r.o.Load, ids(r.rand, time.Now()))
	watch, unwatch := context.WithCancel(ctx)
	until, over := context.WithCancel(ctx)
	defer over()
	r.startClock()
	var watchers, callers, traders sync.WaitGroup
	watchers.Go(func() { r.throne.watch(watch) })
	watchers.Go(func() { r.sampler.watch(watch) })
	watchers.Go(func() { r.meter.watch(watch) })
	watchers.Go(func() { r.metronome.watch(watch) })
	for i := range r.world.shards {
		c := &r.world.shards[i]
		id := ids(rand.New(rand.NewPCG(r.o.Seed, 10+uint64(i))), time.Now())
		callers.Go(func() { r.load.probe(ctx, until, c, r.o.paceOf(i, probeEvery, maxProbes), id) })
		callers.Go(func() { r.load.read(ctx, until, c, r.o.paceOf(i, readEvery, maxReads)) })
	}
	if n := r.world.nomads; n != nil {
		id := ids(rand.New(rand.NewPCG(r.o.Seed, 5)), time.Now())
		callers.Go(func() { r.load.wander(ctx, until, n, id) })
	}
	if r.business != nil {
		traders.Go(func() { r.business.trade(ctx, until) })
	}
	played := make(chan error, 1)
	go func() { played <- r.stage.playRounds(ctx, &r.scenario, r.o.Rounds) }()
	r.view.say(r.scenario.Story)
	errs := []error{r.load.replay(ctx, errands), <-played, rest(ctx, r.o.Load-r.clock())}
	over()
	callers.Wait()
	r.view.end(r.clock())
	r.view.say("the load is over: waiting for the last answers")
	r.load.wait()
	traders.Wait() // they finish what they have begun, while nobody probes any more
	errs = append(errs, r.fleet.net.do(orderHeal, 0), r.neighbours.stop())
	unwatch()
	watchers.Wait()
	if r.scenario.calm {
		r.stage.see(0, nil, func(x *sighting) { x.work = r.neighbours.work })
	}
	return errs
}

// startClock makes this moment the zero of all times. What has been written down so far happened before it.
func (r *run) startClock() {
	passed := r.clock()
	r.book.shift(passed)
	r.zero.Add(int64(passed))
}

// judge proves what became of the payments, and puts everything together.
func (r *run) judge(ctx context.Context, broken []error) *Evidence {
	p := &prover{home: r.fleet.final(), bank: r.fleet.bank, fleet: r.fleet.final(), buyers: r.world.buyers(r.o.Events), world: r.world, load: r.load, book: r.book, say: r.view.say, business: r.business, sign: r.o.Sign}
	var sworn testimony
	if r.o.Sign {
		asked, closeAll, err := p.fleet.swear(&sworn)
		if err != nil {
			broken = append(broken, err)
		} else {
			defer closeAll()
			p.fleet = asked
		}
	}
	broken = append(broken, p.prove(ctx, ids(rand.New(rand.NewPCG(r.o.Seed, 3)), time.Now())))
	for _, m := range p.fleet.sites {
		if err := m.proc.unexpected(); err != nil {
			broken = append(broken, fmt.Errorf("%s: %w", m.name, err))
		}
	}
	signed, err := sworn.ended(r, p.fleet.sites)
	broken = append(broken, err)
	samples, _ := r.book.samples(0)
	e := &Evidence{
		Signed: signed, Trades: p.trades, Told: p.told,
		Scenario: r.scenario, Samples: samples, Faults: r.stage.history(), Reigns: r.throne.history(),
		Checks: p.checks, Bound: r.scenario.Bound(r.o.RTT), StayBound: r.scenario.StayBound(r.o.RTT), ProbeGap: r.o.probeGap(), Length: r.view.length(), Started: r.started, Machine: machine(r.o.Version),
	}
	e.Rate = int(math.Round(float64(r.o.Events) / r.o.Load.Seconds()))
	e.Recorded = r.world.recorded(r.o.Events)
	for _, m := range r.fleet.sites {
		e.Sites = append(e.Sites, m.name)
	}
	if e.Load = r.said; e.Load != "" {
		e.Machine = append(e.Machine, Fact{"load", e.Load})
	}
	looked := r.sampler.result()
	e.Checks = append(e.Checks, looked.check())
	e.Result = r.result(e, p)
	r.compare(e)
	e.Result.judge(e.Bound, r.findings(e, p, broken))
	r.view.say("verdict: " + e.Result.Verdict)
	return e
}

// result fills everything but the verdict.
func (r *run) result(e *Evidence, p *prover) Result {
	q := latencies(e.Samples, anyPayment)
	out := Result{
		Scenario: r.scenario.Name, Seed: r.o.Seed, Sites: r.o.Sites, Shards: r.o.Shards, Carriers: r.o.Carriers,
		RTTMillis: millis(r.o.RTT), Input: retail.Name, Payments: count(e.Samples),
		Lost: len(p.lost), Duplicated: len(p.duplicated), Altered: len(p.altered),
		BooksBalanced: p.booksBalanced, ReplicasAgree: p.replicasAgree, Linearizable: p.linearizable,
		Latency: Latency{millis(q.p50), millis(q.p99), millis(q.p999), millis(q.max)},
		Faults:  []FaultResult{}, unproved: p.cut,
	}
	var shards []holdfast.ShardID
	for i := range r.world.shards {
		shards = append(shards, r.world.shards[i].id)
	}
	for i, x := range effects(e.Faults, e.Samples, e.Reigns, shards, r.o.Sites, e.Length) {
		f := &e.Faults[i]
		e.Pauses = append(e.Pauses, x.pauses)
		out.Faults = append(out.Faults, FaultResult{
			Kind: f.Kind, Target: f.Target, AtMillis: f.At.Milliseconds(), HealedMillis: f.Healed.Milliseconds(),
			PauseMillis: millis(x.pause), FailedRequests: x.failed, LeaderChanges: x.leaders,
		})
	}
	return out
}

// findings are the reasons that have no field of their own in a result.
func (r *run) findings(e *Evidence, p *prover, broken []error) (out []string) {
	for _, err := range broken {
		if err != nil {
			out = append(out, err.Error())
		}
	}
	looked := r.sampler.result()
	out = append(out, looked.reasons()...)
	if len(p.phantom) > 0 {
		out = append(out, fmt.Sprintf("%d payments that were refused or not executed are in the books", len(p.phantom)))
	}
	out = append(out, r.book.refusals()...)
	if r.scenario.undisturbed() {
		unwanted, _ := elections(e.Reigns, lapses(e.Traffic, listens(r.o.RTT)))
		out = append(out, unwanted...)
	} else {
		out = append(out, disturbed(e.Faults, e.Reigns, e.Length)...)
	}
	out = append(out, unseen(e.Faults, e.Reigns, e.Length)...)
	for i := range e.Moves {
		out = append(out, e.Moves[i].reasons(&e.Faults[e.Moves[i].Fault], e.Bound)...)
	}
	out = append(out, uncured(e.Sick, e.Faults)...)
	out = append(out, disturbedStays(e.Faults, e.Pauses, e.StayBound, e.ProbeGap)...)
	if r.scenario.smooth && e.Smooth != nil {
		out = append(out, e.Smooth.reasons(e.Faults, r.o.Carriers)...)
		out = append(out, roundReasons(e.Rounds)...)
	}
	out = append(out, unforetold(e.Faults)...)
	if r.metronome != nil {
		out = append(out, belated(e.Faults, e.Stalls)...)
	}
	for _, c := range e.Forecast {
		out = append(out, c.reasons(&e.Faults[c.Fault], r.scenario.foretells)...)
	}
	if e.Stranded != nil {
		out = append(out, e.Stranded.reasons()...)
	}
	left := func(until time.Duration) int { return failures(e.Samples, -time.Hour, until) }
	if r.scenario.peopled() {
		dark := shadows(e.Stalls)
		left = func(until time.Duration) int {
			return failures(e.Samples, -time.Hour, until) - excused(e.Samples, dark, -time.Hour, until, e.Bound)
		}
		out = append(out, e.tooDark()...)
	}
	if before := left(firstFault(e.Faults)); before > 0 {
		out = append(out, fmt.Sprintf("%d requests without a definite answer before the first fault", before))
	}
	if left(time.Hour) > 0 {
		out = append(out, r.book.excuses()...)
	}
	return append(out, p.findings...)
}

// compare works out everything that is not in the result: carriers, forecasts, clients on the wrong side.
func (r *run) compare(e *Evidence) {
	e.Traffic = r.meter.history()
	if r.scenario.undisturbed() {
		_, e.Forced = elections(e.Reigns, lapses(e.Traffic, listens(r.o.RTT)))
	}
	e.Moves, e.Sick = r.wandering(e.Faults), sicknesses(e.Faults, e.Samples, e.Reigns, e.Length)
	e.Stalls = r.metronome.stalls()
	e.Smooth = smoothness(e.Faults, e.Samples, e.Traffic, e.Stalls, e.Length)
	if r.scenario.peopled() {
		e.leaveOut()
	}
	if r.o.Rounds > 1 {
		e.Rounds = judgeRounds(e, r.o.Rounds, r.stage.troubles)
	}
	known := &facts{e.Reigns, e.Samples, e.Stalls, e.ProbeGap, e.Length}
	for i := range e.Faults {
		if c := compare(i, &e.Faults[i], e.Pauses[i], known); c != nil {
			e.Forecast = append(e.Forecast, c)
		}
	}
	if r.stranded != nil && len(e.Faults) > 0 {
		e.Stranded = r.stranded.found(&e.Faults[0])
	}
}

func firstFault(faults []Fault) time.Duration {
	if len(faults) == 0 {
		return time.Hour
	}
	return faults[0].At
}
