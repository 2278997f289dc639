package shard

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"holdfast"
)

// OrderKind is what an operator's plan wants of the members of a shard.
type OrderKind uint8

const (
	// OrderAdmit takes a replica of a site that has none among the members in as a learner.
	OrderAdmit OrderKind = iota + 1
	// OrderPromote gives the learner of a site its vote, and takes all members of another site out in the same change, if one
	// is named.
	OrderPromote
	// OrderRemove takes all members of a site out.
	OrderRemove
	// OrderDemote takes the vote from the members of a site: they stay as learners.
	OrderDemote
)

// String names the kind for logs.
func (k OrderKind) String() string {
	switch k {
	case OrderAdmit:
		return "admit"
	case OrderPromote:
		return "promote"
	case OrderRemove:
		return "remove"
	case OrderDemote:
		return "demote"
	}
	return fmt.Sprintf("order %d", uint8(k))
}

// Order is one change of members. A replica that lost its disk is replaced without one; a site comes and goes only by order.
type Order struct {
	Kind    OrderKind
	Site    holdfast.SiteID // whose member is admitted, promoted, demoted or removed
	Replica ReplicaID       // OrderAdmit: the identity of its disk
	Instead holdfast.SiteID // OrderPromote: the site that goes; 0: none
}

var (
	// ErrNotAdmitted refuses a replica that asks to join from a site without any member: it was removed, or never ordered.
	ErrNotAdmitted = errors.New("this site has no place in the shard: it is taken in by order only (holdfast site add)")
	// ErrNotYet refuses an order that would be wrong now and may be right later: a learner that has not caught up, members that
	// would not have a majority, a leader that has to hand over first. Nothing was changed.
	ErrNotYet = errors.New("not yet")
)

// Obey proposes what an order wants, if it is safe now. It may be repeated: an order that has been carried out changes nothing.
func (r *Replica) Obey(o Order) error {
	if !r.Node.leader.Self {
		return r.notLeader()
	}
	change, err := r.changeFor(o)
	if err != nil || change.empty() {
		return err
	}
	if err := r.awake(change); err != nil {
		return err
	}
	return r.ProposeMembers(change)
}

func (r *Replica) changeFor(o Order) (MemberChange, error) {
	switch o.Kind {
	case OrderAdmit:
		if o.Replica == 0 || r.livesAt(o.Site) {
			return MemberChange{}, nil // it asks for itself when its disk was replaced
		}
		return AddLearner(o.Replica, o.Site), nil
	case OrderPromote:
		return r.promotion(o)
	case OrderRemove:
		if r.site() == o.Site {
			return MemberChange{}, fmt.Errorf("%w: site %d leads the shard and has to hand over first", ErrNotYet, o.Site)
		}
		return MemberChange{Remove: r.othersAt(o.Site, 0)}, nil
	case OrderDemote:
		return r.demotion(o)
	}
	return MemberChange{}, fmt.Errorf("%s is unknown here: is the site that ordered it of a newer release?", o.Kind)
}

// promotion is the change that gives the learner of a site its vote.
func (r *Replica) promotion(o Order) (change MemberChange, err error) {
	if o.Instead != 0 && r.site() == o.Instead {
		return change, fmt.Errorf("%w: site %d leads the shard and has to hand over first", ErrNotYet, o.Instead)
	}
	status, err := r.Status()
	if err != nil {
		return change, err
	}
	for _, p := range status.Followers {
		if p.Site != o.Site || p.Role&Learner == 0 {
			continue
		}
		if !p.UpToDate || !p.Active {
			err = fmt.Errorf("%w: the replica of site %d has not caught up", ErrNotYet, o.Site)
			continue // there may be another one: of a disk that came after this one was lost
		}
		change = MemberChange{Promote: []ReplicaID{p.Replica}, Remove: r.othersAt(o.Site, p.Replica)}
		if o.Instead != 0 {
			change.Remove = append(change.Remove, r.othersAt(o.Instead, 0)...)
		}
		return change, nil
	}
	return change, err
}

