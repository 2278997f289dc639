package shard

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"time"

	"holdfast"
)

// A follower that hears from the leader what is on its disk knows what is committed although the leader does not, and answers for it; and that
// stays true whatever happens next.
func TestAFollowerKnowsBeforeItsLeader(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		lead := f.leader()
		f.pay(openTxn(1, 1, 2))
		f.agree()
		others := slices.DeleteFunc(slices.Clone(f.sites), func(s holdfast.SiteID) bool { return s == lead })
		asked, away := others[0], others[1]
		f.isolate(away, true)
		f.mu.Lock()
		f.cut[[2]holdfast.SiteID{asked, lead}] = true // no acknowledgement comes back
		f.mu.Unlock()

		txn, early := payTxn(2, 1, 2, 5), make(chan []holdfast.Outcome, 1)
		ticket, done := f.host(asked).Follow(testShard, 1, func(o []holdfast.Outcome) { early <- o })
		defer done()
		b := Batch{Origin: Origin{Site: asked, Ticket: ticket}}
		b.Add(&txn)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		late := make(chan error, 1)
		go func() {
			_, err := f.host(lead).Submit(ctx, testShard, false, b)
			late <- err
		}()
		var got holdfast.Outcome
		select {
		case list := <-early:
			got = list[0]
		case err := <-late:
			t.Fatalf("the leader knows first: %v", err)
		}
		if got.ID != txn.ID || got.Status != holdfast.Done || got.Replay {
			t.Fatalf("the site that asked has %+v", got)
		}
		if sum, err := f.balance(asked, testAccount(2), Stale); err != nil || sum != 5 {
			t.Errorf("the site that asked reads %d (%v)", sum, err)
		}
		if err := <-late; err == nil {
			t.Error("the leader has an answer without an acknowledgement")
		}
		f.isolate(away, false)
		f.isolate(lead, true) // for good: the only other disk that has it is that of the site that asked
		again := f.pay(txn, asked, away)
		if again.Status != holdfast.Done || !again.Replay || again.Position != got.Position {
			t.Errorf("asked again: %+v, and was %+v", again, got)
		}
		f.isolate(lead, false)
		f.mu.Lock()
		clear(f.cut)
		f.mu.Unlock()
		f.agree()
	})
}

func TestNoteThereAndBack(t *testing.T) {
	want := Note{From: 3, To: 4, Term: 5, Index: 6, mentions: []mention{
		{Origin{Ticket: 7}, Nonce{1, 2}, 0}, {Origin{Ticket: 8}, Nonce{3}, 64},
	}}
	b := want.append(nil)
	if got, ok := ParseNote(b); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v, want %+v", got, ok, want)
	}
	for n := range b {
		if got, ok := ParseNote(b[:n]); ok && len(got.mentions) == len(want.mentions) {
			t.Errorf("%d of %d bytes were taken", n, len(b))
		}
	}
	if _, ok := ParseNote(append([]byte{payloadVersion}, b[1:]...)); ok {
		t.Error("a message of the library was taken for a note")
	}
}

func TestWhoSuffices(t *testing.T) {
	voters := func(ids ...ReplicaID) (list []Member) {
		for _, id := range ids {
			list = append(list, Member{Replica: id, Site: holdfast.SiteID(id), Role: Voter})
		}
		return list
	}
	for _, x := range []struct {
		name string
		list []Member
		want bool
	}{
		{"two voters", voters(1, 2), true},
		{"three voters", voters(1, 2, 3), true},
		{"three voters and a learner", append(voters(1, 2, 3), Member{Replica: 4, Role: Learner}), true},
		{"four voters", voters(1, 2, 3, 4), false},
		{"five voters", voters(1, 2, 3, 4, 5), false},
		{"the follower learns", append(voters(1, 3), Member{Replica: 2, Role: Learner}), false},
		{"the follower is gone", voters(1, 3, 4), false},
		{"the leader is gone", voters(2, 3, 4), false},
		{"joint", append(voters(1, 2, 3), Member{Replica: 4, Role: OldVoter}), false},
		{"one voter", voters(1), false},
	} {
		slices.SortFunc(x.list, byReplica)
		if got := (Members{List: x.list}).suffice(1, 2); got != x.want {
			t.Errorf("%s: %v", x.name, got)
		}
	}
}

