package drill

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"holdfast"
	"holdfast/client"
)

// Trades is what became of the trades of a drill in which people pay. Amounts are in pence.
type Trades struct {
	Merchants int
	Customers int // who have paid
	Trades    int // paid
	Paid      holdfast.Amount
	Refunds   int
	Refunded  holdfast.Amount
	Fees      holdfast.Amount // taken, less given back
	Earned    holdfast.Amount // by all merchants: paid, less refunds and fees
	Asked     int             // again: unknown at their deadline
	Settled   int             // merchants whose day has been settled
	Payout    holdfast.Amount // ordered at their bank by the settlement
	Booked    holdfast.Amount // what the bank says it has paid
}

// Lines tell of the trades in words.
func (t *Trades) Lines() []string {
	return []string{
		fmt.Sprintf("%s have paid £%s to %s in %s; %s gave back £%s", plural(t.Customers, "customer"), inPounds(t.Paid), plural(t.Merchants, "merchant"),
			plural(t.Trades, "trade"), plural(t.Refunds, "refund"), inPounds(t.Refunded)),
		fmt.Sprintf("the platform has £%s in fees, the merchants have earned £%s", inPounds(t.Fees), inPounds(t.Earned)),
		fmt.Sprintf("the next morning %s were settled by the sites: £%s paid out, £%s booked at the bank", plural(t.Settled, "merchant"), inPounds(t.Payout), inPounds(t.Booked)),
	}
}

// Rows are the same as a table.
func (t *Trades) Rows() []Fact {
	return []Fact{
		{"paid", fmt.Sprintf("£%s in %s, by %s to %s", inPounds(t.Paid), plural(t.Trades, "trade"), plural(t.Customers, "customer"), plural(t.Merchants, "merchant"))},
		{"given back", fmt.Sprintf("£%s in %s", inPounds(t.Refunded), plural(t.Refunds, "refund"))},
		{"fees", fmt.Sprintf("£%s, less what was returned with refunds", inPounds(t.Fees))},
		{"earned", fmt.Sprintf("£%s by the merchants", inPounds(t.Earned))},
		{"settled", fmt.Sprintf("£%s to %s, the next morning, by the sites themselves", inPounds(t.Payout), plural(t.Settled, "merchant"))},
		{"at the bank", fmt.Sprintf("£%s booked", inPounds(t.Booked))},
	}
}

// tradeFault is what is wrong with a trade.
type tradeFault struct {
	tradeKey
	kind tradeFaultKind
	what string
}

type tradeFaultKind uint8

const (
	tradeLost tradeFaultKind = iota
	tradeDoubled
	tradeAltered
	tradeUnasked // it is there, and nobody was told so
)

func (f *tradeFault) String() string { return fmt.Sprintf("%s: %s", f.tradeKey, f.what) }

// tradesSeen is what one site says of all trades.
type tradesSeen struct {
	trades  []client.Trade
	refunds []client.Refund
	entries map[holdfast.Ref]*entries
}

// entries are what the statements of a merchant's accounts say under the reference of a trade.
type entries struct{ earned, givenBack, fee, feeBack sums }

// sums of postings.
type sums struct {
	amount holdfast.Amount
	lines  int
}

func (s *sums) add(a holdfast.Amount) { s.amount, s.lines = s.amount+a, s.lines+1 }

func (s sums) String() string { return fmt.Sprintf("%d pence in %d lines", s.amount, s.lines) }

