package sim

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/slot"
	"holdfast/store"
	"holdfast/transit"
)

// process is the program of one site: it joins the step functions of its replicas to disk, network and clock, as shard.Host
// does with goroutines. A crash ends it; what was scheduled for it never happens.
type process struct {
	f        *fleet
	site     holdfast.SiteID
	disk     medium
	up       bool
	life     int           // counts the starts: an event of an earlier life is void
	offset   time.Duration // of the clock
	astray   time.Duration // how much of that is the clock that has run away; 0: it has not
	wall     *shard.Clock  // what is believed of it
	sent     [64]sentBeat  // by number
	paused   time.Duration // until when it does nothing: stopped by a signal, and not knowing it
	slow     time.Duration // added to every fsync
	failing  bool          // the next fsync fails
	full     bool          // no room for new work
	care     *shard.Care
	contacts *shard.Contacts
	homing   *shard.Homing
	reach    shard.Reach
	told     map[holdfast.SiteID]word // what the others have said of themselves, in a run with sick sites
	beats    *shard.Beats
	ticks    uint64        // that have passed, in all its lives
	stride   int           // how many pass at once next time
	ticked   time.Duration // when some have passed last
	heard    []heardBeat   // by site
	chart    int           // the version of the shard map that it has
	syncing  bool
	waiting  []token         // writes that no sync has been started for
	rotten   []time.Duration // by shard: since when the disk gives back what was not written; 0: it does not
	replicas []*replica
}

// token is a write that a replica waits for. Every core counts from 1: a token of one that is gone says nothing to the next.
type token struct {
	r    *replica
	core *shard.Replica
	t    shard.WriteToken
}

// replica is one shard at a site while its process lives.
type replica struct {
	p         *process
	shard     holdfast.ShardID
	volume    volumeOf
	core      *shard.Replica // nil until it is a member
	machine   *shard.Machine
	intake    *shard.Intake
	answers   *shard.Answers
	forwarded *shard.Forwarded
	commits   []shard.Entry // to be applied
	applying  bool
	segments  []*ledger.Segment // to be persisted
	rest      *shard.Rest       // nil: it is awake
	soon      bool              // it will have to do something by itself
	orphaned  int               // ticks in which it slept and nobody led it
	behind    int               // ticks in which it led asleep, and a learner lacked something
	pumping   bool
	fetching  bool
	asking    bool // to be let in
	ticks     int
	refuses   bool // the disk is full, and nobody else can lead
	out       bool // took itself out of service
	corrupt   bool // because of its disk: it asks the others whether it may forget
	mark      uint64
	round     int // of questions
	quarrel   int // the round of questions because of a digest that differs
	quarrels  bool
	opinions  []shard.Opinion
	heard     []shard.Standing
	courier   *transit.Courier
	mover     *slot.Mover
	judged    uint64 // as leader: up to where what it takes to be committed has been checked
}

const tick = 10 * time.Millisecond

// epoch is when the simulated world begins: 2026-01-01.
const epoch = 1_767_225_600_000_000_000

// clock is the time by which the process works.
func (p *process) clock() holdfast.Time { return p.wall.Now(p.own(), p.f.e.now) }

// own is what the clock of the site shows.
func (p *process) own() holdfast.Time { return holdfast.Time(epoch + p.f.e.now + p.offset) }

// after schedules something that dies with this life of the process.
func (p *process) after(d time.Duration, do func()) {
	life := p.life
	p.f.e.after(d, func() { p.run(life, do) })
}

// run does something now, or when a process that was stopped by a signal goes on, if it is still the same life.
func (p *process) run(life int, do func()) {
	switch {
	case !p.up || p.life != life:
	case p.paused > p.f.e.now:
		p.f.e.after(p.paused-p.f.e.now, func() { p.run(life, do) })
	default:
		do()
	}
}

// arrive takes something from the network. At a process that is down nobody takes it.
func (p *process) arrive(do func()) {
	if p.up {
		p.run(p.life, do)
	}
}

