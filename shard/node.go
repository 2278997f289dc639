package shard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"holdfast"
)

// NodeConfig is what a [Node] starts from. Ticks are calls of [Node.Tick].
type NodeConfig struct {
	Shard   holdfast.ShardID
	Replica ReplicaID
	Log     Log
	// Checkpoint is the one on disk, and says who the members are.
	Checkpoint Checkpoint
	// Applied is what the state has been brought to by replaying the log: Node hands out the committed entries after it. No change of
	// membership is between it and the checkpoint. 0: nothing was replayed.
	Applied uint64
	// Forwarded hears in which entries the requests are that this site has forwarded; nil: there are none.
	Forwarded *Forwarded

	HeartbeatTicks int // 0: 2
	ElectionTicks  int // 0: 10; the time-out is spread over one to two times this
	MessageBytes   int // bound of the entries in one message (one entry always fits); 0: 1 MiB
	InflightBytes  int // bound of what is on its way to one follower; 0: 32 MiB
	ApplyBytes     int // bound of what is handed out and not applied; 0: 32 MiB

	Logf func(format string, args ...any) // nil: silence
}

func (c NodeConfig) withDefaults() NodeConfig {
	c.HeartbeatTicks = orElse(c.HeartbeatTicks, 2)
	c.ElectionTicks = orElse(c.ElectionTicks, 10)
	c.MessageBytes = orElse(c.MessageBytes, 1<<20)
	c.InflightBytes = orElse(c.InflightBytes, 32<<20)
	c.ApplyBytes = orElse(c.ApplyBytes, 32<<20)
	c.Applied = max(c.Applied, c.Checkpoint.Index)
	if c.Logf == nil {
		c.Logf = func(string, ...any) {}
	}
	return c
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Node is consensus as a step function: inputs are method calls, outputs are what [Node.Output] returns. It has no goroutine,
// no clock and does no I/O but reads of its Log; the same inputs give the same outputs (the library draws election time-outs
// from crypto/rand.Reader). Not safe for concurrent use.
//
// An error of any method is final: the log could not be read (the error is the store's), or [ErrInvariant]. The owner then
// drops the Node.
type Node struct {
	config  NodeConfig
	raft    *raft.RawNode
	storage *raftStorage
	members Members // as of applied
	sites   map[ReplicaID]holdfast.SiteID
	applied uint64

	writes   []storedAction // handed out, not reported by Stored yet; in order
	lastTok  WriteToken
	late     *HardState // a newer commit index that waits for the next write that matters
	durable  HardState  // what was handed out last: term and vote
	end      uint64     // index of the last entry that was handed out; no entry leaves before it
	stored   logEnd     // of what is on disk: no acknowledgement goes beyond it
	known    uint64     // the newest commit index that is on disk
	applying []*pb.Message
	changes  []Entry // handed-out membership changes that Applied has not reached yet

	leader      Leadership
	leadReady   uint64    // as leader: the index of the first entry of this term
	lastChange  uint64    // as leader: index of the newest membership change that may be in the log
	mentions    []mention // as leader: requests of other sites in entries that no write has been handed out for
	told        logEnd    // as leader: up to where others may have taken the log for committed before it did
	noted       logEnd    // as follower: what the leader has on disk, as it says
	reluctant   bool      // another site should lead
	insists     bool      // the transfer under way is not to be declined
	declined    bool      // one was, since the last Output
	doubted     bool      // the same, because the state may be wrong: see Replica.SetDoubted
	orphaned    int       // ticks without a known leader
	stirred     bool      // something has happened since the last tick; see sleep.go
	spoke       bool      // as follower: the leader has spoken since this replica fell asleep last
	duel        bool      // another candidate asked for our vote in the term we stand in
	ticks       int
	said        acknowledgement // the last one
	offer       *Offer
	messages    []Message
	lingering   []*pb.Message     // as leader: see linger.go
	lapsed      bool              // a tick has passed: nothing lingers any longer
	snapshotted map[ReplicaID]int // ticks since the library told a follower to fetch a checkpoint
}

// storedAction is what follows from one write once it is on disk.
type storedAction struct {
	token  WriteToken
	commit uint64 // as it stands in the write; 0: it does not
	end    logEnd // of its entries; zero: it has none
	after  []*pb.Message
	// mentions are requests of other sites in its entries.
	mentions []mention
}

// WriteToken numbers the writes of one Node, from 1.
type WriteToken uint64

// Message goes to the replica of the same shard at a site. The network may lose, repeat, delay and reorder it.
type Message struct {
	To      ReplicaID
	Site    holdfast.SiteID
	Payload []byte
	// Urgent messages keep a leader in office or elect one: they are small, and may overtake all others.
	Urgent bool
}

// Write has to be made durable, in the order in which writes were handed out; then Stored has to be called with its token.
// Nothing that depends on it has left the Node before.
type Write struct {
	Token   WriteToken
	Hard    *HardState // nil: unchanged
	Entries []Entry    // Entries[0].Index drops whatever stood from there on
}

// ReadReady says that a read asked for by ReadIndex(ID) is linearizable once Index has been applied.
type ReadReady struct {
	ID    uint64
	Index uint64
}

// Leadership is who leads, as this replica knows it.
type Leadership struct {
	Leader ReplicaID       // 0: unknown
	Site   holdfast.SiteID // 0: unknown
	Term   uint64
	Self   bool
}

// Offer is the advice of the leader to fetch a checkpoint, because its log window begins after the end of ours.
type Offer struct {
	From  ReplicaID
	Site  holdfast.SiteID
	Index uint64
	Term  uint64
}

// Output is everything that has to happen outside. Messages may go at once. The slices belong to the caller.
type Output struct {
	Messages []Message
	Writes   []Write
	Commits  []Entry     // committed and durable here: to be applied in order, then reported by Applied
	Reads    []ReadReady // answers to ReadIndex
	Leader   *Leadership // set when it changed
	Offer    *Offer      // the checkpoint that the leader wants us to fetch
	// NeedCheckpoint asks for a new checkpoint soon: a follower needs one that knows it as a member.
	NeedCheckpoint bool
	// Declined says that the replica to which the leadership was to go does not want it. This one leads on.
	Declined bool
}

// NewNode starts from what is on disk. A log that is empty starts from Checkpoint.Members, which must be the founders then.
func NewNode(c NodeConfig) (n *Node, err error) {
	c = c.withDefaults()
	defer caught(&err)
	hard, err := soundHardState(c)
	if err != nil {
		return nil, err
	}
	n = &Node{
		config:      c,
		members:     c.Checkpoint.Members,
		applied:     c.Applied,
		durable:     hard,
		end:         c.Log.LastIndex(),
		known:       hard.Commit,
		sites:       map[ReplicaID]holdfast.SiteID{},
		snapshotted: map[ReplicaID]int{},
	}
	n.storage = &raftStorage{
		log: c.Log, checkpoint: c.Checkpoint, lastConf: c.Checkpoint.Index,
		hard: &pb.HardState{Term: new(hard.Term), Vote: new(hard.Vote), Commit: new(hard.Commit)},
		conf: c.Checkpoint.Members.conf(),
	}
	n.learnSites()
	if n.stored.term, err = c.Log.Term(n.end); err != nil {
		return nil, fmt.Errorf("term of entry %d of shard %d: %w", n.end, c.Shard, err)
	}
	n.stored.index = n.end
	n.raft, err = raft.NewRawNode(n.raftConfig())
	return n, err
}

// soundHardState reads the hard state and lifts it to what the checkpoint proves: an installed checkpoint is committed, and
// its term has been. In a term that only the log knows this replica cannot have voted, for a vote is stored before it is sent.
func soundHardState(c NodeConfig) (HardState, error) {
	hard, last := c.Log.Hard(), c.Log.LastIndex()
	if last < c.Checkpoint.Index {
		return hard, fmt.Errorf("%w: log of shard %d ends at %d, before its checkpoint at %d",
			ErrInvariant, c.Shard, last, c.Checkpoint.Index)
	}
	term, err := c.Log.Term(last)
	if err != nil {
		return hard, fmt.Errorf("term of entry %d of shard %d: %w", last, c.Shard, err)
	}
	if term > hard.Term {
		hard.Term, hard.Vote = term, 0
	}
	hard.Commit = min(max(hard.Commit, c.Checkpoint.Index), last)
	if c.Applied > hard.Commit {
		return hard, fmt.Errorf("%w: entry %d of shard %d was replayed, and only %d are committed", ErrInvariant, c.Applied, c.Shard, hard.Commit)
	}
	return hard, nil
}

func (n *Node) raftConfig() *raft.Config {
	c := n.config
	return &raft.Config{
		ID:                        uint64(c.Replica),
		ElectionTick:              c.ElectionTicks,
		HeartbeatTick:             c.HeartbeatTicks,
		Storage:                   n.storage,
		Applied:                   c.Applied,
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             uint64(c.MessageBytes),
		MaxCommittedSizePerReady:  uint64(c.ApplyBytes),
		MaxUncommittedEntriesSize: 64 << 20,
		MaxInflightMsgs:           512,
		MaxInflightBytes:          uint64(max(c.InflightBytes, c.MessageBytes)),
		CheckQuorum:               true,
		PreVote:                   true,
		ReadOnlyOption:            raft.ReadOnlySafe,
		DisableProposalForwarding: true,
		StepDownOnRemoval:         !PlantedRemovedLeads,
		Logger:                    quiet{c.Logf},
	}
}

// Tick is the passing of one unit of time.
func (n *Node) Tick() (err error) {
	defer caught(&err)
	heir := n.heir()
	n.raft.Tick()
	n.ticks++
	n.lapsed = true
	if err := n.resign(heir); err != nil {
		return err
	}
	if n.orphaned++; n.leader.Leader != 0 {
		n.orphaned = 0
	}
	if n.duel {
		n.duel = false
		return n.Campaign()
	}
	n.retrySnapshots()
	return nil
}

// retrySnapshots tells the library that a follower who was sent to fetch a checkpoint has failed, once in ten election
// time-outs. Without it one lost message would leave the follower behind for ever; a follower who is still at it ignores
// the second offer.
func (n *Node) retrySnapshots() {
	if !n.leader.Self || len(n.snapshotted) == 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(n.snapshotted)) { // in order, so that a simulation repeats itself
		n.snapshotted[id]++
		if n.snapshotted[id] >= 10*n.config.ElectionTicks {
			delete(n.snapshotted, id)
			n.raft.ReportSnapshot(uint64(id), raft.SnapshotFailure)
		}
	}
}

