package drill

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"holdfast"
	"holdfast/check"
	"holdfast/client"
)

// told is a site made up of statement lines, newest first, in pages of so many lines.
type told struct {
	lines map[holdfast.AccountID][]client.Line
	page  int
}

func (x *told) reading(b *book, paid []holdfast.AccountID) *reading {
	r := newReading(b, nil, paid)
	r.every = 7
	r.ask = func(_ context.Context, id holdfast.ID) answer { return x.lookUp(id) }
	r.lines = func(_ context.Context, account holdfast.AccountID, cursor string) (client.Page, error) {
		from, _ := strconv.Atoi(cursor)
		all := x.lines[account]
		to := min(from+x.page, len(all))
		p := client.Page{Lines: all[from:to]}
		if to < len(all) {
			p.Next = strconv.Itoa(to)
		}
		return p, nil
	}
	return r
}

func (x *told) lookUp(id holdfast.ID) answer {
	for _, lines := range x.lines {
		for i := range slices.Backward(lines) { // the first time it happened
			if lines[i].Txn == id {
				o := outcomeOf(&lines[i], holdfast.Outcome{})
				return answer{ok: true, found: check.Found{Txn: &holdfast.Txn{ID: id, Transfers: []holdfast.Transfer{lines[i].Transfer}}, Outcome: o}}
			}
		}
	}
	return answer{}
}

// scene is a book of payments to two accounts, acknowledged one after another, and a site that has them all.
func scene(t *testing.T, n int) (*book, *told, []holdfast.AccountID) {
	t.Helper()
	c := newShardCast(0, 1)
	b, x := newBook(), &told{lines: map[holdfast.AccountID][]client.Line{}, page: 3}
	for i := range n {
		pay := holdfast.Transfer{
			ID: holdfast.ID{1, byte(i >> 8), byte(i)}, Kind: holdfast.Immediate, Debit: c.payers[0], Credit: c.till, Amount: holdfast.Amount(i + 1),
		}
		if i%3 == 0 {
			pay.Credit = c.merchant
		}
		at := holdfast.Time(1000 + i)
		p := page{sample: Sample{Shard: 1, Ended: time.Duration(i)}, payment: paymentOf(&pay)}
		p.answered(holdfast.Outcome{ID: pay.ID, Status: holdfast.Done, Leg: holdfast.NoLeg, Time: at, Position: holdfast.Position{Index: uint64(i + 1)}})
		b.write(p, nil)
		line := client.Line{Movement: client.Movement{Transfer: pay, Txn: pay.ID, Time: time.Unix(0, int64(at)), Index: uint64(i + 1)}}
		x.lines[pay.Credit] = slices.Insert(x.lines[pay.Credit], 0, line)
	}
	return b, x, []holdfast.AccountID{c.merchant, c.till}
}

