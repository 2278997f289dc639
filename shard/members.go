package shard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/confchange"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"holdfast"
	"holdfast/store"
)

// ReplicaID is the identity of one replica on one disk: random, never 0, written down before anybody hears of it. It is the
// id that Raft knows. A disk that lost its data has lost its identity with it, and so can never vote on what it forgot.
type ReplicaID uint64

// Role says what a member counts for. Within a joint change a member may be both an old and a new voter.
type Role uint8

const (
	// Voter counts in the configuration that holds now, or in the new half of a joint one.
	Voter Role = 1 << iota
	// OldVoter counts in the outgoing half of a joint configuration.
	OldVoter
	// Learner receives the log and has no vote.
	Learner
	// LearnerNext becomes a learner when the joint configuration ends.
	LearnerNext
)

// Member is one replica and the site it lives at.
type Member struct {
	Replica ReplicaID
	Site    holdfast.SiteID
	Role    Role
}

// Members is a configuration: who votes, who learns, where they are. It is part of the replicated state: every replica that
// has applied the same index has the same. It is immutable; changes make a new one.
type Members struct {
	List []Member // sorted by Replica
	// Founders is the configuration at index 0. A replica that starts with an empty log has to start from it, because the
	// changes in the log are changes of it.
	Founders []Member
}

// NewMembers is the configuration in which every founder votes.
func NewMembers(founders []Member) Members {
	list := slices.Clone(founders)
	for i := range list {
		list[i].Role = Voter
	}
	slices.SortFunc(list, byReplica)
	return Members{List: list, Founders: slices.Clone(list)}
}

func byReplica(a, b Member) int {
	switch {
	case a.Replica < b.Replica:
		return -1
	case a.Replica > b.Replica:
		return 1
	}
	return 0
}

// Find returns the member of that identity.
func (m Members) Find(id ReplicaID) (Member, bool) { return findMember(m.List, id) }

// Joint reports whether a joint configuration is in force: two majorities are needed until it ends.
func (m Members) Joint() bool {
	return slices.ContainsFunc(m.List, func(x Member) bool { return x.Role&OldVoter != 0 })
}

func findMember(list []Member, id ReplicaID) (Member, bool) {
	i, ok := slices.BinarySearchFunc(list, Member{Replica: id}, byReplica)
	if !ok {
		return Member{}, false
	}
	return list[i], true
}

// fewVoters is how many voters a shard keeps whatever is removed.
const fewVoters = 3

// tooFew reports that next has fewer voters than a removal may leave. A change that takes no voter away is never refused for it.
func (m Members) tooFew(next *pb.ConfState) bool {
	least := min(fewVoters, len(m.Founders))
	return len(next.GetVoters()) < min(least, len(m.conf().GetVoters()))
}

// AddLearner is the change that adds a replica without a vote.
func AddLearner(id ReplicaID, at holdfast.SiteID) MemberChange {
	return MemberChange{Learn: []Member{{Replica: id, Site: at, Role: Learner}}}
}

// MemberChange is one step of membership. More than one voter changed at once makes a joint change, which Raft leaves by itself.
// Voters may be removed or demoted without replacement down to three, or to as many as founded the shard if those were fewer: with two
// voters left the next lost cable would stop the shard, and with one the next lost disk would lose it. Three become three
// others only by replacing: one change that promotes a learner and removes a voter.
type MemberChange struct {
	Learn   []Member    // to be added as learners
	Promote []ReplicaID // learners that get a vote
	Demote  []ReplicaID // voters that lose theirs, and stay as learners
	Remove  []ReplicaID
}

func (c MemberChange) empty() bool {
	return len(c.Learn)+len(c.Promote)+len(c.Demote)+len(c.Remove) == 0
}

