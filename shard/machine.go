package shard

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"holdfast"
	"holdfast/ledger"
	"holdfast/store"
)

// MachineConfig says when a [Machine] seals what has gathered.
type MachineConfig struct {
	SealRows int           // rows in the open segment; 0: 256k
	SealAge  holdfast.Time // how old the open segment may become, in nanoseconds; 0: 10 s
	// SealEntries is how many log entries the open segment may span, whatever they changed; 0: 256k. Entries that change
	// nothing, such as payments that are sent again, make no rows, and yet each has to be replayed after a crash.
	SealEntries uint64
	// SealBytes is how many bytes of log entries the open segment may come from; 0: 64 MiB. Records and messages make rows of any size, and
	// a segment has to fit onto the disk beside the log.
	SealBytes int
	// MaxSealed is how many sealed segments may wait for the store before Apply has to wait; 0: 6.
	MaxSealed int
}

func (c MachineConfig) withDefaults() MachineConfig {
	c.SealRows = orElse(c.SealRows, 256<<10)
	c.SealAge = orElse(c.SealAge, 10e9)
	c.SealEntries = orElse(c.SealEntries, 256<<10)
	c.SealBytes = orElse(c.SealBytes, 64<<20)
	c.MaxSealed = orElse(c.MaxSealed, 6)
	return c
}

// Machine is the apply half of a replica: the ledger's state, fed from the committed log, and the disk that remembers what
// leaves memory. It has no goroutine and no clock. One goroutine at a time calls Apply, Seal and Load; Look may be called
// from anywhere, and Persisted from the goroutine that persists.
type Machine struct {
	config MachineConfig
	disk   Disk
	bodies *bodies

	doubted atomic.Bool  // changed under mu
	mu      sync.RWMutex // guards what follows
	state   *ledger.State
	members Members
	term    uint64 // of the last entry
	applied uint64
	opened  holdfast.Time // when the open segment was first seen to have a row; 0: it has none
	before  uint64        // the last entry before the open segment
	bytes   int           // of entries since before
	sealed  int           // segments handed out and not persisted
	force   bool          // seal as soon as there is anything
	replays bool          // the log is being replayed, and nobody waits for a checkpoint
	record  record        // of digests, ours and others'
	skip    bool          // planted: the next entry is forgotten
}

// LoadMachine loads the checkpoint. What the log holds after it comes through Apply, as everything does.
func LoadMachine(c MachineConfig, d Disk) (*Machine, error) {
	from, err := CheckpointOf(d)
	if err != nil {
		return nil, fmt.Errorf("loading the checkpoint: %w", err)
	}
	state, err := d.Load()
	if err != nil {
		return nil, fmt.Errorf("loading the checkpoint: %w", err)
	}
	if index, _ := state.Applied(); index != from.Index {
		return nil, fmt.Errorf("%w: the checkpoint says %d, the state it holds says %d", ErrInvariant, from.Index, index)
	}
	m := &Machine{
		config: c.withDefaults(), disk: d, bodies: newBodies(d), state: state, members: from.Members, term: from.Term, applied: from.Index,
		before: from.Index, skip: PlantedSkipAfterRestart && d.LastIndex() > from.Index,
	}
	m.record.note(state.Checked())
	return m, nil
}

// Applied is the result of one entry.
type Applied struct {
	Index    uint64
	Nonce    Nonce
	Outcomes []holdfast.Outcome // one per transaction; they point into the slice given to Apply
	Members  bool               // the entry changed the members
	Last     holdfast.Time      // the last time stamp in the log so far
}

// Apply applies one committed entry. Entries come in order; one that is applied already is an error. Outcomes are appended to
// room. Every error is final: *store.ErrCorrupt takes this replica out of service, any other stops the process. Afterwards the
// state may be in doubt, see Doubted.
func (m *Machine) Apply(e Entry, room []holdfast.Outcome) (Applied, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	done := Applied{Index: e.Index}
	if e.Index != m.applied+1 {
		return done, fmt.Errorf("%w: entry %d is to be applied after entry %d", ErrInvariant, e.Index, m.applied)
	}
	data := e.Data
	if m.skip {
		data, m.skip = nil, false
	}
	if e.Type != EntryNormal {
		data, done.Members = nil, m.change(e)
	}
	out, err := m.state.Apply(e.Index, data, m.disk, room)
	if err != nil {
		return done, fmt.Errorf("applying entry %d of term %d: %w", e.Index, e.Term, err)
	}
	m.applied, m.term = e.Index, e.Term
	m.compared()
	m.bytes += len(data)
	done.Outcomes = out[len(room):]
	if len(data) > 0 {
		h, _, err := ledger.ReadEntry(data)
		if err != nil {
			return done, fmt.Errorf("header of entry %d: %w", e.Index, err)
		}
		done.Nonce = h.Nonce
	}
	_, done.Last = m.state.Applied()
	return done, nil
}

// change follows a change of membership; a void one is ignored, as the node does.
func (m *Machine) change(e Entry) bool {
	next, err := m.members.Change(e)
	if err != nil {
		return false
	}
	m.members = next
	m.force = true // a follower that is new here can only use a checkpoint that knows it
	return true
}

// Full reports that the store is so far behind that nothing should be applied until it has caught up, or that a state in doubt, of
// which no checkpoint is made, has gathered as much as memory is meant for.
func (m *Machine) Full() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.sealed >= m.config.MaxSealed || m.record.since > 0 && m.large(m.state.Pending(), whileReplaying)
}

