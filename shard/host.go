package shard

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/store"
)

// Timing is how fast time passes for consensus.
type Timing struct {
	Tick           time.Duration // 0: 10 ms
	HeartbeatTicks int           // 0: 2
	ElectionTicks  int           // 0: 10
}

// HostConfig is what a [Host] needs of its site.
type HostConfig struct {
	Site   holdfast.SiteID
	Sites  []holdfast.SiteID  // all that are configured, this one included: they found the shards; see [Host.SetSites]
	Shards []holdfast.ShardID // those with a replica here
	Store  *store.Store

	// Send hands a message to the link. It must not block and may lose it.
	Send func(to holdfast.SiteID, shard holdfast.ShardID, payload []byte)
	// SendUrgent does the same for messages that may overtake those given to Send: heartbeats, votes. nil: Send.
	SendUrgent func(to holdfast.SiteID, shard holdfast.ShardID, payload []byte)
	// Call asks another site; its Host answers by [Host.Serve]. May be nil when there is only one site.
	Call func(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error)

	// OnFatal is told once that the process has to stop: the disk failed, or an invariant is broken. Required.
	OnFatal func(error)
	// OnEvent hears what an operator wants to know; it must not block. May be nil.
	OnEvent func(Event)
	// OnApplied hears that the replica of a shard has applied something; it must not block. May be nil.
	OnApplied func(holdfast.ShardID)
	// OnHeard hears that another site has heard a beat which left this one then, and that this is known here: the way is open in both
	// directions. It must not block. May be nil.
	OnHeard func(from holdfast.SiteID, left time.Time)
	// OnWell hears that this site has become fit to lead, or is no more, as [Host.Well] says; it must not block. May be nil.
	OnWell func(well bool)
	// OnCheckpoint hears of every checkpoint that was made; it must not block. May be nil.
	OnCheckpoint func(CheckpointMade)

	Timing  Timing
	Care    CareBounds
	Machine MachineConfig
	Replica ReplicaConfig // the limits; Node, Process, Intake and Answers are filled in
	Logger  *slog.Logger  // nil: silence
	Random  io.Reader     // nil: crypto/rand.Reader
	// Wall is the clock of this site; it may jump. nil: time.Now.
	Wall func() holdfast.Time
}

func (c HostConfig) withDefaults() (HostConfig, error) {
	if c.Store == nil || c.Send == nil || c.OnFatal == nil || c.Site == 0 || len(c.Sites) == 0 || len(c.Shards) == 0 {
		return c, errors.New("shard: Site, Sites, Shards, Store, Send and OnFatal of HostConfig are required")
	}
	if c.Call == nil && len(c.Sites) > 1 {
		return c, errors.New("shard: HostConfig.Call is required when there is more than one site")
	}
	c.Timing.Tick, c.Timing.ElectionTicks = orElse(c.Timing.Tick, 10*time.Millisecond), orElse(c.Timing.ElectionTicks, 10)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Wall == nil {
		c.Wall = func() holdfast.Time { return holdfast.TimeOf(time.Now()) }
	}
	if c.OnEvent == nil {
		c.OnEvent = func(Event) {}
	}
	if c.OnApplied == nil {
		c.OnApplied = func(holdfast.ShardID) {}
	}
	if c.OnHeard == nil {
		c.OnHeard = func(holdfast.SiteID, time.Time) {}
	}
	if c.OnWell == nil {
		c.OnWell = func(bool) {}
	}
	if c.OnCheckpoint == nil {
		c.OnCheckpoint = func(CheckpointMade) {}
	}
	if c.SendUrgent == nil {
		c.SendUrgent = c.Send
	}
	return c, nil
}

// EventKind says what happened to a replica.
type EventKind uint8

