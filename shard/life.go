package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/store"
)

// life is one run of a replica from what its disk holds: the consensus half owned by the seat's goroutine, the apply half by
// a goroutine of its own.
type life struct {
	seat    *seat
	replica *Replica
	machine *Machine
	answers *Answers
	ticks   int
	room    []holdfast.Outcome // apply goroutine: for entries that nobody waits for
	state   Upkeep             // the last one
	written WriteToken         // the last handed to the disk

	mu     sync.Mutex // guards news
	news   news
	told   WriteToken // the last token seen in news
	commit commitQueue

	// What this replica has to apply before it is of use: all that it knew to be committed when it started, and if it leads
	// first, all that came before its term. Consensus goroutine.
	behind   uint64
	caughtUp bool

	applied atomic.Uint64 // the last entry that the machine has

	waited atomic.Int64 // ns that entries waited for the store since the last checkpoint

	persisting sync.Mutex // held while a segment of this life is persisted; guards ended
	ended      bool
	ending     atomic.Bool           // ended soon
	doubt      atomic.Pointer[error] // why the state is in doubt, once the others could not settle it at once; nil: it is not
	quarrels   atomic.Bool           // the others are being asked whether the state is right
	asked      atomic.Bool           // they have been, at least once since this doubt began
	blamed     string                // what was said last about others that differ; the goroutine that asks
	persisted  signal                // the store has one segment more
	applier    sync.WaitGroup
}

// news is what other goroutines report to the consensus goroutine.
type news struct {
	stored     WriteToken
	applied    uint64
	last       holdfast.Time
	members    bool
	checkpoint *Checkpoint
	upkeep     *Upkeep
	failure    error
}

// commitQueue is what the apply goroutine has to do. It is bounded by NodeConfig.ApplyBytes.
type commitQueue struct {
	mu     sync.Mutex
	list   []Entry
	upkeep bool
	digest bool
	closed bool
	wake   signal
}

func (q *commitQueue) put(list []Entry) {
	q.mu.Lock()
	q.list = append(q.list, list...)
	q.mu.Unlock()
	q.wake.set()
}

func (q *commitQueue) ask(digest bool) {
	q.mu.Lock()
	q.upkeep, q.digest = true, q.digest || digest
	q.mu.Unlock()
	q.wake.set()
}

func (q *commitQueue) take() (list []Entry, upkeep, digest, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	list, upkeep, digest = q.list, q.upkeep, q.digest
	q.list, q.upkeep, q.digest = nil, false, false
	return list, upkeep, digest, q.closed
}

func (q *commitQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake.set()
}

// live is one life. nil: begin another one.
func (s *seat) live() error {
	if err := s.birth(); err != nil {
		return err
	}
	l, err := s.load()
	if err != nil {
		return err
	}
	s.life.Store(l)
	l.applier.Go(l.applyLoop)
	if !l.machine.Doubted() {
		s.back("it has begun anew from its disk")
	}
	err = l.loop()
	l.end()
	return err
}

// load starts from the disk: after a crash, after an installation, at the first start, always this way.
func (s *seat) load() (*life, error) {
	from, err := CheckpointOf(s.shard)
	if err != nil {
		return nil, err
	}
	s.comes(from.Index)
	machine, err := LoadMachine(s.host.config.Machine, s.shard)
	if err != nil {
		return nil, err
	}
	if err := machine.Recall(s.shard.Trust(), s.replica()); err != nil {
		return nil, fmt.Errorf("shard %d: %w", s.id, err)
	}
	l := &life{seat: s, machine: machine, answers: NewAnswers(), persisted: newSignal(), behind: min(s.shard.Hard().Commit, s.shard.LastIndex())}
	l.commit.wake = newSignal()
	if err := l.begin(from); err != nil {
		l.stopPersisting()
		return nil, err
	}
	return l, nil
}

func (l *life) begin(from Checkpoint) error {
	if err := l.replay(); err != nil {
		return err
	}
	return l.consent(from)
}

// consent makes consensus begin where the replay ended.
func (l *life) consent(from Checkpoint) (err error) {
	s := l.seat
	c := s.host.config.Replica
	if c.Process, err = s.random(); err != nil {
		return err
	}
	c.Intake, c.Answers = s.intake, l.answers
	c.Node = s.nodeConfig(from)
	applied, last := l.machine.Applied()
	l.applied.Store(applied)
	c.Node.Applied = applied
	if l.replica, err = NewReplica(c, last); err != nil {
		return err
	}
	if a := s.announce; a != nil {
		s.announce = nil
		return l.replica.Announce(a.From, a.Site)
	}
	if s.alone() {
		return l.replica.Campaign() // nobody to wait for
	}
	return nil
}

