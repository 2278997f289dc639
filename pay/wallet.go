package pay

import (
	"context"
	"time"

	"holdfast"
)

// Limits bound what a customer can spend from one wallet: per payment, calendar day and month (of [Config.Day]), in minor units; 0: no limit.
// What is refunded does not come back to the limits.
type Limits struct{ Payment, Day, Month holdfast.Amount }

func (l *Limits) check() error {
	if l.Payment < 0 || l.Day < 0 || l.Month < 0 {
		return refuse(AmountInvalid, "limits")
	}
	return nil
}

// Usage is the record of one wallet: its limits and what counts against them. Every payment writes it with the version it has read: two
// payments at two sites cannot both take the last of a limit.
type Usage struct {
	Limits   Limits
	Blocked  bool
	Day      int32 // year*10000 + month*100 + day
	SpentDay holdfast.Amount
	Month    int32 // year*100 + month
	SpentMon holdfast.Amount
	For      uint64 // a hash of what it was written for last
}

func (*Usage) kind() (byte, byte) { return 3, 1 }

func (v *Usage) layout(c *coder) {
	signed(c, &v.Limits.Payment)
	signed(c, &v.Limits.Day)
	signed(c, &v.Limits.Month)
	flag(c, &v.Blocked)
	signed(c, &v.Day)
	signed(c, &v.SpentDay)
	signed(c, &v.Month)
	signed(c, &v.SpentMon)
	number(c, &v.For)
}

// spend counts an amount, or says which limit it would exceed.
func (v *Usage) spend(amount holdfast.Amount, now time.Time) error {
	day := int32(now.Year()*10000 + int(now.Month())*100 + now.Day())
	if v.Day != day {
		v.Day, v.SpentDay = day, 0
	}
	if v.Month != day/100 {
		v.Month, v.SpentMon = day/100, 0
	}
	inDay, ok := v.SpentDay.Add(amount)
	inMonth, fits := v.SpentMon.Add(amount)
	switch {
	case v.Blocked:
		return refuse(WalletBlocked, "")
	case v.Limits.Payment > 0 && amount > v.Limits.Payment && !plantedLimitIgnored():
		return refuse(LimitPayment, "amount")
	case !ok || v.Limits.Day > 0 && inDay > v.Limits.Day && !plantedLimitIgnored():
		return refuse(LimitDay, "amount")
	case !fits || v.Limits.Month > 0 && inMonth > v.Limits.Month && !plantedLimitIgnored():
		return refuse(LimitMonth, "amount")
	}
	v.SpentDay, v.SpentMon = inDay, inMonth
	return nil
}

// spending adds to a transaction that an amount counts against the limits of a wallet. what is asked for again while it is under way is
// errOwn: nobody knows yet what came of it.
func (c *Cashier) spending(ctx context.Context, d *draft, from holdfast.AccountID, amount holdfast.Amount, what string) error {
	var v Usage
	key := keyOf(from.Owner, kindWallet, from.Asset.String())
	version, err := c.must(ctx, key, &v, refuse(WalletMissing, "asset"))
	if err == errUnderWay && v.For == spread(what) {
		return errOwn
	}
	if err != nil {
		return err
	}
	if err := v.spend(amount, d.at.Std().In(c.Day)); err != nil {
		return err
	}
	v.For = spread(what)
	d.put(key, version, &v)
	return nil
}

// SetLimits changes the limits of a wallet; they count from the next payment on.
func (c *Cashier) SetLimits(ctx context.Context, o holdfast.Owner, asset holdfast.Asset, limits Limits, now holdfast.Time) error {
	if err := limits.check(); err != nil {
		return err
	}
	return c.changeWallet(ctx, o, asset, now, func(v *Usage) { v.Limits = limits })
}

// SetBlocked says whether a wallet can pay. Money can still come in.
func (c *Cashier) SetBlocked(ctx context.Context, o holdfast.Owner, asset holdfast.Asset, blocked bool, now holdfast.Time) error {
	return c.changeWallet(ctx, o, asset, now, func(v *Usage) { v.Blocked = blocked })
}

func (c *Cashier) changeWallet(ctx context.Context, o holdfast.Owner, asset holdfast.Asset, now holdfast.Time, how func(*Usage)) error {
	return c.again(ctx, func() error {
		var v Usage
		key := keyOf(o, kindWallet, asset.String())
		version, err := c.must(ctx, key, &v, refuse(WalletMissing, "asset"))
		if err != nil {
			return err
		}
		how(&v)
		d := draft{at: now}
		d.put(key, version, &v)
		return c.submit(ctx, &d)
	})
}

