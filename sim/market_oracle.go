package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdfast"
	"holdfast/ledger"
	"holdfast/pay"
)

// What is true of a market: after every entry of a log what a trade may become, and in the end that everything which was acknowledged is in the
// books, once, and nothing that was denied.

// shelf is the books of one shard as its log says, for looking at only.
type shelf struct{ o *oracle }

var errOnlyLooking = errors.New("these books are only looked at")

// Record implements pay.Books.
func (s shelf) Record(_ context.Context, key string) (holdfast.Record, bool, error) {
	l := s.o.twin.records[key]
	if l == nil {
		return holdfast.Record{}, false, nil
	}
	return l.now(), l.now().Version > 0, nil
}

// Records implements pay.Books.
func (s shelf) Records(context.Context, string, string, int) ([]holdfast.Record, error) {
	return nil, errOnlyLooking
}

// ByIndex implements pay.Books.
func (s shelf) ByIndex(context.Context, string, string, int) ([]holdfast.Record, error) {
	return nil, errOnlyLooking
}

// Account implements pay.Books.
func (s shelf) Account(_ context.Context, id holdfast.AccountID) (holdfast.Account, bool, error) {
	a := s.o.twin.sums(id)
	return a, a.Opened > 0, nil
}

// Submit implements pay.Books.
func (s shelf) Submit(context.Context, *holdfast.Txn) (holdfast.Outcome, error) {
	return holdfast.Outcome{}, errOnlyLooking
}

// library is the books of the fleet when nothing moves, read from the replicas that lead.
type library struct {
	shelf
	m *market
}

func (b library) leader(o holdfast.Owner) *replica {
	at := b.m.f.crossings.shardOf(o)
	if n := b.m.f.nomads; n != nil {
		at = n.now().ShardOf(o)
	}
	for _, p := range b.m.f.sites {
		if r := p.replicas[at-1]; r.core != nil && !r.out && r.core.Leader().Self {
			return r
		}
	}
	panic(fmt.Sprintf("sim: nobody leads shard %d, and all is settled", at))
}

// Record implements pay.Books.
func (b library) Record(_ context.Context, key string) (holdfast.Record, bool, error) {
	return b.leader(holdfast.OwnerOfKey(key)).record(key)
}

// Records implements pay.Books.
func (b library) Records(_ context.Context, prefix, after string, max int) ([]holdfast.Record, error) {
	owner, err := holdfast.OwnerOfPrefix(prefix)
	if err != nil {
		return nil, err
	}
	return b.leader(owner).listed(prefix, after, max)
}

// Account implements pay.Books.
func (b library) Account(_ context.Context, id holdfast.AccountID) (a holdfast.Account, found bool, err error) {
	b.leader(id.Owner).machine.State(func(s *ledger.State) { a, found = s.Account(id) })
	return a, found, nil
}

// watch looks at every trade that the last entry of a shard has written, where its merchant is served.
func (m *market) watch(o *oracle) {
	for _, key := range o.twin.wrote {
		owner := holdfast.OwnerOfKey(key)
		_, rest, is := strings.Cut(key, "/trade/")
		now := o.twin.records[key].now()
		if gate := o.twin.gate(owner.Slot()); owner == 0 || !is || now.Version == 0 || now.Pending != nil || gate == ledger.GateGone || gate == ledger.GateArriving {
			continue
		}
		v, err := m.cashier(shelf{o}).Query(background, owner, rest, 0)
		if err != nil {
			m.fail("trade", "trade %s of %s cannot be read: %v", rest, owner, err)
			return
		}
		if what := illegal(m.legal[key], &v); what != "" {
			m.fail("trade", "trade %s of %s: %s: it was %+v, and is %+v", rest, owner, what, m.legal[key], v)
		}
		m.legal[key] = &v
		m.stats.Judged++
	}
	o.twin.wrote = o.twin.wrote[:0]
}

// after says what a trade may become, in the words of Alipay's interface: once paid it is never unpaid, and closed is closed.
var after = map[pay.Status][]pay.Status{
	pay.NoTrade:       {pay.StatusWaiting, pay.StatusSuccess, pay.StatusClosed},
	pay.StatusWaiting: {pay.StatusWaiting, pay.StatusSuccess, pay.StatusClosed},
	pay.StatusSuccess: {pay.StatusSuccess, pay.StatusClosed},
	pay.StatusClosed:  {pay.StatusClosed},
}

