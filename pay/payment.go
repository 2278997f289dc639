package pay

import (
	"context"
	"errors"
	"time"

	"holdfast"
)

// PayAsk pays a trade that exists from a wallet.
type PayAsk struct {
	Merchant   holdfast.Owner
	OutTradeNo string
	Payer      holdfast.Owner
}

// payment is a trade being paid.
type payment struct {
	*Cashier
	merchant   holdfast.Owner
	outTradeNo string
	payer      holdfast.Owner
	make       *TradeAsk // when there is no such trade, make it
	code       *shown    // the code that the payer has shown
	authNo     string    // of the authorisation to pay from; "": from the wallet
	now        holdfast.Time

	tried  bool  // the first try was blind, or others were faster: look at everything, as it stands
	beaten bool  // a transaction was refused because others were faster
	wrong  error // what was wrong with the code, when it was checked anew
	trade  Trade
	sent   Trade // as the last transaction would have left it
}

// Pay pays a trade. One that this customer has paid already is answered as the first time.
func (c *Cashier) Pay(ctx context.Context, ask PayAsk, now holdfast.Time) (Trade, error) {
	p := payment{Cashier: c, merchant: ask.Merchant, outTradeNo: ask.OutTradeNo, payer: ask.Payer, now: now}
	return p.do(ctx)
}

// PayNew makes a trade and pays it in one transaction. One that exists is paid if it is the same.
func (c *Cashier) PayNew(ctx context.Context, ask TradeAsk, payer holdfast.Owner, now holdfast.Time) (Trade, error) {
	if err := ask.check(); err != nil {
		return Trade{}, err
	}
	p := payment{Cashier: c, merchant: ask.Merchant, outTradeNo: ask.OutTradeNo, payer: payer, make: &ask, now: now}
	return p.do(ctx)
}

// PayByCode makes a trade and pays it with the code that a customer shows. The code pays one trade, whoever asks where at the same time. Asking
// again for a trade that has been paid is answered as the first time, with any code of that customer.
func (c *Cashier) PayByCode(ctx context.Context, ask TradeAsk, code string, now holdfast.Time) (Trade, error) {
	if err := ask.check(); err != nil {
		return Trade{}, err
	}
	s, err := c.named(ask.Merchant, code, now)
	if err != nil {
		return c.paidBefore(ctx, &ask, code, err, now)
	}
	p := payment{Cashier: c, merchant: ask.Merchant, outTradeNo: ask.OutTradeNo, payer: s.payer, make: &ask, code: &s, now: now}
	v, err := p.withCode(ctx)
	p.code.try.ends(err, err == nil && v.Paid == now)
	return v, err
}

// withCode pays with a code that has been counted and not looked at. It is checked by a glance at the customer first, if that is to be had; the first
// try depends on what was seen, so that a phone which was taken away since pays nothing, and the next one checks the code anew.
func (p *payment) withCode(ctx context.Context) (Trade, error) {
	if p.hasty != nil && p.hasty.look(ctx, p.code, p.now) == nil {
		p.code.glimpsed = true
	} else if err := p.look(ctx, p.code, p.now); err != nil {
		return p.paidBefore(ctx, p.make, p.code.text, err, p.now)
	}
	v, err := p.do(ctx)
	if p.wrong != nil {
		return p.paidBefore(ctx, p.make, p.code.text, p.wrong, p.now)
	}
	return v, err
}

// recheck checks a code that was only glimpsed.
func (p *payment) recheck(ctx context.Context) error {
	p.wrong = p.look(ctx, p.code, p.now)
	p.code.glimpsed = p.wrong != nil
	return p.wrong
}