// WalletUsage returns the limits of a wallet and what counts against them.
func (c *Cashier) WalletUsage(ctx context.Context, o holdfast.Owner, asset holdfast.Asset) (Usage, error) {
	var v Usage
	return v, c.read(ctx, keyOf(o, kindWallet, asset.String()), &v, refuse(WalletMissing, "asset"))
}

// Balance is the money of one customer in one currency, in minor units.
type Balance struct {
	Available holdfast.Amount // can be spent
	Frozen    holdfast.Amount // pre-authorised
	Outgoing  holdfast.Amount // on its way to the bank
}

// Balance reads three accounts, one after the other: each is as it stands when it is read.
func (c *Cashier) Balance(ctx context.Context, o holdfast.Owner, asset holdfast.Asset) (b Balance, err error) {
	for purpose, into := range map[holdfast.Purpose]*holdfast.Amount{Wallet: &b.Available, Frozen: &b.Frozen, Outgoing: &b.Outgoing} {
		a, found, err := c.Books.Account(ctx, account(o, purpose, asset))
		switch {
		case err != nil:
			return b, &Unavailable{Err: err}
		case !found:
			return b, refuse(WalletMissing, "asset")
		}
		*into = a.Available()
	}
	return b, nil
}

// Receipt is a line of a customer's statement: money that came or went.
type Receipt struct {
	Kind   ReceiptKind
	Time   holdfast.Time
	Asset  holdfast.Asset
	Amount holdfast.Amount // above 0: came into the wallet; below: left it
	Other  holdfast.Owner  // who it came from or went to; 0: a bank
	Number string          // of the trade, refund, transfer or order
	Text   string          // the subject
	// Undecided: the payment is under way and may yet be taken back. It is no part of the record.
	Undecided bool
}

// ReceiptKind says what a receipt is for. The numbers are in records: append, never renumber.
type ReceiptKind uint8

// Kinds of receipts.
const (
	ReceiptPaid ReceiptKind = iota + 1
	ReceiptRefunded
	ReceiptFrozen
	ReceiptUnfrozen
	ReceiptPaidFrozen // paid from what was frozen: the wallet has no part in it
	ReceiptSent
	ReceiptReceived
	ReceiptToppedUp
	ReceiptWithdrawn
	ReceiptWithdrawalReturned
	ReceiptShare
	ReceiptNotPaid      // a payment that came too late or twice: the money stayed in the wallet
	ReceiptShareMissed  // a share that the wallet could not take: it went back to whose trade was split
	ReceiptTopUpExpired // money that was announced and has not come in time
)

// moves reports whether a line of the kind is about money that came into the wallet or left it.
func (k ReceiptKind) moves() bool {
	return k != ReceiptPaidFrozen && k != ReceiptNotPaid && k != ReceiptShareMissed && k != ReceiptTopUpExpired
}

func (*Receipt) kind() (byte, byte) { return 4, 1 }

func (v *Receipt) layout(c *coder) {
	number(c, &v.Kind)
	signed(c, &v.Time)
	number(c, &v.Asset)
	signed(c, &v.Amount)
	number(c, &v.Other)
	text(c, &v.Number)
	text(c, &v.Text)
}

// receipt adds a receipt. The latest come first: keys begin with the time, inverted.
func (d *draft) receipt(o holdfast.Owner, r Receipt, parts ...string) {
	r.Time = d.at
	d.put(keyOf(o, kindReceipt, stamped(^d.at, append(parts, r.Number)...)), 0, &r)
}

// Statement lists up to max receipts of an owner, latest first, from the one after the key on ("": from the latest). next is the key to go
// on after; "": that was all.
func (c *Cashier) Statement(ctx context.Context, o holdfast.Owner, after string, max int) (list []Receipt, next string, err error) {
	records, err := c.Books.Records(ctx, keyOf(o, kindReceipt, ""), after, max)
	if err != nil {
		return nil, "", &Unavailable{Err: err}
	}
	for i := range records {
		var r Receipt
		if err := unpack(records[i].Key, records[i].Body, &r); err != nil {
			return nil, "", &Unavailable{Err: err}
		}
		r.Undecided = records[i].Pending != nil
		list, next = append(list, r), records[i].Key
	}
	if len(records) < max {
		next = ""
	}
	return list, next, nil
}