// start starts the process on what its disk has.
func (p *process) start() {
	p.life++
	p.up, p.syncing, p.waiting, p.failing, p.slow, p.paused = true, false, nil, false, 0, 0
	p.care = shard.NewCare(shard.CareBounds{})
	p.care.Space(p.full)
	p.contacts, p.homing = shard.NewContacts(), shard.NewHoming(homePatience, homeBetween)
	p.beats, p.stride, p.ticked = shard.NewBeats(shard.BeatConfig{Site: p.site, Life: p.f.identity()}), 1, p.f.e.now
	p.wall, p.sent = shard.NewClock(), [len(p.sent)]sentBeat{}
	p.f.e.logf("site %d starts", p.site)
	if err := p.disk.open(); err != nil {
		p.f.e.fail("disk", "site %d cannot open its disk: %v", p.site, err)
		return
	}
	p.replicas = p.replicas[:0]
	for i := range p.f.shards {
		r := &replica{p: p, shard: holdfast.ShardID(i + 1), volume: p.disk.volume(i)}
		p.replicas = append(p.replicas, r)
		r.start()
	}
	p.after(p.f.e.between(0, tick), p.tick)
	p.after(p.f.e.between(0, astrayPause), p.giveAway)
}

// start loads the replica, or begins to ask to be let in.
func (r *replica) start() {
	if r.p.rotten[r.shard-1] > 0 {
		r.failed(&store.ErrCorrupt{Shard: r.shard, What: "planted by the simulator"})
		return
	}
	id := r.volume.Identity()
	if r.p.f.births.of(r.shard) && !id.Born && len(id.Birth) == 0 {
		return // it waits for its place
	}
	if id.Replica == 0 {
		id.Replica = r.p.f.identity()
		if err := r.volume.SetIdentity(id); err != nil {
			r.failed(err)
			return
		}
	}
	if !id.Born && len(id.Birth) == 0 {
		r.ask()
		return
	}
	r.load(false)
}

// load starts from what the disk holds; installed says that this has just been replaced by a fetched checkpoint.
func (r *replica) load(installed bool) {
	var err error
	r.intake, r.answers, r.forwarded = shard.NewIntake(), shard.NewAnswers(), shard.NewForwarded()
	r.wake()
	r.core, r.commits, r.segments, r.applying, r.fetching, r.soon = nil, nil, nil, false, false, false
	r.courier, r.quarrels = nil, false
	if r.machine, err = shard.LoadMachine(r.p.f.machineConfig, r.volume); err != nil {
		r.failed(err)
		return
	}
	r.inspect()
	r.p.f.oracle(r.shard).wellFormed(r.p.site, r.volume)
	r.p.f.oracle(r.shard).remembers(r.p.site, r.id(), r.volume, installed)
	checkpoint, err := shard.CheckpointOf(r.volume)
	if r.failed(err) || r.failed(r.replay()) {
		return
	}
	applied, last := r.machine.Applied()
	config := shard.ReplicaConfig{
		Node: shard.NodeConfig{
			Shard: r.shard, Replica: shard.ReplicaID(r.volume.Identity().Replica), Log: r.volume, Checkpoint: checkpoint,
			Applied: applied, MessageBytes: r.p.f.messageBytes, Forwarded: r.forwarded,
		},
		Intake: r.intake, Answers: r.answers, SinglesInFlight: 2, SleepTicks: r.p.f.sleepTicks,
	}
	binary.BigEndian.PutUint64(config.Process[:], r.p.f.identity())
	core, err := shard.NewReplica(config, last)
	if err != nil {
		r.failed(err)
		return
	}
	r.core = core
	index, _ := r.machine.Applied()
	r.p.f.e.logf("site %d shard %d: replica %x at %d, log to %d, term %d", r.p.site, r.shard, uint64(config.Node.Replica),
		index, r.volume.LastIndex(), r.volume.Hard().Term)
	r.doubt()
	r.pump()
}

// replay applies what the disk knows to be committed, up to the next change of membership.
func (r *replica) replay() error {
	index, _ := r.machine.Applied()
	for next := shard.Decided(r.volume, index); ; {
		list, err := next()
		if err != nil || len(list) == 0 {
			return err
		}
		for _, e := range list {
			if e.Type != shard.EntryNormal {
				return nil
			}
			r.p.f.oracle(r.shard).committed(r.p.site, e)
			done, err := r.machine.Apply(e, nil)
			if err != nil {
				return err
			}
			r.applied(&done)
			if r.machine.Doubted() {
				return nil
			}
		}
	}
}