// paidBefore answers for a code that is not valid any more: the trade may have been paid with it when it was. Only codes that name who paid are answered
// so: else asking for a paid trade with the codes of others would tell which are right. While it is not known whether it was paid, it says so.
func (c *Cashier) paidBefore(ctx context.Context, ask *TradeAsk, code string, why error, now holdfast.Time) (v Trade, err error) {
	if refused(why) == "" {
		return v, settled(why)
	}
	var version uint64
	err = c.again(ctx, func() error {
		v, version, err = c.readTrade(ctx, ask.Merchant, ask.OutTradeNo, now)
		if err == errUnderWay {
			err = errOwn
		}
		return err
	})
	switch {
	case err != nil:
		return Trade{}, err
	case version > 0 && codeNames(code, v.Payer) && v.differs(&ask.TradeOffer) == "" && v.Status != StatusClosed:
		return v, nil
	}
	return Trade{}, why
}

func (p *payment) do(ctx context.Context) (Trade, error) {
	err := p.again(ctx, func() error {
		blind := p.blind()
		err := explain(p.once(ctx))
		if blind && refused(err) != "" {
			err = errAgain // the trade may have been paid before, and that is why: look first
		}
		p.tried = p.tried || errors.Is(err, errAgain) || errors.Is(err, errOwn) // it may be the payer's record alone that is not settled
		return err
	})
	var pending *Pending
	switch why := refused(err); {
	case p.beaten && (why == TradePaid || why == TradeClosed || why == TradeExpired):
		p.tellBoth(ctx)
	case errors.As(err, &pending) && !pending.ID.IsZero(): // of this very call: it may yet come too late
		p.watch(ctx, p.late())
	}
	return p.trade, err
}

// blind reports that this try takes the trade to be new, and refuses nobody.
func (p *payment) blind() bool { return p.make != nil && !p.tried }

// reader is who reads what the next try is decided by.
func (p *payment) reader() *Cashier {
	if p.blind() && p.hasty != nil && p.authNo == "" {
		return p.hasty
	}
	return p.Cashier
}

// glanced turns what was found wrong by a glance into errAgain: it may be right by now.
func (p *payment) glanced(err error) error {
	if err != nil && p.reader() != p.Cashier {
		return errAgain
	}
	return err
}

// once reads, decides and submits.
func (p *payment) once(ctx context.Context) error {
	d := draft{at: p.now, code: movePay}
	if p.tried && p.code != nil && p.code.glimpsed {
		if err := p.recheck(ctx); err != nil {
			return err
		}
	}
	version, paid, err := p.find(ctx, &d)
	if err != nil || paid {
		return err
	}
	if err := p.allowed(); err != nil {
		return err
	}
	v := p.trade
	if v.Status, err = v.Status.after(ActPay); err != nil {
		return err
	}
	v.Payer, v.Paid, v.AuthNo, v.RefundUntil = p.payer, p.now, p.authNo, v.RefundUntil+p.now
	from, err := p.source(ctx, &d)
	if err != nil {
		return p.unlessSince(ctx, keyOf(v.Merchant, kindTrade, v.OutTradeNo), version, err)
	}
	e := v.take(&d, from)
	if v.Protection == Held {
		v.Deadline = p.now + holdfast.Time(p.ShipWithin)
	}
	v.save(&d, version)
	if err := p.tell(&d, v.Merchant, v.Zone, e); err != nil {
		return err
	}
	for i := range d.Transfers {
		d.Transfers[i].Ref = d.ref
	}
	p.sent = v
	// The payer's shard refuses before that of the merchant has seen anything. That there is not enough may be because this very payment has been
	// made since its trade was read: then it is found now.
	err = p.unlessSince(ctx, keyOf(v.Merchant, kindTrade, v.OutTradeNo), version, explain(p.submit(ctx, &d)))
	p.beaten = p.beaten || errors.Is(err, errAgain)
	if err == nil {
		p.trade = v
	}
	return err
}

