package sim

import (
	"crypto/rand"
	"fmt"
	"io"
	"path"
	"reflect"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"holdfast"
	"holdfast/check"
	"holdfast/shard"
	"holdfast/store"
)

// fleet is everything that takes part in a run.
type fleet struct {
	e       engine
	stats   Stats
	net     *network
	sites   []*process
	shards  []*oracle
	worlds  []*world
	clients []*client
	random  random
	sent    map[holdfast.ID]*sending

	crossings *crossings // nil: there is one shard
	nomads    *nomads    // nil: no slot moves
	births    *nursery   // nil: no shard is born
	ward      *ward      // nil: nobody is sick
	market    *market    // nil: nobody trades

	message raftpb.Message // room to look into messages

	machineConfig shard.MachineConfig
	messageBytes  int
	think         time.Duration
	impatience    float64
	sleepTicks    int // after so many ticks without anything to do a shard falls asleep
	faults        faults
	closing       bool // no new work: what is under way comes to its end
	calm          bool
	options       Options
	pace          holdfast.Time // how far ahead a clock has been that had not run away
	bulk          int           // the largest batch of the bulk client; 0: there is none
	rotten        *process      // where a checkpoint was altered on purpose; nil: nowhere
	noticed       bool          // and the replica there took itself out of service
}

// sending is how often an id has been sent, and when first.
type sending struct {
	copies int
	first  time.Duration
}

func (f *fleet) sending(id holdfast.ID) *sending {
	s := f.sent[id]
	if s == nil {
		s = &sending{first: f.e.now}
		f.sent[id] = s
	}
	return s
}

func (f *fleet) oracle(s holdfast.ShardID) *oracle { return f.shards[s-1] }

// identity draws a number that nobody else has.
func (f *fleet) identity() uint64 {
	for {
		if n := f.e.rng.Uint64(); n != 0 {
			return n
		}
	}
}

func (f *fleet) anySite() *process { return f.sites[f.e.rng.IntN(len(f.sites))] }

// running lets one run at a time use crypto/rand.Reader.
var running sync.Mutex

// Run simulates one fleet from one seed. It never fails otherwise than by its Result; a panic in the fleet is a Result too.
// A run that fails is run once more, for the last lines of its trace.
func Run(seed uint64, o Options) Result {
	running.Lock()
	defer running.Unlock()
	r := run(seed, o, o.Trace != nil)
	if r.OK || o.Trace != nil {
		return r
	}
	again := run(seed, o, true)
	if again.TraceHash != r.TraceHash {
		again.Failure += fmt.Sprintf(" (and the run does not repeat itself: first it was %s: %s)", r.Invariant, r.Failure)
	}
	return again
}

func run(seed uint64, o Options, traced bool) (result Result) {
	f := newFleet(seed, o, traced)
	defer swapRandom(f.random)()
	defer f.close()
	defer func() {
		if p := recover(); p != nil {
			f.e.fail("panic", "%v\n%s", p, stack())
			result = f.result(seed)
		}
	}()
	f.run(o)
	return f.result(seed)
}

// stack is where a panic came from: functions and lines of ours, without the addresses that differ from run to run.
func stack() string {
	var out []string
	lines := strings.Split(string(debug.Stack()), "\n")
	for i, line := range lines[:len(lines)-1] {
		if strings.HasPrefix(line, "holdfast/") || strings.HasPrefix(line, "go.etcd.io/") {
			function, _, _ := strings.Cut(line, "(0x")
			place, _, _ := strings.Cut(path.Base(lines[i+1]), " +0x")
			out = append(out, path.Base(function)+" "+place)
		}
	}
	return strings.Join(out[:min(len(out), 12)], "\n")
}

func swapRandom(r io.Reader) (restore func()) {
	old := rand.Reader
	rand.Reader = r
	return func() { rand.Reader = old }
}