// id is the identity of the replica's disk.
func (r *replica) id() shard.ReplicaID { return shard.ReplicaID(r.volume.Identity().Replica) }

// inspect compares the loaded state with the truth, as a whole.
func (r *replica) inspect() {
	r.machine.State(func(s *ledger.State) { r.p.f.oracle(r.shard).whole(r.p.site, s) })
}

// ask begs the other sites, one after the other, to be admitted, until one that leads has done it.
func (r *replica) ask() {
	id := r.id()
	r.join(id)
	r.p.after(300*time.Millisecond, func() {
		if r.core == nil && !r.out {
			r.ask()
		}
	})
}

// join asks all other sites at once, also when the operator wants this one out: then nobody may let it in.
func (r *replica) join(id shard.ReplicaID) {
	life := r.p.life
	for _, other := range r.p.f.sites {
		if other != r.p {
			r.p.f.net.send(r.p.site, other.site, func() { other.admit(r, id, life) })
		}
	}
}

// admit is the other site's half of ask: the leader adds the stranger as a learner. Whoever knows it as a member tells it from which members
// the log begins: one that was given a vote before it was told may be needed for the election of a leader who could tell it.
func (p *process) admit(stranger *replica, id shard.ReplicaID, life int) {
	if !p.up {
		return
	}
	r := p.replicas[stranger.shard-1]
	if r.core == nil || r.out {
		return
	}
	if r.core.Leader().Self {
		r.take(stranger, id)
	}
	if _, ok := r.core.Members().Find(id); ok {
		founders := shard.NewMembers(r.core.Members().Founders).Append(nil)
		p.f.net.send(p.site, stranger.p.site, func() {
			if stranger.p.up && stranger.p.life == life {
				stranger.admitted(id, founders)
			}
		})
	}
	r.pump()
}

// take makes a leader add a stranger.
func (r *replica) take(stranger *replica, id shard.ReplicaID) {
	p := r.p
	o, left := p.f.oracle(r.shard), r.core.Members().List
	err := r.core.Admit(id, stranger.p.site)
	if err == nil && !slices.ContainsFunc(left, func(m shard.Member) bool { return m.Site == stranger.p.site }) {
		o.fail("admitted", "site %d lets %x of site %d in, which has no member there, and nobody has ordered it", p.site, uint64(id), stranger.p.site)
	}
	if errors.Is(err, shard.ErrNotAdmitted) {
		err = p.f.order(r, shard.Order{Kind: shard.OrderAdmit, Site: stranger.p.site, Replica: id})
	}
	if err != nil && !tolerable(err) {
		p.f.e.logf("site %d shard %d: admitting %x: %v", p.site, r.shard, uint64(id), err)
	}
}

func (r *replica) admitted(id shard.ReplicaID, founders []byte) {
	if r.core != nil || r.out || r.volume.Identity().Replica != uint64(id) {
		return
	}
	r.p.f.stats.MemberChanges++
	if err := r.volume.SetIdentity(store.Identity{Replica: uint64(id), Birth: founders}); err != nil {
		r.failed(err)
		return
	}
	r.load(false)
}

// tolerable are refusals that mean "not now".
func tolerable(err error) bool {
	return errors.Is(err, shard.ErrBusyMembers) || errors.Is(err, shard.ErrNotYet) || errors.Is(err, shard.ErrNotAdmitted) || errors.Is(err, shard.ErrOverloaded) || errors.As(err, new(shard.NotLeaderError))
}

// tick is one unit of time for all replicas of the site; while all of them sleep, several.
func (p *process) tick() {
	if p.f.ward != nil {
		p.care.Late(p.f.e.now, p.f.e.now-p.ticked-tick*time.Duration(p.stride))
	}
	p.tend()
	due, asleep := false, true
	for range p.stride {
		p.ticks++
		due = p.beats.Tick() || due
	}
	p.ticked, p.stride, p.beats.Lame = p.f.e.now, 1, false
	for _, r := range p.replicas {
		asleep = r.pass() && asleep
		p.beats.Lame = p.beats.Lame || r.core == nil || r.out
	}
	if !p.up {
		return
	}
	p.guard()
	if due {
		p.beat()
	}
	if asleep {
		p.stride = p.beats.RestTicks()
	}
	p.after(tick*time.Duration(p.stride), p.tick)
}

