package pay

import (
	"context"
	"fmt"
	"slices"
	"time"

	"holdfast"
)

// Share is what somebody else gets of a trade: a customer into his wallet, a merchant into his settlement account.
type Share struct {
	To     holdfast.Owner
	Amount holdfast.Amount
	Text   string
	Paid   bool // no part of the request
	Back   bool // no part of the request: its receiver could not take it, and whose trade was split has it back

	purpose holdfast.Purpose // of the receiver's account
	at      holdfast.Time    // when it was paid or given back
}

// SplitAsk splits a paid trade.
type SplitAsk struct {
	Merchant   holdfast.Owner
	OutTradeNo string
	Number     string // unique for the merchant
	Shares     []Share
	Finish     bool // what is left belongs to the merchant; nothing can be split any more

	At    holdfast.Time // when the money was set aside; no part of the request. 0: before shares were tried again by themselves
	Ended bool          // all shares are paid or have come back; no part of the request
}

// MaxShares is how many receivers one request may have.
const MaxShares = 5

func (a *SplitAsk) kind() (byte, byte) { return 13, 1 }

func (a *SplitAsk) layout(c *coder) {
	text(c, &a.OutTradeNo)
	list(c, &a.Shares, MaxShares, func(s *Share) {
		number(c, &s.To)
		signed(c, &s.Amount)
		text(c, &s.Text)
		number(c, &s.purpose)
	})
	flag(c, &a.Finish)
	c.tail(func() bool { return a.At != 0 }, func() {
		signed(c, &a.At)
		flag(c, &a.Ended)
	})
}

// shareKey is the key of what has become of a share.
func (a *SplitAsk) shareKey(i int) string {
	return keyOf(a.Merchant, kindShare, a.Number, fmt.Sprint(i))
}

func (a *SplitAsk) check() (total holdfast.Amount, err error) {
	if err := validNumber(a.Number, "out_request_no"); err != nil {
		return 0, err
	}
	if len(a.Shares) > MaxShares {
		return 0, refuse(TooMany, "royalty_parameters")
	}
	if len(a.Shares) == 0 && !a.Finish {
		return 0, refuse(FieldInvalid, "royalty_parameters")
	}
	for i := range a.Shares {
		s := &a.Shares[i]
		if err := first(validAmount(s.Amount, "amount"), validLines(s.Text, "desc", 1000)); err != nil {
			return 0, err
		}
		if s.To == a.Merchant {
			return 0, refuse(ReceiverInvalid, "trans_in")
		}
		total += s.Amount
	}
	return total, nil
}

// A share that its receiver cannot take at present, because his account is blocked or full, is tried again by itself: after two minutes, when the request
// has long been answered, which would otherwise meet what is due; then each time that the split has become twice as old, and at least once a day. After seven
// days nobody waits any longer, and it goes back.
const (
	splitFirst = holdfast.Time(2 * time.Minute)
	splitMost  = holdfast.Time(24 * time.Hour)
	splitBound = holdfast.Time(7 * 24 * time.Hour)
)

// Split gives shares of a paid trade to others. The first transaction sets the money of all shares aside and remembers the request; then
// each share is paid in one of its own, since the receivers live anywhere. Whatever interrupts that, asking again with the same number pays
// what is not paid yet, and nothing twice; and until all is done the split is due, see [Cashier.RunDue]. A receiver who cannot take his share
// stops nobody else: done says which shares are paid, and which have come back because their receivers never can. The others are tried again by
// themselves, and come back in the end.
func (c *Cashier) Split(ctx context.Context, ask SplitAsk, now holdfast.Time) (v Trade, done SplitAsk, err error) {
	total, err := ask.check()
	if err != nil {
		return v, done, err
	}
	ask.Shares, ask.At, ask.Ended = slices.Clone(ask.Shares), now, false
	err = c.again(ctx, func() error {
		v, done, err = c.setAside(ctx, &ask, total, now)
		return err
	})
	if err == nil {
		_, err = c.payShares(ctx, &v, &done, now)
	}
	return v, done, err
}

