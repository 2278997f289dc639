package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
)

// newcomer starts a site that is configured to know the others, who learn of it at run time.
func (f *fleet) newcomer(id holdfast.SiteID) {
	f.t.Helper()
	f.mu.Lock()
	f.sites = append(slices.Clone(f.sites), id)
	for _, other := range f.sites {
		f.pipe(id, other)
		if other != id {
			f.pipe(other, id)
		}
	}
	f.mu.Unlock()
	f.start(id, vfs.NewMem())
	for _, other := range f.sites {
		if h := f.host(other); h != nil {
			h.SetSites(f.sites)
		}
	}
}

// obey repeats an order at whoever leads until it is taken.
func (f *fleet) obey(o Order) {
	f.t.Helper()
	f.until(o.Kind.String(), func() bool { return f.order(o) == nil })
}

func (f *fleet) order(o Order) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return f.host(f.leader()).Obey(ctx, testShard, o)
}

func (f *fleet) roleAt(site holdfast.SiteID) (role Role) {
	for _, m := range f.host(f.leader()).Status()[0].Members {
		if m.Site == site {
			role |= m.Role
		}
	}
	return role
}

// join asks the leader to let a replica in, as a site does whose disk was replaced. 1 is the least of identities: it is looked at first.
func (f *fleet) join(site holdfast.SiteID, id uint64) error {
	s, err := f.host(f.leader()).seat(testShard)
	if err != nil {
		return err
	}
	return s.serveJoin(f.t.Context(), site, binary.BigEndian.AppendUint64(nil, id))
}

func (f *fleet) learnersAt(site holdfast.SiteID) (n int) {
	for _, m := range f.host(f.leader()).Status()[0].Members {
		if m.Site == site && m.Role == Learner {
			n++
		}
	}
	return n
}

func (f *fleet) admit(id holdfast.SiteID) {
	f.t.Helper()
	var replica ReplicaID
	f.until("an identity", func() bool {
		r, err := f.host(id).Report(testShard)
		replica = r.Replica
		return err == nil && replica != 0
	})
	f.obey(Order{Kind: OrderAdmit, Site: id, Replica: replica})
	f.until("a learner", func() bool { return f.roleAt(id) == Learner })
}

// TestSitesComeAndGoByOrder: a fourth site asks in vain until it is ordered, learns without a vote until that is ordered too,
// takes the place of another in one change, and that one stays out however often it asks.
func TestSitesComeAndGoByOrder(t *testing.T) {
	bubble(t, 3, smallWindow, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		for n := range uint64(60) {
			mustDone(f, f.pay(payTxn(n+2, 1, 2, 1)))
		}
		f.newcomer(4)
		time.Sleep(5 * time.Second) // bubble time: it has asked several times
		if role := f.roleAt(4); role != 0 {
			t.Fatalf("site 4 came in unasked: %d", role)
		}
		f.admit(4)
		f.agree()
		time.Sleep(5 * time.Second) // bubble time
		if role := f.roleAt(4); role != Learner {
			t.Fatalf("site 4 is %d without an order, want a learner", role)
		}

		gone := others(f, f.leader())[0]
		f.obey(Order{Kind: OrderPromote, Site: 4, Instead: gone})
		f.until("the vote", func() bool { return f.roleAt(4) == Voter && f.roleAt(gone) == 0 })
		time.Sleep(10 * time.Second) // bubble time: it knows that it is out, and asks
		if role := f.roleAt(gone); role != 0 {
			t.Fatalf("site %d came back unasked: %d", gone, role)
		}
		mustDone(f, f.pay(payTxn(100, 1, 2, 1)))

		f.admit(gone)
		f.obey(Order{Kind: OrderPromote, Site: gone})
		f.until("the old site's vote", func() bool { return f.roleAt(gone) == Voter })
		mustDone(f, f.pay(payTxn(101, 1, 2, 1)))
		f.agree()
		mustBalance(f, gone, 2, 62)
	})
}

// TestOrdersAreRefusedInTime: nothing that would stop the shard, or leave it with fewer voters than it may have.
func TestOrdersAreRefusedInTime(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		leader := f.leader()
		rest := others(f, leader)
		var err error
		f.until("the leader to have heard from all", func() bool {
			err = f.order(Order{Kind: OrderRemove, Site: rest[0]})
			return !errors.Is(err, ErrNotYet)
		})
		if !errors.Is(err, ErrTooFewVoters) {
			t.Errorf("two of three voters: %v", err)
		}
		for _, id := range []holdfast.SiteID{4, 5} {
			f.newcomer(id)
			f.admit(id)
			f.obey(Order{Kind: OrderPromote, Site: id})
			f.until("the vote", func() bool { return f.roleAt(id) == Voter })
		}
		if err := f.order(Order{Kind: OrderRemove, Site: leader}); !errors.Is(err, ErrNotYet) {
			t.Errorf("the leader itself: %v", err)
		}
		f.isolate(4, true)
		f.isolate(5, true)
		f.until("the leader to notice that only three of five are at work", func() bool {
			active := 0
			for _, p := range f.host(leader).Status()[0].Node.Followers {
				if p.Active || p.Site == leader {
					active++
				}
			}
			return active == 3
		})
		if err := f.order(Order{Kind: OrderRemove, Site: rest[0]}); !errors.Is(err, ErrNotYet) {
			t.Errorf("a removal that leaves two of four at work: %v", err)
		}
		mustDone(f, f.pay(payTxn(2, 1, 2, 1), leader))
		f.isolate(4, false)
		f.obey(Order{Kind: OrderRemove, Site: rest[0]})
		f.until("it to be out", func() bool { return f.roleAt(rest[0]) == 0 })
		mustDone(f, f.pay(payTxn(3, 1, 2, 1)))
	})
}