// pass lets a moment pass for a replica. It reports whether it sleeps and may go on without the next tick.
func (r *replica) pass() bool {
	if r.rest == nil || !r.p.beats.Keeps(r.rest) {
		r.tick()
		return false
	}
	if r.ticks%lazyTicks == lazyTicks-1 && r.core != nil && !r.out && r.core.Leader().Self && r.core.Ready() && r.failed(r.promoteOrdered()) {
		return false
	}
	r.look()
	return r.rest != nil && !r.p.beats.Late(r.rest)
}

// In ticks: how often a leader looks for due work, one that is no member asks to be one, and the operator looks for learners that
// may vote; in looks of a sleeper, how often he does who does not know that it sleeps: rarely enough for a learner to miss something.
const (
	upkeepTicks = 7
	joinTicks   = 50
	orderTicks  = 11
	lazyTicks   = 60
)

func (r *replica) tick() {
	if r.core == nil || r.out {
		return
	}
	r.wake()
	now := r.p.clock()
	if r.failed(r.core.Tick(now)) {
		return
	}
	if r.ticks++; r.ticks%upkeepTicks == 0 && r.core.Ready() {
		r.upkeep(now)
	}
	if g := r.machine.Seal(now); g != nil {
		r.persistLater(g)
	}
	r.carryOn()
	if _, in := r.core.Members().Find(r.id()); !in && r.ticks%joinTicks == 0 {
		r.join(r.id()) // it was removed, and knows
	}
	if r.ticks%orderTicks == 0 && r.core.Ready() && r.failed(r.promoteOrdered()) {
		return
	}
	r.pump()
	r.doze()
}

func (r *replica) upkeep(now holdfast.Time) {
	look := now
	if r.p.f.e.chance(0.1) { // the clock jumps back between this look and the stamp
		look += holdfast.Time(2 * time.Second)
	}
	u := r.machine.Upkeep(look, r.ticks%(upkeepTicks*10) == 0)
	r.soon = u.Soon
	if u.Expire.Count() > 0 {
		q := &shard.Request{Batch: u.Expire, Bulk: true, Answer: func(*shard.Request) {}}
		if err := r.intake.Put(q); err != nil && !tolerable(err) {
			r.failed(err)
		}
	}
	r.failed(r.core.Upkeep(u, now))
}

// persistLater writes a segment in the background, one after the other.
func (r *replica) persistLater(g *ledger.Segment) {
	r.segments = append(r.segments, g)
	if len(r.segments) == 1 {
		r.persistNext()
	}
}

func (r *replica) persistNext() {
	machine := r.machine
	r.p.after(r.p.f.e.between(time.Millisecond, 40*time.Millisecond)+r.p.slow, func() {
		if r.machine != machine || len(r.segments) == 0 {
			return
		}
		g := r.segments[0]
		r.segments = r.segments[1:]
		if r.failed(r.volume.Persist(g)) {
			return
		}
		if v, ok := r.volume.(*volume); ok {
			r.p.f.oracle(r.shard).persisted(r.p.site, v.checkpoint)
		}
		checkpoint, err := machine.Persisted(g)
		if r.failed(err) {
			return
		}
		r.p.f.stats.Checkpoints++
		r.p.f.e.logf("site %d shard %d: checkpoint at %d", r.p.site, r.shard, checkpoint.Index)
		r.core.Checkpointed(checkpoint)
		r.checkRecords()
		if len(r.segments) > 0 {
			r.persistNext()
		}
		r.pump()
	})
}

// pump carries the outputs of the step functions out until there are none.
func (r *replica) pump() {
	if r.core == nil || r.pumping || r.out || !r.p.up {
		return
	}
	r.pumping = true
	core := r.core
	for core == r.core && r.p.up && r.p.f.e.failed == nil {
		core.SetDoubted(r.machine.Doubted())
		now := r.p.clock()
		core.SetUnsure(r.p.wall.Unsure())
		out, err := core.Output(now)
		if r.failed(err) || !r.carry(&out) {
			break
		}
	}
	r.pumping = false
	if r.core != nil && r.rest != nil && (r.core.Stirred() || r.soon && r.core.Leader().Self) {
		r.wake()
	}
}