const (
	// EventBorn: the replica has its first members; Text says how.
	EventBorn EventKind = iota + 1
	// EventLeader: somebody leads, or nobody does.
	EventLeader
	// EventMembers: the members changed.
	EventMembers
	// EventOutOfService: the replica's state differs from the others', and it answers nothing any more. Somebody has to look.
	EventOutOfService
	// EventCorrupt: the replica's disk is not what was written. It has left service and is wiped when [MayForget] allows it, or,
	// when there is nobody to learn from, stays as it is.
	EventCorrupt
	// EventInstalled: a checkpoint of another site was installed.
	EventInstalled
	// EventWaits: a corrupt replica may not be wiped yet; Text says what it waits for and what an operator can do.
	EventWaits
	// EventWiped: the replica forgets all it has and joins again under a new identity.
	EventWiped
	// EventYields: this site hands a leadership to one that is better off; Text says why.
	EventYields
	// EventOthersDiffer: a majority has the state of this replica, and others have another one.
	EventOthersDiffer
	// EventBack: a replica that was out of service because nobody could tell whether it is right is in service again.
	EventBack
	// EventSpoilt: a checkpoint that another site has sent contradicts itself and was not installed. It is fetched again, elsewhere if
	// somebody else has one.
	EventSpoilt
	// EventClock: the clock of this site is far ahead of those of the others, and not believed any more. It is of no shard.
	EventClock
	// EventNoSpace: a checkpoint of another site is not fetched, or not further, because the disk has no room for it; Text says how much
	// is missing. It goes on by itself when there is.
	EventNoSpace
)

// Event is one thing that happened.
type Event struct {
	Kind   EventKind
	Shard  holdfast.ShardID
	Leader Leadership // EventLeader
	Text   string
	Err    error // EventOutOfService, EventCorrupt, EventWaits, EventWiped, EventOthersDiffer, EventSpoilt
}

// CheckpointMade says what a checkpoint cost. The store works beside the payments; they stand still only for Seal and Waited.
type CheckpointMade struct {
	Shard  holdfast.ShardID
	Index  uint64        // the last entry in it
	Began  time.Time     // when the store began
	Took   time.Duration // by the store
	Seal   time.Duration // to close the segment
	Forget time.Duration // to drop it from memory, once the store has it; most of that is waiting for payments, not the other way round
	Waited time.Duration // entries that were ready waited so long, since the checkpoint before, because the store was behind
}

// Host runs the replicas of one site: it owns the goroutines, the clock and the disk's queue, and decides nothing. Per shard
// one goroutine steps consensus and one applies; one goroutine per site writes and fsyncs for all shards, one persists
// segments, one is the clock of all. See DESIGN.md for who owns what.
type Host struct {
	config HostConfig
	seats  atomic.Pointer[seats] // replaced as a whole under adding when a shard comes; none is ever taken out
	adding sync.Mutex
	disk   *diskQueue
	shelf  *persistQueue
	exp    exports
	full   atomic.Bool // the disk is nearly full
	sites  atomic.Pointer[[]holdfast.SiteID]

	beatMu sync.Mutex // guards what follows
	beats  *Beats
	sent   [256]sentBeat
	ticked time.Time // when the clock ticked last

	ahead atomic.Int64 // how many ticks it will pass at once when it ticks next

	tickets atomic.Uint64 // the last that was given

	clockMu sync.Mutex
	clock   *Clock      // guarded by clockMu
	astray  signal      // this site's clock is not believed
	sure    atomic.Bool // the clock of another site has been heard

	epoch  time.Time // where the clocks begin that do not jump: Care's, and the mono of Clock
	careMu sync.Mutex
	stir   signal // there is something to care for
	care   *Care  // guarded by careMu
	well   atomic.Bool

	ctx     context.Context // ends when the host stops
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	fatal   sync.Once
	started atomic.Bool
}

