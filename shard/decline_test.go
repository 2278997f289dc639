package shard

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.etcd.io/raft/v3"

	"holdfast"
)

// TestReluctantDeclines: a replica that is reluctant to lead says so to the leader that hands over to it, which leads on at once; one that
// insists is obeyed.
func TestReluctantDeclines(t *testing.T) {
	for _, insists := range []bool{false, true} {
		s := newStage(t)
		s.play("voters 1 2 3\ncampaign 1\nsettle\npropose 1 first\nsettle")
		leader, heir := s.nodes[1].node, s.nodes[2].node
		heir.SetReluctant(true)
		transfer := leader.TransferTo
		if insists {
			transfer = leader.TransferAnyway
		}
		if err := transfer(2); err != nil {
			t.Fatal(err)
		}
		if !leader.Transferring() {
			t.Fatal("no transfer has begun")
		}
		s.play("settle")
		if leads := heir.raft.BasicStatus().RaftState == raft.StateLeader; leads != insists {
			t.Errorf("insists %v: the reluctant replica leads %v", insists, leads)
		}
		if !insists && (leader.Transferring() || !leader.Ready()) {
			t.Error("the leader does not lead on")
		}
	}
}

// TestDeclinedOfAnEarlierTransfer: a refusal that comes late ends nothing.
func TestDeclinedOfAnEarlierTransfer(t *testing.T) {
	s := newStage(t)
	s.play("voters 1 2 3\ncampaign 1\nsettle\npropose 1 first\nsettle")
	leader, reluctant := s.nodes[1].node, s.nodes[2].node
	reluctant.SetReluctant(true)
	if err := leader.TransferTo(2); err != nil {
		t.Fatal(err)
	}
	s.play("output 1\ndeliver 2\noutput 2") // the refusal is under way
	if err := leader.TransferTo(3); err != nil {
		t.Fatal(err)
	}
	s.play("settle")
	if leads := s.nodes[3].node.raft.BasicStatus().RaftState == raft.StateLeader; !leads {
		t.Error("the refusal of replica 2 has ended the transfer to replica 3")
	}
}

// TestSickSiteIsNotGivenBack: what a leader with a slow disk has given up does not come back as long as the disk is sick, and for a while
// after, however often somebody offers it.
func TestSickSiteIsNotGivenBack(t *testing.T) {
	onSickDisks(t, func(f *fleet, disks map[holdfast.SiteID]*sickDisk) {
		for _, d := range disks {
			d.delay.Store(int64(ms))
		}
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		home := f.leader()
		disks[home].delay.Store(int64(80 * ms))
		n := uint64(1)
		pay := func() {
			n++
			mustDone(f, f.pay(payTxn(n, 1, 2, 1)))
		}
		f.until("the sick leader to hand over", func() bool { pay(); return f.leader() != home })
		offer := func() (took time.Duration, err error) {
			ctx, cancel := context.WithTimeout(context.Background(), 200*ms)
			defer cancel()
			began := time.Now()
			err = f.host(f.leader()).OfferLead(ctx, testShard, home)
			return time.Since(began), err
		}
		declined := 0
		for sick := range 40 {
			if sick == 20 {
				disks[home].delay.Store(int64(ms)) // well from now on, and not for long enough
			}
			took, err := offer()
			if err == nil || f.leader() == home {
				t.Fatalf("offer %d was taken", sick)
			}
			if errors.Is(err, ErrDeclined) { // otherwise its log has not caught up in time, and it was never asked
				declined++
				if sick > 20 && took > 50*ms { // with a slow disk it is asked when it has caught up
					t.Errorf("offer %d was declined after %v", sick, took)
				}
			}
			for range 10 {
				pay()
				time.Sleep(20 * ms) // bubble time
			}
		}
		if declined < 20 {
			t.Errorf("it declined %d of 40 offers", declined)
		}
		time.Sleep(10 * time.Second) // bubble time: the cool-down
		f.until("the site to take it", func() bool {
			pay()
			_, err := offer()
			return err == nil
		})
		if now := f.leader(); now != home {
			t.Errorf("site %d leads, want %d", now, home)
		}
		f.agree()
	})
}