func (s *seat) nodeConfig(from Checkpoint) NodeConfig {
	c := s.host.config.Replica.Node
	c.Shard, c.Replica = s.id, ReplicaID(s.shard.Identity().Replica)
	c.Log, c.Checkpoint, c.Forwarded = s.shard, from, s.forwarded
	c.HeartbeatTicks = s.host.config.Timing.HeartbeatTicks
	c.ElectionTicks = s.host.config.Timing.ElectionTicks
	log := s.host.config.Logger.With("shard", s.id)
	c.Logf = func(format string, args ...any) { log.Debug(fmt.Sprintf(format, args...)) }
	return c
}

// loop is the consensus goroutine while the replica lives.
func (l *life) loop() error {
	s := l.seat
	for {
		ticked := false
		select {
		case <-s.inbox.wake:
		case <-s.ticks:
			ticked = true
		case <-s.host.ctx.Done():
			return errStopped
		}
		s.steps.Store(true)
		again, err := l.step(s.host.now(), ticked)
		s.steps.Store(false)
		if err != nil || again {
			return err
		}
	}
}

// step feeds the replica everything that has come, and carries out what it wants. Messages come before the tick: a process
// that was held up must hear its leader before it suspects it. again: a checkpoint was installed.
func (l *life) step(now holdfast.Time, ticked bool) (again bool, err error) {
	m := l.seat.inbox.take()
	l.replica.SetReluctant(!l.seat.host.well.Load()) // also when it sleeps: before it hears that it is to lead
	if ticked {
		l.rouse() // the host's clock says so
	}
	if m.beat != nil {
		if err := l.replica.Hear(m.beat.from, m.beat.word); err != nil {
			m.refuse(ErrNoQuorum)
			return false, err
		}
	}
	l.quarrel(l.machine.Doubted())
	for _, x := range m.messages {
		if err := l.replica.Step(x.from, x.payload); errors.Is(err, ErrNotForUs) {
			l.seat.host.config.Logger.Debug("message ignored", "shard", l.seat.id, "err", err)
		} else if err != nil {
			m.refuse(ErrNoQuorum)
			return false, err
		}
	}
	if err := l.hear(now); err != nil {
		m.refuse(ErrNoQuorum)
		return false, err
	}
	for _, q := range m.reads {
		l.replica.Read(q)
	}
	for _, q := range m.pasts {
		l.replica.ClosePast(q)
	}
	if err := l.obey(m.calls); err != nil {
		return false, err
	}
	if ticked {
		if err := l.tick(now); err != nil {
			return false, err
		}
	}
	if err := l.emit(now); err != nil {
		return false, err
	}
	if m.pulled != nil {
		l.rouse()
		return l.install(m.pulled)
	}
	return false, l.sleepOrWake(now, ticked)
}

// sleepOrWake lets the replica sleep when there is nothing to do, and wakes it when there is.
func (l *life) sleepOrWake(now holdfast.Time, ticked bool) error {
	switch {
	case l.seat.rest.Load() != nil && (l.replica.Stirred() || l.expects()):
		l.rouse()
	case ticked && l.seat.rest.Load() == nil && l.caughtUp && !l.expects() && !l.seat.pulling.Load() && !l.machine.Doubted():
		if err := l.doze(); err != nil || l.seat.rest.Load() == nil {
			return err
		}
		return l.emit(now)
	}
	return nil
}

// expects reports whether a leader will have something to propose by itself.
func (l *life) expects() bool { return l.state.Soon && l.replica.Leader().Self }

// hear takes the reports of the other goroutines.
func (l *life) hear(now holdfast.Time) error {
	l.mu.Lock()
	n := l.news
	l.news.checkpoint, l.news.upkeep, l.news.members = nil, nil, false
	l.mu.Unlock()
	if n.failure != nil {
		return n.failure
	}
	if n.stored > l.told {
		l.told = n.stored
		if err := l.replica.Stored(n.stored); err != nil {
			return err
		}
	}
	if n.applied > 0 {
		if err := l.replica.Applied(n.applied, n.last); err != nil {
			return err
		}
	}
	if n.checkpoint != nil {
		l.replica.Checkpointed(*n.checkpoint)
		l.publish() // one that sleeps says nothing by itself
	}
	l.catchUp()
	if n.members {
		l.publish()
		l.seat.host.config.OnEvent(Event{Kind: EventMembers, Shard: l.seat.id})
	}
	if n.upkeep != nil {
		return l.upkeep(*n.upkeep, now)
	}
	return nil
}

