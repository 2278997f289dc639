package shard

import (
	"encoding/binary"
	"errors"
	"fmt"

	"holdfast"
	"holdfast/ledger"
)

// ReplicaConfig is what a [Replica] starts from.
type ReplicaConfig struct {
	Node NodeConfig
	// Process is drawn anew at every start of a process: it makes the nonces of its entries unlike all others.
	Process [8]byte
	Intake  *Intake
	Answers *Answers

	SinglesInFlight int // entries of single payments under way at once; 0: 4
	BulksInFlight   int // entries of bulk under way at once; 0: 2
	BulkChunk       int // transactions in an entry of bulk at most; 0: holdfast.MaxLegs
	// BulkTarget is how long a bulk entry may take from proposal to outcome while single payments are about; bulk entries
	// become smaller until they do. 0: 10 ms.
	BulkTarget holdfast.Time
	// ReadTicks is how long a read may wait for a majority before it is told that there is none. 0: 28.
	ReadTicks int
	// SleepTicks is how long nothing has to happen before a leader lets its shard fall asleep. 0: 150, more than from one digest to the
	// next; below 0: never.
	SleepTicks int
}

func (c ReplicaConfig) withDefaults() ReplicaConfig {
	c.SinglesInFlight = orElse(c.SinglesInFlight, 4)
	c.BulksInFlight = orElse(c.BulksInFlight, 2)
	c.BulkChunk = orElse(c.BulkChunk, holdfast.MaxLegs)
	c.BulkTarget = orElse(c.BulkTarget, 10e6)
	c.ReadTicks = orElse(c.ReadTicks, 28)
	c.SleepTicks = orElse(c.SleepTicks, 150)
	return c
}

// Replica is the consensus half of a replica: a [Node], the group commit before it, linearizable reads, and the housekeeping
// of a leader. Like Node it is a step function: time is an argument, nothing blocks. One goroutine owns it; Intake and
// Answers are what it shares with others. The other half is [Machine].
type Replica struct {
	*Node
	config ReplicaConfig
	count  uint64 // of entries, for nonces

	lastTime   holdfast.Time // the last stamp in the log, as far as it is applied or proposed by us
	wasLeading bool
	pace       pace

	// HoldBulk keeps bulk waiting. The owner sets it while the store is behind.
	HoldBulk bool

	reads readDesk
	past  pastDesk
	duty  int // ticks until the next look at the members
	idle  int // ticks in which nothing happened

	unsure bool // of the time
	office int  // ticks since the leader changed
}

// NewReplica starts a replica from its disk. lastTime is that of the loaded state.
func NewReplica(c ReplicaConfig, lastTime holdfast.Time) (*Replica, error) {
	c = c.withDefaults()
	node, err := NewNode(c.Node)
	if err != nil {
		return nil, err
	}
	r := &Replica{Node: node, config: c, lastTime: lastTime, pace: newPace(c.BulkChunk)}
	r.reads.limit, r.past.limit, r.past.applied = c.ReadTicks, c.ReadTicks, lastTime
	// An answer to a question of an earlier life of this replica must not be taken for one to ours.
	r.reads.id = binary.BigEndian.Uint64(c.Process[:])
	return r, nil
}

// Tick passes one unit of time; now is the wall clock.
func (r *Replica) Tick(now holdfast.Time) error {
	if r.idle++; r.Stirred() {
		r.idle, r.Node.stirred = 0, false
	}
	r.office++
	if err := r.Node.Tick(); err != nil {
		return err
	}
	if err := r.reads.tick(r.Node); err != nil {
		return err
	}
	r.past.tick()
	if r.duty--; r.duty <= 0 {
		r.duty = memberTicks
		return r.promote()
	}
	return nil
}

// Applied reports what the machine has applied: the last index and the last time stamp in it.
func (r *Replica) Applied(index uint64, last holdfast.Time) error {
	r.lastTime = max(r.lastTime, last)
	if err := r.Node.Applied(index); err != nil {
		return err
	}
	r.reads.applied(r.Node.applied)
	r.past.advance(last)
	return nil
}