// carry does what an Output asks for; false when it asked for nothing.
func (r *replica) carry(out *shard.Output) bool {
	if out.Leader != nil {
		r.led(out.Leader)
	}
	r.judge() // before anybody hears of it
	for i := range out.Messages {
		r.post(&out.Messages[i])
	}
	if len(out.Writes) > 0 && !r.write(out.Writes) {
		return false
	}
	if len(out.Commits) > 0 {
		r.commit(out.Commits)
	}
	if out.NeedCheckpoint {
		r.machine.NeedCheckpoint()
	}
	if out.Offer != nil {
		r.fetch(out.Offer)
	}
	return len(out.Messages)+len(out.Writes)+len(out.Commits)+len(out.Reads) > 0 || out.Leader != nil || out.Offer != nil
}

func (r *replica) led(l *shard.Leadership) {
	r.refuses = false
	if !l.Self {
		return
	}
	id := shard.ReplicaID(r.volume.Identity().Replica)
	r.p.f.stats.Leaders++
	r.p.f.e.logf("site %d shard %d: replica %x leads term %d", r.p.site, r.shard, uint64(id), l.Term)
	o := r.p.f.oracle(r.shard)
	o.leads(l.Term, id)
	r.p.f.ward.elected(r)
	applied, _ := r.machine.Applied()
	o.elected(r.p.site, id, l.Term, applied, r.volume)
	r.judged = r.core.Committed()
}

// judge checks a leader: whether it still may lead, and what it has come to take for committed; and a follower: what that has.
func (r *replica) judge() {
	if r.core == nil {
		return
	}
	if lead := r.core.Leader(); !lead.Self {
		if o, index := r.p.f.oracle(r.shard), r.core.Committed(); index > o.chosen {
			o.took(r.p.site, lead, index, r.p.disk.safe(int(r.shard-1)), r.volume)
		}
		return
	}
	applied, _ := r.machine.Applied()
	o, id := r.p.f.oracle(r.shard), r.id()
	if conf := o.confAt(applied); !conf.votes(id) {
		o.fail("removed-leads", "site %d: replica %x leads, and has applied entry %d: voters are %x", r.p.site, uint64(id), applied, conf.voters)
	}
	r.judgeCommit(applied)
}

func (r *replica) judgeCommit(applied uint64) {
	if index := r.core.Committed(); r.core.Leader().Self && index > r.judged {
		r.judged = index
		r.p.f.oracle(r.shard).chose(r.p.site, r.id(), r.core.Leader().Term, applied, index, r.p.disk.safe(int(r.shard-1)))
	}
}

func (r *replica) post(m *shard.Message) {
	to := r.p.f.sites[m.Site-1]
	from, s, payload := r.p.site, r.shard, m.Payload
	vote, granted := r.promised(payload)
	r.p.f.net.send(from, m.Site, func() {
		if granted && to.up && to.replicas[s-1].id() == vote.to {
			r.p.f.oracle(s).counted(vote)
		}
		to.receive(from, s, payload)
	})
}

// promised checks a message on its way out: what it tells others must be safe on this disk, or a crash would make it a lie. A vote
// needs its hard state, a candidate its own term, an acknowledgement its entries.
func (r *replica) promised(payload []byte) (vote ballot, granted bool) {
	if note, ok := shard.ParseNote(payload); ok {
		applied, _ := r.machine.Applied()
		r.p.f.oracle(r.shard).told(r.p.site, note, applied, r.p.disk.safe(int(r.shard-1)))
		return vote, false
	}
	m := &r.p.f.message
	proto.Reset(m)
	if err := proto.Unmarshal(payload[1:], m); err != nil {
		r.p.f.e.fail("durable", "site %d sends what does not decode: %v", r.p.site, err)
		return vote, false
	}
	hard, last := r.p.disk.safeHard(int(r.shard-1)), r.p.disk.safe(int(r.shard-1))
	bad := func(what string, want uint64) {
		r.p.f.oracle(r.shard).fail("durable", "site %d sends a %s of term %d for %d, and has only term %d, vote %x and a log to %d on its disk",
			r.p.site, what, m.GetTerm(), want, hard.Term, hard.Vote, last)
	}
	r.p.f.oracle(r.shard).promises(r.id(), m, r.volume)
	switch m.GetType() {
	case raftpb.MsgVoteResp:
		if !m.GetReject() && (hard.Term < m.GetTerm() || hard.Term == m.GetTerm() && hard.Vote != m.GetTo()) {
			bad("vote", m.GetTo())
		}
	case raftpb.MsgVote:
		if hard.Term < m.GetTerm() || hard.Term == m.GetTerm() && hard.Vote != m.GetFrom() {
			bad("request for votes", m.GetFrom())
		}
	case raftpb.MsgAppResp:
		if !m.GetReject() && last < m.GetIndex() {
			bad("acknowledgement", m.GetIndex())
		}
	}
	vote = ballot{term: m.GetTerm(), from: r.id(), to: shard.ReplicaID(m.GetTo())}
	return vote, m.GetType() == raftpb.MsgVoteResp && !m.GetReject()
}