// find reads the trade, or makes it. At first a trade that may have to be made is taken to be new, which saves a read: if it is not, the
// transaction is refused, and it is read.
func (p *payment) find(ctx context.Context, d *draft) (version uint64, paid bool, err error) {
	if p.make == nil || p.tried {
		if p.trade, version, err = p.readTrade(ctx, p.merchant, p.outTradeNo, p.now); err != nil {
			return 0, false, err
		}
	}
	switch {
	case version > 0 && p.trade.Status == StatusClosed:
		return version, false, nil // says so, whatever it was
	case version > 0 && p.make != nil && p.trade.differs(&p.make.TradeOffer) != "":
		return 0, false, refuse(TradeDiffers, p.trade.differs(&p.make.TradeOffer))
	case version > 0 && p.trade.Payer == p.payer && (p.authNo == "" || p.trade.AuthNo == p.authNo):
		return version, true, nil
	case version > 0 && p.trade.Status != StatusWaiting:
		return version, false, nil // as above
	case version == 0 && p.make == nil:
		return 0, false, refuse(TradeUnknown, "out_trade_no")
	}
	// A trade that was made before its merchant was blocked cannot be paid afterwards either: the transaction depends on his record as it is read
	// here, so that whoever blocks him at the same time comes before or after the payment.
	m, err := p.reader().seller(ctx, p.merchant)
	if err = p.glanced(err); err != nil {
		return 0, false, p.unlessSince(ctx, keyOf(p.merchant, kindTrade, p.outTradeNo), version, err)
	}
	d.need(keyOf(p.merchant, kindMerchant), m.version)
	if version == 0 {
		if p.trade, err = m.trade(p.make, p.now); err != nil {
			return 0, false, p.unlessSince(ctx, keyOf(p.merchant, kindTrade, p.outTradeNo), 0, err)
		}
	}
	return version, false, nil
}

// allowed checks that this customer may pay this trade now.
func (p *payment) allowed() error {
	v := &p.trade
	switch {
	case v.Status == StatusWaiting && p.now >= v.Until:
		return refuse(TradeExpired, "")
	case p.payer == v.Merchant:
		return refuse(SellerIsBuyer, "payer")
	case v.Status == StatusWaiting && v.Buyer != 0 && v.Buyer != p.payer:
		return refuse(BuyerDiffers, "payer")
	}
	return nil
}

// source adds the payer's side: what counts against limits, the receipt, the code.
func (p *payment) source(ctx context.Context, d *draft) (holdfast.AccountID, error) {
	v := &p.trade
	d.ref = refOf(keyOf(v.Merchant, kindTrade, v.OutTradeNo))
	r := Receipt{Kind: ReceiptPaid, Asset: v.Asset, Amount: -v.Amount, Other: v.Merchant, Number: v.OutTradeNo, Text: v.Subject}
	if p.authNo != "" {
		r.Kind = ReceiptPaidFrozen
		d.receipt(p.payer, r, v.Merchant.String())
		return account(p.payer, Frozen, v.Asset), p.thaw(ctx, d)
	}
	from := account(p.payer, Wallet, v.Asset)
	if err := p.glanced(p.reader().spending(ctx, d, from, v.Amount, kindTrade+v.Merchant.String()+v.OutTradeNo)); err != nil {
		return from, err
	}
	d.receipt(p.payer, r, v.Merchant.String())
	if p.code != nil {
		if p.code.glimpsed {
			d.need(keyOf(p.payer, kindCustomer), p.code.seen)
		}
		if p.tried {
			if err := p.fresh(ctx, p.code); err != nil {
				return from, err
			}
		}
		p.code.use(d, v.OutTradeNo)
	}
	return from, nil
}

// take adds the money of a payment, and returns the event that tells of it.
func (v *Trade) take(d *draft, from holdfast.AccountID) Event {
	fee := v.Fee.Fee(v.Amount)
	net := v.Amount - fee
	var effect holdfast.Amount
	switch v.Mode {
	case Protected:
		d.move(from, v.account(Escrow), v.Amount)
		v.Kept, v.Protection, fee = v.Amount, Held, 0
	case Split:
		d.move(from, v.account(Royalty), net)
		v.Kept = net
	default:
		d.move(from, v.account(Settlement), net)
		effect = net
	}
	d.move(from, v.account(Fees), fee)
	v.FeeTaken = fee
	e := v.event(EventPaid, v.Amount)
	e.Fee, e.Effect = fee, effect
	return e
}

// Close ends a trade that has not been paid.
func (c *Cashier) Close(ctx context.Context, merchant holdfast.Owner, outTradeNo string, now holdfast.Time) (Trade, error) {
	return c.end(ctx, ActClose, merchant, outTradeNo, now)
}

