package drill

import (
	"errors"
	"slices"
	"testing"
	"time"
	"unsafe"

	"holdfast"
	"holdfast/check"
	"holdfast/client"
)

func written(status holdfast.Status, id byte) page {
	p := page{
		sample: Sample{Shard: 1, Due: 5 * ms, Ended: 9 * ms}, payment: payment{id: holdfast.ID{id}, amount: 1}, called: 5 * ms,
	}
	p.answered(holdfast.Outcome{ID: holdfast.ID{id}, Status: status, Leg: holdfast.NoLeg})
	return p
}

// A page is short, and gives back everything of which it was made.
func TestPageGivesBackWhatWasWritten(t *testing.T) {
	w := testWorld(t, 1)
	want := w.errand(7, holdfast.ID{7}).transfer
	for _, o := range []holdfast.Outcome{
		{ID: holdfast.ID{7}, Status: holdfast.Done, Leg: holdfast.NoLeg, Time: 9, Position: holdfast.Position{Index: 3, Ord: 2}},
		{ID: holdfast.ID{7}, Status: holdfast.Done, Leg: holdfast.NoLeg, Replay: true, Time: 9, Position: holdfast.Position{Index: 3, Ord: 2}},
		{ID: holdfast.ID{7}, Status: holdfast.Refused, Code: holdfast.CodeExceedsCredits, Leg: 0, Time: 9, Position: holdfast.Position{Index: 4}},
		{ID: holdfast.ID{7}, Status: holdfast.Unknown, Leg: holdfast.NoLeg},
		{ID: holdfast.ID{7}},
	} {
		p := page{payment: paymentOf(&want)}
		p.answered(o)
		if got := p.outcome(); got != o {
			t.Errorf("outcome %+v, want %+v", got, o)
		}
		if sent := p.content(); p.id() != want.ID || sent.ID != want.ID || len(sent.Transfers) != 1 || sent.Transfers[0] != want {
			t.Errorf("content %+v, want %+v", sent, want)
		}
	}
	if size := unsafe.Sizeof(page{}); size > 208 {
		t.Errorf("a page has %d bytes", size)
	}
}

// A payment of the load that is refused fails the drill, whatever the reason: nothing stands against any of them. What is no payment of
// the load, or was not executed, is judged elsewhere.
func TestRefusedPaymentsAreFindings(t *testing.T) {
	b := newBook()
	add := func(kind SampleKind, status holdfast.Status, code holdfast.Code) {
		p := written(status, byte(b.size()+1))
		p.sample.Kind = kind
		p.answered(holdfast.Outcome{ID: p.id(), Status: status, Code: code})
		b.write(p, nil)
	}
	add(Replayed, holdfast.Done, 0)
	add(Prepared, holdfast.Refused, holdfast.CodeExceedsCredits)
	add(WrongSide, holdfast.Refused, holdfast.CodeExceedsCredits)
	add(Probed, holdfast.NotExecuted, holdfast.CodeMoved)
	if got := b.refusals(); got != nil {
		t.Errorf("nothing of the load was refused: %q", got)
	}
	add(Replayed, holdfast.Refused, holdfast.CodeDebitMissing)
	add(Replayed, holdfast.Refused, holdfast.CodeDebitMissing)
	add(Probed, holdfast.Refused, holdfast.CodeExceedsCredits)
	want := []string{
		"2 payments refused although nothing stood against it: " + holdfast.CodeDebitMissing.String(),
		"1 payment refused although nothing stood against it: " + holdfast.CodeExceedsCredits.String(),
	}
	got := b.refusals()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	r := &run{scenario: Scenarios()[0], o: Defaults(), book: b, sampler: &sampler{}}
	res := Result{Payments: Payments{Acknowledged: 1}, BooksBalanced: true, ReplicasAgree: true, Linearizable: true}
	res.judge(time.Second, r.findings(&Evidence{Length: 9000 * ms}, &prover{}, nil))
	if res.Passed() {
		t.Error("refused payments pass")
	}
}

// Pages keep their order over the parts of a book, and what is new can be had by itself.
func TestBookOfManyParts(t *testing.T) {
	b := newBook()
	const n = 2*pagesPerPart + 10
	for i := range n {
		b.write(page{sample: Sample{Due: time.Duration(i)}}, nil)
	}
	some, next := b.samples(pagesPerPart - 1)
	if len(some) != n-pagesPerPart+1 || next != n || some[0].Due != pagesPerPart-1 || some[len(some)-1].Due != n-1 {
		t.Errorf("%d samples, then %d", len(some), next)
	}
}

// A history that is cut short holds what was sent before the cut and what was read before it.
func TestHistoriesOfALongBook(t *testing.T) {
	b := newBook()
	for i := range byte(100) {
		p := written(holdfast.Done, i+1)
		p.called, p.sample.Ended = time.Duration(i)*ms, time.Duration(i+20)*ms
		b.write(p, nil)
		b.write(page{
			sample: Sample{Shard: 1, Kind: ReadBack, Status: holdfast.Done, Ended: time.Duration(i+20) * ms},
			called: time.Duration(i) * ms, read: &check.Read{},
		}, nil)
	}
	h, end := b.histories([]holdfast.ShardID{1}, nil, time.Second, 100)
	if end != 49*ms || len(h[0].Ops) != 50+30 {
		t.Errorf("%d operations until %v, want the 50 that were sent until 49 ms and the 30 that were read by then", len(h[0].Ops), end)
	}
	for _, op := range h[0].Ops {
		if op.Read == nil && op.Call > int64(end) || op.Read != nil && op.Return > int64(end) {
			t.Errorf("%+v", op)
		}
	}
}

// What nobody knew at its deadline has been settled by asking: done some time before the end, or nothing at all.
func TestHistoriesSettleTheUnknown(t *testing.T) {
	b := newBook()
	b.write(written(holdfast.Done, 1), nil)
	b.write(written(holdfast.Unknown, 2), errors.New("late"))
	b.write(written(holdfast.Unknown, 3), errors.New("late"))
	settled := map[holdfast.ID]holdfast.Outcome{{2}: {ID: holdfast.ID{2}, Status: holdfast.Done}}
	histories, _ := b.histories([]holdfast.ShardID{1}, settled, time.Second, 100)
	ops := histories[0].Ops
	if len(ops) != 2 || ops[1].Txn.ID != (holdfast.ID{2}) || ops[1].Outcome.Status != holdfast.Done || ops[1].Return != int64(time.Second) {
		t.Errorf("%+v", ops)
	}
	if got := b.excuses(); len(got) != 1 || got[0] != "2 requests were not decided: late" {
		t.Errorf("excuses %q", got)
	}
}

func TestShiftMovesThePast(t *testing.T) {
	b := newBook()
	b.write(written(holdfast.Done, 1), nil)
	b.shift(time.Second)
	if all, _ := b.samples(0); all[0].Due != 5*ms-time.Second || all[0].Latency() != 4*ms {
		t.Errorf("%+v", all)
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
