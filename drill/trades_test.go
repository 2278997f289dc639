package drill

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"holdfast"
	"holdfast/client"
)

// tradeScene is a market with a few trades and refunds, and what a site that is right says of them.
type tradeScene struct {
	world *world
	deals []deal
	sales map[tradeKey]*sale
	seen  tradesSeen
	days  map[holdfast.Owner][]client.Settlement
}

func newTradeScene(t *testing.T) *tradeScene {
	t.Helper()
	w := testWorld(t, 8)
	if err := w.openMarket(); err != nil {
		t.Fatal(err)
	}
	s := &tradeScene{world: w}
	for e := range w.plan(400, 1e9, testIDs()) {
		d := w.deal(&e)
		d.status = holdfast.Done
		s.deals = append(s.deals, d)
	}
	s.sales = sold(s.deals, w.market)
	s.honest()
	return s
}

// honest makes what a site says, the way the platform does it: entry by entry.
func (s *tradeScene) honest() {
	s.seen = tradesSeen{entries: map[holdfast.Ref]*entries{}}
	s.days = map[holdfast.Owner][]client.Settlement{}
	at := map[tradeKey]int{}
	sums := map[holdfast.Owner]*client.Settlement{}
	for i := range s.deals {
		d := &s.deals[i]
		day := sums[d.merchant]
		if day == nil {
			day = &client.Settlement{Merchant: d.merchant, Asset: pounds}
			sums[d.merchant] = day
		}
		if !d.refund() {
			fee := s.world.market.byOwner[d.merchant].plan.of(d.amount)
			at[d.tradeKey] = len(s.seen.trades)
			s.seen.trades = append(s.seen.trades, client.Trade{
				Merchant: d.merchant, OutTradeNo: d.number, Status: "TRADE_SUCCESS", Amount: d.amount, Asset: pounds, Subject: d.subject(), Payer: d.customer, Fee: fee,
			})
			e := &entries{}
			e.earned.add(d.amount - fee)
			if fee > 0 {
				e.fee.add(fee)
			}
			s.seen.entries[d.ref()] = e
			day.Payments, day.Paid, day.Fees, day.Net = day.Payments+1, day.Paid+d.amount, day.Fees+fee, day.Net+d.amount-fee
			continue
		}
		v := &s.seen.trades[at[d.tradeKey]]
		v.Refunded += d.amount
		if v.Refunded == v.Amount {
			v.Status = "TRADE_CLOSED"
		}
		back := v.Fee*v.Refunded/v.Amount - v.FeeReturned
		v.FeeReturned += back
		s.seen.refunds = append(s.seen.refunds, client.Refund{Merchant: d.merchant, OutTradeNo: d.number, OutRequestNo: d.request, Amount: d.amount, FeeReturned: back})
		e := s.seen.entries[d.ref()]
		e.givenBack.add(d.amount - back)
		if back > 0 {
			e.feeBack.add(back)
		}
		day.Refunds, day.Refunded, day.Fees, day.Net = day.Refunds+1, day.Refunded+d.amount, day.Fees-back, day.Net-d.amount+back
	}
	for owner, day := range sums {
		day.Payout = max(0, day.Net)
		s.days[owner] = []client.Settlement{*day}
	}
}