// Expire ends a trade whose time to pay is over; whoever works through what is due calls it.
func (c *Cashier) Expire(ctx context.Context, merchant holdfast.Owner, outTradeNo string, now holdfast.Time) (Trade, error) {
	return c.end(ctx, ActExpire, merchant, outTradeNo, now)
}

func (c *Cashier) end(ctx context.Context, a Action, merchant holdfast.Owner, outTradeNo string, now holdfast.Time) (v Trade, err error) {
	err = c.again(ctx, func() error {
		var version uint64
		if v, version, err = c.existing(ctx, merchant, outTradeNo, now); err != nil {
			return err
		}
		if a == ActExpire && now < v.Until {
			return refuse(TradeStatus, "")
		}
		if v.Status, err = v.Status.after(a); err != nil {
			return err
		}
		return c.endTrade(ctx, &v, version, now)
	})
	return v, err
}

// endTrade closes an unpaid trade. A payment of it that is under way expects the version that this writes over, and goes back.
func (c *Cashier) endTrade(ctx context.Context, v *Trade, version uint64, now holdfast.Time) error {
	v.Closed = now
	d := draft{at: now}
	v.save(&d, version)
	if err := c.tell(&d, v.Merchant, v.Zone, v.event(EventClosed, v.Amount)); err != nil {
		return err
	}
	return c.submit(ctx, &d)
}

// Cancelled is what a cancel has done.
type Cancelled uint8

// What a cancel has done.
const (
	CancelledNothing Cancelled = iota // there was no trade; the number is used up, so that a payment on its way is refused
	CancelledClosed
	CancelledRefunded
)

// cancelNumber is the request number of the refund that a cancel makes; merchants cannot use it, because of its first character.
const cancelNumber = "~cancel"

// Cancel makes sure that the merchant has not been paid and will not be: it closes the trade, or gives back what is left of it.
func (c *Cashier) Cancel(ctx context.Context, merchant holdfast.Owner, outTradeNo string, now holdfast.Time) (v Trade, did Cancelled, err error) {
	err = c.again(ctx, func() error {
		var version uint64
		if v, version, err = c.readTrade(ctx, merchant, outTradeNo, now); err != nil {
			return err
		}
		status := v.Status
		if version == 0 {
			return c.bury(ctx, &v, now)
		}
		if v.Status, err = status.after(ActCancel); err != nil {
			return err
		}
		switch status {
		case StatusWaiting:
			did = CancelledClosed
			return c.endTrade(ctx, &v, version, now)
		case StatusSuccess:
			did = CancelledRefunded
			v.Status = status
		default:
			if did = CancelledClosed; v.Payer != 0 {
				did = CancelledRefunded
			} else if v.Amount == 0 {
				did = CancelledNothing
			}
		}
		return nil
	})
	if err == nil && did == CancelledRefunded && v.Status == StatusSuccess {
		v, _, err = c.refund(ctx, RefundAsk{Merchant: merchant, OutTradeNo: outTradeNo, Number: cancelNumber, whole: true}, now)
	}
	return v, did, err
}

// bury remembers the number of a trade that does not exist as closed: a payment with it that is still on the wire is refused.
func (c *Cashier) bury(ctx context.Context, v *Trade, now holdfast.Time) error {
	var m Merchant
	_, err := c.must(ctx, keyOf(v.Merchant, kindMerchant), &m, refuse(MerchantUnknown, "merchant"))
	if err != nil {
		return err
	}
	v.TradeNo, v.Zone, v.Created, v.Closed = tradeNo(v.Merchant, v.OutTradeNo, now), m.Zone, now, now
	if v.Status, err = NoTrade.after(ActCancel); err != nil {
		return err
	}
	d := draft{at: now}
	v.save(&d, 0)
	return c.submit(ctx, &d)
}

// refundTime is how long after the payment a trade can be refunded.
func refundTime(days uint32) holdfast.Time { return holdfast.Time(days) * holdfast.Time(24*time.Hour) }