func (p *process) receive(from holdfast.SiteID, s holdfast.ShardID, payload []byte) {
	if !p.up {
		return
	}
	r := p.replicas[s-1]
	if r.core == nil || r.out {
		return
	}
	if err := r.core.Step(from, payload); err != nil && !errors.Is(err, shard.ErrNotForUs) {
		r.failed(err)
		return
	}
	r.pump()
}

// write hands the writes to the disk. They are visible at once and durable when the next sync that begins has ended.
func (r *replica) write(list []shard.Write) bool {
	var batches []batch
	for i := range list {
		w := &list[i]
		r.p.f.oracle(r.shard).wrote(r.p.site, w.Entries)
		batches = append(batches, batch{shard: r.shard, hard: w.Hard, entries: w.Entries})
		r.p.waiting = append(r.p.waiting, token{r, r.core, w.Token})
	}
	if r.failed(r.p.disk.write(batches)) {
		return false
	}
	r.p.sync()
	return true
}

// sync starts an fsync for everything that waits, unless one is running: group commit.
func (p *process) sync() {
	if p.syncing || len(p.waiting) == 0 {
		return
	}
	p.syncing = true
	tokens, mark := p.waiting, p.disk.written()
	p.waiting = nil
	p.care.WriteBegins(p.f.e.now, 0)
	p.after(p.f.e.between(100*time.Microsecond, 1500*time.Microsecond)+p.slow, func() {
		p.syncing = false
		if p.failing {
			p.f.stats.FsyncFailures++
			p.f.e.logf("site %d: fsync fails", p.site)
			p.disk.fail()
			p.crash()
			return
		}
		p.disk.sync(mark)
		p.care.WriteEnds(p.f.e.now)
		for _, t := range tokens {
			if t.r.core == t.core && !t.r.out && p.up {
				t.r.stored(t.t)
			}
		}
		p.sync()
	})
}

func (r *replica) stored(t shard.WriteToken) {
	if r.failed(r.core.Stored(t)) {
		return
	}
	r.pump()
}

// commit queues committed entries for the machine, which takes them a moment later: applying is another goroutine in life.
func (r *replica) commit(list []shard.Entry) {
	for _, e := range list {
		r.p.f.oracle(r.shard).committed(r.p.site, e)
	}
	r.commits = append(r.commits, list...)
	r.applySoon()
}

func (r *replica) applySoon() {
	if r.applying || len(r.commits) == 0 {
		return
	}
	r.applying = true
	machine := r.machine
	r.p.after(r.p.f.e.between(0, time.Millisecond), func() {
		if r.machine != machine {
			return
		}
		r.applying = false
		r.apply()
		r.pump()
	})
}

func (r *replica) apply() {
	for len(r.commits) > 0 && !r.out {
		if r.machine.Full() {
			r.applySoon()
			return
		}
		e := r.commits[0]
		r.commits = r.commits[1:]
		done, err := r.machine.Apply(e, nil)
		if r.failed(err) {
			return
		}
		r.applied(&done)
		_, last := r.machine.Applied()
		if r.doubt(); r.machine.Doubted() {
			r.answers.Abandon(done.Nonce, r.p.clock())
		} else {
			r.answers.Settle(done.Nonce, done.Outcomes, r.p.clock())
			r.forwarded.Settle(done.Nonce, done.Outcomes)
		}
		if r.failed(r.core.Applied(done.Index, last)) {
			return
		}
		r.judgeCommit(done.Index) // new members may make a majority of what was none
		if g := r.machine.Seal(r.p.clock()); g != nil {
			r.persistLater(g)
		}
	}
}

