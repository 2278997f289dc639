package sim

import (
	"errors"
	"fmt"
	"time"

	"holdfast"
	"holdfast/pay"
)

// What people ask for in a market, and what follows from an answer that it is done.

func (p *patron) buyer() holdfast.Owner   { return pick(p.f.e.rng, p.buyers) }
func (p *patron) amount() holdfast.Amount { return holdfast.Amount(1 + p.f.e.rng.IntN(900)) }

// sale makes one more, which nobody has asked for yet.
func (p *patron) sale(mode pay.Mode) *sale {
	s := &sale{
		stall: &p.stalls[p.f.e.rng.IntN(len(p.stalls))], no: p.number("T"), amount: p.amount(), mode: mode,
		refunds: map[string]holdfast.Amount{}, shares: map[string]*pay.SplitAsk{},
	}
	p.sales = append(p.sales, s)
	return s
}

func (s *sale) ask() pay.TradeAsk {
	return pay.TradeAsk{
		Merchant: s.stall.owner, OutTradeNo: s.no,
		TradeOffer: pay.TradeOffer{Amount: s.amount, Asset: yuan, Mode: s.mode, Subject: "tea"},
	}
}

// recent is a sale of a moment ago; nil: there is none that will do.
func (p *patron) recent(will func(*sale) bool) *sale {
	from := max(0, len(p.sales)-12)
	for range 4 {
		if len(p.sales) == 0 {
			break
		}
		if s := p.sales[from+p.f.e.rng.IntN(len(p.sales)-from)]; will(s) {
			return s
		}
	}
	return nil
}

func anySale(*sale) bool  { return true }
func paid(s *sale) bool   { return s.seen.payer != 0 }
func unpaid(s *sale) bool { return s.seen.payer == 0 }
func of(mode pay.Mode) func(*sale) bool {
	return func(s *sale) bool { return s.mode == mode && paid(s) }
}

// draw is what somebody wants; nothing when there is no sale that it could be about.
func (p *patron) draw() []*deal {
	rng := p.f.e.rng
	one := func(s *sale, make func(*sale) *deal) []*deal {
		if s == nil {
			return nil
		}
		return []*deal{make(s)}
	}
	switch n := rng.IntN(100); {
	case n < 8:
		return []*deal{p.create(p.sale(pay.Mode(rng.IntN(3))))}
	case n < 20:
		return []*deal{p.payNew(p.sale(pay.Mode(rng.IntN(3))), p.buyer())}
	case n < 32:
		return one(p.recent(unpaid), func(s *sale) *deal { return p.pay(s, p.buyer()) })
	case n < 37: // two at the same time
		if s := p.recent(unpaid); s != nil {
			return []*deal{p.pay(s, p.buyers[0]), p.pay(s, p.buyers[1+rng.IntN(len(p.buyers)-1)])}
		}
		return nil
	case n < 45:
		return p.showCode()
	case n < 48:
		return []*deal{p.scan(p.sale(pay.Plain), p.buyer())}
	case n < 60:
		return one(p.recent(paid), p.refund)
	case n < 64:
		return one(p.recent(anySale), p.cancel)
	case n < 67:
		return one(p.recent(unpaid), p.closeSale)
	case n < 76:
		return one(p.recent(of(pay.Protected)), p.protect)
	case n < 81:
		if rng.IntN(3) == 0 {
			if d := p.goOn(); d != nil {
				return []*deal{d}
			}
		}
		return one(p.recent(func(s *sale) bool { return paid(s) && s.mode != pay.Protected }), p.split)
	case n < 86:
		return []*deal{p.transfer()}
	case n < 89:
		return []*deal{p.withdraw()}
	case n < 93:
		return []*deal{p.freeze()}
	case n < 96:
		return one(p.recent(anySale), p.query)
	case n < 98:
		return []*deal{p.bar(p.buyer())}
	}
	s := &p.stalls[rng.IntN(len(p.stalls))]
	if p.f.e.now < s.midnight-officeEarly {
		return nil
	}
	at := p.now() + holdfast.Time(officeEarly+pay.SettleLag+time.Second)
	return []*deal{p.settle(s, firstDay, at), p.settle(s, firstDay, at)}
}

