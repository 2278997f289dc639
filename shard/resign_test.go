package shard

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"holdfast"
)

// TestNoHeirInDoubt: a replica that does not trust its own books does not stand when a leader that resigns names it.
func TestNoHeirInDoubt(t *testing.T) {
	s := newStage(t)
	s.play("voters 1 2 3\ncampaign 1\nsettle\npropose 1 first\nsettle")
	n := s.nodes[2].node
	body, err := proto.Marshal(&pb.Message{Type: pb.MsgTimeoutNow.Enum(), From: new(uint64(1)), To: new(uint64(2)), Term: new(uint64(1))})
	if err != nil {
		t.Fatal(err)
	}
	for _, doubted := range []bool{true, false} {
		n.doubted = doubted
		if err := n.Step(1, append([]byte{payloadVersion}, body...)); err != nil {
			t.Fatal(err)
		}
		if stands := n.raft.BasicStatus().RaftState == raft.StateCandidate; stands == doubted {
			t.Errorf("in doubt %v, it stands %v", doubted, stands)
		}
	}
}

// TestResign: a leader that hears nothing any more, and is still heard, says so when it stops: another one leads within the time of an
// election, and no election time-out passes first.
func TestResign(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		old := f.leader()
		f.pay(openTxn(1, 1, 2))
		var stopped, led time.Time
		f.mu.Lock()
		f.heard = func(id holdfast.SiteID, e Event) {
			switch {
			case e.Kind != EventLeader:
			case id == old && !e.Leader.Self && stopped.IsZero():
				stopped = time.Now()
			case id != old && e.Leader.Self && led.IsZero():
				led = time.Now()
			}
		}
		for _, other := range f.sites {
			f.cut[[2]holdfast.SiteID{other, old}] = true
		}
		f.mu.Unlock()
		f.until("another leader", func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return !led.IsZero()
		})
		// Three messages of half a millisecond each and two writes; the least time-out is 100 ms, less the 20 since a heartbeat.
		if after := led.Sub(stopped); stopped.IsZero() || after < 0 || after > 20*time.Millisecond {
			t.Errorf("another one led %v after the old leader stopped", after)
		}
	})
}
