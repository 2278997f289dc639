package pay

import (
	"context"

	"holdfast"
)

// RefundAsk gives a part of a trade back to its buyer.
type RefundAsk struct {
	Merchant   holdfast.Owner
	OutTradeNo string
	Number     string // of the request, unique for the trade
	Amount     holdfast.Amount
	Reason     string // at most 1,024 bytes
	Clerk      string

	whole     bool // of a cancel: what is left when it is done
	unshipped bool // what is held of a trade that nobody has shipped in time
}

// Refund is a part of a trade that has been given back.
type Refund struct {
	Amount  holdfast.Amount
	FeeBack holdfast.Amount // of the fee, given back to the merchant
	At      holdfast.Time
	Reason  string
	Clerk   string
	Again   bool // this request was answered before; no part of the body
}

func (*Refund) kind() (byte, byte) { return 12, 1 }

func (v *Refund) layout(c *coder) {
	signed(c, &v.Amount)
	signed(c, &v.FeeBack)
	signed(c, &v.At)
	text(c, &v.Reason)
	text(c, &v.Clerk)
}

// Refund gives a part of a trade back, at most what is left of it. Of the fee that was taken the same part is given back, all in all rounded
// down to the minor unit, and the whole fee with the last part. The same number with the same amount is answered as the first time.
func (c *Cashier) Refund(ctx context.Context, ask RefundAsk, now holdfast.Time) (Trade, Refund, error) {
	err := first(validNumber(ask.Number, "out_request_no"), validAmount(ask.Amount, "refund_amount"),
		validLines(ask.Reason, "refund_reason", 256), validLine(ask.Clerk, "clerk", maxNumber))
	if err != nil {
		return Trade{}, Refund{}, err
	}
	return c.refund(ctx, ask, now)
}

func (c *Cashier) refund(ctx context.Context, ask RefundAsk, now holdfast.Time) (v Trade, r Refund, err error) {
	key := keyOf(ask.Merchant, kindRefund, ask.OutTradeNo, ask.Number)
	err = c.again(ctx, func() error {
		r = Refund{}
		had, err := c.own(ctx, key, &r)
		if err != nil {
			return err
		}
		var version uint64
		if v, version, err = c.existing(ctx, ask.Merchant, ask.OutTradeNo, now); err != nil {
			return err
		}
		if had > 0 && !plantedRefundForgotten() {
			if r.Amount != ask.Amount && !ask.whole && !ask.unshipped {
				return refuse(RequestDiffers, "refund_amount")
			}
			r.Again = true
			return nil
		}
		if ask.whole {
			if ask.Amount = v.Amount - v.Refunded; v.Status == StatusClosed {
				return nil // others have given back the last of it
			}
		}
		if ask.unshipped {
			if ask.Amount = v.Kept; !v.unshipped(now) {
				return refuse(EscrowStatus, "")
			}
		}
		d := draft{at: now, code: moveRefund, ref: refOf(keyOf(ask.Merchant, kindTrade, ask.OutTradeNo))}
		r = Refund{Amount: ask.Amount, At: now, Reason: ask.Reason, Clerk: ask.Clerk}
		e, err := v.giveBack(&d, &r)
		if err != nil {
			return c.unlessSince(ctx, key, had, err)
		}
		e.Number = ask.Number
		d.put(key, had, &r)
		v.save(&d, version)
		d.receipt(v.Payer, Receipt{
			Kind: ReceiptRefunded, Asset: v.Asset, Amount: ask.Amount, Other: v.Merchant, Number: v.OutTradeNo, Text: v.Subject,
		}, v.Merchant.String(), ask.Number)
		if err := c.tell(&d, v.Merchant, v.Zone, e); err != nil {
			return err
		}
		return c.submit(ctx, &d)
	})
	return v, r, err
}

// giveBack decides where the money of a refund comes from: first what the platform still keeps, then the fee that goes back, then what the
// merchant has.
func (v *Trade) giveBack(d *draft, r *Refund) (e Event, err error) {
	if r.Amount > v.Amount-v.Refunded && v.Status == StatusSuccess && !plantedRefundTooMuch() {
		return e, refuse(RefundTooMuch, "refund_amount")
	}
	action := ActRefund
	if r.Amount >= v.Amount-v.Refunded {
		action = ActRefundWhole
	}
	if v.Status, err = v.Status.after(action); err != nil {
		return e, err
	}
	if v.Protection, err = v.Protection.after(stepRefund); err != nil {
		return e, err
	}
	wallet := account(v.Payer, Wallet, v.Asset)
	rest := r.Amount
	if v.Mode == Protected {
		kept := min(rest, v.Kept)
		d.move(v.account(Escrow), wallet, kept)
		v.Kept -= kept
		rest -= kept
	}
	v.Refunded += r.Amount
	r.FeeBack = v.feeBack()
	v.FeeBack += r.FeeBack
	d.move(v.account(Fees), wallet, r.FeeBack)
	rest -= r.FeeBack
	if v.Mode == Split {
		kept := min(rest, v.Kept)
		d.move(v.account(Royalty), wallet, kept)
		v.Kept -= kept
		rest -= kept
	}
	d.move(v.account(Settlement), wallet, rest)
	if v.Mode == Protected && v.Kept == 0 {
		v.Protection = Ended
	}
	if v.Status == StatusClosed {
		v.Closed = d.at
	}
	e = v.event(EventRefunded, r.Amount)
	e.Fee, e.Effect = -r.FeeBack, -rest
	return e, nil
}

// feeBack is what is still to be given back of the fee. Of a protected trade the fee was taken of what was released, and only what
// is refunded of that counts.
func (v *Trade) feeBack() holdfast.Amount {
	base, back := v.Amount, v.Refunded
	if v.Mode == Protected {
		base, back = v.Released, v.Refunded-(v.Amount-v.Kept-v.Released)
	}
	if base == 0 || plantedFeeKept() {
		return 0
	}
	return portion(v.FeeTaken, min(back, base), base) - v.FeeBack
}

// QueryRefund returns a refund of a trade; found is false when there is none of this number. One that is under way is Pending.
func (c *Cashier) QueryRefund(ctx context.Context, merchant holdfast.Owner, outTradeNo, request string, now holdfast.Time) (v Trade, r Refund, found bool, err error) {
	if v, err = c.Query(ctx, merchant, outTradeNo, now); err != nil {
		return v, r, false, err
	}
	if err := validNumber(request, "out_request_no"); err != nil {
		return v, r, false, err
	}
	r, found, err = c.refundOf(ctx, merchant, outTradeNo, request)
	return v, r, found, err
}

func (c *Cashier) refundOf(ctx context.Context, merchant holdfast.Owner, outTradeNo, request string) (r Refund, found bool, err error) {
	err = c.again(ctx, func() error {
		r = Refund{}
		version, err := c.own(ctx, keyOf(merchant, kindRefund, outTradeNo, request), &r)
		found = version > 0
		return err
	})
	if err != nil {
		return Refund{}, false, err
	}
	return r, found, nil
}