// SetDoubted says whether the state may be wrong. Then this replica does not lead if another can, and proposes nothing. It votes
// and stores as ever: the log does not depend on the state. Whoever applies its entries has to abandon those who wait for them.
func (r *Replica) SetDoubted(yes bool) { r.Node.doubted = yes }

// unsureTicks is for how long a leader that is unsure of the time proposes nothing. Others have just voted for it, and the beats of their sites
// come within a few ticks, unless they are of a release that says nothing of clocks.
const unsureTicks = 100

// SetUnsure says that this site has not heard the clock of any other since its start, so that nobody knows whether its own can be believed. A
// leader then proposes nothing yet: a stamp cannot be taken back.
func (r *Replica) SetUnsure(yes bool) { r.unsure = yes }

// stamps reports whether this leader may stamp, and so propose, now.
func (r *Replica) stamps() bool {
	return r.Ready() && !r.Transferring() && !r.Node.doubted && (!r.unsure || r.office > unsureTicks)
}

// Output proposes what can be proposed now and returns what has to happen outside.
func (r *Replica) Output(now holdfast.Time) (Output, error) {
	if err := r.propose(now); err != nil {
		return Output{}, err
	}
	if err := r.reads.ask(r.Node); err != nil {
		return Output{}, err
	}
	out, err := r.Node.Output()
	if err != nil {
		return out, err
	}
	if out.Leader != nil {
		r.led(*out.Leader)
	}
	if out.Leader != nil || out.Offer != nil || len(out.Writes)+len(out.Commits)+len(out.Reads) > 0 {
		r.Stir()
	}
	r.reads.ready(out.Reads, r.Node.applied)
	return out, nil
}

// led answers those who wait when leadership is lost, at once: somebody else may know more, we never will.
func (r *Replica) led(now Leadership) {
	if r.wasLeading && !now.Self {
		if PlantedLostIsRefused {
			r.config.Answers.lose(r.notLeader())
		}
		r.config.Answers.lose(ErrLost)
		r.config.Intake.Refuse(r.notLeader())
	}
	r.past.refuse(r.notLeader())
	r.wasLeading, r.office = now.Self, 0
	r.reads.again()
}

// propose turns what waits into entries.
func (r *Replica) propose(now holdfast.Time) error {
	if !r.Node.leader.Self {
		r.config.Intake.Refuse(r.notLeader())
		r.past.refuse(r.notLeader())
		return nil
	}
	if !r.stamps() {
		return nil // the new leader, the end of the hand-over or of the doubt, or the time is a moment away
	}
	singles, bulks, took := r.config.Answers.underway()
	r.pace.observe(took, int64(r.config.BulkTarget), int64(now))
	for ; singles < r.config.SinglesInFlight; singles++ {
		ok, err := r.proposeSingles(now)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
	}
	if err := r.proposeBulks(now, bulks); err != nil {
		return err
	}
	return r.closePast(now)
}

// proposeSingles makes one entry of all single payments that wait. False: nothing waits.
func (r *Replica) proposeSingles(now holdfast.Time) (bool, error) {
	entry := &entryDraft{}
	in := r.config.Intake
	var gone []*Request
	at := in.now()
	in.mu.Lock()
	for in.single.len() > 0 && entry.room(in.single.peek()) {
		q := in.single.peek()
		in.single.pop()
		switch {
		case q.gone(at):
			gone = append(gone, q)
		case q.claim():
			entry.add(q, 0, q.Batch.Count())
		}
	}
	in.mu.Unlock()
	refuseAll(gone)
	if entry.count == 0 {
		return false, nil
	}
	r.pace.single = int64(now)
	return true, r.send(entry, now, false)
}