// NewHost prepares the replicas; nothing runs before Start.
func NewHost(c HostConfig) (*Host, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Host{config: c, disk: newDiskQueue(), shelf: newPersistQueue(), stir: newSignal(), astray: newSignal()}
	h.seats.Store(&seats{})
	h.epoch, h.care, h.clock = time.Now(), NewCare(c.Care), NewClock()
	h.well.Store(true)
	h.SetSites(c.Sites)
	h.exp.init()
	h.ctx, h.cancel = context.WithCancel(context.Background())
	for _, id := range c.Shards {
		if h.at(id) != nil {
			return nil, fmt.Errorf("shard: shard %d is listed twice", id)
		}
		h.seats.Store(h.seats.Load().with(newSeat(h, id)))
	}
	life, err := randomFrom(c.Random)
	if err != nil {
		return nil, err
	}
	h.ahead.Store(1)
	first, err := randomFrom(c.Random) // not one of an earlier start: notes of that may still be on their way
	if err != nil {
		return nil, err
	}
	h.tickets.Store(binary.BigEndian.Uint64(first[:]))
	h.beats = NewBeats(BeatConfig{
		Site: c.Site, Life: binary.BigEndian.Uint64(life[:]), HeartbeatTicks: c.Timing.HeartbeatTicks, ElectionTicks: c.Timing.ElectionTicks,
	})
	return h, nil
}

// Start starts the goroutines. Shards that are not born yet go on asking the other sites until they are.
func (h *Host) Start() {
	h.spawn(h.writeLoop)
	h.spawn(h.persistLoop)
	h.spawn(h.watchDisk)
	h.spawn(h.keepTime)
	h.spawn(h.careLoop)
	h.spawn(h.clockLoop)
	h.adding.Lock()
	defer h.adding.Unlock()
	h.started.Store(true)
	for _, s := range *h.seats.Load() {
		h.spawn(s.run)
	}
}

func (h *Host) spawn(f func()) {
	h.wg.Go(f)
}

// Stop refuses new work, answers whoever waits, and waits for the goroutines until ctx ends. What was acknowledged is on disk.
// The store stays open.
func (h *Host) Stop(ctx context.Context) error {
	for _, s := range *h.seats.Load() {
		s.intake.Close(ErrStopping)
	}
	h.cancel()
	h.disk.close()
	h.shelf.close()
	done := make(chan struct{})
	go func() { // ends with the goroutines it waits for
		h.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		h.exp.closeAll()
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shard: stopping the host: %w", ctx.Err())
	}
}

// die stops everything after a failure that nothing can be trusted after.
func (h *Host) die(err error) {
	if h.ctx.Err() != nil && errors.Is(err, store.ErrClosed) {
		return
	}
	h.fatal.Do(func() {
		h.config.Logger.Error("the process has to stop", "err", err)
		h.cancel()
		h.disk.close()
		h.shelf.close()
		h.config.OnFatal(err)
	})
}

func (h *Host) seat(id holdfast.ShardID) (*seat, error) {
	s := h.at(id)
	if s == nil {
		return nil, fmt.Errorf("shard %d: %w", id, ErrNoShard)
	}
	return s, nil
}

// Receive takes a message that another site's host gave to Send. It never blocks; when too much waits, messages are dropped.
func (h *Host) Receive(from holdfast.SiteID, shard holdfast.ShardID, payload []byte) {
	if shard == beatShard {
		h.hearBeat(from, payload)
		return
	}
	if s := h.at(shard); s != nil {
		s.inbox.message(from, payload)
	}
}

// Submit proposes encoded transactions, if this site leads the shard, and waits for their outcomes, one per transaction.
// bulk, or more than 64 transactions, wait behind payments that come one by one. The errors are those of [OutcomeOf]; ErrLost
// means that something was proposed.
func (h *Host) Submit(ctx context.Context, shard holdfast.ShardID, bulk bool, b Batch) ([]holdfast.Outcome, error) {
	s, err := h.seat(shard)
	if err != nil {
		return nil, err
	}
	if b.Count() == 0 {
		return nil, nil
	}
	if lead := s.lead.Load(); !lead.Self {
		return nil, s.notLeading(lead)
	}
	if s.doubt() != nil {
		return nil, NotLeaderError{Shard: shard} // it leads in name only, until another can
	}
	if h.full.Load() {
		return nil, s.crowded()
	}
	return s.submit(ctx, bulk || b.Count() > bulkCount || len(b.Body) > bulkBytes, b)
}