func (r *replica) applied(done *shard.Applied) {
	r.p.f.stats.Entries++
	r.machine.State(func(s *ledger.State) {
		index, _ := s.Applied()
		r.p.f.oracle(r.shard).applied(r.p.site, done, index, s.Digest(), s.Account)
	})
	r.p.f.e.note(done.Index)
}

func (r *replica) checkRecords() {
	r.machine.State(func(s *ledger.State) {
		index, _ := s.Applied()
		r.p.f.oracle(r.shard).records(r.p.site, index, func(key string) (holdfast.Record, bool, error) {
			if row, ok := s.RecentRecord(key); ok {
				return row.Record, !row.Deleted, nil
			}
			return r.volume.Record(key)
		})
	})
}

// fetch gets a checkpoint from the site that offers it, in pieces that may be lost, and installs it as if this replica had
// crashed and come back with it.
func (r *replica) fetch(o *shard.Offer) {
	if r.fetching {
		return
	}
	r.fetching = true
	f, machine, from, offer := r.p.f, r.machine, r.p.f.sites[o.Site-1], *o
	asked := machine.Doubted() // then the others have been asked already
	f.e.logf("site %d shard %d: fetches checkpoint %d from site %d", r.p.site, r.shard, o.Index, o.Site)
	r.p.after(time.Second, func() {
		if r.machine == machine {
			r.fetching = false // lost on the way: the leader offers again
		}
	})
	life := r.p.life
	f.net.send(r.p.site, o.Site, func() {
		if q := from.replicas[r.shard-1]; !from.up || q.core == nil || q.out || q.machine.Doubted() {
			return
		}
		x, err := from.replicas[r.shard-1].volume.export()
		if errors.Is(err, store.ErrTooManyExports) || errors.Is(err, store.ErrNoCheckpoint) {
			return // the follower asks again later
		}
		if err != nil {
			from.replicas[r.shard-1].failed(err)
			return
		}
		f.net.send(from.site, r.p.site, func() {
			if r.p.up && r.p.life == life && r.machine == machine && r.fetching && (asked || !machine.Doubted()) {
				r.install(x, &offer)
			}
		})
	})
}

func (r *replica) install(x export, o *shard.Offer) {
	r.fetching = false
	meta := x.meta()
	held, err := r.core.Holds(meta.Index, meta.Term)
	if r.failed(err) || held && !shard.PlantedInstallAnyway {
		return
	}
	if err := r.volume.gather(x); errors.As(err, new(*store.ErrNoSpace)) {
		r.p.f.stats.NoRoom++
		r.p.f.e.logf("site %d shard %d: has no room for checkpoint %d", r.p.site, r.shard, meta.Index)
		return // the leader offers it again
	} else if r.failed(err) {
		return
	}
	r.p.f.stats.Snapshots++
	r.p.f.e.logf("site %d shard %d: installs checkpoint %d", r.p.site, r.shard, meta.Index)
	r.intake.Close(shard.ErrLost)
	if r.failed(r.volume.install(x)) {
		return
	}
	r.load(true)
	if r.core != nil {
		r.failed(r.core.Announce(o.From, o.Site))
		r.pump()
	}
}

// failed handles a final error of a replica: it goes out of service, is wiped, or takes the process with it. It reports
// whether there was one.
func (r *replica) failed(err error) bool {
	switch {
	case err == nil:
		return false
	case r.p.f.e.failed != nil:
		return true
	}
	r.p.f.e.logf("site %d shard %d: %v", r.p.site, r.shard, err)
	switch condition := shard.ConditionOf(err); {
	case errors.Is(err, errDisk):
		r.p.crash()
	case condition == shard.Corrupt:
		r.condemn()
	case condition == shard.Differs:
		r.wake()
		r.out = true
		r.intake.Close(shard.ErrOutOfService)
		r.p.f.differs(r, err)
	default:
		r.p.f.e.fail("stopped", "site %d shard %d stops: %v", r.p.site, r.shard, err)
	}
	return true
}

// condemn takes a replica with a corrupt disk out of service and begins to ask the others whether it may forget.
func (r *replica) condemn() {
	if r.corrupt {
		return
	}
	if r.intake != nil {
		r.intake.Close(shard.ErrOutOfService)
	}
	r.wake()
	r.core, r.machine, r.commits, r.segments = nil, nil, nil, nil
	r.out, r.corrupt, r.mark = true, true, 0
	r.p.f.stats.Corrupt++
	r.plead()
}