const payloadVersion = 1

// ErrNotForUs is returned by Step for a message that this replica must not see: another replica's (of a disk that was here
// before), or not decodable. The message has been ignored.
var ErrNotForUs = errors.New("message is not for this replica")

// Step takes a message from the replica at a site. The only error that is not final is [ErrNotForUs].
func (n *Node) Step(from holdfast.SiteID, payload []byte) (err error) {
	defer caught(&err)
	if len(payload) > 0 && payload[0] == noteVersion {
		return n.stepNote(from, payload)
	}
	if len(payload) == 0 || payload[0] != payloadVersion {
		return fmt.Errorf("%w: unknown version of a message from site %d", ErrNotForUs, from)
	}
	m := &pb.Message{}
	if err := proto.Unmarshal(payload[1:], m); err != nil {
		return fmt.Errorf("%w: message from site %d does not decode: %w", ErrNotForUs, from, err)
	}
	if m.GetTo() != uint64(n.config.Replica) || m.GetFrom() == 0 || raft.IsLocalMsg(m.GetType()) || raft.IsLocalMsgTarget(m.GetFrom()) {
		return fmt.Errorf("%w: %s from %x to %x", ErrNotForUs, m.GetType(), m.GetFrom(), m.GetTo())
	}
	if m.GetType() != pb.MsgReadIndex { // a follower hands those of others on under their names
		n.learnSite(ReplicaID(m.GetFrom()), from)
	}
	if m.GetType() == pb.MsgSnap {
		n.notice(m)
		return n.stepOffer(m)
	}
	if m.GetType() == pb.MsgProp { // forwarding is off everywhere, so nobody sends these
		return fmt.Errorf("%w: forwarded proposal from %x", ErrNotForUs, m.GetFrom())
	}
	if m.GetType() == pb.MsgTimeoutNow && n.declines(m) {
		return n.decline(m)
	}
	if m.GetType() == pb.MsgHeartbeatResp && string(m.GetContext()) == declineMark {
		n.heedDecline(m)
		return nil
	}
	if m.GetType() == pb.MsgReadIndex && n.leader.Self && !n.Ready() {
		return nil // as for ReadIndex; the asker repeats
	}
	if list := m.GetEntries(); m.GetType() == pb.MsgReadIndex && len(list) == 1 {
		list[0].Data = n.marked(list[0].GetData())
	}
	n.notice(m)
	n.ignore(n.raft.Step(m))
	n.noticeDuel(m)
	return n.learnCommit(m)
}