func TestForwarded(t *testing.T) {
	f := NewForwarded()
	heard := map[Ticket][]holdfast.Outcome{}
	add := func(t Ticket, count int) {
		f.Add(t, count, func(o []holdfast.Outcome) { heard[t] = append(heard[t], o...) })
	}
	add(1, 2)
	add(2, 1)
	add(3, 1)
	add(4, 1)
	add(5, 9)
	one, two := Nonce{1}, Nonce{2}
	f.found([]mention{{Origin{Ticket: 1}, one, 1}, {Origin{Ticket: 2}, one, 0}, {Origin{Ticket: 5}, one, 0}, {Origin{Ticket: 99}, one, 0}})
	f.found([]mention{{Origin{Ticket: 3}, two, 0}, {Origin{Ticket: 1}, two, 0}}) // 1 has its entry
	f.Drop(3)
	f.Drop(3)
	if !f.waits(one) || f.waits(two) {
		t.Errorf("waits for %v and %v, want the first only", f.waits(one), f.waits(two))
	}
	list := []holdfast.Outcome{{ID: holdfast.ID{10}}, {ID: holdfast.ID{11}}, {ID: holdfast.ID{12}}}
	f.Settle(two, list)
	f.Settle(one, list)
	f.Settle(one, list)
	want := map[Ticket][]holdfast.Outcome{1: list[1:3], 2: list[:1]} // 5 would be more than there are
	if !reflect.DeepEqual(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	if len(f.waiting) != 1 || len(f.entries) != 0 || f.expected.Load() != 0 {
		t.Errorf("left are %v, %v, %d; want ticket 4", f.waiting, f.entries, f.expected.Load())
	}
}

// What the last leader had told others of may be lost with it: a read that waits for it would wait for ever.
func TestReadsThatWaitAreAskedAgain(t *testing.T) {
	d := readDesk{id: 7}
	q := &ReadRequest{Answer: func(q *ReadRequest) {}}
	d.asked = []*ReadRequest{q}
	d.ready([]ReadReady{{ID: 7, Index: 40}}, 30)
	if len(d.waiting) != 1 {
		t.Fatal("it does not wait for entry 40")
	}
	d.again()
	if len(d.asked) != 1 || len(d.waiting) != 0 || !d.askAgain || d.id != 8 {
		t.Fatalf("asked %d, waiting %d, again %v, number %d", len(d.asked), len(d.waiting), d.askAgain, d.id)
	}
	d.ready([]ReadReady{{ID: 7, Index: 40}}, 35) // of the old leader
	if len(d.asked) != 1 {
		t.Error("an answer of the old leader was taken")
	}
	d.ready([]ReadReady{{ID: 8, Index: 35}}, 35)
	if d.busy() || q.Err != nil {
		t.Errorf("it was not answered: %v", q.Err)
	}
}

// Only a note of the leader of this term counts, and only as far as the disk here reaches.
func TestWhoseNoteCounts(t *testing.T) {
	s := newStage(t)
	s.play("voters 1 2 3\n\ncampaign 1\nsettle\n\npropose 1 first\nsettle\n\ncut 1\nrun 2 25\nrun 3 25")
	lead := s.nodes[2].node.Leader()
	if lead.Leader == 0 || lead.Leader == 1 {
		t.Fatalf("replica 1 was cut off, and %d leads", lead.Leader)
	}
	leader, follower := s.nodes[lead.Leader], s.nodes[5-lead.Leader]
	if err := leader.node.Propose([]byte("second")); err != nil {
		t.Fatal(err)
	}
	s.output(leader, false)
	s.deliver(follower, false)
	s.output(follower, false) // handed to the disk, and not there
	node, was := follower.node, follower.node.Committed()
	last := leader.node.end
	hear := func(from ReplicaID, term, index uint64) uint64 {
		t.Helper()
		n := Note{From: from, To: follower.id, Term: term, Index: index}
		if err := node.Step(holdfast.SiteID(from), n.append(nil)); err != nil {
			t.Fatal(err)
		}
		return node.Committed()
	}
	if hear(1, lead.Term-1, last) != was || hear(1, lead.Term, last) != was || hear(lead.Leader, lead.Term+1, last) != was {
		t.Error("the note of another leader, or of another term, counts")
	}
	if hear(lead.Leader, lead.Term, last+5) != was {
		t.Error("an entry that is not on disk here was taken for committed")
	}
	s.store(follower)
	if got := node.Committed(); got != last {
		t.Errorf("committed up to %d, want %d: the leader has more, and this disk ends there", got, last)
	}
	wrong := Note{From: lead.Leader, To: 9, Term: lead.Term, Index: last}
	if err := node.Step(holdfast.SiteID(lead.Leader), wrong.append(nil)); err == nil {
		t.Error("a note to another replica was taken")
	}
}
