package shard

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"holdfast/store"
)

// forgetful is a log that says of entries it has stored that it does not have them.
type forgetful struct {
	*memoryLog
	gone bool
}

func (l *forgetful) Entries(lo, hi, maxBytes uint64) ([]Entry, error) {
	if l.gone {
		return nil, fmt.Errorf("entries %d to %d: %w", lo, hi-1, store.ErrUnavailable)
	}
	return l.memoryLog.Entries(lo, hi, maxBytes)
}

// TestALogThatLacksEntriesStops is the row of raft.ErrUnavailable.
func TestALogThatLacksEntriesStops(t *testing.T) {
	var disk *forgetful
	d := newDeskOn(t, func(l *memoryLog) Log {
		disk = &forgetful{memoryLog: l}
		return disk
	})
	d.lead()
	a := d.submit(1, false)
	d.output()
	for _, w := range d.writes {
		d.log.write(w)
		d.must(d.replica.Stored(w.Token))
	}
	disk.gone = true
	_, err := d.replica.Output(d.now)
	if !errors.Is(err, ErrInvariant) || ConditionOf(err) != Fatal {
		t.Fatalf("the committed entry is not in the log: %v, want ErrInvariant", err)
	}
	if a.count != 0 {
		t.Errorf("the payment was answered with %v before anybody knows", a.Err)
	}
}

// outdated is a storage that knows no snapshot that would do, as raft.MemoryStorage says it; ours never does.
type outdated struct{ *raftStorage }

func (outdated) Snapshot() (*pb.Snapshot, error) { return nil, raft.ErrSnapOutOfDate }

// TestASnapshotOutOfDateStops is the row of raft.ErrSnapOutOfDate: a leader that has to send a snapshot hears it from its storage.
func TestASnapshotOutOfDateStops(t *testing.T) {
	log := &memoryLog{entries: []Entry{{}, {Index: 1, Term: 1}, {Index: 2, Term: 1}, {Index: 3, Term: 1}}, window: 3, hard: HardState{Term: 1, Commit: 3}}
	two := NewMembers([]Member{{Replica: 1, Site: 1}, {Replica: 2, Site: 2}})
	n, err := NewNode(NodeConfig{Shard: 1, Replica: 1, Log: log, Checkpoint: Checkpoint{Index: 3, Term: 1, Members: two}})
	if err != nil {
		t.Fatal(err)
	}
	c := n.raftConfig()
	c.Storage = outdated{n.storage}
	if n.raft, err = raft.NewRawNode(c); err != nil {
		t.Fatal(err)
	}
	hear := func(m *pb.Message) error {
		m.From, m.To = new(uint64(2)), new(uint64(1))
		payload, err := proto.MarshalOptions{}.MarshalAppend([]byte{payloadVersion}, m)
		if err != nil {
			t.Fatal(err)
		}
		return n.Step(2, payload)
	}
	settle := func() {
		t.Helper()
		for n.HasOutput() {
			out, err := n.Output()
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range out.Writes {
				log.write(w)
				if err := n.Stored(w.Token); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := n.Campaign(); err != nil {
		t.Fatal(err)
	}
	settle()
	for _, kind := range []pb.MessageType{pb.MsgPreVoteResp, pb.MsgVoteResp} {
		if err := hear(&pb.Message{Type: kind.Enum(), Term: new(uint64(2))}); err != nil {
			t.Fatal(err)
		}
		settle()
	}
	if !n.Leader().Self {
		t.Fatal("it does not lead: the test tests nothing")
	}
	err = hear(&pb.Message{
		Type: pb.MsgAppResp.Enum(), Term: new(uint64(2)), Index: new(uint64(3)), Reject: new(true), RejectHint: new(uint64(0)),
	})
	if !errors.Is(err, ErrInvariant) || !errors.Is(err, raft.ErrSnapOutOfDate) || ConditionOf(err) != Fatal {
		t.Fatalf("a storage without a snapshot: %v, want ErrInvariant", err)
	}
}

// TestWhatWasProposedIsUnknownAfterABrokenInvariant is what both rows mean for whoever waits: the process stops, and nobody is told that
// nothing was executed.
func TestWhatWasProposedIsUnknownAfterABrokenInvariant(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		lead := f.leader()
		h := f.host(lead)
		f.isolate(lead, true)
		answer := make(chan error, 1)
		go func() {
			var b Batch
			txn := payTxn(2, 1, 2, 5)
			b.Add(&txn)
			_, err := h.Submit(context.Background(), testShard, false, b)
			answer <- err
		}()
		time.Sleep(20 * time.Millisecond) // bubble time: it is proposed, and its leadership not over yet
		h.at(testShard).life.Load().fail(fmt.Errorf("%w: planted", ErrInvariant))
		if err := <-answer; !errors.Is(err, ErrLost) {
			t.Errorf("what was proposed: %v, want ErrLost", err)
		}
		synctest.Wait() // the owner hears of it after those who wait
		f.mu.Lock()
		defer f.mu.Unlock()
		if !errors.Is(f.nodes[lead].fatal, ErrInvariant) {
			t.Errorf("the owner of the site has heard %v", f.nodes[lead].fatal)
		}
	})
}