// noticeDuel sees two candidates of one term, who would both wait out another election time-out. The one with the lower
// identity asks for a new election at the next tick; the other goes on waiting and so will vote for it.
func (n *Node) noticeDuel(m *pb.Message) {
	if m.GetType() != pb.MsgVote || m.GetFrom() < uint64(n.config.Replica) {
		return
	}
	status := n.raft.BasicStatus()
	n.duel = status.RaftState == raft.StateCandidate && status.HardState.GetTerm() == m.GetTerm()
}

// ignore drops the library's refusals of single messages: they mean "not from a member" or "not now", and the sender repeats.
func (n *Node) ignore(err error) {
	if err != nil {
		n.config.Logf("message ignored: %v", err)
	}
}

// stepOffer answers a snapshot message without the library ever seeing it: a checkpoint is fetched and installed outside, as
// if this replica had crashed and come back with it. What we hold already is acknowledged at once.
func (n *Node) stepOffer(m *pb.Message) error {
	meta := m.GetSnapshot().GetMetadata()
	index, term := meta.GetIndex(), meta.GetTerm()
	status := n.raft.BasicStatus()
	if m.GetTerm() != status.HardState.GetTerm() || n.leader.Self {
		return nil // the next heartbeat brings us to the sender's term, and the offer is repeated
	}
	held, err := n.Holds(index, term)
	if err != nil {
		return err
	}
	if held && !PlantedInstallAnyway {
		// The log that we read may be ahead of what is durable; an acknowledgement must not be.
		return n.afterWrites([]*pb.Message{n.appendResp(m.GetFrom(), index)})
	}
	n.offer = &Offer{From: ReplicaID(m.GetFrom()), Site: n.sites[ReplicaID(m.GetFrom())], Index: index, Term: term}
	return nil
}

