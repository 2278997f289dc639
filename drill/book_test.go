package drill

import (
	"errors"
	"testing"
	"time"

	"holdfast"
	"holdfast/check"
	"holdfast/client"
)

func written(status holdfast.Status, id byte) page {
	txn := &holdfast.Txn{ID: holdfast.ID{id}, Transfers: []holdfast.Transfer{{ID: holdfast.ID{id}, Amount: 1}}}
	return page{
		sample: Sample{Shard: 1, Status: status, Due: 5 * ms, Ended: 9 * ms}, txn: txn,
		outcome: holdfast.Outcome{ID: txn.ID, Status: status}, called: 5 * ms, returned: 9 * ms,
	}
}

// What nobody knew at its deadline has been settled by asking: done some time before the end, or nothing at all.
func TestHistoriesSettleTheUnknown(t *testing.T) {
	b := newBook(4)
	b.write(written(holdfast.Done, 1), nil)
	b.write(written(holdfast.Unknown, 2), errors.New("late"))
	b.write(written(holdfast.Unknown, 3), errors.New("late"))
	settled := map[holdfast.ID]holdfast.Outcome{{2}: {ID: holdfast.ID{2}, Status: holdfast.Done}}
	ops := b.histories([]holdfast.ShardID{1}, settled, time.Second)[0].Ops
	if len(ops) != 2 || ops[1].Txn.ID != (holdfast.ID{2}) || ops[1].Outcome.Status != holdfast.Done || ops[1].Return != int64(time.Second) {
		t.Errorf("%+v", ops)
	}
	if got := b.excuses(); len(got) != 1 || got[0] != "2 requests were not decided: late" {
		t.Errorf("excuses %q", got)
	}
}

func TestShiftMovesThePast(t *testing.T) {
	b := newBook(1)
	b.write(written(holdfast.Done, 1), nil)
	b.shift(time.Second)
	if s := b.samples()[0]; s.Due != 5*ms-time.Second || s.Latency() != 4*ms {
		t.Errorf("%+v", s)
	}
}

// A line tells the time but not the place within its entry: the place counts as the acknowledged one only if the time is.
func TestOutcomeOfALine(t *testing.T) {
	acked := holdfast.Outcome{Status: holdfast.Done, Time: 7, Position: holdfast.Position{Index: 3, Ord: 2}}
	line := client.Line{Movement: client.Movement{Txn: holdfast.ID{1}, Index: 3, Time: time.Unix(0, 7)}}
	if got := outcomeOf(&line, acked); got.Position != acked.Position || got.Time != acked.Time {
		t.Errorf("the same: %+v", got)
	}
	line.Time = time.Unix(0, 8)
	if got := outcomeOf(&line, acked); got.Position == acked.Position {
		t.Errorf("another time, and the same place: %+v", got)
	}
}

// Everything that is on no statement is asked for by id, and each id once.
func TestChosen(t *testing.T) {
	lines := map[holdfast.ID]*client.Line{{1}: {}, {2}: {}}
	acks := []check.Ack{{ID: holdfast.ID{1}}, {ID: holdfast.ID{2}}, {ID: holdfast.ID{3}}, {ID: holdfast.ID{3}}}
	got := map[holdfast.ID]int{}
	for _, id := range chosen(acks, lines) {
		got[id]++
	}
	if got[holdfast.ID{3}] != 1 {
		t.Errorf("asked for: %v", got)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := inPounds(81_781_424_840); got != "817,814,248.40" {
		t.Errorf("pounds: %s", got)
	}
}