func (c MemberChange) marshal() ([]byte, error) {
	cc := &pb.ConfChangeV2{Context: appendMembers(nil, c.Learn)}
	add := func(t pb.ConfChangeType, id ReplicaID) {
		cc.Changes = append(cc.Changes, &pb.ConfChangeSingle{Type: t.Enum(), NodeId: new(uint64(id))})
	}
	for _, m := range c.Learn {
		add(pb.ConfChangeAddLearnerNode, m.Replica)
	}
	for _, id := range c.Promote {
		add(pb.ConfChangeAddNode, id)
	}
	for _, id := range c.Demote {
		add(pb.ConfChangeAddLearnerNode, id) // the site of a member is known
	}
	for _, id := range c.Remove {
		add(pb.ConfChangeRemoveNode, id)
	}
	return proto.Marshal(cc)
}

// parseChange reads the data of a configuration entry; no data is the change that leaves a joint configuration.
func parseChange(e Entry) (*pb.ConfChangeV2, error) {
	cc := &pb.ConfChangeV2{}
	if err := proto.Unmarshal(e.Data, cc); err != nil {
		return nil, fmt.Errorf("membership entry %d does not decode: %w", e.Index, err)
	}
	return cc, nil
}

// Change is the configuration after a committed change. An error means that the change is void: everybody ignores it alike.
func (m Members) Change(e Entry) (Members, error) {
	cc, err := parseChange(e)
	if err != nil {
		return m, err
	}
	learn, _, err := readMembers(cc.GetContext())
	if err != nil {
		return m, fmt.Errorf("membership entry %d: %w", e.Index, err)
	}
	cs, err := changeConf(m.conf(), cc)
	if err != nil {
		return m, fmt.Errorf("membership entry %d: %w", e.Index, err)
	}
	return m.with(cs, learn), nil
}

// changeConf computes with the library's own rules, so that it can never differ from what the running node does.
func changeConf(cs *pb.ConfState, cc *pb.ConfChangeV2) (*pb.ConfState, error) {
	changer := confchange.Changer{Tracker: tracker.MakeProgressTracker(1, 0), LastIndex: 1}
	cfg, progress, err := confchange.Restore(changer, cs)
	if err != nil {
		return nil, err
	}
	changer.Tracker.Config, changer.Tracker.Progress = cfg, progress
	auto, joint := cc.EnterJoint()
	switch {
	case cc.LeaveJoint():
		cfg, progress, err = changer.LeaveJoint()
	case joint:
		cfg, progress, err = changer.EnterJoint(auto, cc.GetChanges()...)
	default:
		cfg, progress, err = changer.Simple(cc.GetChanges()...)
	}
	if err != nil {
		return nil, err
	}
	changer.Tracker.Config, changer.Tracker.Progress = cfg, progress
	return changer.Tracker.ConfState(), nil
}

// conf is the configuration as Raft writes it.
func (m Members) conf() *pb.ConfState {
	cs := &pb.ConfState{AutoLeave: new(m.Joint())}
	for _, x := range m.List {
		id := uint64(x.Replica)
		if x.Role&Voter != 0 {
			cs.Voters = append(cs.Voters, id)
		}
		if x.Role&OldVoter != 0 {
			cs.VotersOutgoing = append(cs.VotersOutgoing, id)
		}
		if x.Role&Learner != 0 {
			cs.Learners = append(cs.Learners, id)
		}
		if x.Role&LearnerNext != 0 {
			cs.LearnersNext = append(cs.LearnersNext, id)
		}
	}
	return cs
}

// with is m after Raft computed cs; learn names the sites of those that are new.
func (m Members) with(cs *pb.ConfState, learn []Member) Members {
	next := Members{Founders: m.Founders}
	site := func(id ReplicaID) holdfast.SiteID {
		for _, list := range [][]Member{learn, m.List} {
			for _, x := range list {
				if x.Replica == id {
					return x.Site
				}
			}
		}
		return 0
	}
	set := func(ids []uint64, role Role) {
		for _, id := range ids {
			i, ok := slices.BinarySearchFunc(next.List, Member{Replica: ReplicaID(id)}, byReplica)
			if !ok {
				next.List = slices.Insert(next.List, i, Member{Replica: ReplicaID(id), Site: site(ReplicaID(id))})
			}
			next.List[i].Role |= role
		}
	}
	set(cs.GetVoters(), Voter)
	set(cs.GetVotersOutgoing(), OldVoter)
	set(cs.GetLearners(), Learner)
	set(cs.GetLearnersNext(), LearnerNext)
	return next
}