// compareTrades holds what one site says against what must be there, and nothing besides.
func compareTrades(sales map[tradeKey]*sale, seen *tradesSeen) (found []tradeFault) {
	bad := func(k tradeKey, kind tradeFaultKind, format string, args ...any) {
		found = append(found, tradeFault{k, kind, fmt.Sprintf(format, args...)})
	}
	there := map[tradeKey]bool{}
	for i := range seen.trades {
		v := &seen.trades[i]
		k := tradeKey{v.Merchant, v.OutTradeNo}
		s := sales[k]
		switch {
		case s == nil:
			bad(k, tradeUnasked, "it is there (%s), and was not acknowledged", v.Status)
		case there[k]:
			bad(k, tradeDoubled, "it is listed twice")
		default:
			if field := s.unlike(v); field != "" {
				bad(k, tradeAltered, "another %s: paid %d, fee %d, refunded %d, %s", field, v.Amount, v.Fee, v.Refunded, v.Status)
			}
		}
		there[k] = true
	}
	refunds := map[tradeKey][]client.Refund{}
	for i := range seen.refunds {
		k := tradeKey{seen.refunds[i].Merchant, seen.refunds[i].OutTradeNo}
		refunds[k] = append(refunds[k], seen.refunds[i])
	}
	for k, s := range sales {
		if !there[k] {
			bad(k, tradeLost, "acknowledged, and not there")
			continue
		}
		found = append(found, s.compareRefunds(refunds[k])...)
		e := seen.entries[k.ref()]
		if e == nil {
			e = &entries{}
		}
		found = append(found, s.compareEntries(e)...)
		delete(refunds, k)
	}
	asked := map[holdfast.Ref]bool{}
	for k := range sales {
		asked[k.ref()] = true
	}
	for ref, e := range seen.entries {
		if !asked[ref] {
			bad(tradeKey{number: ref.String()}, tradeUnasked, "entries with this reference belong to no trade that was acknowledged: %+v", *e)
		}
	}
	for k := range refunds {
		bad(k, tradeUnasked, "a refund of a trade that is not there")
	}
	slices.SortFunc(found, func(a, b tradeFault) int { return strings.Compare(a.number, b.number) })
	return found
}

// unlike names the first thing in which a trade is not what it must be.
func (s *sale) unlike(v *client.Trade) string {
	return unlike(map[string]bool{
		"payer": v.Payer == s.customer, "asset": v.Asset == pounds, "subject": v.Subject == "Order "+s.number, "amount": v.Amount == s.amount,
		"status": v.Status == s.status(), "fee": v.Fee == s.fee, "fee returned": v.FeeReturned == s.feeBack(), "refunded": v.Refunded == s.refunded,
	})
}

func (s *sale) compareRefunds(there []client.Refund) (found []tradeFault) {
	bad := func(kind tradeFaultKind, format string, args ...any) {
		found = append(found, tradeFault{s.tradeKey, kind, fmt.Sprintf(format, args...)})
	}
	seen, back := map[string]bool{}, holdfast.Amount(0)
	for i := range there {
		r := &there[i]
		amount, known := s.refunds[r.OutRequestNo]
		switch {
		case !known:
			bad(tradeUnasked, "refund %s of %d pence is there, and was not acknowledged", r.OutRequestNo, r.Amount)
		case seen[r.OutRequestNo]:
			bad(tradeDoubled, "refund %s is listed twice", r.OutRequestNo)
		case amount != r.Amount:
			bad(tradeAltered, "refund %s is of %d pence, acknowledged were %d", r.OutRequestNo, r.Amount, amount)
		}
		seen[r.OutRequestNo], back = true, back+r.FeeReturned
	}
	for number := range s.refunds {
		if !seen[number] {
			bad(tradeLost, "refund %s was acknowledged, and is not there", number)
		}
	}
	if back != s.feeBack() {
		bad(tradeAltered, "its refunds have returned %d pence of the fee, not %d", back, s.feeBack())
	}
	return found
}

// compareEntries holds the entries of the ledger against the trade. Money that came twice is told apart from money that is another.
func (s *sale) compareEntries(e *entries) (found []tradeFault) {
	one := func(of string, have sums, want holdfast.Amount, atMost int) {
		switch {
		case have.amount == want && have.lines <= max(atMost, 1):
			return
		case have.amount > want && have.lines > atMost:
			found = append(found, tradeFault{s.tradeKey, tradeDoubled, fmt.Sprintf("its %s in the ledger are %s, not %d pence", of, have, want)})
		case have.lines == 0:
			found = append(found, tradeFault{s.tradeKey, tradeLost, fmt.Sprintf("its %s are not in the ledger: %d pence", of, want)})
		default:
			found = append(found, tradeFault{s.tradeKey, tradeAltered, fmt.Sprintf("its %s in the ledger are %s, not %d pence", of, have, want)})
		}
	}
	one("earnings", e.earned, s.amount-s.fee, 1)
	one("fees", e.fee, s.fee, 1)
	one("refunds", e.givenBack, s.refunded-s.feeBack(), len(s.refunds))
	one("returned fees", e.feeBack, s.feeBack(), len(s.refunds))
	return found
}