// What is wrong with a trade is found, and named as what it is; and nothing is found where nothing is wrong.
func TestTradeFaults(t *testing.T) {
	refunded := func(s *tradeScene) *client.Refund { return &s.seen.refunds[0] }
	entriesOf := func(s *tradeScene, v *client.Trade) *entries {
		return s.seen.entries[tradeKey{v.Merchant, v.OutTradeNo}.ref()]
	}
	for _, x := range []struct {
		name  string
		plant func(s *tradeScene)
		kind  tradeFaultKind
		says  string
	}{
		{"a lost trade", func(s *tradeScene) { s.seen.trades = s.seen.trades[1:] }, tradeLost, "not there"},
		{"a trade that is there twice", func(s *tradeScene) { s.seen.trades = append(s.seen.trades, s.seen.trades[3]) }, tradeDoubled, "twice"},
		{"another amount", func(s *tradeScene) { s.seen.trades[2].Amount++ }, tradeAltered, "another amount"},
		{"another buyer", func(s *tradeScene) { s.seen.trades[2].Payer++ }, tradeAltered, "another payer"},
		{"another fee", func(s *tradeScene) { s.seen.trades[2].Fee++ }, tradeAltered, "another fee"},
		{"a trade that nobody asked for", func(s *tradeScene) {
			v := s.seen.trades[0]
			v.OutTradeNo = "of nobody"
			s.seen.trades = append(s.seen.trades, v)
		}, tradeUnasked, "not acknowledged"},
		{"a doubled fee in the ledger", func(s *tradeScene) {
			e := entriesOf(s, &s.seen.trades[2])
			e.fee.add(e.fee.amount)
		}, tradeDoubled, "fees in the ledger"},
		{"earnings that came twice", func(s *tradeScene) {
			e := entriesOf(s, &s.seen.trades[2])
			e.earned.add(e.earned.amount)
		}, tradeDoubled, "earnings in the ledger"},
		{"earnings that are a penny short", func(s *tradeScene) { entriesOf(s, &s.seen.trades[2]).earned.amount-- }, tradeAltered, "earnings in the ledger"},
		{"earnings that are nowhere", func(s *tradeScene) { entriesOf(s, &s.seen.trades[2]).earned = sums{} }, tradeLost, "earnings are not"},
		{"entries of no trade", func(s *tradeScene) {
			e := &entries{}
			e.fee.add(1)
			s.seen.entries[holdfast.Ref{1}] = e
		}, tradeUnasked, "belong to no trade"},
		{"a lost refund", func(s *tradeScene) { s.seen.refunds = s.seen.refunds[1:] }, tradeLost, "refund"},
		{"an altered refund", func(s *tradeScene) { refunded(s).Amount++ }, tradeAltered, "acknowledged were"},
		{"a refund that is there twice", func(s *tradeScene) { s.seen.refunds = append(s.seen.refunds, *refunded(s)) }, tradeDoubled, "twice"},
		{"a refund that nobody asked for", func(s *tradeScene) {
			r := *refunded(s)
			r.OutRequestNo = "of nobody"
			s.seen.refunds = append(s.seen.refunds, r)
		}, tradeUnasked, "of nobody"},
		{"a fee that was not returned", func(s *tradeScene) {
			for i := range s.seen.refunds {
				s.seen.refunds[i].FeeReturned = 0
			}
		}, tradeAltered, "have returned 0"},
		{"an unknown trade that was not done, and is there", func(s *tradeScene) {
			s.deals[2].status = holdfast.Refused
			s.sales = sold(s.deals, s.world.market)
		}, tradeUnasked, "not acknowledged"},
	} {
		s := newTradeScene(t)
		if found := compareTrades(s.sales, &s.seen); len(found) > 0 {
			t.Fatalf("nothing is wrong, and found is %s", found[0].String())
		}
		x.plant(s)
		found := compareTrades(s.sales, &s.seen)
		if !slices.ContainsFunc(found, func(f tradeFault) bool { return f.kind == x.kind && strings.Contains(f.what, x.says) }) {
			t.Errorf("%s: found is %v, want one of kind %d that says %q", x.name, found, x.kind, x.says)
		}
	}
}

// A settlement that is not what the data says is found.
func TestSettlementFaults(t *testing.T) {
	s := newTradeScene(t)
	want := earned(s.sales, s.world.market)
	owner := s.deals[0].merchant
	for i := range s.world.market.sellers {
		o := s.world.market.sellers[i].owner
		if what := want[o].differs(s.days[o]); what != "" {
			t.Fatalf("nothing is wrong with merchant %s, and found is %s", o, what)
		}
	}
	for name, plant := range map[string]func(*client.Settlement){
		"a payment too few":    func(d *client.Settlement) { d.Payments-- },
		"a penny too much":     func(d *client.Settlement) { d.Paid++ },
		"a doubled fee":        func(d *client.Settlement) { d.Fees *= 2 },
		"a refund too many":    func(d *client.Settlement) { d.Refunds++ },
		"another net":          func(d *client.Settlement) { d.Net-- },
		"a payout too large":   func(d *client.Settlement) { d.Payout++ },
		"something else in it": func(d *client.Settlement) { d.Other = 5 },
	} {
		day := s.days[owner][0]
		plant(&day)
		if want[owner].differs([]client.Settlement{day}) == "" {
			t.Errorf("%s: not found", name)
		}
	}
	if want[owner].differs(nil) == "" {
		t.Error("a day that was not settled is not found")
	}
	first, second := s.days[owner][0], client.Settlement{Merchant: owner, Asset: pounds}
	first.Refunds, first.Refunded, first.Net, first.Payout = first.Refunds-1, first.Refunded-40, first.Net+40, first.Payout+40
	second.Refunds, second.Refunded, second.Net = 1, 40, -40
	two := *want[owner]
	if two.refunds == 0 {
		t.Fatal("the merchant of the first trade has no refund")
	}
	if what := two.differs([]client.Settlement{first, second}); what != "" {
		t.Errorf("a refund of the next day, which is carried: %s", what)
	}
	half := s.days[owner][0]
	if want[owner].differs([]client.Settlement{half, half}) == "" {
		t.Error("a day that was settled twice is not found")
	}
}