// Follow waits here for a request of so many transactions that is about to be sent to the leader of a shard, as that of [Origin] with the
// ticket. settle is called, at most once and until done is called, when this site's own replica applies it, if it hears in time from the
// leader where it is. The outcomes are those of the leader, which may answer first. settle must not block. Ticket 0: nobody would
// ever call it.
func (h *Host) Follow(shard holdfast.ShardID, count int, settle func([]holdfast.Outcome)) (t Ticket, done func()) {
	s := h.at(shard)
	if s == nil {
		return 0, func() {}
	}
	for t == 0 {
		t = Ticket(h.tickets.Add(1))
	}
	s.forwarded.Add(t, count, settle)
	return t, func() { s.forwarded.Drop(t) }
}

// ReadMode says how new a read has to be.
type ReadMode uint8

const (
	// Linearizable reads see everything that was acknowledged, anywhere, before they began.
	Linearizable ReadMode = iota
	// Stale reads see what this replica has applied, which may be old when it is cut off.
	Stale
)

// Read runs fn on the state of a shard, leader here or not. fn runs under a lock: it must be short and must keep nothing of
// the view. [ErrNoQuorum]: no majority answered within 300 ms; Stale reads never get it.
func (h *Host) Read(ctx context.Context, shard holdfast.ShardID, mode ReadMode, fn func(*View) error) error {
	s, err := h.seat(shard)
	if err != nil {
		return err
	}
	l := s.life.Load() // before the question: what is confirmed for one life says nothing of the next, which may begin with less
	if l == nil {
		return s.absent()
	}
	if mode == Linearizable {
		if err := s.confirm(ctx); err != nil {
			return err
		}
	}
	err = l.machine.Look(fn)
	if s.life.Load() != l { // its disk may have been wiped or replaced under the reader
		return s.absent()
	}
	if sure := s.sure(ctx, l); sure != nil { // looked first: what is right now was right then, and not the other way round
		return sure
	}
	if ConditionOf(err) == Corrupt {
		l.fail(err) // found by a reader, a fault of the disk all the same
	}
	return err
}

// Leader is who leads a shard, as this site knows it.
func (h *Host) Leader(shard holdfast.ShardID) Leadership {
	if s := h.at(shard); s != nil {
		return *s.lead.Load()
	}
	return Leadership{}
}

// Applied is the last entry that the replica of a shard here has applied; 0: there is none. It costs next to nothing: whoever
// watches a state can tell by it that nothing has changed.
func (h *Host) Applied(shard holdfast.ShardID) uint64 {
	if s := h.at(shard); s != nil {
		if l := s.life.Load(); l != nil {
			return l.applied.Load()
		}
	}
	return 0
}

// Asleep reports whether nothing has happened in a shard for some time: the replica here has all of it then, and a stale read tells what a
// linearizable one would, but for what comes about in this tenth of a second. That one would wake the shard at every site.
func (h *Host) Asleep(shard holdfast.ShardID) bool {
	s := h.at(shard)
	return s != nil && s.rest.Load() != nil
}

// LeaderChanged returns a channel that is closed at the next change of the leader of a shard, as this site knows it. Call it
// before Leader, and nothing is missed.
func (h *Host) LeaderChanged(shard holdfast.ShardID) <-chan struct{} {
	if s := h.at(shard); s != nil {
		return s.changed.wait()
	}
	return nil
}

// HandOver gives the leadership of a shard to the replica at a site and waits until it leads. Only the leader's site can. What lapses is asked
// for again until the context ends, or another site leads.
func (h *Host) HandOver(ctx context.Context, shard holdfast.ShardID, to holdfast.SiteID) error {
	return h.handOver(ctx, shard, to, (*Replica).TransferAnyway)
}

// OfferLead is HandOver to a site that may decline: [ErrDeclined], at once, when it is not well.
func (h *Host) OfferLead(ctx context.Context, shard holdfast.ShardID, to holdfast.SiteID) error {
	return h.handOver(ctx, shard, to, (*Replica).TransferTo)
}