func (n *Node) appendResp(to, index uint64) *pb.Message {
	return &pb.Message{
		Type: pb.MsgAppResp.Enum(), From: new(uint64(n.config.Replica)), To: new(to),
		Term: new(n.raft.BasicStatus().HardState.GetTerm()), Index: new(index),
	}
}

// Holds reports whether the log here, durably, contains the committed entry (index, term), and with it everything before.
// A checkpoint of an index that is held must not be installed: it would drop acknowledged entries behind it.
func (n *Node) Holds(index, term uint64) (ok bool, err error) {
	defer caught(&err)
	if index <= n.applied {
		return true, nil
	}
	if index > n.config.Log.LastIndex() {
		return false, nil
	}
	have, err := n.config.Log.Term(index)
	return have == term, err
}

// Announce tells the replica that leads, after a start from an installed checkpoint, how far the log here reaches, so that it
// need not find out by probing.
func (n *Node) Announce(to ReplicaID, at holdfast.SiteID) error {
	n.learnSite(to, at)
	return n.post(n.appendResp(uint64(to), n.applied))
}

// Propose appends data to the log if this replica leads. [NotLeaderError] and [ErrOverloaded] mean that nothing was proposed.
// After nil the entry may or may not become committed; its data tells when it is applied.
func (n *Node) Propose(data []byte) (err error) {
	defer caught(&err)
	if !n.leader.Self {
		return n.notLeader()
	}
	n.stirred = true
	return n.proposed(n.raft.Propose(data))
}

// proposed maps the library's answer to a proposal.
func (n *Node) proposed(err error) error {
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, raft.ErrProposalDropped):
		return fmt.Errorf("proposal in shard %d: %w", n.config.Shard, err)
	case n.raft.BasicStatus().RaftState != raft.StateLeader, n.raft.BasicStatus().LeadTransferee != 0:
		return n.notLeader()
	}
	return ErrOverloaded
}

func (n *Node) notLeader() error {
	if n.leader.Self { // handing over: the next leader is known in a moment
		return NotLeaderError{Shard: n.config.Shard}
	}
	return NotLeaderError{Shard: n.config.Shard, Leader: n.leader.Site}
}