func (m *market) create(s *sale) *deal {
	return &deal{
		what: fmt.Sprintf("%s of %d is made", s.no, s.amount),
		do:   func(t *till) error { _, err := t.Create(t.ctx, s.ask(), t.now); return err },
		told: func() { s.seen.there = true },
	}
}

// bought notes that a sale was paid.
func (m *market) bought(s *sale, payer holdfast.Owner) {
	m.stats.Paid++
	if s.seen.payer != 0 && s.seen.payer != payer {
		m.fail("trade", "%s is paid by %s, and was paid by %s", s.no, payer, s.seen.payer)
	}
	s.seen.there, s.seen.payer = true, payer
}

// isPaid reports that the books say of a sale that somebody has paid it.
func isPaid(c *pay.Cashier, s *sale, payer holdfast.Owner) bool {
	v, err := c.Query(background, s.stall.owner, s.no, 0)
	return err == nil && v.Payer == payer
}

func (m *market) payNew(s *sale, payer holdfast.Owner) *deal {
	s.buyer = payer
	return &deal{
		what:     fmt.Sprintf("%s pays %s of %d", payer, s.no, s.amount),
		do:       func(t *till) error { _, err := t.PayNew(t.ctx, s.ask(), payer, t.now); return err },
		told:     func() { m.bought(s, payer) },
		missing:  func(c *pay.Cashier) string { return unless(isPaid(c, s, payer), "the payment") },
		happened: func(c *pay.Cashier) bool { return isPaid(c, s, payer) },
	}
}

func unless(ok bool, what string) string {
	if ok {
		return ""
	}
	return what
}

func (m *market) pay(s *sale, payer holdfast.Owner) *deal {
	return &deal{
		what: fmt.Sprintf("%s pays %s", payer, s.no),
		do: func(t *till) error {
			_, err := t.Pay(t.ctx, pay.PayAsk{Merchant: s.stall.owner, OutTradeNo: s.no, Payer: payer}, t.now)
			return err
		},
		told:    func() { m.bought(s, payer) },
		missing: func(c *pay.Cashier) string { return unless(isPaid(c, s, payer), "the payment") },
	}
}

// scan is a shop that shows a QR code, and a customer who opens it and pays.
func (m *market) scan(s *sale, payer holdfast.Owner) *deal {
	random := m.random()
	s.buyer = payer
	return &deal{
		what: fmt.Sprintf("%s scans %s", payer, s.no),
		do: func(t *till) error {
			_, token, err := t.Precreate(t.ctx, s.ask(), random, t.now)
			if code := refusalOf(err); err != nil && code != pay.TradeTokenConflict && code != pay.TradePaid {
				return err
			}
			if _, err := t.Open(t.ctx, token, t.now); err != nil {
				return err
			}
			_, err = t.Pay(t.ctx, pay.PayAsk{Merchant: s.stall.owner, OutTradeNo: s.no, Payer: payer}, t.now)
			return err
		},
		told:    func() { m.stats.Shown++; m.bought(s, payer) },
		missing: func(c *pay.Cashier) string { return unless(isPaid(c, s, payer), "the payment") },
	}
}