// proposeBulks makes entries of bulk, each a stretch of one batch, as long as few are under way.
func (r *Replica) proposeBulks(now holdfast.Time, underway int) error {
	in := r.config.Intake
	var gone []*Request
	defer func() { refuseAll(gone) }()
	at := in.now()
	for ; underway < r.config.BulksInFlight && !r.HoldBulk; underway++ {
		in.mu.Lock()
		q := in.bulk.peek()
		for q != nil && (q.next == 0 && q.gone(at) || !q.claim()) {
			gone = append(gone, q) // one that was withdrawn is not answered again
			in.bulk.pop()
			q = in.bulk.peek()
		}
		if q == nil {
			in.mu.Unlock()
			return nil
		}
		entry := &entryDraft{}
		from := q.next
		q.next = q.Batch.stretch(from, r.pace.chunk)
		if q.next == q.Batch.Count() {
			in.bulk.pop()
		}
		in.mu.Unlock()
		entry.add(q, from, q.next-from)
		if err := r.send(entry, now, true); err != nil {
			return err
		}
	}
	return nil
}

// refuseAll tells those whose time was over before anything of theirs was proposed.
func refuseAll(gone []*Request) {
	for _, q := range gone {
		q.refuse(ErrTimeout)
	}
}

// send proposes a drafted entry. What the log does not take is answered: nothing was proposed.
func (r *Replica) send(d *entryDraft, now holdfast.Time, bulk bool) error {
	nonce := r.nonce()
	stamp := r.stamp(now, d.count)
	data := make([]byte, 0, ledger.HeaderBytes+d.bytes)
	data = ledger.AppendHeader(data, ledger.Header{Kind: ledger.KindTxns, Nonce: nonce, Time: stamp, Count: uint32(d.count)})
	for _, p := range d.parts {
		b := &p.request.Batch
		data = append(data, b.Body[b.start(p.from):b.Ends[p.from+p.count-1]]...)
	}
	r.config.Answers.expect(nonce, &flight{parts: d.parts, bulk: bulk, started: now})
	err := r.Propose(data)
	if err == nil {
		r.Node.mention(nonce, d.parts)
		r.past.accepted = stamp + holdfast.Time(d.count) - 1
		return nil
	}
	r.config.Answers.drop(nonce)
	if !errors.As(err, new(NotLeaderError)) && !errors.Is(err, ErrOverloaded) {
		return err
	}
	for _, p := range d.parts {
		p.request.dropped(err)
	}
	return nil
}

// dropped answers a request whose entry the log refused to take. Earlier parts of it may have gone in: then its fate is open.
func (r *Request) dropped(err error) {
	r.mu.Lock()
	partly := r.open > 1 || r.Outcomes != nil
	r.mu.Unlock()
	if partly {
		err = ErrLost
	}
	r.fail(err)
}

// stamp gives count strictly rising times, the first of which it returns. A clock that stands still or jumps back only makes
// stamps follow each other more closely.
func (r *Replica) stamp(now holdfast.Time, count int) holdfast.Time {
	first := max(now, r.lastTime+1)
	if PlantedClockBack {
		first = now
	}
	r.lastTime = first + holdfast.Time(max(count, 1)) - 1
	return first
}

func (r *Replica) nonce() (n Nonce) {
	r.count++
	copy(n[:8], r.config.Process[:])
	binary.BigEndian.PutUint64(n[8:], r.count)
	return n
}

// Upkeep proposes what the machine found to be due: a digest of the state for the others to compare. Expired holds come by
// the intake, as bulk. Only a leader does anything.
func (r *Replica) Upkeep(u Upkeep, now holdfast.Time) error {
	if !u.DigestDue || !r.stamps() {
		return nil
	}
	data := ledger.AppendDigest(nil, r.nonce(), r.stamp(now, 1), u.DigestIndex, u.Digest)
	err := r.Propose(data)
	if errors.As(err, new(NotLeaderError)) || errors.Is(err, ErrOverloaded) {
		return nil // the next one will do
	}
	return err
}

// memberTicks is how often a leader looks whether a learner has caught up. It shares no factor with the election time-out:
// after each of those the library forgets for a moment who is active.
const memberTicks = 7