// ProposeMembers appends a change of membership. [ErrBusyMembers] means that another one is under way, [ErrTooFewVoters] that it
// will be refused again.
func (n *Node) ProposeMembers(change MemberChange) (err error) {
	defer caught(&err)
	if !n.leader.Self {
		return n.notLeader()
	}
	if n.members.Joint() || n.applied < max(n.leadReady, n.lastChange) || n.leadReady == 0 {
		return ErrBusyMembers
	}
	data, err := change.marshal()
	if err != nil {
		return fmt.Errorf("change of membership: %w", err)
	}
	cc := &pb.ConfChangeV2{}
	if err := proto.Unmarshal(data, cc); err != nil {
		return fmt.Errorf("change of membership: %w", err)
	}
	next, err := changeConf(n.members.conf(), cc)
	if err != nil {
		return fmt.Errorf("change of membership is not possible now: %w", err)
	}
	if n.members.tooFew(next) && !PlantedTooFewVoters {
		return ErrTooFewVoters
	}
	n.stirred = true
	if err := n.proposed(n.raft.ProposeConfChange(cc)); err != nil {
		return err
	}
	n.lastChange = math.MaxUint64 // until the entry is written and its index known
	return nil
}

// ReadIndex asks for an index that makes a read linearizable. The answer may never come: ask again after a while. A leader
// that is not [Node.Ready] ignores it: the library would let the only voter of a configuration answer from a commit index
// that its last crash set back.
func (n *Node) ReadIndex(id uint64) (err error) {
	defer caught(&err)
	if n.leader.Self && !n.Ready() {
		return nil
	}
	n.stirred = true
	n.raft.ReadIndex(n.marked(binary.BigEndian.AppendUint64(nil, id)))
	return nil
}

// TransferTo hands leadership to a voter that is up to date or soon will be. Proposals are refused meanwhile, for one
// election time-out at most, or until that voter declines because it is reluctant to lead.
func (n *Node) TransferTo(id ReplicaID) (err error) {
	return n.transfer(id, false)
}

// TransferAnyway is TransferTo for who knows better: a replica that is reluctant to lead takes it all the same.
func (n *Node) TransferAnyway(id ReplicaID) (err error) { return n.transfer(id, true) }

func (n *Node) transfer(id ReplicaID, insists bool) (err error) {
	defer caught(&err)
	if !n.leader.Self {
		return n.notLeader()
	}
	n.stirred, n.insists = true, insists
	n.raft.TransferLeader(uint64(id))
	return nil
}

// Campaign asks for an election now.
func (n *Node) Campaign() (err error) {
	defer caught(&err)
	n.stirred = true
	n.ignore(n.raft.Campaign())
	return nil
}

// Stored reports that a write is durable, together with all before it. Tokens come in order; skipping is allowed.
func (n *Node) Stored(token WriteToken) (err error) {
	defer caught(&err)
	var mentions []mention
	for len(n.writes) > 0 && n.writes[0].token <= token {
		w := n.writes[0]
		n.known = max(n.known, w.commit)
		if w.end.index > 0 {
			n.stored = w.end
		}
		mentions = append(mentions, w.mentions...)
		n.writes = n.writes[1:]
		if err := n.deliver(w.after); err != nil {
			return err
		}
	}
	n.tell(mentions)
	n.commitEarly()
	return nil
}

// deliver hands on what had to wait for the disk: to others over the network, to ourselves at once.
func (n *Node) deliver(after []*pb.Message) error {
	for _, m := range after {
		if m.GetTo() == uint64(n.config.Replica) {
			n.ignore(n.raft.Step(m))
			continue
		}
		if err := n.post(m); err != nil {
			return err
		}
	}
	return nil
}

// Applied reports that all handed-out entries up to index have been applied. Membership changes take effect here.
func (n *Node) Applied(index uint64) (err error) {
	defer caught(&err)
	for len(n.changes) > 0 && n.changes[0].Index <= index {
		n.applyChange(n.changes[0])
		n.changes = n.changes[1:]
	}
	for len(n.applying) > 0 && n.applied < index {
		m := n.applying[0]
		list := m.GetEntries()
		whole := int(min(index+1-list[0].GetIndex(), uint64(len(list))))
		// The library hears of every part, for a checkpoint may be made in the middle of a long hand-out: were its own idea of
		// what is applied older than the window of the log, it could not even campaign.
		n.applied = list[whole-1].GetIndex()
		if whole == len(list) {
			n.applying = n.applying[1:]
		} else {
			n.applying[0] = &pb.Message{Type: m.Type, To: m.To, From: m.From, Term: m.Term, Entries: list[whole:]}
			m = &pb.Message{Type: m.Type, To: m.To, From: m.From, Term: m.Term, Entries: list[:whole]}
		}
		n.ignore(n.raft.Step(m))
	}
	return nil
}

