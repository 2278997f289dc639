package site

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast"
	"holdfast/shard"
)

func groupOf(t testing.TB, id holdfast.ShardID, bulk bool, n int) group {
	f := &fleet{}
	g := group{id: id, bulk: bulk}
	for i := range n {
		txn := f.pay(account(t, uint32(i), 1), account(t, uint32(i+1), 2), holdfast.Amount(i+1))
		g.Add(&txn)
	}
	return g
}

func TestGroupsThereAndBack(t *testing.T) {
	want := []group{groupOf(t, 1, false, 1), groupOf(t, 7, true, 20), groupOf(t, 1, false, 64)}
	want[0].Origin.Ticket = 1 << 63
	want[2].Origin.Ticket, want[2].away, want[2].left = 9, 5, 1500*time.Millisecond
	b := []byte{wireVersion}
	for _, g := range want {
		b = appendGroup(b, g)
	}
	got, err := readGroups(b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		w, g := want[i], got[i]
		if g.id != w.id || g.away != w.away || g.Origin != w.Origin || g.bulk != w.bulk || g.left != w.left || !bytes.Equal(g.Body, w.Body) || fmt.Sprint(g.Ends) != fmt.Sprint(w.Ends) {
			t.Errorf("group %d: %+v, want %+v", i, g, w)
		}
	}
	for n := range b { // cut anywhere, it is noticed, unless the cut is between two groups
		if groups, err := readGroups(b[:n]); err == nil && len(groups) == len(want) {
			t.Errorf("%d of %d bytes were taken for the whole", n, len(b))
		}
	}
}

// A site that is not ours, or has a bug, must not get into the log what no replica could apply.
func TestForwardedTransactionsAreChecked(t *testing.T) {
	f := &fleet{}
	bad := f.pay(account(t, 1, 1), account(t, 1, 1), 5)
	g := group{id: 1}
	g.Add(&bad)
	if _, err := readGroups(appendGroup([]byte{wireVersion}, g)); err == nil || !strings.Contains(err.Error(), "same-account") {
		t.Errorf("a malformed transaction: %v", err)
	}
	if _, err := readGroups(appendGroup([]byte{wireVersion + 1}, groupOf(t, 1, false, 1))); !errors.Is(err, errWire) {
		t.Errorf("another version: %v", err)
	}
}

func TestAnswersThereAndBack(t *testing.T) {
	g := group{id: 3}
	g.Ends = make([]uint32, 2)
	outcomes := []holdfast.Outcome{
		{ID: holdfast.ID{1}, Status: holdfast.Done, Leg: holdfast.NoLeg, Time: 5, Position: holdfast.Position{Index: 7, Ord: 1}},
		{ID: holdfast.ID{2}, Status: holdfast.Refused, Code: holdfast.CodeExceedsCredits, Leg: 3, Replay: true, Field: "amount"},
	}
	rows := []struct {
		give error
		want error
	}{
		{shard.ErrLost, shard.ErrLost},
		{shard.ErrNoQuorum, shard.ErrNoQuorum},
		{shard.ErrOverloaded, shard.ErrOverloaded},
		{shard.ErrDiskFull, shard.ErrDiskFull},
		{shard.ErrOutOfService, shard.ErrOutOfService},
		{shard.ErrStopping, shard.ErrStopping},
		{shard.ErrNoShard, shard.ErrNoShard},
		{fmt.Errorf("queue: %w", shard.ErrTimeout), shard.ErrTimeout},
		{errors.New("something else"), shard.ErrLost}, // what has no number may have been executed
		{shard.NotLeaderError{Shard: 3, Leader: 2}, shard.NotLeaderError{Shard: 3, Leader: 2}},
	}
	b := appendAnswer([]byte{wireVersion}, answer{outcomes: outcomes})
	groups := []group{g}
	for _, row := range rows {
		b = appendAnswer(b, answer{err: row.give})
		groups = append(groups, g)
	}
	got := readAnswers(b, groups)
	if diff := cmp.Diff(outcomes, got[0].outcomes); diff != "" || got[0].err != nil {
		t.Errorf("outcomes: %v %s", got[0].err, diff)
	}
	for i, row := range rows {
		if !errors.Is(got[i+1].err, row.want) {
			t.Errorf("%v became %v, want %v", row.give, got[i+1].err, row.want)
		}
	}
	for n := range b { // an answer that is cut short leaves the rest unknown
		for i, a := range readAnswers(b[:n], groups) {
			if i == len(groups)-1 && a.err == nil {
				t.Errorf("%d of %d bytes gave outcomes to the last group", n, len(b))
			}
		}
	}
}