const membersVersion = 1

// Append appends the binary form that checkpoints and birth reports carry: version, list, founders.
func (m Members) Append(b []byte) []byte {
	return appendMembers(appendMembers(append(b, membersVersion), m.List), m.Founders)
}

// ParseMembers reads what Append wrote. An empty blob is the empty configuration.
func ParseMembers(b []byte) (Members, error) {
	if len(b) == 0 {
		return Members{}, nil
	}
	if b[0] != membersVersion {
		return Members{}, fmt.Errorf("members of version %d: this program knows version %d, use a newer one", b[0], membersVersion)
	}
	list, rest, err := readMembers(b[1:])
	if err != nil {
		return Members{}, err
	}
	founders, _, err := readMembers(rest)
	return Members{List: list, Founders: founders}, err
}

const memberBytes = 8 + 2 + 1

func appendMembers(b []byte, list []Member) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(list)))
	for _, m := range list {
		b = binary.BigEndian.AppendUint64(b, uint64(m.Replica))
		b = binary.BigEndian.AppendUint16(b, uint16(m.Site))
		b = append(b, byte(m.Role))
	}
	return b
}

var errShortMembers = errors.New("list of members is cut short")

func readMembers(b []byte) (list []Member, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, nil
	}
	if len(b) < 2 {
		return nil, nil, errShortMembers
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) < n*memberBytes {
		return nil, nil, errShortMembers
	}
	for ; n > 0; n-- {
		list = append(list, Member{
			Replica: ReplicaID(binary.BigEndian.Uint64(b)),
			Site:    holdfast.SiteID(binary.BigEndian.Uint16(b[8:])),
			Role:    Role(b[10]),
		})
		b = b[memberBytes:]
	}
	return list, b, nil
}

// A removal can be known to nobody but those who are out by it: the leader that committed it, or a voter that was told in time. They do not
// stand for election any more, and if their logs are longer they refuse their votes to the others, who count them still. When another
// voter's disk is lost at that time, the others have no majority without them, for ever. So whoever refuses a vote says what it knows to be
// committed: that holds whoever leads, and lets the others count by the members that there are.

// sayCommit puts into the refusal of a vote what is applied here.
func (n *Node) sayCommit(m *pb.Message) error {
	if !refusal(m) {
		return nil
	}
	term, err := n.config.Log.Term(n.applied)
	if errors.Is(err, store.ErrCompacted) { // it applies what a checkpoint has already
		return nil
	}
	m.Commit, m.LogTerm = new(n.applied), new(term)
	return err
}

func refusal(m *pb.Message) bool {
	return m.GetReject() && (m.GetType() == pb.MsgVoteResp || m.GetType() == pb.MsgPreVoteResp)
}

// learnCommit takes what the refusal of a vote says is committed, if a change of members is among it: anything else the next leader tells,
// and an election must not be given up for it. The entry has to be the one in the log here, and then so is everything before it.
func (n *Node) learnCommit(m *pb.Message) error {
	status := n.raft.BasicStatus()
	known := status.HardState.GetCommit()
	if !refusal(m) || status.Lead != raft.None || m.GetCommit() <= known {
		return nil
	}
	held, err := n.Holds(m.GetCommit(), m.GetLogTerm())
	if err != nil || !held {
		return err
	}
	list, err := n.config.Log.Entries(known+1, m.GetCommit()+1, math.MaxUint64)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(e Entry) bool { return e.Type != EntryNormal }) {
		return nil
	}
	n.config.Logf("%x says that entry %d is committed, and with it a change of members", m.GetFrom(), m.GetCommit())
	// A heartbeat says it to the library, and makes its sender the leader, which it is not.
	n.ignore(n.raft.Step(heartbeat(ReplicaID(m.GetFrom()), n.config.Replica, status.HardState.GetTerm(), m.GetCommit())))
	n.ignore(n.raft.ForgetLeader())
	return nil
}