// demotion is the change that makes the voter of a site a learner. The disk keeps its identity, and so its memory: it may be promoted again.
func (r *Replica) demotion(o Order) (change MemberChange, err error) {
	if r.site() == o.Site {
		return change, fmt.Errorf("%w: site %d leads the shard and has to hand over first", ErrNotYet, o.Site)
	}
	for _, m := range r.Members().List {
		if m.Site == o.Site && m.Role&Voter != 0 {
			change.Demote = append(change.Demote, m.Replica)
		}
	}
	return change, nil
}

// site is where this replica lives, by the members; 0 when it is none.
func (r *Replica) site() holdfast.SiteID {
	m, _ := r.Members().Find(r.Node.config.Replica)
	return m.Site
}

func (r *Replica) livesAt(site holdfast.SiteID) bool { return len(r.othersAt(site, 0)) > 0 }

// anyVotes reports whether some of these members are voters.
func (r *Replica) anyVotes(list []ReplicaID) bool {
	for _, id := range list {
		if m, ok := r.Members().Find(id); ok && m.Role&Voter != 0 {
			return true
		}
	}
	return false
}

// awake refuses a change after which no majority of the voters would be at work: the shard would stop with it. Raft would make
// the change all the same.
func (r *Replica) awake(change MemberChange) error {
	next, err := r.Members().after(change)
	if err != nil {
		return err
	}
	status, err := r.Status()
	if err != nil {
		return err
	}
	fit := 0
	for _, p := range status.Followers {
		if next[p.Replica] && (p.Replica == r.Node.config.Replica || p.Active && p.UpToDate) {
			fit++
		}
	}
	if fit <= len(next)/2 {
		return fmt.Errorf("%w: of the %d voters that there would be, only %d are at work and have everything", ErrNotYet, len(next), fit)
	}
	return nil
}

// after are the voters that a change leaves, by the library's own rules.
func (m Members) after(change MemberChange) (map[ReplicaID]bool, error) {
	data, err := change.marshal()
	if err != nil {
		return nil, fmt.Errorf("change of membership: %w", err)
	}
	cc := &pb.ConfChangeV2{}
	if err := proto.Unmarshal(data, cc); err != nil {
		return nil, fmt.Errorf("change of membership: %w", err)
	}
	cs, err := changeConf(m.conf(), cc)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBusyMembers, err)
	}
	voters := map[ReplicaID]bool{}
	for _, id := range cs.GetVoters() {
		voters[ReplicaID(id)] = true
	}
	return voters, nil
}

// Obey carries an order out at the leader's site. It is proposed when this returns nil; [Host.View] shows when it holds.
func (h *Host) Obey(ctx context.Context, shard holdfast.ShardID, o Order) error {
	s, err := h.seat(shard)
	if err != nil {
		return err
	}
	return s.do(ctx, func(r *Replica) error { return r.Obey(o) })
}

// MembersView is what the leader of a shard knows about its members.
type MembersView struct {
	Leader    holdfast.SiteID
	Commit    uint64
	Members   Members
	Followers []Progress // itself included
}

// View is the members as the leader at this site knows them, now; NotLeaderError elsewhere.
func (h *Host) View(ctx context.Context, shard holdfast.ShardID) (MembersView, error) {
	s, err := h.seat(shard)
	if err != nil {
		return MembersView{}, err
	}
	answer := make(chan MembersView, 1) // whoever gives up leaves it to the consensus goroutine
	err = s.do(ctx, func(r *Replica) error {
		status, err := r.Status()
		if err != nil {
			return err
		}
		if !r.Ready() {
			return r.notLeader()
		}
		answer <- MembersView{Leader: h.config.Site, Commit: status.Commit, Members: r.Members(), Followers: status.Followers}
		return nil
	})
	if err != nil {
		return MembersView{}, err
	}
	return <-answer, nil
}

// Report is what this site says of its own replica of a shard.
func (h *Host) Report(shard holdfast.ShardID) (Report, error) {
	s, err := h.seat(shard)
	if err != nil {
		return Report{}, err
	}
	return s.report()
}

// SetSites tells the host which sites there are now, this one included. It changes whom the replicas ask; who founds a shard
// was configured, and who is a member of one stands in its log.
func (h *Host) SetSites(sites []holdfast.SiteID) { h.sites.Store(&sites) }

// peers are the sites that there are now.
func (h *Host) peers() []holdfast.SiteID { return *h.sites.Load() }