// catchUp notices once that this replica is of use. A leader that has not applied what came before its term proposes nothing,
// and one that starts from a long log takes seconds for that.
func (l *life) catchUp() {
	if l.caughtUp || l.replica.Leader().Leader == 0 || l.replica.Node.applied < l.behind || l.replica.Leader().Self && !l.replica.Ready() {
		return
	}
	l.caughtUp = true
	l.publish()
}

func (l *life) upkeep(u Upkeep, now holdfast.Time) error {
	l.state = u
	if u.Expire.Count() > 0 && l.replica.Ready() {
		q := &Request{Batch: u.Expire, Bulk: true, Answer: func(*Request) {}}
		if err := l.seat.intake.Put(q); err != nil && !errors.Is(err, ErrOverloaded) {
			return nil //nolint:nilerr // the intake is closed: the host is stopping
		}
	}
	return l.replica.Upkeep(u, now)
}

// obey runs what others want done on this goroutine.
func (l *life) obey(calls []control) error {
	for i, c := range calls {
		l.replica.Stir()
		err := c.do(l.replica)
		rebuild := errors.As(err, new(*rebuildOrder))
		if rebuild {
			c.done <- nil
		} else {
			c.done <- err
		}
		if rebuild || errors.Is(err, ErrInvariant) {
			for _, late := range calls[i+1:] {
				late.done <- ErrNoQuorum
			}
			return err
		}
	}
	return nil
}

// In ticks: how often the apply goroutine looks for due work, a digest is proposed, and a stranger asks to join.
const (
	upkeepTicks = 10
	digestTicks = 100
	joinTicks   = 50
)

func (l *life) tick(now holdfast.Time) error {
	l.ticks++
	if l.ticks%upkeepTicks == 0 {
		l.commit.ask(l.ticks%digestTicks == 0)
		l.publish()
		if l.doubt.Load() != nil {
			l.seat.intake.Refuse(NotLeaderError{Shard: l.seat.id})
		}
	}
	if l.ticks%joinTicks == 0 {
		l.join()
	}
	return l.replica.Tick(now)
}

// emit carries out what the replica wants until it wants nothing more.
func (l *life) emit(now holdfast.Time) error {
	s := l.seat
	for {
		l.replica.SetUnsure(s.host.unsure())
		l.replica.HoldBulk = l.machine.Behind() // a checkpoint that is done wakes this goroutine, and bulk goes on
		out, err := l.replica.Output(now)
		if err != nil {
			return err
		}
		for _, m := range out.Messages {
			send := s.host.config.Send
			if m.Urgent {
				send = s.host.config.SendUrgent
			}
			send(m.Site, s.id, m.Payload)
		}
		for _, w := range out.Writes {
			l.written = w.Token
		}
		s.host.disk.put(l, out.Writes)
		if len(out.Commits) > 0 {
			l.commit.put(out.Commits)
		}
		if out.Leader != nil {
			s.setLead(*out.Leader)
			l.publish()
		}
		if out.Declined {
			s.declined.Add(1)
			s.changed.send()
		}
		if out.NeedCheckpoint {
			l.machine.NeedCheckpoint()
			l.commit.ask(false)
		}
		if out.Offer != nil {
			s.startPull(*out.Offer, s.senders(out.Offer.Site, l.replica.Members()), l.replica.applied, l.asked.Load())
		}
		if !l.replica.HasOutput() {
			return nil
		}
	}
}

// publish makes the state of the replica visible to Status.
func (l *life) publish() {
	node, err := l.replica.Status()
	if err != nil {
		return // the next step fails with it
	}
	from := l.replica.Checkpoint()
	l.seat.status.Store(&ShardStatus{
		Node: node, Members: l.replica.Members().List, Born: true,
		Applied: l.state.Applied, Digest: l.state.State, Checkpoint: from.Index, CaughtUp: l.caughtUp,
	})
}

// tell changes the news and wakes the consensus goroutine.
func (l *life) tell(f func(*news)) {
	l.mu.Lock()
	f(&l.news)
	l.mu.Unlock()
	l.seat.inbox.wake.set()
}