// payShares pays what is not paid yet, or gives it back. waiting is a refusal of one that is to be tried again. err is the first other error: nobody knows
// what has become of that share.
func (c *Cashier) payShares(ctx context.Context, v *Trade, ask *SplitAsk, now holdfast.Time) (waiting, err error) {
	for i := range ask.Shares {
		// Each has a moment of its own behind that of the split: rows stand in that order, and two equal shares of one receiver are two.
		failed := c.payShare(ctx, v, ask, i, now+holdfast.Time(i+1))
		switch {
		case refused(failed) != "":
			waiting = failed
		case err == nil:
			err = failed
		}
	}
	if err != nil || waiting != nil || ask.Ended || ask.At == 0 || len(ask.Shares) == 0 {
		return waiting, err
	}
	return nil, c.again(ctx, func() error { return c.endSplit(ctx, ask, now) })
}

// payShare pays one share. If that cannot be, ever or any longer, it gives the share back, and tells the receiver.
func (c *Cashier) payShare(ctx context.Context, v *Trade, ask *SplitAsk, i int, now holdfast.Time) error {
	never := false
	err := c.again(ctx, func() error {
		err := c.share(ctx, v, ask, i, now)
		never = hopeless(err)
		return err
	})
	if over := ask.At != 0 && now >= ask.At+splitBound; never || over && refused(err) != "" {
		err = c.again(ctx, func() error { return c.shareBack(ctx, v, ask, i, now) })
	}
	if err == nil && ask.Shares[i].Back && !ask.Ended {
		err = c.tellMissed(ctx, v, ask, i)
	}
	return err
}

// hopeless reports whether the receiver of a share will never take it: his account is not there, or is closed.
func hopeless(err error) bool {
	var d *denied
	if asDenied(err, &d) {
		return d.outcome.Code == holdfast.CodeCreditMissing || d.outcome.Code == holdfast.CodeCreditClosed
	}
	return refused(err) == ReceiverInvalid
}

// dueSplit goes on with a split that is due, and puts it off if a receiver still cannot take his share.
func (c *Cashier) dueSplit(ctx context.Context, merchant holdfast.Owner, number string, now holdfast.Time) error {
	key, ask := keyOf(merchant, kindSplit, number), SplitAsk{}
	version, err := c.load(ctx, key, &ask)
	if err != nil || version == 0 || ask.Ended || ask.At == 0 {
		return settled(err)
	}
	ask.Merchant, ask.Number = merchant, number
	v, err := c.Query(ctx, merchant, ask.OutTradeNo, now)
	if err != nil {
		return err
	}
	waiting, err := c.payShares(ctx, &v, &ask, now)
	if err != nil || waiting == nil {
		return err
	}
	next := now + min(max(now-ask.At, splitFirst), splitMost)
	if end := ask.At + splitBound; now < end {
		next = min(next, end)
	}
	d := draft{at: now}
	d.put(key, version, &ask, minute(dueIndex, next))
	if err := c.submit(ctx, &d); err != nil && err != errAgain { // errAgain: somebody else has put it off, or ended it
		return settled(err)
	}
	return waiting
}

// endSplit takes a split of which nothing is left to do from what is due.
func (c *Cashier) endSplit(ctx context.Context, ask *SplitAsk, now holdfast.Time) error {
	var had SplitAsk
	key := keyOf(ask.Merchant, kindSplit, ask.Number)
	version, err := c.must(ctx, key, &had, refuse(RequestDiffers, "out_request_no"))
	if err != nil || had.Ended {
		return err
	}
	had.Ended = true
	d := draft{at: now}
	d.put(key, version, &had)
	return c.submit(ctx, &d)
}

// setAside is the first transaction of a split.
func (c *Cashier) setAside(ctx context.Context, ask *SplitAsk, total holdfast.Amount, now holdfast.Time) (v Trade, done SplitAsk, err error) {
	key := keyOf(ask.Merchant, kindSplit, ask.Number)
	had, err := c.load(ctx, key, &done)
	if err != nil {
		return v, done, err
	}
	done.Merchant, done.Number = ask.Merchant, ask.Number
	v, version, err := c.existing(ctx, ask.Merchant, ask.OutTradeNo, now)
	if err != nil {
		return v, done, err
	}
	if had > 0 {
		if field := done.differs(ask); field != "" {
			return v, done, refuse(RequestDiffers, field)
		}
		return v, done, nil
	}
	if err := c.receivers(ctx, ask, v.Asset); err != nil {
		return v, done, err
	}
	d := draft{at: now, code: moveSplit, ref: refOf(keyOf(v.Merchant, kindTrade, v.OutTradeNo))}
	e, err := v.split(&d, total, ask.Finish)
	if err == nil && total > 0 {
		_, err = c.free(ctx, &d, v.Merchant, "merchant")
	}
	if err != nil {
		return v, done, c.unlessSince(ctx, key, 0, err)
	}
	e.Number = ask.Number
	var due []string
	if len(ask.Shares) > 0 {
		due = []string{minute(dueIndex, now+splitFirst)}
	}
	d.put(key, 0, ask, due...)
	v.save(&d, version)
	if err := c.tell(&d, v.Merchant, v.Zone, e); err != nil {
		return v, done, err
	}
	return v, *ask, c.submit(ctx, &d)
}