// illegal says what is wrong with a trade, or with what it has come from; was is nil for a new one.
func illegal(was, is *pay.Trade) string {
	if was == nil {
		was = &pay.Trade{Payer: is.Payer, TradeOffer: is.TradeOffer}
	}
	legal := false
	for _, s := range after[was.Status] {
		legal = legal || s == is.Status
	}
	switch {
	case !legal:
		return fmt.Sprintf("%s after %s", is.Status, was.Status)
	case was.Payer != 0 && was.Payer != is.Payer:
		return "another has paid"
	case is.Status == pay.StatusWaiting && is.Payer != 0 || is.Status == pay.StatusSuccess && is.Payer == 0:
		return "who has paid does not fit the state"
	case was.Amount != is.Amount || was.Mode != is.Mode:
		return "the offer has changed"
	case is.Refunded < was.Refunded || is.FeeTaken < was.FeeTaken || is.FeeBack < was.FeeBack || is.Released < was.Released || is.Shared < was.Shared ||
		is.ShareBack < was.ShareBack:
		return "something has been taken back"
	case is.Refunded > is.Amount || is.FeeBack > is.FeeTaken || is.ShareBack > is.Shared || is.Kept < 0 || is.Kept > is.Amount:
		return "the amounts do not fit"
	case is.Payer != 0 && (is.Status == pay.StatusClosed) != (is.Refunded == is.Amount):
		return "what is refunded does not fit the state"
	}
	return ""
}

// finish judges everything when nothing moves any more.
func (m *market) finish() {
	c := m.cashier(library{m: m})
	for _, d := range m.deals {
		switch {
		case d.done && d.missing != nil && d.missing(c) != "":
			m.fail("lost-deal", "it was answered that %s: %s is not in the books", d.what, d.missing(c))
		case !d.done && !d.maybe && d.asked == 0 && d.happened != nil:
			m.stats.NeverDone++
			if d.happened(c) {
				m.fail("phantom-deal", "whoever asked that %s was told every time that it has not happened, and it is in the books", d.what)
			}
		}
	}
	for _, u := range m.codes {
		if isPaid(c, u.sales[0], u.payer) && isPaid(c, u.sales[1], u.payer) {
			m.fail("code", "one code of %s has paid %s and %s", u.payer, u.sales[0].no, u.sales[1].no)
		}
	}
	m.audit(c)
	for _, s := range m.sales {
		m.countRefunds(c, s)
	}
	for i, o := range m.buyers {
		m.recount(c, o, i)
	}
	for _, d := range sorted(m.days) {
		m.countDay(c, d)
	}
	if a, _, _ := c.Books.Account(background, holdfast.AccountID{Owner: m.bank, Purpose: pay.BankMoney, Asset: yuan}); a.Balance() != -startMoney*holdfast.Amount(len(m.buyers)) {
		m.fail("market", "customers have brought %d each, and the bank's account says %d", startMoney, a.Balance())
	}
}

// audit asks the domain itself.
func (m *market) audit(c *pay.Cashier) {
	check := func(of func(context.Context, holdfast.Owner, holdfast.Asset) ([]pay.Difference, error), o holdfast.Owner) {
		list, err := of(background, o, yuan)
		if err != nil {
			m.fail("audit", "the books of %s: %v", o, err)
		}
		least := ""
		for _, d := range list { // in no order
			if text := d.String(); least == "" || text < least {
				least = text
			}
		}
		if least != "" {
			m.fail("audit", "%s", least)
		}
	}
	for i := range m.stalls {
		check(c.AuditMerchant, m.stalls[i].owner)
	}
	for _, o := range m.buyers {
		check(c.AuditCustomer, o)
	}
}

// countRefunds compares what a trade says was refunded with the refunds that are in the books.
func (m *market) countRefunds(c *pay.Cashier, s *sale) {
	v, err := c.Query(background, s.stall.owner, s.no, 0)
	if refusalOf(err) == pay.TradeUnknown {
		return
	}
	if err != nil {
		m.fail("market", "%s: %v", s.no, err)
		return
	}
	var sum holdfast.Amount
	for number := range s.refunds {
		if _, r, found, err := c.QueryRefund(background, s.stall.owner, s.no, number, 0); found && err == nil {
			sum += r.Amount
		}
	}
	if sum > v.Refunded || sum < v.Refunded && !s.whole {
		m.fail("market", "%s says that %d are refunded, and its refunds come to %d", s.no, v.Refunded, sum)
	}
	if s.seen.untrue(&v) {
		m.fail("market", "%s is %+v in the end, and was acknowledged %+v", s.no, v, s.seen)
	}
}