// pleadPause is how long the answers to one round of questions are waited for.
const pleadPause = 250 * time.Millisecond

// plead asks the others once and decides by what has come until the next round.
func (r *replica) plead() {
	if !r.corrupt {
		return
	}
	r.round++
	r.heard = nil
	round, f, life := r.round, r.p.f, r.p.life
	for _, other := range f.sites {
		if other == r.p {
			continue
		}
		f.net.send(r.p.site, other.site, func() {
			if !other.up {
				return
			}
			answer := other.replicas[r.shard-1].standing()
			f.net.send(other.site, r.p.site, func() {
				if r.p.life == life && r.round == round {
					r.hear(answer)
				}
			})
		})
	}
	r.p.after(pleadPause, func() {
		if r.corrupt && r.round == round {
			r.decide()
			r.plead()
		}
	})
}

// hear takes an answer. When all others have answered nothing is waited for: an answer is worth less the older it is.
func (r *replica) hear(answer shard.Standing) {
	if slices.ContainsFunc(r.heard, func(s shard.Standing) bool { return s.Site == answer.Site }) {
		return
	}
	if r.heard = append(r.heard, answer); len(r.heard) == len(r.p.f.sites)-1 {
		r.decide()
	}
}

func (r *replica) standing() shard.Standing {
	s := shard.Standing{Site: r.p.site, Replica: shard.ReplicaID(r.volume.Identity().Replica)}
	switch {
	case r.corrupt:
		s.Service = shard.Condemned
	case r.core != nil && !r.out && !r.machine.Doubted():
		return r.core.Standing(r.p.site)
	}
	return s
}

func (r *replica) decide() {
	if !r.corrupt {
		return
	}
	now := shard.MayForget(r.p.site, r.mark, r.heard)
	r.mark = now.Mark
	if !now.Wipe {
		r.p.f.e.logf("site %d shard %d: keeps its corrupt data: %s", r.p.site, r.shard, now.Waits)
		r.p.f.stats.Kept++
		return
	}
	r.p.f.e.logf("site %d shard %d: forgets", r.p.site, r.shard)
	r.p.f.forgets(r)
	r.p.f.stats.Forgotten++
	if r.failed(r.volume.forget()) {
		return
	}
	r.p.rotten[r.shard-1] = 0
	r.corrupt, r.out = false, false
	r.start()
}

// crash ends the process, and with it everything in memory; the disk keeps what it keeps.
func (p *process) crash() {
	if !p.up {
		return
	}
	p.f.stats.Crashes++
	whole, tear := p.f.e.rng.IntN(p.disk.written()+1), p.f.e.rng.IntN(2)*p.f.e.rng.IntN(4096)
	p.up = false
	if p.disk.crash(whole, tear) {
		p.f.stats.Torn++
	}
	p.f.e.logf("site %d crashes", p.site)
}

// medium is the disk of a site: the model, or the real store on a file system in memory.
type medium interface {
	open() error
	close()
	volume(i int) volumeOf
	write([]batch) error
	// written is a mark for sync: everything written so far.
	written() int
	sync(mark int)
	// safe is how far the log of a volume would reach after a crash now.
	safe(i int) uint64
	// safeHard is the hard state that a volume would have after a crash now.
	safeHard(i int) store.HardState
	// known is up to where a volume would know, after a crash now, that its log is committed.
	known(i int) uint64
	// fail makes every later call fail.
	fail()
	// fill takes all room from the disk, or gives it back: the log goes on, and nothing else may be written.
	fill(full bool)
	// crash keeps a prefix of what was not synced and reports whether something was torn. The disk is closed then.
	crash(whole, tear int) (torn bool)
	wipe()
}

// export is a consistent copy of a replica for a follower that is too far behind.
type export interface{ meta() ledger.Meta }

// volumeOf is the replica of one shard on a medium.
type volumeOf interface {
	shard.Disk
	export() (export, error)
	// gather makes everything ready for install. *store.ErrNoSpace: the disk has no room for it, and what was gathered is not lost by that.
	gather(export) error
	install(export) error
	// forget wipes the replica, its identity too.
	forget() error
}