// Every error that a replica can answer with keeps its meaning on the way.
func TestNoErrorChangesItsMeaningOnTheWay(t *testing.T) {
	for _, err := range []error{
		shard.ErrLost, shard.ErrNoQuorum, shard.ErrOverloaded, shard.ErrDiskFull, shard.ErrOutOfService, shard.ErrStopping,
		shard.ErrNoShard, shard.ErrTimeout,
		shard.NotLeaderError{Shard: 1, Leader: 2},
		errors.New("other"),
	} {
		g := group{id: 1}
		got := readAnswers(appendAnswer([]byte{wireVersion}, answer{err: err}), []group{g})
		status, code := outcomeOf(got[0].err)
		if wantStatus, wantCode := shard.OutcomeOf(err); status != wantStatus || code != wantCode {
			t.Errorf("%v: %s %s here, %s %s there", err, status, code, wantStatus, wantCode)
		}
	}
}

func TestPulseThereAndBack(t *testing.T) {
	want := pulse{version: "v1.2", ready: true, digestOK: true, diskFull: true, diskFree: 1 << 40, unwell: true, reach: []holdfast.SiteID{2, 300}, leads: map[holdfast.ShardID]uint64{1: 5, 256: 7}, knows: knowsTickets}
	b := want.append(nil)
	got, err := readPulse(b)
	if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	last := len(b) - 2 - 5 // before what a release knows, whether the site is unwell, and whom it reaches
	if old, err := readPulse(b[:last+1]); err != nil || old.unwell || old.reach != nil || old.knows != knowsTickets {
		t.Errorf("the pulse of an earlier release: %+v, %v", old, err)
	}
	for n := range last {
		if _, err := readPulse(b[:n]); err == nil {
			t.Errorf("%d of %d bytes were taken", n, len(b))
		}
	}
	if got, err := readPulse(b[:last]); err != nil || got.knows != 0 || got.leads[256] != 7 {
		t.Errorf("the pulse of an earlier release: %+v, %v", got, err)
	}
}

func TestEventsAreKeptInOrder(t *testing.T) {
	s := stageEvents(t)
	for n := range eventsKept + 10 {
		s.event(Event{Kind: EventLeader, Term: uint64(n)})
	}
	all := s.Events(0)
	if len(all) != eventsKept || all[0].Seq != 11 || all[len(all)-1].Term != eventsKept+9 {
		t.Errorf("%d events, from %+v to %+v", len(all), all[0], all[len(all)-1])
	}
	if rest := s.Events(eventsKept + 8); len(rest) != 2 || rest[0].Seq != eventsKept+9 {
		t.Errorf("after all but two: %+v", rest)
	}
	if rest := s.Events(eventsKept + 10); len(rest) != 0 {
		t.Errorf("after all: %+v", rest)
	}
}

func stageEvents(t *testing.T) *Site {
	t.Helper()
	var last uint64
	s, err := Open(Embedded(t.TempDir(), "127.0.0.1:8080"), Options{OnEvent: func(e Event) {
		if e.Seq != last+1 {
			t.Errorf("event %d after %d", e.Seq, last)
		}
		last = e.Seq
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func FuzzWire(f *testing.F) {
	f.Add(appendGroup([]byte{wireVersion}, groupOf(f, 1, true, 3)))
	p := pulse{version: "v", leads: map[holdfast.ShardID]uint64{1: 1}}
	f.Add(p.append(nil))
	f.Add(appendAnswer([]byte{wireVersion}, answer{outcomes: []holdfast.Outcome{{ID: holdfast.ID{1}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if groups, err := readGroups(b); err == nil {
			again := []byte{wireVersion}
			for _, g := range groups {
				if len(g.Ends) == 0 || int(g.Ends[len(g.Ends)-1]) != len(g.Body) {
					t.Fatalf("transactions end at %v, the body has %d bytes", g.Ends, len(g.Body))
				}
				again = appendGroup(again, g)
			}
			if len(groups) > 0 && len(again) != len(b) {
				t.Errorf("read %d bytes, wrote %d", len(b), len(again))
			}
		}
		if p, err := readPulse(b); err == nil && len(p.leads) > 1<<16 {
			t.Error("a pulse without bounds")
		}
		g := group{id: 1}
		g.Ends = make([]uint32, 2)
		for _, a := range readAnswers(b, []group{g, g}) {
			if a.err == nil && len(a.outcomes) != 2 {
				t.Errorf("%d outcomes for 2 transactions", len(a.outcomes))
			}
		}
	})
}