func (n *Node) applyChange(e Entry) {
	next, err := n.members.Change(e)
	n.storage.lastConf = e.Index
	if err != nil {
		n.config.Logf("membership entry %d is void: %v", e.Index, err)
		return
	}
	cc, _ := parseChange(e) // Change has parsed it already
	n.raft.ApplyConfChange(plantedChange(n, e, cc))
	n.members = next
	n.learnSites()
}

// Checkpointed reports a new checkpoint on disk: the window of the log that followers are served from moves on.
func (n *Node) Checkpointed(c Checkpoint) {
	if c.Index > n.storage.checkpoint.Index {
		n.storage.checkpoint = c
	}
}

// Checkpoint is the newest one that the node knows of.
func (n *Node) Checkpoint() Checkpoint { return n.storage.checkpoint }

// Output returns what has to happen and forgets it. The zero Output means: nothing now.
func (n *Node) Output() (out Output, err error) {
	defer caught(&err)
	if n.raft.HasReady() {
		if err := n.take(&out, n.raft.Ready()); err != nil {
			return out, err
		}
	}
	if n.lapsed { // now, because a heartbeat may have said it
		n.lapsed = false
		if err := n.release(0); err != nil {
			return out, err
		}
	}
	out.Messages, n.messages = n.messages, nil
	out.Offer, n.offer = n.offer, nil
	out.NeedCheckpoint, n.storage.wanted = n.storage.wanted, false
	out.Declined, n.declined = n.declined, false
	return out, nil
}

// HasOutput reports whether Output would return something.
func (n *Node) HasOutput() bool {
	return n.raft.HasReady() || len(n.messages) > 0 || n.offer != nil || n.storage.wanted || n.declined ||
		n.lapsed && len(n.lingering) > 0
}

func (n *Node) take(out *Output, rd raft.Ready) error {
	n.follow(out, rd)
	var votes []*pb.Message
	for _, m := range rd.Messages {
		var err error
		switch {
		case m.GetTo() == raft.LocalAppendThread:
			err = n.write(out, m, votes)
			votes = nil
		case m.GetTo() == raft.LocalApplyThread:
			n.commit(out, m)
		case m.GetType() == pb.MsgVote:
			// A request for votes speaks of our term and of our log: both have to be durable first. If we forgot them in a
			// crash and asked again in the same term with a shorter log, a vote given to the longer one would count.
			votes = append(votes, m)
		default:
			err = n.post(m)
		}
		if err != nil {
			return err
		}
	}
	for _, rs := range rd.ReadStates {
		question, index := unmarked(rs.RequestCtx, rs.Index)
		out.Reads = append(out.Reads, ReadReady{ID: binary.BigEndian.Uint64(question), Index: index})
	}
	return n.afterWrites(votes)
}

// follow notes who leads.
func (n *Node) follow(out *Output, rd raft.Ready) {
	status := n.raft.BasicStatus()
	now := Leadership{
		Leader: ReplicaID(status.Lead), Term: status.HardState.GetTerm(), Self: status.RaftState == raft.StateLeader,
	}
	now.Site = n.sites[now.Leader]
	if now == n.leader {
		return
	}
	if now.Self && !n.leader.Self {
		n.lastChange = 0 // leadReady covers what is in the log
		n.leadReady = 0  // known when the entry that opens the term is written
		clear(n.snapshotted)
	}
	n.leader, n.mentions, n.lingering = now, nil, nil
	out.Leader = &now
	plantedNotes(n)
}

// write turns the library's order to its storage into a Write, unless nothing in it has to be durable: a commit index by
// itself waits for the next write that matters.
func (n *Node) write(out *Output, m *pb.Message, votes []*pb.Message) error {
	after := append(slices.DeleteFunc(m.GetResponses(), n.echoes), votes...)
	if m.Term != nil {
		n.late = &HardState{Term: m.GetTerm(), Vote: m.GetVote(), Commit: m.GetCommit()}
	}
	voted := n.late != nil && (n.late.Term != n.durable.Term || n.late.Vote != n.durable.Vote)
	if len(m.GetEntries()) == 0 && !voted || PlantedVoteNotPersisted && len(m.GetEntries()) == 0 {
		return n.afterWrites(after)
	}
	n.noteEntries(m.GetEntries())
	n.lastTok++
	w, action := Write{Token: n.lastTok, Entries: fromRaft(m.GetEntries())}, storedAction{token: n.lastTok, after: after}
	if n.late != nil {
		action.commit = n.late.Commit
		w.Hard, n.durable, n.late = n.late, *n.late, nil
		if PlantedCommitNotWritten {
			w.Hard.Commit = 0
		}
	}
	if k := len(w.Entries); k > 0 {
		n.end = w.Entries[k-1].Index
		action.end = logEnd{w.Entries[k-1].Term, n.end}
		action.mentions, n.mentions = n.mentions, nil
	}
	out.Writes = append(out.Writes, w)
	if PlantedAckBeforeFsync {
		return n.deliver(after)
	}
	n.writes = append(n.writes, action)
	return nil
}