func (f *fleet) result(seed uint64) Result {
	r := Result{Seed: seed, Rerun: f.options.rerun(seed), OK: f.e.failed == nil, Stats: f.stats, TraceHash: f.e.trace.hash}
	r.Stats.Virtual = f.e.now
	if f.nomads != nil {
		r.Slots = f.nomads.stats
	}
	if f.births != nil {
		r.Births = f.births.stats
	}
	if f.ward != nil {
		r.Sick = f.ward.stats
	}
	if f.market != nil {
		r.Market = f.market.stats
	}
	if f.e.failed != nil {
		r.Invariant, r.Failure, r.Tail = f.e.failed.invariant, f.e.failed.text, f.e.trace.last()
	}
	return r
}

// newFleet draws the fleet: how large, how fast, how bad.
func newFleet(seed uint64, o Options, traced bool) *fleet {
	f := &fleet{e: newEngine(seed, o.Trace, traced), random: newRandom(seed), calm: o.Calm || o.Rot || o.Sick, options: o, sent: map[holdfast.ID]*sending{}}
	rng := f.e.rng
	sites, shards := 3+2*(rng.IntN(4)/3), 1+rng.IntN(6)/4
	if rng.IntN(12) == 0 {
		shards = 3
	}
	if o.Sites > 0 {
		sites = o.Sites
	}
	if o.Shards > 0 {
		shards = o.Shards
	}
	f.net = newNetwork(&f.e, sites, &f.stats)
	f.machineConfig = shard.MachineConfig{SealRows: 20 + rng.IntN(200), SealAge: holdfast.Time(time.Second), MaxSealed: 3}
	f.messageBytes = pick(rng, []int{300, 2000, 1 << 20})
	f.think = pick(rng, []time.Duration{20 * time.Millisecond, 60 * time.Millisecond, 150 * time.Millisecond})
	f.bulk = pick(rng, []int{0, 0, 10, 60, 60, 700})
	f.impatience = pick(rng, []float64{0, 0.05, 0.3})
	f.sleepTicks = pick(rng, []int{1, 3, 8, 30})
	keep := uint64(pick(rng, []int{3, 15, 60}))
	for i := range sites {
		f.sites = append(f.sites, &process{f: f, site: holdfast.SiteID(i + 1), disk: f.newMedium(o.Disk, shards, keep), rotten: make([]time.Duration, shards), heard: make([]heardBeat, sites)})
	}
	for i := range shards {
		s := holdfast.ShardID(i + 1)
		f.shards = append(f.shards, newOracle(&f.e, s, &f.stats))
		f.shards[i].pace = &f.pace
		f.worlds = append(f.worlds, newWorld(seed, s, shards, rng))
	}
	each := 2 + rng.IntN(4)
	if o.Trades { // these are the callers that count here
		each, f.bulk = 1, 0
	}
	for i := range shards * each {
		f.clients = append(f.clients, &client{f: f, n: i + 1, shard: holdfast.ShardID(i%shards + 1)})
	}
	f.net.arrive = func(to holdfast.SiteID, do func()) { f.sites[to-1].arrive(do) }
	f.faults = drawFaults(f)
	if shards > 1 && !o.Rot && !o.Sick {
		f.crossings = newCrossings(f)
		if o.Slots {
			f.nomads = newNomads(f)
		}
		if o.Births {
			f.births = newNursery(f)
		}
		if o.Trades && !o.Births {
			f.market = newMarket(f)
		}
	}
	if o.Sick {
		f.ward = newWard(f)
	}
	f.e.logf("seed %d: %d sites, %d shards, %d clients", seed, sites, shards, len(f.clients))
	return f
}

func (f *fleet) newMedium(d Disk, shards int, keep uint64) medium {
	if d == PebbleDisk {
		return newPebbleDisk(&f.e, shards, keep)
	}
	return newDisk(&f.e, shards, keep)
}

// close lets go of what the disks hold.
func (f *fleet) close() {
	f.market.close()
	for _, p := range f.sites {
		p.disk.close()
	}
}