// TestALearnerThatIsNotThereGetsNoVote: it can be taken out again.
func TestALearnerThatIsNotThereGetsNoVote(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.obey(Order{Kind: OrderAdmit, Site: 4, Replica: 4711})
		f.until("a learner", func() bool { return f.roleAt(4) == Learner })
		if err := f.order(Order{Kind: OrderPromote, Site: 4}); !errors.Is(err, ErrNotYet) {
			t.Errorf("a learner that was never seen: %v", err)
		}
		f.obey(Order{Kind: OrderRemove, Site: 4})
		f.until("it to be out", func() bool { return f.roleAt(4) == 0 })
		mustDone(f, f.pay(payTxn(2, 1, 2, 1)))
	})
}

// TestAVoterBecomesALearnerAndBack: without a vote it still gets everything, nothing waits for it, and it gets no vote unasked; the disk has
// kept its memory, so that it may have its vote again, which then counts.
func TestAVoterBecomesALearnerAndBack(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		leader := f.leader()
		rest := others(f, leader)
		var err error
		f.until("the leader to have heard from all", func() bool {
			err = f.order(Order{Kind: OrderDemote, Site: rest[0]})
			return !errors.Is(err, ErrNotYet)
		})
		if !errors.Is(err, ErrTooFewVoters) {
			t.Errorf("two of three voters: %v", err)
		}
		f.newcomer(4)
		f.admit(4)
		f.obey(Order{Kind: OrderPromote, Site: 4})
		f.until("the vote", func() bool { return f.roleAt(4) == Voter })
		if err := f.order(Order{Kind: OrderDemote, Site: leader}); !errors.Is(err, ErrNotYet) {
			t.Errorf("the leader itself: %v", err)
		}

		f.obey(Order{Kind: OrderDemote, Site: rest[0]})
		f.until("no vote", func() bool { return f.roleAt(rest[0]) == Learner })
		f.obey(Order{Kind: OrderDemote, Site: rest[0]}) // again: it changes nothing
		time.Sleep(10 * time.Second)                    // bubble time
		if role := f.roleAt(rest[0]); role != Learner {
			t.Fatalf("site %d is %d without an order, want a learner", rest[0], role)
		}
		f.isolate(rest[0], true) // of three voters and a learner the learner and a voter may go
		f.isolate(4, true)
		mustDone(f, f.pay(payTxn(2, 1, 2, 1), leader))
		f.isolate(rest[0], false)
		f.isolate(4, false)
		f.agree()

		f.obey(Order{Kind: OrderPromote, Site: rest[0]})
		f.until("its vote again", func() bool { return f.roleAt(rest[0]) == Voter })
		f.obey(Order{Kind: OrderRemove, Site: rest[1]})
		f.until("another to be out", func() bool { return f.roleAt(rest[1]) == 0 })
		f.isolate(4, true) // of three voters two have to agree: it is one of them
		mustDone(f, f.pay(payTxn(3, 1, 2, 1), leader))
		f.isolate(4, false)
		mustBalance(f, rest[0], 2, 2)
	})
}

// TestOfTwoLearnersTheLivingGetsTheVote: a disk that was lost before its site was demoted is a learner for ever, and must not stand in the way.
func TestOfTwoLearnersTheLivingGetsTheVote(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.newcomer(4)
		f.admit(4)
		f.obey(Order{Kind: OrderPromote, Site: 4})
		f.until("the vote", func() bool { return f.roleAt(4) == Voter })
		lost := others(f, f.leader())[0]
		f.until("a second replica, never seen", func() bool { return f.join(lost, 1) == nil && f.learnersAt(lost) == 1 })
		f.obey(Order{Kind: OrderDemote, Site: lost})
		f.until("two learners", func() bool { return f.learnersAt(lost) == 2 })
		f.obey(Order{Kind: OrderPromote, Site: lost})
		f.until("one voter", func() bool { return f.roleAt(lost) == Voter && f.learnersAt(lost) == 0 })
		mustDone(f, f.pay(payTxn(2, 1, 2, 1)))
	})
}