// acknowledgement is what a follower says of its log, and the tick in which it does.
type acknowledgement struct {
	to, term, index uint64
	tick            int
}

// echoes reports an acknowledgement that says once more, within one tick, what the last one said: a message that brings the commit
// index and no entries asks for one. The leader learns nothing from it, and of an entry that is alone it would be a fourth of all
// messages. What an acknowledgement that was lost has left open, the answer to the next message after the tick settles: a leader that
// is in doubt sends one with each heartbeat.
func (n *Node) echoes(m *pb.Message) bool {
	if m.GetType() != pb.MsgAppResp || m.GetTo() == uint64(n.config.Replica) {
		return false
	}
	before := n.said
	n.said = acknowledgement{m.GetTo(), m.GetTerm(), m.GetIndex(), n.ticks}
	if m.GetReject() {
		n.said = acknowledgement{} // what is acknowledged after it is news
	}
	return n.said == before && !m.GetReject()
}

// noteEntries remembers, as leader, where our term begins and where a membership change may stand.
func (n *Node) noteEntries(list []*pb.Entry) {
	for _, e := range list {
		if n.leader.Self && n.leadReady == 0 && e.GetTerm() == n.leader.Term {
			n.leadReady = e.GetIndex()
		}
		if e.GetType() != pb.EntryNormal {
			n.lastChange = e.GetIndex()
			plantedAppend(n, e)
		}
	}
}

// afterWrites delivers messages once every write handed out so far is durable.
func (n *Node) afterWrites(after []*pb.Message) error {
	if last := len(n.writes) - 1; last >= 0 {
		n.writes[last].after = append(n.writes[last].after, after...)
		return nil
	}
	return n.deliver(after)
}

func (n *Node) commit(out *Output, m *pb.Message) {
	entries := fromRaft(m.GetEntries())
	for _, e := range entries {
		if e.Type != EntryNormal {
			n.changes = append(n.changes, e)
		}
	}
	out.Commits = append(out.Commits, entries...)
	n.applying = append(n.applying, m.GetResponses()...)
}

// post puts a message into the next Output, or one of the next.
func (n *Node) post(m *pb.Message) error {
	if n.lingers(m) {
		return nil
	}
	if m.GetType() == pb.MsgReadIndexResp { // whoever reads waits until it has applied that much
		if err := n.release(m.GetTo()); err != nil {
			return err
		}
	}
	return n.dispatch(m)
}

// dispatch puts a message into the next Output.
func (n *Node) dispatch(m *pb.Message) error {
	to := ReplicaID(m.GetTo())
	if m.GetType() == pb.MsgSnap {
		n.snapshotted[to] = 0
	}
	if m.GetType() == pb.MsgHeartbeatResp && string(m.GetContext()) == beatMark {
		return nil
	}
	if m.GetType() == pb.MsgPreVote && (n.reluctant || n.doubted) && n.orphaned < patience*n.config.ElectionTicks {
		return nil
	}
	if m.GetType() == pb.MsgReadIndexResp {
		answerRead(m)
	}
	if m.GetType() == pb.MsgTimeoutNow && n.insists && n.raft.BasicStatus().LeadTransferee == m.GetTo() {
		m.Context = []byte(insistMark)
	}
	if err := n.sayCommit(m); err != nil {
		return err
	}
	site, ok := n.sites[to]
	if !ok {
		n.config.Logf("no site is known for replica %x: %s dropped", uint64(to), m.GetType())
		return nil
	}
	payload, err := proto.MarshalOptions{}.MarshalAppend([]byte{payloadVersion}, m)
	if err != nil {
		return fmt.Errorf("%s to %x does not encode: %w", m.GetType(), uint64(to), err)
	}
	n.messages = append(n.messages, Message{To: to, Site: site, Payload: payload, Urgent: urgent(m.GetType())})
	return nil
}