// run is the life of a fleet: birth, work under faults, and the end, in which everything has to come right.
func (f *fleet) run(o Options) {
	f.found()
	for _, p := range f.sites {
		p.start()
	}
	for _, c := range f.clients {
		f.e.after(f.e.between(0, 800*time.Millisecond), c.next)
	}
	if f.bulk > 0 {
		f.e.after(time.Second, f.haul)
	}
	for i, w := range f.worlds {
		f.open(holdfast.ShardID(i+1), w)
	}
	if f.crossings != nil {
		f.crossings.start()
	}
	if f.nomads != nil {
		f.nomads.start()
	}
	if f.births != nil {
		f.births.start()
	}
	if f.ward != nil {
		f.ward.start()
	}
	if f.market != nil {
		f.market.start()
	}
	if o.Rot {
		f.e.after(1200*time.Millisecond, f.rot)
	}
	if !f.calm {
		f.faults.start()
	}
	if f.ward != nil {
		f.ward.run()
		f.end()
		return
	}
	steps := o.Steps
	if steps == 0 {
		steps = 3000 + f.e.rng.IntN(15000)
	}
	for f.stats.Steps < steps && f.e.step() {
		f.stats.Steps++
	}
	if o.Rot {
		f.endRotten()
		return
	}
	f.end()
}

// rottenFor is how long a replica that differs may go unnoticed: some digest entries, and payments in between.
const rottenFor = 6 * time.Second

// rottenPays is how many payments have to follow: the replicas that are right go on.
const rottenPays = 20

// endRotten is the end of a run in which a checkpoint was altered: somebody must have noticed by then.
func (f *fleet) endRotten() {
	for until := f.e.now + rottenFor; !f.noticed && f.e.now < until && f.e.step(); {
		f.stats.Steps++
	}
	if f.rotten == nil {
		return
	}
	if !f.noticed {
		f.e.fail("divergence", "a replica differs from the others, and none took itself out of service")
		return
	}
	paid := f.stats.Acknowledged
	for until := f.e.now + rottenFor; f.stats.Acknowledged < paid+rottenPays && f.e.now < until && f.e.step(); {
		f.stats.Steps++
	}
	if n := f.stats.Acknowledged - paid; n < rottenPays {
		f.e.fail("liveness", "the replica that differs is out of service, and %s later only %d payments were acknowledged", rottenFor, n)
	}
}

// found gives every disk its identity and the first list of members.
func (f *fleet) found() {
	for i := range f.shards {
		if f.shards[i].confs = []*config{{}}; f.births.young(i) {
			continue // it is founded later
		}
		var founders []shard.Member
		var ids []uint64
		for _, p := range f.sites {
			ids = append(ids, f.identity())
			founders = append(founders, shard.Member{Replica: shard.ReplicaID(ids[len(ids)-1]), Site: p.site})
		}
		birth := shard.NewMembers(founders).Append(nil)
		for _, m := range founders {
			f.shards[i].confs[0].voters = append(f.shards[i].confs[0].voters, m.Replica)
		}
		for k, p := range f.sites {
			if err := p.disk.volume(i).SetIdentity(store.Identity{Replica: ids[k], Born: true, Birth: birth}); err != nil {
				f.e.fail("disk", "site %d: %v", p.site, err)
			}
		}
	}
}

// open lets a client of its own open the accounts of a shard.
func (f *fleet) open(s holdfast.ShardID, w *world) {
	c := &client{f: f, n: 1000 + int(s), shard: s, txn: w.opening(), busy: true, stubborn: true}
	f.clients = append(f.clients, c)
	f.e.after(200*time.Millisecond, c.send)
}

// answered notes an answer and reports whether it settles the transaction. Late answers to a question that is settled are
// checked all the same.
func (f *fleet) answered(s holdfast.ShardID, at holdfast.SiteID, txn *holdfast.Txn, got holdfast.Outcome, client int, first bool) bool {
	o := f.oracle(s)
	f.e.logf("client %d hears from site %d: %s is %s (%s) %d/%d replay %v", client, at, short(txn.ID), got.Status, got.Code, got.Index, got.Ord, got.Replay)
	o.answered(at, txn, got)
	f.e.note(uint64(got.Status), uint64(got.Code), got.Index)
	switch got.Status {
	case holdfast.Done:
		if first {
			f.count(txn)
			f.worlds[s-1].seen(txn)
		}
	case holdfast.Refused:
		if first {
			f.stats.Refused++
		}
	case holdfast.NotExecuted:
		f.stats.NotExecuted++
		return false
	default:
		f.stats.Unknown++
		return false
	}
	if got.Replay {
		f.stats.Replays++
	}
	o.ops = append(o.ops, check.Op{Client: client, Call: int64(f.sending(txn.ID).first), Return: int64(f.e.now), Txn: txn, Outcome: got})
	return true
}