// differs names the first thing in which two requests with one number are not the same; "": they are.
func (a *SplitAsk) differs(b *SplitAsk) string {
	switch {
	case a.OutTradeNo != b.OutTradeNo:
		return "out_trade_no"
	case a.Finish != b.Finish:
		return "finish"
	case !slices.EqualFunc(a.Shares, b.Shares, func(x, y Share) bool { return x.To == y.To && x.Amount == y.Amount && x.Text == y.Text }):
		return "royalty_parameters"
	}
	return ""
}

// receivers finds the account of each receiver.
func (c *Cashier) receivers(ctx context.Context, ask *SplitAsk, asset holdfast.Asset) error {
	for i := range ask.Shares {
		s := &ask.Shares[i]
		for _, p := range []holdfast.Purpose{Wallet, Settlement} {
			_, found, err := c.Books.Account(ctx, account(s.To, p, asset))
			if err != nil {
				return &Unavailable{Err: err}
			}
			if found {
				s.purpose = p
				break
			}
		}
		if s.purpose == 0 {
			return refuse(ReceiverInvalid, "trans_in")
		}
	}
	return nil
}

// split sets the money of shares aside, on the account where that of trades to be split is kept already.
func (v *Trade) split(d *draft, total holdfast.Amount, finish bool) (e Event, err error) {
	if v.Status, err = v.Status.after(ActSplit); err != nil {
		return e, err
	}
	left := v.Amount - v.FeeTaken - (v.Shared - v.ShareBack) - (v.Refunded - v.FeeBack)
	switch {
	case v.Mode == Protected && v.Protection != Ended:
		return e, refuse(EscrowStatus, "")
	case v.SplitEnded:
		return e, refuse(SplitFinished, "")
	case total > left || v.Mode == Split && total > v.Kept:
		return e, refuse(SplitTooMuch, "amount")
	}
	v.Shared += total
	e = v.event(EventSplit, total)
	if v.Mode == Split {
		v.Kept -= total
	} else {
		d.move(v.account(Settlement), v.account(Royalty), total)
		e.Effect = -total
	}
	if finish {
		d.move(v.account(Royalty), v.account(Settlement), v.Kept)
		e.Effect += v.Kept
		v.Kept, v.SplitEnded = 0, true
		if total == 0 {
			e.Kind, e.Amount = EventSplitFinished, e.Effect
		}
	}
	return e, nil
}

// paidShare remembers that a share has been paid, or given back.
type paidShare struct {
	At   holdfast.Time
	Back bool
}

func (*paidShare) kind() (byte, byte) { return 14, 1 }

func (v *paidShare) layout(c *coder) {
	signed(c, &v.At)
	c.tail(func() bool { return v.Back }, func() { flag(c, &v.Back) })
}

// ended loads what has become of a share.
func (c *Cashier) ended(ctx context.Context, key string, s *Share) (bool, error) {
	var p paidShare
	had, err := c.own(ctx, key, &p)
	if err == nil && had > 0 {
		s.Paid, s.Back, s.at = !p.Back, p.Back, p.At
	}
	return had > 0, err
}