func (h *Host) handOver(ctx context.Context, shard holdfast.ShardID, to holdfast.SiteID, transfer func(*Replica, ReplicaID) error) error {
	s, err := h.seat(shard)
	if err != nil {
		return err
	}
	declined := s.declined.Load()
	// The library gives up after an election time-out, if a message was lost or the successor was behind. It refuses proposals until then;
	// so between two attempts there is time for those that have waited.
	lapse := time.NewTicker(h.config.Timing.Tick * time.Duration(h.config.Timing.ElectionTicks) * 3 / 2)
	defer lapse.Stop()
	err = s.do(ctx, func(r *Replica) error { return r.passTo(to, transfer) })
	for err == nil {
		changed := s.changed.wait()
		lead := s.lead.Load()
		if lead.Site == to {
			return nil
		}
		if s.declined.Load() != declined {
			err = ErrDeclined
			break
		}
		select {
		case <-changed:
		case <-lapse.C:
			err = s.do(ctx, func(r *Replica) error { return r.passAgain(to, transfer) })
		case <-ctx.Done():
			return fmt.Errorf("handing shard %d over to site %d: %w; site %d leads", shard, to, ctx.Err(), lead.Site)
		}
	}
	return fmt.Errorf("handing shard %d over to site %d: %w", shard, to, err)
}

// passTo begins to hand over to the voter of a site.
func (r *Replica) passTo(to holdfast.SiteID, transfer func(*Replica, ReplicaID) error) error {
	for _, m := range r.Members().List {
		if m.Site == to && m.Role&Voter != 0 {
			return transfer(r, m.Replica)
		}
	}
	return fmt.Errorf("site %d has no voting replica of shard %d: see holdfast status", to, r.Node.config.Shard)
}

// passAgain does it once more if it looks as if it could succeed now: nothing is proposed while a successor is waited for that does not
// answer. An election that is under way is waited for.
func (r *Replica) passAgain(to holdfast.SiteID, transfer func(*Replica, ReplicaID) error) error {
	switch lead := r.Node.leader; {
	case !lead.Self && lead.Site != 0 && lead.Site != to:
		return r.notLeader()
	case !lead.Self:
		return nil
	}
	status, err := r.Status()
	if err != nil {
		return err
	}
	for _, p := range status.Followers {
		if p.Site == to && p.Role&Voter != 0 && (!p.Active || !p.UpToDate) {
			return nil
		}
	}
	return r.passTo(to, transfer)
}

// ShardStatus describes one replica and, on the leader, the others.
type ShardStatus struct {
	Shard   holdfast.ShardID
	Node    NodeStatus
	Members []Member
	Born    bool

	Applied      uint64
	Digest       uint64 // as of Applied
	Checkpoint   uint64
	CaughtUp     bool   // it has applied what was committed when it started; before that, whoever asks it waits
	Sealed       int    // segments that wait for the store, or are being persisted
	OutOfService error  // why it answers nothing; nil: it does
	Waits        string // what a corrupt replica waits for before it wipes its disk; "": it does not

	WaitingSingles int
	WaitingBulks   int
	Pulling        bool   // a checkpoint is being fetched
	Asleep         bool   // nothing has happened for some time: it costs nothing until something does
	NoSpace        string // why none is fetched although one is needed: how much space is missing; "": nothing is
}

// Status describes the replicas of this site, in order of shard. It may be a tenth of a second old.
func (h *Host) Status() []ShardStatus {
	var list []ShardStatus
	for _, s := range *h.seats.Load() {
		list = append(list, s.describe())
	}
	return list
}

// DiskFull reports whether new work is refused for lack of space.
func (h *Host) DiskFull() bool { return h.full.Load() }

// watchDisk looks at the free space every second.
func (h *Host) watchDisk() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		full, free, err := h.config.Store.DiskFull()
		if err != nil {
			h.config.Logger.Error("free space is unknown", "err", err)
		} else if h.full.Swap(full) != full {
			h.config.Logger.Warn("disk space", "full", full, "free", free)
			h.tend(func(c *Care, _ time.Duration) { c.Space(full) })
			h.stir.set()
		}
		if full {
			h.dropFetched()
		}
		select {
		case <-t.C:
		case <-h.ctx.Done():
			return
		}
	}
}