// resolve asks again, with the same number, for everything of which no caller knows what became. From then on each call is done or is not.
func (p *prover) resolve(ctx context.Context) error {
	list := p.load.deals.list
	p.trades = &Trades{Merchants: len(p.world.market.sellers)}
	for _, refunds := range []bool{false, true} { // of one that has been paid by that, nothing was refunded: its refunds were not asked for
		for i := range list {
			d := &list[i]
			if d.status != holdfast.Unknown || d.refund() != refunds {
				continue
			}
			p.trades.Asked++
			err := tillAnswered(ctx, func(ctx context.Context) error { return d.ask(ctx, p.home.sites[i%len(p.home.sites)].own) })
			if d.status, d.said = answered(err); d.status != holdfast.Done && d.status != holdfast.Refused {
				return fmt.Errorf("%s: %w", d.tradeKey, err)
			}
		}
	}
	p.refusedTrades(list)
	p.sales = sold(list, p.world.market)
	p.sumUp()
	return nil
}

// refusedTrades tells which calls were refused, or answered with something else: nothing stood against any of them.
func (p *prover) refusedTrades(list []deal) {
	codes := map[string]int{}
	for i := range list {
		if d := &list[i]; d.status == holdfast.Refused {
			codes["refused: "+d.said]++
		} else if d.odd != "" {
			codes["answered with another "+d.odd]++
		}
	}
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		p.findings = append(p.findings, fmt.Sprintf("%s although nothing stood against it: %s", plural(codes[code], "trade or refund"), code))
	}
}

func (p *prover) sumUp() {
	t, customers := p.trades, map[holdfast.Owner]bool{}
	for _, s := range p.sales {
		customers[s.customer] = true
		t.Trades, t.Paid = t.Trades+1, t.Paid+s.amount
		t.Refunds, t.Refunded = t.Refunds+len(s.refunds), t.Refunded+s.refunded
		t.Fees += s.fee - s.feeBack()
	}
	t.Customers, t.Earned = len(customers), t.Paid-t.Refunded-t.Fees
}

// addSales adds what trades have moved to what every account must have.
func (p *prover) addSales(t *totals) {
	if p.world.market == nil {
		return
	}
	for _, s := range p.sales {
		t.add(s.txn(p.world.market))
	}
}