func (b *inbox) stored(l *life, token WriteToken) {
	l.tell(func(n *news) { n.stored = max(n.stored, token) })
}

// applyLoop is the apply goroutine.
func (l *life) applyLoop() {
	for range l.commit.wake {
		list, upkeep, digest, closed := l.commit.take()
		if closed {
			return
		}
		for _, e := range list {
			if err := l.apply(e); err != nil {
				l.fail(err)
				return
			}
		}
		if len(list) > 0 {
			l.seat.host.config.OnApplied(l.seat.id)
		}
		if upkeep {
			l.seal()
			u := l.machine.Upkeep(l.seat.host.now(), digest)
			if u.Soon || l.seat.rest.Load() == nil { // what sleeps is not woken for nothing
				l.tell(func(n *news) { n.upkeep = &u })
			}
		}
	}
}

func (l *life) fail(err error) {
	if !errors.Is(err, errStopped) {
		l.tell(func(n *news) { n.failure = err })
	}
}

// apply applies one entry, answers those who wait for it, and reports it.
func (l *life) apply(e Entry) error {
	if err := l.awaitStore(); err != nil {
		return err
	}
	waiting, room := l.roomFor(e)
	done, err := l.machine.Apply(e, room)
	if err != nil {
		return err
	}
	l.applied.Store(done.Index)
	switch {
	case !waiting:
	case l.machine.Doubted():
		l.answers.Abandon(done.Nonce, l.seat.host.now())
	default:
		l.answers.Settle(done.Nonce, done.Outcomes, l.seat.host.now())
		l.seat.forwarded.Settle(done.Nonce, done.Outcomes)
	}
	l.tell(func(n *news) {
		n.applied, n.last = done.Index, done.Last
		n.members = n.members || done.Members
	})
	l.seal()
	return nil
}

// awaitStore waits while the store is behind: memory is bounded, so the log has to wait, and with it whoever proposes.
func (l *life) awaitStore() error {
	if !l.machine.Full() {
		return nil
	}
	began := time.Now()
	for l.machine.Full() {
		if l.ending.Load() {
			return errStopped // a state in doubt stays full
		}
		select {
		case <-l.persisted:
		case <-l.seat.host.ctx.Done():
			return errStopped
		}
	}
	l.waited.Add(int64(time.Since(began)))
	return nil
}

// roomFor gives an entry that somebody waits for room of its own, for the callers keep their outcomes; others share one.
func (l *life) roomFor(e Entry) (waiting bool, room []holdfast.Outcome) {
	if e.Type != EntryNormal || len(e.Data) == 0 {
		return false, nil
	}
	h, _, err := ledger.ReadEntry(e.Data)
	if err != nil {
		return false, nil // Apply says it better
	}
	if l.answers.waits(h.Nonce) || l.seat.forwarded.waits(h.Nonce) {
		return true, make([]holdfast.Outcome, 0, h.Count)
	}
	if uint32(cap(l.room)) < h.Count {
		l.room = make([]holdfast.Outcome, 0, h.Count)
	}
	return false, l.room[:0]
}

func (l *life) seal() {
	now := time.Now()
	if g := l.machine.Seal(holdfast.TimeOf(now)); g != nil {
		l.seat.host.shelf.put(l, g, time.Since(now))
	}
}

// persist runs on the persister's goroutine.
func (l *life) persist(g *ledger.Segment, seal time.Duration) {
	l.persisting.Lock()
	defer l.persisting.Unlock()
	if l.ended {
		return
	}
	if !l.awaitSpace(g) {
		return
	}
	made := CheckpointMade{Shard: l.seat.id, Index: g.Meta.Index, Began: time.Now(), Seal: seal}
	if err := l.seat.shard.Persist(g); err != nil {
		l.fail(fmt.Errorf("persisting the segment up to entry %d: %w", g.Meta.Index, err))
		return
	}
	made.Took = time.Since(made.Began)
	c, err := l.machine.Persisted(g)
	if err != nil {
		l.fail(err)
		return
	}
	made.Forget = time.Since(made.Began) - made.Took
	made.Waited = time.Duration(l.waited.Swap(0))
	l.persisted.set()
	l.seat.host.config.OnCheckpoint(made)
	l.tell(func(n *news) { n.checkpoint = &c })
}