func refusalOf(err error) pay.Code {
	var r *pay.Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

// showCode is a customer whose payment code is used in two shops in the same instant.
func (p *patron) showCode() []*deal {
	payer := p.buyer()
	code := pay.PaymentCode(payer, p.secret[:], p.now())
	for _, u := range p.codes {
		if u.payer == payer {
			return nil // a customer has one code a minute
		}
	}
	u := &codeUse{payer: payer}
	p.codes = append(p.codes, u)
	var list []*deal
	for i := range u.sales {
		s := p.sale(pay.Plain)
		s.buyer = payer
		u.sales[i] = s
		list = append(list, &deal{
			what: fmt.Sprintf("%s shows a code for %s of %d", payer, s.no, s.amount),
			do: func(t *till) error {
				_, err := t.PayByCode(t.ctx, s.ask(), code, t.now)
				if refusalOf(err) == pay.CodeUsed {
					p.market.stats.CodesRefused++
				}
				return err
			},
			told:     func() { p.bought(s, payer) },
			missing:  func(c *pay.Cashier) string { return unless(isPaid(c, s, payer), "the payment") },
			happened: func(c *pay.Cashier) bool { return isPaid(c, s, payer) },
		})
	}
	p.market.stats.CodesTwice++
	return list
}

func (m *market) refund(s *sale) *deal {
	ask := pay.RefundAsk{Merchant: s.stall.owner, OutTradeNo: s.no, Number: m.number("R"), Amount: 1 + holdfast.Amount(m.f.e.rng.Int64N(int64(s.amount)))}
	s.refunds[ask.Number] = ask.Amount
	there := func(c *pay.Cashier) bool {
		_, r, found, err := c.QueryRefund(background, ask.Merchant, ask.OutTradeNo, ask.Number, 0)
		return err == nil && found && r.Amount == ask.Amount
	}
	return &deal{
		what:     fmt.Sprintf("%d of %s go back", ask.Amount, s.no),
		do:       func(t *till) error { _, _, err := t.Refund(t.ctx, ask, t.now); return err },
		told:     func() { m.stats.Repaid++; s.seen.back += ask.Amount },
		missing:  func(c *pay.Cashier) string { return unless(there(c), "the refund") },
		happened: there,
	}
}

func (m *market) cancel(s *sale) *deal {
	s.whole = true
	return &deal{
		what: s.no + " is cancelled",
		do:   func(t *till) error { _, _, err := t.Cancel(t.ctx, s.stall.owner, s.no, t.now); return err },
		told: func() { m.stats.Cancelled++; s.seen.there, s.seen.closed = true, true },
	}
}

func (m *market) closeSale(s *sale) *deal {
	return &deal{
		what: s.no + " is closed",
		do:   func(t *till) error { _, err := t.Close(t.ctx, s.stall.owner, s.no, t.now); return err },
		told: func() { m.stats.Closed++; s.seen.closed = true },
	}
}

// protect is a step of a trade whose money the platform keeps.
func (p *patron) protect(s *sale) *deal {
	ask := pay.EscrowAsk{Merchant: s.stall.owner, OutTradeNo: s.no, By: s.seen.payer}
	d := &deal{told: func() { p.market.stats.Escrows++ }}
	switch p.f.e.rng.IntN(6) {
	case 0:
		ask.By = ask.Merchant
		d.what = s.no + " is shipped"
		d.do = func(t *till) error { _, err := t.Ship(t.ctx, ask, 72*time.Hour, t.now); return err }
	case 1, 2:
		d.what = s.no + " has been received"
		d.do = func(t *till) error { _, err := t.Confirm(t.ctx, ask, t.now); return err }
	case 3:
		total := 1 + s.amount/3
		d.what = fmt.Sprintf("%d of %s are released", total, s.no)
		d.do = func(t *till) error { _, err := t.Release(t.ctx, ask, total, t.now); return err }
	case 4:
		d.what = s.no + " is disputed"
		d.do = func(t *till) error { _, err := t.Dispute(t.ctx, ask, t.now); return err }
		d.told = func() { p.market.stats.Disputes++ }
	default:
		s.whole = true // how much goes back follows from what is kept by then
		give := holdfast.Amount(p.f.e.rng.Int64N(int64(s.amount)/2 + 1))
		d.what = fmt.Sprintf("%d of %s are for the merchant, so it is decided", give, s.no)
		d.do = func(t *till) error { _, err := t.Decide(t.ctx, ask, give, t.now); return err }
	}
	return d
}

func (p *patron) split(s *sale) *deal {
	ask := pay.SplitAsk{Merchant: s.stall.owner, OutTradeNo: s.no, Number: p.number("S"), Finish: p.f.e.chance(0.3)}
	to := p.buyer()
	for _, o := range p.buyers { // rather one who cannot take it
		if p.barred[o] && p.f.e.chance(0.7) {
			to = o
		}
	}
	for _, to := range []holdfast.Owner{to, p.stalls[0].owner} {
		if to != ask.Merchant && p.f.e.chance(0.8) {
			ask.Shares = append(ask.Shares, pay.Share{To: to, Amount: 1 + s.amount/10})
		}
	}
	ask.Finish = ask.Finish || len(ask.Shares) == 0
	s.shares[ask.Number] = &ask
	p.splits = append(p.splits, &ask)
	return &deal{
		what: fmt.Sprintf("%s is split among %d others", s.no, len(ask.Shares)),
		do: func(t *till) error {
			_, done, err := t.Split(t.ctx, ask, t.now)
			if err == nil {
				p.heardOf(&done)
			}
			return err
		},
		told:    func() { p.market.stats.Splits++ },
		missing: func(c *pay.Cashier) string { return p.lost(c, &ask) },
	}
}

// heardOf notes what an answer says of the shares of a split: what is paid stays paid, and what has come back stays where it is.
func (m *market) heardOf(done *pay.SplitAsk) {
	had := m.shares[done.Number]
	if had == nil {
		had = make([]pay.Share, len(done.Shares))
		m.shares[done.Number] = had
	}
	for i, s := range done.Shares {
		if s.Paid && had[i].Back || s.Back && had[i].Paid {
			m.fail("share", "share %d of %s is said to be paid and to have come back", i, done.Number)
		}
		had[i].Paid, had[i].Back = had[i].Paid || s.Paid, had[i].Back || s.Back
	}
}

// lost says what of a split that was answered done is not in the books. A share whose receiver could not take it waits, as long as the split is due.
func (m *market) lost(c *pay.Cashier, ask *pay.SplitAsk) string {
	done, found, err := c.QuerySplit(background, ask.Merchant, ask.Number)
	if err != nil || !found || len(done.Shares) != len(ask.Shares) {
		return "the split"
	}
	m.heardOf(&done)
	r, _, err := c.Books.Record(background, holdfast.OwnedKey(ask.Merchant, "split/"+ask.Number))
	due := err == nil && len(r.Index) == 1
	for i, s := range done.Shares {
		if had := m.shares[ask.Number][i]; had.Paid != s.Paid || had.Back != s.Back || !s.Paid && !s.Back && !due {
			return "a share"
		}
	}
	return ""
}

// goOn is whoever works through what is due: he comes to a split some time after it. In the end, when that time is over, what nobody could take comes
// back.
func (p *patron) goOn() *deal {
	if len(p.splits) == 0 {
		return nil
	}
	from := max(0, len(p.splits)-6)
	ask := p.splits[from+p.f.e.rng.IntN(len(p.splits)-from)]
	later := holdfast.Time(0)
	if p.f.e.chance(0.3) {
		later = holdfast.Time(8 * 24 * time.Hour)
	}
	due, _ := pay.DueOf(&holdfast.Record{Key: holdfast.OwnedKey(ask.Merchant, "split/"+ask.Number)})
	return &deal{
		what: fmt.Sprintf("the split %s goes on", ask.Number),
		do:   func(t *till) error { return t.RunDue(t.ctx, due, t.now+later) },
		told: func() { p.market.stats.GoneOn++ },
	}
}

func (p *patron) transfer() *deal {
	i := p.f.e.rng.IntN(len(p.buyers))
	to := (i + 1 + p.f.e.rng.IntN(len(p.buyers)-1)) % len(p.buyers)
	ask := pay.TransferAsk{From: p.buyers[i], To: p.buyers[to], Number: p.number("X"), Asset: yuan, Amount: p.amount()}
	there := func(c *pay.Cashier) bool {
		o, err := c.QueryTransfer(background, ask.From, ask.Number)
		return err == nil && o.Amount == ask.Amount && o.Other == ask.To
	}
	p.gifts = append(p.gifts, gift{ask, there})
	return &deal{
		what: fmt.Sprintf("%s sends %d to %s", ask.From, ask.Amount, ask.To),
		do: func(t *till) error {
			_, err := t.TransferTo(t.ctx, ask, aliasOf(to), t.now)
			return err
		},
		told:     func() { p.market.stats.Sent++ },
		missing:  func(c *pay.Cashier) string { return unless(there(c), "the transfer") },
		happened: there,
	}
}

// gift is money that one customer sends to another.
type gift struct {
	pay.TransferAsk
	there func(*pay.Cashier) bool
}

func (p *patron) withdraw() *deal {
	ask := pay.TopUpAsk{Owner: p.buyer(), Number: p.number("W"), Asset: yuan, Amount: p.amount()}
	there := func(c *pay.Cashier) bool {
		o, err := c.QueryBankOrder(background, pay.BankOrder{Owner: ask.Owner, Number: ask.Number})
		return err == nil && o.Amount == ask.Amount
	}
	p.drawn = append(p.drawn, ask)
	return &deal{
		what:     fmt.Sprintf("%s takes %d to the bank", ask.Owner, ask.Amount),
		do:       func(t *till) error { _, err := t.Withdraw(t.ctx, ask, t.now); return err },
		told:     func() { p.market.stats.Drawn++ },
		missing:  func(c *pay.Cashier) string { return unless(there(c), "the order") },
		happened: there,
	}
}

// freeze is a pre-authorisation, a trade that is paid from it, and the rest released.
func (p *patron) freeze() *deal {
	s, payer := p.sale(pay.Plain), p.buyer()
	s.auth, s.buyer = p.number("F"), payer
	ask := pay.AuthAsk{Merchant: s.stall.owner, OutOrderNo: s.auth, Request: "1", Title: "room", Asset: yuan, Amount: s.amount + 50}
	p.frozen = append(p.frozen, ask)
	return &deal{
		what: fmt.Sprintf("%s freezes %d, and pays %s of it", payer, ask.Amount, s.no),
		do: func(t *till) error {
			if _, err := t.OpenAuth(t.ctx, ask, t.now); err != nil {
				return err
			}
			if _, err := t.Authorize(t.ctx, ask.Merchant, ask.OutOrderNo, payer, "", t.now); err != nil {
				return err
			}
			_, err := t.PayFrozen(t.ctx, s.ask(), ask.OutOrderNo, true, t.now)
			return err
		},
		told:    func() { p.market.stats.Frozen++; p.bought(s, payer) },
		missing: func(c *pay.Cashier) string { return unless(isPaid(c, s, payer), "the payment") },
	}
}

// bar freezes a customer's wallet, as an operator does, or lets it go: while it is frozen every payment to it is refused where it lands.
func (m *market) bar(o holdfast.Owner) *deal {
	c := holdfast.AccountChange{Op: holdfast.FreezeAccount, ID: holdfast.AccountID{Owner: o, Purpose: pay.Wallet, Asset: yuan}}
	if m.barred[o] {
		c.Op = holdfast.ThawAccount
	}
	m.barred[o] = !m.barred[o]
	m.stats.Barred++
	t := &holdfast.Txn{ID: m.f.worlds[0].id(), Accounts: []holdfast.AccountChange{c}}
	return &deal{
		what: fmt.Sprintf("the wallet of %s is frozen: %v", o, m.barred[o]),
		do: func(at *till) error {
			o, err := at.Books.Submit(at.ctx, t)
			if err == nil && o.Status == holdfast.Unknown {
				err = &pay.Pending{ID: t.ID}
			}
			return err
		},
	}
}

// query asks how a sale stands: whatever was acknowledged before must be in the answer.
func (m *market) query(s *sale) *deal {
	before := s.seen
	return &deal{
		what: "how does " + s.no + " stand?",
		do: func(t *till) error {
			v, err := t.Query(t.ctx, s.stall.owner, s.no, t.now)
			switch {
			case err == nil && before.untrue(&v):
				m.fail("stale-trade", "%s is said to be %s, paid by %s, %d refunded; acknowledged before that: %+v", s.no, v.Status, v.Payer, v.Refunded, before)
			case refusalOf(err) == pay.TradeUnknown && before.there:
				m.fail("stale-trade", "%s is unknown, and was acknowledged: %+v", s.no, before)
			}
			return err
		},
	}
}

// untrue reports that a trade lacks something that has been acknowledged.
func (f *facts) untrue(v *pay.Trade) bool {
	return f.payer != 0 && v.Payer != f.payer || v.Refunded < f.back || f.closed && v.Status != pay.StatusClosed
}

// settle pays out a day of a merchant.
func (m *market) settle(s *stall, day string, at holdfast.Time) *deal {
	key := s.owner.String() + " " + day
	return &deal{
		what: fmt.Sprintf("the day %s of %s is settled", day, s.owner),
		do: func(t *till) error {
			list, err := t.Settle(t.ctx, s.owner, day, at)
			if err == nil {
				m.settled(key, s, day, list)
			}
			return err
		},
		told: func() { m.stats.Settled++ },
	}
}

// settled compares what two settlements of one day say.
func (m *market) settled(key string, s *stall, day string, list []pay.Settled) {
	had := m.days[key]
	if had == nil {
		m.days[key] = &dayPaid{s, day, list}
		return
	}
	if len(had.told) != len(list) || len(list) > 0 && had.told[0] != list[0] {
		m.fail("settlement", "the day %s of %s was settled with %+v, and now with %+v", day, s.owner, had.told, list)
	}
}