// patience is for how many election time-outs, after its own has passed, a reluctant replica leaves it to the others to stand. One
// is enough: another that heard the leader last at the same time stands before it is over. After that a leader on a bad disk
// is better than none, and were all reluctant, every election would take that much longer.
const patience = 1

// SetReluctant says whether another site should lead rather than this one: it asks nobody for a vote then, for a while, and gives
// its own as ever. It declines a leadership that is handed to it, unless whoever hands it over insists. It does not end one.
func (n *Node) SetReluctant(r bool) { n.reluctant = r }

// urgent tells which messages must not wait behind entries. Those that carry or acknowledge entries keep their order: one that
// overtakes another looks like a gap to its receiver, and Raft goes back to probing.
func urgent(t pb.MessageType) bool {
	switch t {
	case pb.MsgHeartbeat, pb.MsgHeartbeatResp, pb.MsgPreVote, pb.MsgPreVoteResp, pb.MsgVote, pb.MsgVoteResp,
		pb.MsgTimeoutNow, pb.MsgReadIndex, pb.MsgReadIndexResp:
		return true
	}
	return false
}

// maxKnownSites bounds what strangers can make us remember.
const maxKnownSites = 256

func (n *Node) learnSites() {
	for _, m := range n.members.List {
		n.sites[m.Replica] = m.Site
	}
}

func (n *Node) learnSite(id ReplicaID, at holdfast.SiteID) {
	if len(n.sites) < maxKnownSites {
		n.sites[id] = at
	}
}

// Leader is who leads, as of the last Output.
func (n *Node) Leader() Leadership { return n.leader }

// Ready reports whether this replica leads and has applied everything that came before its term: only then does it know the
// last time stamp in the log, and may stamp and propose.
func (n *Node) Ready() bool { return n.leader.Self && n.leadReady > 0 && n.applied >= n.leadReady }

// Transferring reports whether this leader is handing over and takes no proposals.
func (n *Node) Transferring() bool { return n.raft.BasicStatus().LeadTransferee != 0 }

// Committed is how far this replica knows the log to be committed.
func (n *Node) Committed() uint64 { return n.raft.BasicStatus().HardState.GetCommit() }

// Members is the configuration as of the last applied entry.
func (n *Node) Members() Members { return n.members }

// NodeStatus is for humans and for the simulator's checks.
type NodeStatus struct {
	Replica   ReplicaID
	Term      uint64
	Vote      ReplicaID
	Commit    uint64
	Applied   uint64
	Leader    Leadership
	State     string // follower, candidate, pre-candidate, leader
	Followers []Progress
}

// Progress is how far a follower is, as its leader knows it.
type Progress struct {
	Member
	Match    uint64
	State    string // probe, replicate, snapshot
	Active   bool   // heard of within an election time-out
	UpToDate bool   // within a heartbeat or so of our own log
}

var stateNames = map[raft.StateType]string{
	raft.StateFollower: "follower", raft.StateCandidate: "candidate",
	raft.StatePreCandidate: "pre-candidate", raft.StateLeader: "leader",
}

// Status describes the node.
func (n *Node) Status() (s NodeStatus, err error) {
	defer caught(&err)
	b := n.raft.BasicStatus()
	s = NodeStatus{
		Replica: n.config.Replica, Term: b.HardState.GetTerm(), Vote: ReplicaID(b.HardState.GetVote()),
		Commit: b.HardState.GetCommit(), Applied: n.applied, Leader: n.leader, State: stateNames[b.RaftState],
	}
	if b.RaftState == raft.StateLeader {
		s.Followers = n.progress(s.Commit)
	}
	return s, nil
}

var progressNames = map[tracker.StateType]string{
	tracker.StateProbe: "probe", tracker.StateReplicate: "replicate", tracker.StateSnapshot: "snapshot",
}

// nearby is how many entries behind the commit index a learner may be and still count as caught up.
const nearby = 256

func (n *Node) progress(commit uint64) []Progress {
	var list []Progress
	n.raft.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		m, _ := n.members.Find(ReplicaID(id))
		m.Replica = ReplicaID(id)
		list = append(list, Progress{
			Member: m, Match: pr.Match, State: progressNames[pr.State], Active: pr.RecentActive,
			UpToDate: pr.State == tracker.StateReplicate && pr.Match+nearby >= commit && pr.Match > 0,
		})
	})
	slices.SortFunc(list, func(a, b Progress) int { return byReplica(a.Member, b.Member) })
	return list
}