// promote gives a learner that has caught up its vote, when a replica of the same site has one, and takes it from that in the
// same joint change. A wiped disk comes back that way, under a new identity. A learner that replaces no voter waits for an order.
func (r *Replica) promote() error {
	if !r.Ready() || r.Members().Joint() {
		return nil
	}
	status, err := r.Status()
	if err != nil {
		return err
	}
	for _, p := range status.Followers {
		if p.Role&Learner == 0 || !p.UpToDate || !p.Active {
			continue
		}
		others := r.othersAt(p.Site, p.Replica)
		if !r.anyVotes(others) {
			continue
		}
		return r.tolerate(r.ProposeMembers(MemberChange{Promote: []ReplicaID{p.Replica}, Remove: others}))
	}
	return nil
}

func (r *Replica) othersAt(site holdfast.SiteID, but ReplicaID) (list []ReplicaID) {
	for _, m := range r.Members().List {
		if m.Site == site && m.Replica != but {
			list = append(list, m.Replica)
		}
	}
	return list
}

// Admit adds a replica that asks to join as a learner, in the stead of other learners of its site. It only replaces: where the
// site has no member, somebody has removed it or nobody has ordered it, and it stays out until somebody does ([Replica.Obey]).
func (r *Replica) Admit(id ReplicaID, at holdfast.SiteID) error {
	if _, ok := r.Members().Find(id); ok {
		return nil
	}
	if !r.livesAt(at) && !PlantedStrangersJoin {
		return fmt.Errorf("site %d: %w", at, ErrNotAdmitted)
	}
	change := AddLearner(id, at)
	for _, m := range r.Members().List {
		if m.Site == at && m.Role == Learner {
			change.Remove = append(change.Remove, m.Replica)
		}
	}
	return r.ProposeMembers(change)
}

// tolerate drops refusals that time will settle.
func (r *Replica) tolerate(err error) error {
	if errors.Is(err, ErrBusyMembers) || errors.Is(err, ErrOverloaded) || errors.As(err, new(NotLeaderError)) {
		return nil
	}
	return err
}

// Read queues a linearizable read; it is answered from within Output, Applied, Tick.
func (r *Replica) Read(q *ReadRequest) {
	if PlantedStaleRead && r.Node.leader.Self {
		q.Answer(q)
		return
	}
	r.Stir()
	r.reads.add(q)
}

// entryDraft gathers requests for one entry.
type entryDraft struct {
	parts []part
	count int
	bytes int
}

// Bounds of an entry, of single payments and of bulk. A request of the first class, and one transaction of the second, always
// fits. An entry has to go into one payload of the link together with its neighbours.
const (
	maxEntryBytes = 1 << 20
	maxBulkEntry  = 4 << 20
)

// stretch is where a bulk entry ends that begins with transaction from.
func (b *Batch) stretch(from, chunk int) int {
	n := min(chunk, b.Count()-from)
	for n > 1 && b.Ends[from+n-1]-b.start(from) > maxBulkEntry {
		n /= 2
	}
	return from + n
}

func (d *entryDraft) room(q *Request) bool {
	return d.count == 0 || d.count+q.Batch.Count() <= holdfast.MaxLegs && d.bytes+len(q.Batch.Body) <= maxEntryBytes
}

func (d *entryDraft) add(q *Request, from, count int) {
	d.parts = append(d.parts, part{request: q, from: from, count: count})
	d.count += count
	d.bytes += int(q.Batch.Ends[from+count-1] - q.Batch.start(from))
}

// pace decides how large bulk entries are. Alone they are as large as can be; when somebody at a till waits behind them they
// shrink until each takes no longer than the target.
type pace struct {
	most   int
	chunk  int
	single int64 // when the last single payment was proposed
}

const (
	minChunk  = 250
	recentFor = 1e9
)

func newPace(most int) pace { return pace{most: most, chunk: most} }

func (p *pace) observe(took, target, now int64) {
	switch {
	case took == 0:
	case now-p.single > recentFor:
		p.chunk = p.most
	case took > target:
		p.chunk = min(max(p.chunk*3/4, minChunk), p.most)
	case took < target/2:
		p.chunk = min(p.chunk*9/8+1, p.most)
	}
}