// Seal closes the open segment if it is large, long, old, or wanted by NeedCheckpoint, and returns it for [Disk.Persist]; nil
// otherwise. now is the wall clock.
func (m *Machine) Seal(now holdfast.Time) *ledger.Segment {
	m.mu.Lock()
	defer m.mu.Unlock()
	pending := m.state.Pending()
	if m.opened == 0 && pending > 0 {
		// By the clock of whoever asks, not by the time in the log: replayed entries are old, and each would be sealed alone.
		m.opened = now
	}
	if !m.due(pending, now) && !m.force || m.sealed >= m.config.MaxSealed || m.record.since > 0 {
		return nil // a state in doubt is no checkpoint, and the doubt comes back with the entry when the log is replayed
	}
	g := m.state.Seal()
	g.Meta.Term = m.term
	g.Meta.Members = m.members.Append(nil)
	m.opened, m.force, m.before, m.bytes = 0, false, m.applied, 0
	m.sealed++
	return g
}

// whileReplaying is how many times as large the open segment may become while the log is replayed: a site that comes back is wanted
// soon, and what it would persist meanwhile costs it the core that replays.
const whileReplaying = 4

func (m *Machine) due(pending int, now holdfast.Time) bool {
	if m.replays {
		return m.large(pending, whileReplaying)
	}
	return m.large(pending, 1) || m.opened > 0 && now-m.opened >= m.config.SealAge
}

// large reports whether the open segment has reached some multiple of its bounds.
func (m *Machine) large(pending, times int) bool {
	return pending/times >= m.config.SealRows || (m.applied-m.before)/uint64(times) >= m.config.SealEntries || m.bytes/times >= m.config.SealBytes
}

// Replaying says whether the log is being replayed: then checkpoints are made less often.
func (m *Machine) Replaying(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replays = yes
}

// Behind reports that the store is so far behind that bulk has to wait. It comes long before Full, so that single payments find
// room when bulk has taken all that it is given.
func (m *Machine) Behind() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.sealed >= (m.config.MaxSealed+1)/2
}

// Sealed is how many segments have been handed out and are not persisted.
func (m *Machine) Sealed() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.sealed
}

// NeedCheckpoint makes the next Seal seal whatever there is.
func (m *Machine) NeedCheckpoint() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.force = true
}

// Persisted forgets a segment that the disk has. It returns the checkpoint that it made.
func (m *Machine) Persisted(g *ledger.Segment) (Checkpoint, error) {
	spare := ledger.NewSpare(g) // here, because payments do not wait for it
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Forget(g)
	m.state.Spare(spare)
	m.sealed--
	members, err := ParseMembers(g.Meta.Members)
	return Checkpoint{Index: g.Meta.Index, Term: g.Meta.Term, Members: members}, err
}

// Upkeep is what a leader should propose by itself.
type Upkeep struct {
	Applied     uint64 // what the state was at, and its digest there
	State       uint64
	Expire      Batch // holds whose time is over
	Soon        bool  // there are some, or will be before a shard that is asleep is looked at again
	DigestDue   bool
	DigestIndex uint64 // what the digest entry says; 0: it compares nothing, and is compared by the next
	Digest      uint64
}

// maxExpiries bounds one round of expiries; the next round takes the rest.
const maxExpiries = 1000

// dueSoon is how far Upkeep looks ahead: twice the time between two looks at a shard that is asleep.
const dueSoon = holdfast.Time(2e9)

// Upkeep looks what is due at now. digest asks for a digest entry as well, if anything has changed since the last.
func (m *Machine) Upkeep(now holdfast.Time, digest bool) Upkeep {
	m.mu.RLock()
	defer m.mu.RUnlock()
	u := Upkeep{Applied: m.applied, State: m.state.Digest()}
	if m.record.since > 0 {
		return u // nothing is proposed from a state in doubt
	}
	for _, id := range m.state.DueHolds(now, maxExpiries) {
		txn := ledger.ExpiryTxn(id)
		u.Expire.Add(&txn)
	}
	u.Soon = len(m.state.DueHolds(now+dueSoon, 1)) > 0
	u.DigestIndex, u.Digest = m.state.Checked()
	u.DigestDue = digest && m.applied > u.DigestIndex
	return u
}

// Applied is how far the state is: the last index, and the last time stamp.
func (m *Machine) Applied() (uint64, holdfast.Time) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, t := m.state.Applied()
	return m.applied, t
}

// Digest is that of the state, for comparing replicas that have applied the same index.
func (m *Machine) Digest() (index, digest uint64) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.applied, m.state.Digest()
}

// Condition says what an error of this package or of the disk means for the replica it came from.
type Condition uint8

const (
	// Fatal stops the process: the disk failed, or an invariant is broken.
	Fatal Condition = iota
	// Differs takes the replica out of service and keeps its data for people to look at: its state is not that of the others.
	Differs
	// Corrupt condemns the replica: its data is wiped, and it joins again under a new identity.
	Corrupt
)

// ConditionOf classifies an error of Node, Replica, Machine or Disk.
func ConditionOf(err error) Condition {
	switch {
	case errors.Is(err, store.ErrFatal):
		return Fatal
	case errors.As(err, new(*store.ErrCorrupt)):
		return Corrupt
	case errors.As(err, new(ledger.ErrDigest)):
		return Differs
	}
	return Fatal
}