// end stops the other goroutines of this life and answers whoever waits. Writes on their way to the disk are waited for, so
// that nothing of this life can reach the disk after it.
func (l *life) end() {
	l.seat.life.Store(nil) // first: readers must know before the disk is wiped or replaced
	l.ending.Store(true)
	l.commit.close()
	l.persisted.set()
	l.drain()
	l.applier.Wait()
	l.stopPersisting()
	l.answers.lose(ErrLost)
	l.replica.reads.refuse(ErrNoQuorum)
	l.replica.past.refuse(ErrNoQuorum)
}

// spacePause is how often a checkpoint that has no room looks for some.
const spacePause = 500 * time.Millisecond

// awaitSpace waits until the disk has room for a segment, with as much again for what the engine rewrites: a checkpoint can wait, for the
// log has everything, and an engine that runs out of space ends the process. false: this life is over.
func (l *life) awaitSpace(g *ledger.Segment) bool {
	need, said := 2*g.Size(), false
	for {
		_, free, err := l.seat.host.config.Store.DiskFull()
		if err != nil || free >= need { // an error is reported by those who write
			return true
		}
		if !said {
			said = true
			l.seat.host.config.Logger.Warn("a checkpoint waits for space", "shard", l.seat.id, "entry", g.Meta.Index, "free", free, "needed", need)
		}
		select {
		case <-time.After(spacePause):
			if l.ending.Load() {
				return false
			}
		case <-l.seat.host.ctx.Done():
			return false
		}
	}
}

// stopPersisting waits for the segment that is being persisted; the store gets no other of this life.
func (l *life) stopPersisting() {
	l.ending.Store(true)
	l.persisting.Lock()
	defer l.persisting.Unlock()
	l.ended = true
}

// drain waits until the disk has everything this life handed out.
func (l *life) drain() bool {
	for {
		l.mu.Lock()
		stored := l.news.stored
		l.mu.Unlock()
		if stored >= l.written {
			return true
		}
		select {
		case <-l.seat.inbox.wake:
		case <-l.seat.host.ctx.Done():
			return false
		}
	}
}

// install replaces the replica's data by a fetched checkpoint, unless the log here has caught up meanwhile: then what follows
// the checkpoint may have been acknowledged and must stay.
func (l *life) install(p *pulled) (again bool, err error) {
	if !l.drain() {
		return false, errStopped
	}
	held, err := l.replica.Holds(p.index, p.term)
	if err != nil {
		return false, err
	}
	if held && !PlantedInstallAnyway {
		return false, p.data.Discard()
	}
	if l.machine.Doubted() && !p.asked {
		// Its sender may be the one that is wrong, and did not know. Whoever still gives one away after it was asked has no doubt.
		return false, p.data.Discard()
	}
	if l.seat.shortOf(p.from, p.data.Room()) != nil {
		return false, nil // it was fetched, and is installed when there is room: the leader repeats its offer
	}
	l.end()
	meta, err := p.data.Install()
	if errors.As(err, new(*store.ErrNoSpace)) || errors.Is(err, store.ErrIncomplete) {
		return true, nil // something else has taken the room, or the site what was fetched: go on with what was there
	}
	if ConditionOf(err) == Corrupt && l.seat.shard.Damage() == nil {
		return true, l.seat.spoiled(p, err)
	}
	if err != nil {
		return false, fmt.Errorf("installing the checkpoint of site %d: %w", p.from, err)
	}
	l.seat.announce, l.seat.spoilt = &p.offer, nil
	l.seat.host.config.OnEvent(Event{
		Kind: EventInstalled, Shard: l.seat.id, Text: fmt.Sprintf("checkpoint at entry %d of site %d", meta.Index, p.from),
	})
	return true, nil
}

// join asks to be taken in when this replica is not a member.
func (l *life) join() {
	s := l.seat
	if _, ok := l.replica.Members().Find(l.replica.Node.config.Replica); ok || s.alone() || s.joining.Swap(true) {
		return
	}
	lead, id := l.replica.Leader(), l.replica.Node.config.Replica
	s.host.spawn(func() {
		defer s.joining.Store(false)
		s.askToJoin(lead.Site, id)
	})
}

func (s *seat) askToJoin(leader holdfast.SiteID, id ReplicaID) {
	ctx, cancel := context.WithTimeout(s.host.ctx, time.Second)
	defer cancel()
	for _, site := range s.host.peers() {
		if site == s.host.config.Site || leader != 0 && site != leader {
			continue
		}
		if _, err := s.host.config.Call(ctx, site, methodJoin, appendJoin(nil, s.id, id)); err == nil {
			return
		}
	}
}