// tradesBack reads every trade, every refund and the entries of each in the ledger from every site.
func (p *prover) tradesBack(ctx context.Context) error {
	sites := p.home.sites
	seen, errs := make([]tradesSeen, len(sites)), make([]error, len(sites))
	var wg sync.WaitGroup
	for i, m := range sites {
		wg.Go(func() {
			if seen[i], errs[i] = p.readTrades(ctx, m.own); errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", m.name, errs[i])
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	wrong := 0
	for i := range seen {
		found := compareTrades(p.sales, &seen[i])
		wrong += len(found)
		for _, f := range found {
			p.blame(&f)
		}
		for _, f := range found[:min(len(found), 5)] {
			p.findings = append(p.findings, fmt.Sprintf("%s: %s", sites[i].name, f.String()))
		}
	}
	t := p.trades
	p.add("Every acknowledged trade is there, once, unaltered", wrong == 0, "%s and %s × %d sites read back, each with its entries in the ledger: %d differ",
		plural(t.Trades, "trade"), plural(t.Refunds, "refund"), len(sites), wrong)
	if t.Asked > 0 {
		p.add("Unknown trades were asked for again", true, "%d unknown at their deadline, asked for again with the same number: each is there once or not at all", t.Asked)
	}
	return nil
}

// blame counts what is wrong with a trade, beside the transfers of which the same is wrong.
func (p *prover) blame(f *tradeFault) {
	into := [...]map[holdfast.ID]string{tradeLost: p.lost, tradeDoubled: p.duplicated, tradeAltered: p.altered, tradeUnasked: p.phantom}[f.kind]
	into[holdfast.ID(f.ref())] = f.String()
}

// readTrades reads everything that one site says of trades.
func (p *prover) readTrades(ctx context.Context, c *client.Client) (seen tradesSeen, err error) {
	seen.entries = map[holdfast.Ref]*entries{}
	type part struct {
		trades []client.Trade
		lines  [2][]client.Line // of settlement and fees
		err    error
	}
	sellers := p.world.market.sellers
	parts := askAll(sellers, func(s seller) (x part) {
		if x.trades, x.err = tradesOf(ctx, c, s.owner); x.err != nil {
			return x
		}
		for i, account := range []holdfast.AccountID{s.settlement(), s.fees()} {
			if x.lines[i], x.err = linesOf(ctx, c, account); x.err != nil {
				return x
			}
		}
		return x
	})
	var refunded []client.Trade
	for i := range parts {
		x := &parts[i]
		if x.err != nil {
			return seen, x.err
		}
		seen.trades = append(seen.trades, x.trades...)
		seen.sort(x.lines[0], func(e *entries) (in, out *sums) { return &e.earned, &e.givenBack })
		seen.sort(x.lines[1], func(e *entries) (in, out *sums) { return &e.fee, &e.feeBack })
	}
	for i := range seen.trades {
		v := &seen.trades[i]
		if s := p.sales[tradeKey{v.Merchant, v.OutTradeNo}]; v.Refunded > 0 || s != nil && len(s.refunds) > 0 {
			refunded = append(refunded, *v)
		}
	}
	type back struct {
		refunds []client.Refund
		err     error
	}
	for _, x := range askAll(refunded, func(v client.Trade) back {
		list, err := refundsOf(ctx, c, v.Merchant, v.OutTradeNo)
		return back{list, err}
	}) {
		if x.err != nil {
			return seen, x.err
		}
		seen.refunds = append(seen.refunds, x.refunds...)
	}
	return seen, nil
}

// sort adds what the lines of a statement, newest first, have posted to the entries of the trades that they name. What that is is told by the totals
// of the account behind each line. What goes to another shard stands there twice: as it is held, and posted when it has arrived.
func (seen *tradesSeen) sort(lines []client.Line, sides func(*entries) (in, out *sums)) {
	refs := map[holdfast.ID]holdfast.Ref{}
	for i := range lines {
		refs[lines[i].ID] = lines[i].Ref
	}
	var before client.Line // before the oldest there was nothing
	for _, l := range slices.Backward(lines) {
		came, went := l.CreditsPosted-before.CreditsPosted, l.DebitsPosted-before.DebitsPosted
		before = l
		if came == 0 && went == 0 {
			continue
		}
		ref := l.Ref
		if l.Kind == holdfast.Post {
			ref = refs[l.Transfer.Hold]
		}
		e := seen.entries[ref]
		if e == nil {
			e = &entries{}
			seen.entries[ref] = e
		}
		in, out := sides(e)
		if came != 0 {
			in.add(came)
		}
		if went != 0 {
			out.add(went)
		}
	}
}

// paged reads all pages of a list.
func paged[T any](ctx context.Context, page func(ctx context.Context, cursor string) ([]T, string, error)) (all []T, err error) {
	type answer struct {
		list []T
		next string
	}
	for cursor := ""; ; {
		a, err := retried(ctx, func(ctx context.Context) (answer, error) {
			list, next, err := page(ctx, cursor)
			return answer{list, next}, err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, a.list...)
		if cursor = a.next; cursor == "" {
			return all, nil
		}
	}
}

func tradesOf(ctx context.Context, c *client.Client, merchant holdfast.Owner) ([]client.Trade, error) {
	return paged(ctx, func(ctx context.Context, cursor string) ([]client.Trade, string, error) {
		return c.Trades(ctx, merchant, cursor, client.MaxPage)
	})
}

func refundsOf(ctx context.Context, c *client.Client, merchant holdfast.Owner, number string) ([]client.Refund, error) {
	return paged(ctx, func(ctx context.Context, cursor string) ([]client.Refund, string, error) {
		return c.Refunds(ctx, merchant, number, cursor, client.MaxPage)
	})
}

func linesOf(ctx context.Context, c *client.Client, account holdfast.AccountID) ([]client.Line, error) {
	return paged(ctx, func(ctx context.Context, cursor string) ([]client.Line, string, error) {
		page, err := c.StatementPage(ctx, account, cursor, client.MaxPage)
		return page.Lines, page.Next, err
	})
}