// share pays one share.
func (c *Cashier) share(ctx context.Context, v *Trade, ask *SplitAsk, i int, now holdfast.Time) error {
	s, key := &ask.Shares[i], ask.shareKey(i)
	if was, err := c.ended(ctx, key, s); was || err != nil {
		return err
	}
	d := draft{at: now, code: moveSplit, ref: refOf(keyOf(v.Merchant, kindTrade, v.OutTradeNo))}
	d.put(key, 0, &paidShare{At: now})
	d.move(v.account(Royalty), account(s.To, s.purpose, v.Asset), s.Amount)
	if err := c.arrive(ctx, &d, account(s.To, s.purpose, v.Asset), Receipt{
		Kind: ReceiptShare, Asset: v.Asset, Amount: s.Amount, Other: v.Merchant, Number: v.OutTradeNo, Text: s.Text,
	}, v.Merchant.String(), ask.Number, fmt.Sprint(i)); err != nil {
		return err
	}
	if err := c.submit(ctx, &d); err != nil {
		return err
	}
	s.Paid, s.at = true, now
	return nil
}

// shareBack gives a share back to where it came from: what is kept of the trade as long as more of it can be split, and the merchant otherwise. It writes
// the record that the payment of the share would write, so that only one of them can be.
func (c *Cashier) shareBack(ctx context.Context, v *Trade, ask *SplitAsk, i int, now holdfast.Time) error {
	s, key := &ask.Shares[i], ask.shareKey(i)
	if was, err := c.ended(ctx, key, s); was || err != nil {
		return err
	}
	t, version, err := c.existing(ctx, ask.Merchant, ask.OutTradeNo, now)
	if err != nil {
		return err
	}
	d := draft{at: now, code: moveSplit, ref: refOf(keyOf(t.Merchant, kindTrade, t.OutTradeNo))}
	d.put(key, 0, &paidShare{At: now, Back: true})
	t.ShareBack += s.Amount
	e := t.event(EventShareBack, s.Amount)
	e.Number, e.Other = ask.Number, s.To
	if t.Mode == Split && !t.SplitEnded && t.Status == StatusSuccess {
		t.Kept += s.Amount
	} else {
		d.move(t.account(Royalty), t.account(Settlement), s.Amount)
		e.Effect = s.Amount
	}
	t.save(&d, version)
	if err := c.tell(&d, t.Merchant, t.Zone, e); err != nil {
		return err
	}
	if err := c.submit(ctx, &d); err != nil {
		return err
	}
	*v, s.Back, s.at = t, true, now
	return nil
}

// tellMissed tells the receiver of a share that it has gone back. What he is told has one key for ever, so that he is told once.
func (c *Cashier) tellMissed(ctx context.Context, v *Trade, ask *SplitAsk, i int) error {
	s, d := &ask.Shares[i], draft{at: ask.Shares[i].at}
	parts := []string{ask.Merchant.String(), ask.Number, fmt.Sprint(i)}
	var had document = &Receipt{}
	if s.purpose == Wallet {
		d.receipt(s.To, Receipt{
			Kind: ReceiptShareMissed, Asset: v.Asset, Amount: s.Amount, Other: v.Merchant, Number: v.OutTradeNo, Text: s.Text,
		}, append(parts, "missed")...)
	} else {
		e := Event{
			Kind: EventShareMissed, Time: s.at, Number: ask.Number, Subject: s.Text, Asset: v.Asset, Amount: s.Amount, Other: v.Merchant,
			Merchant: s.To, Key: keyOf(s.To, kindEvent, stamped(s.at, append(parts, "missed")...)),
		}
		d.put(e.Key, 0, &e, EventIndex(e.Time))
		d.events, had = append(d.events, &e), &Event{}
	}
	return c.again(ctx, func() error {
		version, err := c.load(ctx, d.Records[0].Key, had)
		if err != nil || version > 0 {
			return err
		}
		return c.submit(ctx, &d)
	})
}

// arrive adds what the receiver of money is told: a customer gets a receipt, a merchant an event that is a row of his statement.
func (c *Cashier) arrive(ctx context.Context, d *draft, to holdfast.AccountID, r Receipt, parts ...string) error {
	if to.Purpose == Wallet {
		d.receipt(to.Owner, r, parts...)
		return nil
	}
	var m Merchant
	if _, err := c.must(ctx, keyOf(to.Owner, kindMerchant), &m, refuse(ReceiverInvalid, "trans_in")); err != nil {
		return err
	}
	return c.tell(d, to.Owner, m.Zone, Event{
		Kind: EventTransferred, Asset: r.Asset, Amount: r.Amount, Effect: r.Amount, Other: r.Other, Number: r.Number, Subject: r.Text,
	})
}