// short is as much of an id as tells one from another in a trace.
func short(id holdfast.ID) string { return fmt.Sprintf("%x.%x", id[4:6], id[12:]) }

// describe gives a transaction in a few words.
func describe(t *holdfast.Txn) string {
	if t == nil {
		return "a read"
	}
	text := short(t.ID)
	for i := range t.Transfers {
		l := &t.Transfers[i]
		text += fmt.Sprintf(" %s %d", l.Kind, l.Amount)
		if l.Kind > holdfast.Hold {
			text += " of " + short(l.Hold)
		}
		if i == 3 {
			return text + " ..."
		}
	}
	for i := range t.Accounts {
		text += fmt.Sprintf(" account-op-%d", t.Accounts[i].Op)
	}
	return text + fmt.Sprintf(" (%d records, %d messages, %d acks)", len(t.Records), len(t.Messages), len(t.Acks))
}

func (f *fleet) count(t *holdfast.Txn) {
	f.stats.Acknowledged++
	f.stats.Records += len(t.Records)
	f.stats.Messages += len(t.Messages)
	for i := range t.Transfers {
		switch t.Transfers[i].Kind {
		case holdfast.Hold:
			f.stats.Holds++
		case holdfast.Post:
			f.stats.Posts++
		case holdfast.Void:
			f.stats.Voids++
		}
	}
}

// differs is told of a replica that took itself out of service because its state is not that of the others: nothing here
// plants a difference, so there is a fault in the ledger.
func (f *fleet) differs(r *replica, err error) {
	if f.rotten == r.p {
		f.noticed = true
		return
	}
	f.e.fail("digest", "site %d shard %d took itself out of service: %v", r.p.site, r.shard, err)
}

// How long the end may take, in virtual time: elections, retries of clients, a learner that fetches a checkpoint and catches up.
const (
	settleFor = 60 * time.Second
	settleGap = 100 * time.Millisecond
)

// end stops the faults: then every question gets its answer, and all replicas come to the same state.
func (f *fleet) end() {
	if f.e.failed != nil {
		return
	}
	f.e.logf("the faults stop")
	f.faults.stop()
	f.closing = true
	f.recall()
	deadline := f.e.now + settleFor
	for f.e.failed == nil && f.e.now < deadline {
		until := f.e.now + settleGap
		for len(f.e.queue) > 0 && f.e.queue[0].at <= until && f.e.step() {
			f.stats.Steps++
		}
		f.e.now = max(f.e.now, until)
		f.restore()
		if f.unsettled() == "" {
			f.inspect()
			return
		}
	}
	if what := f.unsettled(); what != "" {
		f.e.fail("liveness", "%s after the faults have stopped: %s", settleFor, what)
	}
}

// unsettled says what has not come to its end yet; "" when everything has.
func (f *fleet) unsettled() string {
	for _, c := range f.clients {
		if c.busy {
			return fmt.Sprintf("client %d waits for an answer: %s", c.n, describe(c.txn))
		}
	}
	if what := f.crossings.unsettled(); what != "" {
		return what
	}
	for i, o := range f.shards {
		leaders := 0
		for _, p := range f.sites {
			r := p.replicas[i]
			switch {
			case f.away(o, p):
				continue
			case r.core == nil:
				return fmt.Sprintf("site %d has not joined shard %d", p.site, o.shard)
			case r.out:
				return fmt.Sprintf("site %d is out of service for shard %d", p.site, o.shard)
			}
			if index, _ := r.machine.Applied(); index != uint64(len(o.log)) {
				return fmt.Sprintf("site %d has applied %d of %d entries of shard %d", p.site, index, len(o.log), o.shard)
			}
			if r.core.Leader().Self {
				leaders++
			}
			if m, ok := r.core.Members().Find(shard.ReplicaID(r.volume.Identity().Replica)); !ok || m.Role != shard.Voter {
				return fmt.Sprintf("site %d does not vote in shard %d", p.site, o.shard)
			}
		}
		if leaders != 1 {
			return fmt.Sprintf("shard %d has %d leaders", o.shard, leaders)
		}
	}
	if what := f.nomads.unsettled(); what != "" {
		return what
	}
	return f.market.unsettled()
}