// recount adds up all that has happened to a customer, from what is said of each deal, and compares it with his wallet.
func (m *market) recount(c *pay.Cashier, o holdfast.Owner, i int) {
	want := holdfast.Amount(startMoney)
	for _, s := range m.sales {
		v, err := c.Query(background, s.stall.owner, s.no, 0)
		if err == nil && v.Payer == o {
			want += v.Refunded
			if s.auth == "" {
				want -= v.Amount
			}
		}
		for _, ask := range s.shares {
			want += m.sharesOf(c, ask, o)
		}
	}
	for _, g := range m.gifts {
		if (g.From == o || g.To == o) && g.there(c) {
			if g.To == o {
				want += g.Amount
			} else {
				want -= g.Amount
			}
		}
	}
	for _, ask := range m.drawn {
		if ask.Owner != o {
			continue
		}
		if order, err := c.QueryBankOrder(background, pay.BankOrder{Owner: o, Number: ask.Number}); err == nil && order.Status != pay.OrderReturned {
			want -= order.Amount
		}
	}
	for _, ask := range m.frozen {
		if v, err := c.QueryAuth(background, ask.Merchant, ask.OutOrderNo, 0); err == nil && v.Payer == o {
			want -= v.Rest + v.Paid
		}
	}
	a, _, _ := c.Books.Account(background, holdfast.AccountID{Owner: o, Purpose: pay.Wallet, Asset: yuan})
	if a.Balance() != want {
		m.fail("market", "customer %d, %s, has %d, and all that happened comes to %d", i, o, a.Balance(), want)
	}
}

func (m *market) sharesOf(c *pay.Cashier, ask *pay.SplitAsk, o holdfast.Owner) (sum holdfast.Amount) {
	done, _, err := c.QuerySplit(background, ask.Merchant, ask.Number)
	if err != nil {
		m.fail("market", "the split %s: %v", ask.Number, err)
	}
	for _, s := range done.Shares {
		if s.To == o && s.Paid {
			sum += s.Amount
		}
		if s.To == o && s.Back {
			m.stats.ShareBack++
		}
	}
	return sum
}

// countDay compares what a day was settled with with its rows as they are in the end, and with the payout.
func (m *market) countDay(c *pay.Cashier, d *dayPaid) {
	from, until := holdfast.Time(epoch)+holdfast.Time(d.stall.midnight), holdfast.Time(0)
	const day = holdfast.Time(24 * 60 * 60 * 1e9)
	if until = from + day; d.day == firstDay {
		from, until = from-day, from
	}
	var net, told, payout holdfast.Amount
	err := c.Rows(background, d.stall.owner, from, until, func(e *pay.Event) {
		if e.Asset == yuan && e.Kind != pay.EventSettled {
			net += e.Effect
		}
	})
	if err != nil {
		m.fail("settlement", "the rows of %s: %v", d.day, err)
	}
	for i := range d.told {
		told, payout = told+d.told[i].Net, payout+d.told[i].Payout
	}
	if net != told {
		m.fail("settlement", "the day %s of %s was settled with %d, and its rows come to %d", d.day, d.stall.owner, told, net)
	}
	order, err := c.QueryBankOrder(background, pay.BankOrder{Owner: d.stall.owner, Payout: true, Number: d.day + "-" + yuan.String()})
	if err != nil && refusalOf(err) != pay.OrderUnknown || err == nil && order.Amount != payout || err != nil && payout != 0 {
		m.fail("settlement", "the day %s of %s pays %d, and the order says %d (%v)", d.day, d.stall.owner, payout, order.Amount, err)
	}
}

// sorted are the days in an order of their own.
func sorted(days map[string]*dayPaid) (list []*dayPaid) {
	for _, key := range slices.Sorted(maps.Keys(days)) {
		list = append(list, days[key])
	}
	return list
}