// A long statement is compared window by window, and every window finds its payments.
func TestReadingInWindows(t *testing.T) {
	const n = 10 * 3 * pagesPerWindow
	b, x, paid := scene(t, n)
	r := x.reading(b, paid)
	if err := r.all(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !r.report.OK() || r.report.Acknowledged != n || r.report.Attempted != n || r.totals.moved != n*(n+1)/2 {
		t.Errorf("%s; %d moved", r.report.String(), r.totals.moved)
	}
	var posted holdfast.Amount
	for _, id := range paid {
		posted += r.totals.account(id).CreditsPosted
	}
	if posted != r.totals.moved {
		t.Errorf("%d moved, and %d came to those who were paid", r.totals.moved, posted)
	}
}

// What is wrong is found wherever in a statement it is, near the border of a window or far from it.
func TestReadingFinds(t *testing.T) {
	const n = 4 * 3 * pagesPerWindow
	for _, i := range []int{0, 1, n / 2, n - 3*pagesPerWindow, n - 2, n - 1} {
		for name, c := range map[string]struct {
			harm func(x *told, account holdfast.AccountID, at int)
			want string // lost, duplicated, altered
		}{
			"lost": {func(x *told, account holdfast.AccountID, at int) {
				x.lines[account] = slices.Delete(x.lines[account], at, at+1)
			}, "1 0 0"},
			"another amount":    {func(x *told, account holdfast.AccountID, at int) { x.lines[account][at].Amount++ }, "0 0 1"},
			"again at once":     {func(x *told, account holdfast.AccountID, at int) { again(x, account, at, at) }, "0 1 0"},
			"again, long after": {func(x *told, account holdfast.AccountID, at int) { again(x, account, at, 0) }, "0 1 0"},
		} {
			b, x, paid := scene(t, n)
			account := b.at(i).payment.credit
			at := slices.IndexFunc(x.lines[account], func(l client.Line) bool { return l.Txn == b.at(i).id() })
			c.harm(x, account, at)
			r := x.reading(b, paid)
			if err := r.all(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(len(r.report.Lost), len(r.report.Duplicated), len(r.report.Altered)); got != c.want {
				t.Errorf("%s, payment %d: %s, want %s\n%s", name, i, got, c.want, r.report.String())
			}
		}
	}
}

// again puts a copy of a line, of a later entry, at a place of the statement.
func again(x *told, account holdfast.AccountID, at, place int) {
	l := x.lines[account][at]
	l.Time, l.Index = x.lines[account][place].Time.Add(1), x.lines[account][place].Index+1_000_000
	x.lines[account] = slices.Insert(x.lines[account], place, l)
}

// What had no answer is settled by what the statements say, whether or not a later attempt had one.
func TestReadingSettles(t *testing.T) {
	b, x, paid := scene(t, 500)
	forget := func(i int) { // what was done, and its caller never knew
		b.at(i).answered(holdfast.Outcome{ID: b.at(i).id(), Leg: holdfast.NoLeg})
		b.at(i).position, b.at(i).time = holdfast.Position{}, 0
	}
	forget(3)
	forget(250)
	late := *b.at(100) // no answer at first; asked again, it was done
	late.answered(holdfast.Outcome{ID: late.id(), Leg: holdfast.NoLeg})
	b.write(late, nil)
	never := page{sample: Sample{Shard: 1}, payment: payment{id: holdfast.ID{9}, amount: 1}} // and one that never happened
	never.answered(holdfast.Outcome{ID: never.id(), Leg: holdfast.NoLeg})
	b.write(never, nil)
	r := x.reading(b, paid)
	if err := r.all(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rep := &r.report; !rep.OK() || rep.Attempted != 501 || rep.Acknowledged != 498 || rep.Unknown != 3 || rep.SettledDone != 2 {
		t.Errorf("%s", rep.String())
	}
	if _, is := r.settled[b.at(250).id()]; len(r.settled) != 2 || !is || r.totals.moved != 500*501/2 {
		t.Errorf("settled %v; %d moved", r.settled, r.totals.moved)
	}
}

// A refund to a customer in another shard is on the statement of its payer as a hold and its end: it is asked for by its id, and
// counts like any other.
func TestReadingCountsWhatCrosses(t *testing.T) {
	b, x, paid := scene(t, 30)
	far := newShardCast(1, 2).payers[0]
	b.crosses = func(_, credit holdfast.AccountID) bool { return credit == far }
	merchant := newShardCast(0, 1).merchant
	refund := holdfast.Transfer{ID: holdfast.ID{2}, Kind: holdfast.Immediate, Debit: merchant, Credit: far, Amount: 77}
	out := holdfast.Outcome{ID: refund.ID, Status: holdfast.Done, Leg: holdfast.NoLeg, Time: 9999}
	out.Index = 500
	p := page{sample: Sample{Shard: 1, Ended: time.Second}, payment: paymentOf(&refund)}
	p.answered(out)
	b.write(p, nil)
	line := client.Line{Movement: client.Movement{Transfer: refund, Txn: refund.ID, Index: 500, Time: holdfast.Time(9999).Std()}}
	x.lines[merchant] = append([]client.Line{line}, x.lines[merchant]...)
	r := x.reading(b, paid)
	if err := r.all(t.Context()); err != nil || !r.report.OK() {
		t.Fatalf("%v %s", err, &r.report)
	}
	if r.report.Acknowledged != 31 || r.totals.accounts[far] == nil || r.totals.accounts[far].CreditsPosted != 77 {
		t.Errorf("%d acknowledged, the customer has %+v", r.report.Acknowledged, r.totals.accounts[far])
	}
	delete(x.lines, merchant)
	if r = x.reading(b, paid); r.all(t.Context()) == nil && r.report.OK() {
		t.Error("a refund that is nowhere was not missed")
	}
}