// What trades have moved is what the accounts must have: every penny that a customer has paid is a merchant's or a fee.
func TestSalesMove(t *testing.T) {
	s := newTradeScene(t)
	moved := totals{accounts: map[holdfast.AccountID]*holdfast.Account{}}
	for _, x := range s.sales {
		moved.add(x.txn(s.world.market))
	}
	have := map[holdfast.Purpose]holdfast.Amount{}
	for id, a := range moved.accounts {
		have[id.Purpose] += a.CreditsPosted - a.DebitsPosted
	}
	var want earnings
	for _, e := range earned(s.sales, s.world.market) {
		want.paid, want.refunded, want.fees = want.paid+e.paid, want.refunded+e.refunded, want.fees+e.fees
	}
	if have[wallet] != want.refunded-want.paid || have[settlement] != want.net() || have[fees] != want.fees || want.fees == 0 || want.refunded == 0 {
		t.Errorf("moved is %v, the sums are %+v", have, want)
	}
}

// Statements are read by what they have posted: what goes to another shard is held first, and posted with a line that names the hold.
func TestSortEntries(t *testing.T) {
	ref, id := holdfast.Ref{7}, holdfast.ID{9}
	line := func(kind holdfast.Kind, credits, debits holdfast.Amount) client.Line {
		return client.Line{Movement: client.Movement{Transfer: holdfast.Transfer{Kind: kind}}, CreditsPosted: credits, DebitsPosted: debits}
	}
	came, held, posted := line(holdfast.Immediate, 100, 0), line(holdfast.Immediate, 100, 0), line(holdfast.Post, 100, 30)
	came.Ref, held.Ref, held.ID, posted.Transfer.Hold = ref, ref, id, id
	seen := tradesSeen{entries: map[holdfast.Ref]*entries{}}
	seen.sort([]client.Line{posted, held, came, line(0, 0, 0)}, func(e *entries) (in, out *sums) { return &e.earned, &e.givenBack })
	if e := seen.entries[ref]; e == nil || e.earned != (sums{100, 1}) || e.givenBack != (sums{30, 1}) || len(seen.entries) != 1 {
		t.Errorf("entries are %+v", seen.entries)
	}
}

// The fee that the drill reckons is the share rounded half up, with what is fixed, and never more than the amount.
func TestFeePlan(t *testing.T) {
	for _, x := range []struct {
		plan        feePlan
		amount, fee holdfast.Amount
	}{
		{feePlan{points: 60}, 10_000, 60},
		{feePlan{points: 60}, 83, 0},
		{feePlan{points: 60}, 84, 1},
		{feePlan{points: 50}, 100, 1},
		{feePlan{points: 49}, 100, 0},
		{feePlan{points: 25, fixed: 20}, 1_000, 23},
		{feePlan{points: 25, fixed: 20}, 7, 7},
	} {
		if got := x.plan.of(x.amount); got != x.fee {
			t.Errorf("%+v takes %d of %d, want %d", x.plan, got, x.amount, x.fee)
		}
	}
}

// An answer is done, refused, or neither: what nobody can be sure of is asked for again, and what was not done may be.
func TestAnswered(t *testing.T) {
	for _, x := range []struct {
		err    error
		status holdfast.Status
		code   string
	}{
		{nil, holdfast.Done, ""},
		{fmt.Errorf("%w; no site answers", client.ErrUnknown), holdfast.Unknown, ""},
		{&client.Error{Status: 504, Code: "outcome-unknown"}, holdfast.Unknown, ""},
		{&client.Error{Status: 422, Code: "refund-too-much"}, holdfast.Refused, "refund-too-much"},
		{&client.Error{Status: 503, Code: "no-quorum"}, holdfast.NotExecuted, ""},
		{&client.Error{Status: 429, Code: "busy"}, holdfast.NotExecuted, ""},
		{context.DeadlineExceeded, holdfast.NotExecuted, ""},
	} {
		if status, code := answered(x.err); status != x.status || code != x.code {
			t.Errorf("%v is %s %q, want %s %q", x.err, status, code, x.status, x.code)
		}
	}
}