// inspect compares everything with the truth once more, when nothing moves.
func (f *fleet) inspect() {
	for i, o := range f.shards {
		for _, p := range f.sites {
			if p.replicas[i].core == nil {
				continue // removed, and its disk empty
			}
			p.replicas[i].inspect()
			p.replicas[i].checkRecords()
			if !f.away(o, p) { // a removed one has been left behind
				f.view(o, p.replicas[i])
			}
		}
		o.finish(f)
	}
	if f.crossings != nil {
		f.crossings.finish()
	}
	if f.market != nil {
		f.market.finish()
	}
}

// view asks a replica as callers do. The model disk keeps no history to ask for.
func (f *fleet) view(o *oracle, r *replica) {
	if _, ok := r.volume.(shard.History); !ok {
		return
	}
	if err := r.machine.Look(func(v *shard.View) error {
		o.views(r.p.site, v)
		return nil
	}); err != nil {
		o.fail("view", "site %d: %v", r.p.site, err)
	}
}

// votersOf is the current members as the most advanced replica knows them, and up to where it has applied.
func (f *fleet) votersOf(i int) (shard.Members, uint64) {
	var best *replica
	var at uint64
	for _, p := range f.sites {
		if !p.up || p.replicas[i].core == nil {
			continue
		}
		if index, _ := p.replicas[i].machine.Applied(); best == nil || index > at {
			best, at = p.replicas[i], index
		}
	}
	if best == nil {
		return shard.Members{}, 0
	}
	return best.core.Members(), at
}

// forgets checks, when a corrupt replica wipes itself, that every committed entry it has is on the disks of a majority that
// is made of other voters.
func (f *fleet) forgets(r *replica) {
	i, o := int(r.shard-1), f.oracle(r.shard)
	need := min(r.p.disk.safe(i), uint64(len(o.log)))
	members, at := f.votersOf(i)
	for _, s := range r.heard { // those who answered may have crashed or turned out corrupt since, and the others know older members
		if len(s.Members.List) > 0 && (s.Applied > at || len(members.List) == 0) {
			members, at = s.Members, s.Applied
		}
	}
	proven, said := false, ""
	for _, half := range []shard.Role{shard.Voter, shard.OldVoter} {
		voters, holders := f.holders(members, half, r, need)
		if voters == 0 {
			continue
		}
		// While both halves count, who is elected needs a majority of each: one that nobody without the log can win is enough. The
		// other gets the log before it counts alone, because the change that leaves it alone has to be committed there.
		proven = proven || holders > voters/2
		said += fmt.Sprintf(", %d of %d voters are others that have it", holders, voters)
	}
	if !proven {
		o.fail("copies", "site %d forgets a log that is committed to %d%s", r.p.site, need, said)
	}
}

// holders counts the voters of a half, and the others among them that have the log on disk.
func (f *fleet) holders(members shard.Members, half shard.Role, r *replica, need uint64) (voters, holders int) {
	i := int(r.shard - 1)
	for _, m := range members.List {
		if m.Role&half == 0 {
			continue
		}
		voters++
		p := f.sites[m.Site-1]
		same := shard.ReplicaID(p.disk.volume(i).Identity().Replica) == m.Replica
		lately := p.rotten[i] == 0 || f.e.now-p.rotten[i] < 2*pleadPause+time.Second // it may have answered before, and answers may be late
		if p != r.p && same && lately && p.disk.safe(i) >= need {
			holders++
		}
	}
	return voters, holders
}

func (s *Stats) add(o *Stats) {
	to, from := reflect.ValueOf(s).Elem(), reflect.ValueOf(o).Elem()
	for i := range to.NumField() {
		to.Field(i).SetInt(to.Field(i).Int() + from.Field(i).Int())
	}
}
