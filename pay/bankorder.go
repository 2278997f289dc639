package pay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"holdfast"
)

// BankOrder names an order that has to do with a bank.
type BankOrder struct {
	Owner  holdfast.Owner
	Payout bool   // of a merchant, made by a settlement; otherwise a customer's withdrawal
	Number string // the customer's number, or of a payout "<day>-<asset>"
}

func (b *BankOrder) key() string {
	if b.Payout {
		return keyOf(b.Owner, kindPayout, b.Number)
	}
	return keyOf(b.Owner, kindWithdraw, b.Number)
}

// Key is the key of its record.
func (b *BankOrder) Key() string { return b.key() }

// BankOrderOf reads the key of the record of an order; ok is false when it is another one's.
func BankOrderOf(key string) (b BankOrder, ok bool) {
	o, kind, rest, ok := cutKey(key)
	return BankOrder{Owner: o, Payout: kind == kindPayout, Number: rest}, ok && (kind == kindPayout || kind == kindWithdraw)
}

// EndToEnd is the id under which banks know the order, for ever: "HF" and 32 hexadecimal digits.
func (b *BankOrder) EndToEnd() string {
	sum := sha256.Sum256([]byte("holdfast end-to-end 1\x00" + b.key()))
	return endToEndPrefix + hex.EncodeToString(sum[:16])
}

const endToEndPrefix = "HF"

// OurEndToEnd reports whether an id is one that the platform may have given. Ids that others choose are not unique.
func OurEndToEnd(id string) bool {
	if len(id) != len(endToEndPrefix)+32 || id[:len(endToEndPrefix)] != endToEndPrefix {
		return false
	}
	_, err := hex.DecodeString(id[len(endToEndPrefix):])
	return err == nil
}

// TopUpAsk announces money that a customer brings from a bank, or sends some there.
type TopUpAsk struct {
	Owner  holdfast.Owner
	Number string // unique for the customer and kind
	Asset  holdfast.Asset
	Amount holdfast.Amount
	// Of withdrawals: the account to pay to, or the name of one that is kept ([Cashier.PutAccount]; "" is [MainAccount]). Without either the
	// order waits until its owner has told one.
	Account *BankAccount
	To      string
}

func (a *TopUpAsk) check() error {
	if a.Account != nil {
		if err := a.Account.check(); err != nil {
			return err
		}
	}
	return first(validNumber(a.Number, "number"), validAmount(a.Amount, "amount"), validNumber(accountName(a.To), "to"))
}

// TopUp notes that a customer brings money from a bank. It moves nothing: the deposit with the [TopUpReference] does, or ToppedUp. When the money has not
// come by [Order.Until], the top-up ends; see [Cashier.RunDue].
func (c *Cashier) TopUp(ctx context.Context, ask TopUpAsk, now holdfast.Time) (o Order, err error) {
	if err := ask.check(); err != nil {
		return o, err
	}
	key := keyOf(ask.Owner, kindTopUp, ask.Number)
	reference := keyOf(ask.Owner, kindTopRef, TopUpReference(ask.Owner, ask.Number))
	err = c.again(ctx, func() error {
		o = Order{Number: ask.Number}
		had, err := c.load(ctx, key, &o)
		if err != nil || had > 0 {
			return first(err, o.same(&ask, ""))
		}
		if _, err := c.must(ctx, keyOf(ask.Owner, kindWallet, ask.Asset.String()), &Usage{}, refuse(WalletMissing, "asset")); err != nil {
			return err
		}
		taken, err := c.load(ctx, reference, &topRef{})
		if err != nil || taken > 0 {
			return first(err, refuse(RequestDiffers, "number")) // two numbers with one reference: one in ten thousand million
		}
		o = Order{
			Number: ask.Number, Status: OrderWaiting, Asset: ask.Asset, Amount: ask.Amount, At: now, Changed: now, Until: now + holdfast.Time(c.TopUpWithin),
		}
		d := draft{at: now}
		d.put(key, 0, &o, minute(dueIndex, o.Until))
		d.put(reference, 0, &topRef{ask.Number})
		return c.submit(ctx, &d)
	})
	return o, err
}

func (o *Order) same(ask *TopUpAsk, to string) error {
	switch {
	case o.Amount != ask.Amount:
		return refuse(RequestDiffers, "amount")
	case o.Asset != ask.Asset:
		return refuse(RequestDiffers, "asset")
	case ask.Account != nil && o.To != to:
		return refuse(RequestDiffers, "account")
	}
	return nil
}

// ToppedUp books the money of a top-up that the bank has brought; bank is the bank's own number for it. Asking again is harmless.
func (c *Cashier) ToppedUp(ctx context.Context, owner holdfast.Owner, n, bank string, now holdfast.Time) (o Order, err error) {
	if err := first(validNumber(n, "number"), validText(bank, "bank", 128)); err != nil {
		return o, err
	}
	key := keyOf(owner, kindTopUp, n)
	err = c.again(ctx, func() error {
		o = Order{Number: n}
		version, err := c.must(ctx, key, &o, refuse(OrderUnknown, "number"))
		if err != nil || o.Status == OrderDone {
			return err
		}
		if !o.takes() {
			return refuse(OrderStateWrong, "")
		}
		o.Status, o.Changed, o.Bank = OrderDone, now, bank
		d := draft{at: now, code: moveTopUp, ref: refOf(key)}
		d.put(key, version, &o)
		d.receipt(owner, Receipt{Kind: ReceiptToppedUp, Asset: o.Asset, Amount: o.Amount, Number: n})
		d.move(account(c.Bank, BankMoney, o.Asset), account(owner, Wallet, o.Asset), o.Amount)
		return c.submit(ctx, &d)
	})
	return o, err
}

// takes reports whether a top-up is credited when its money comes: while it is waited for, and when that came to its end by itself. Nobody has said then that
// the money will not come.
func (o *Order) takes() bool { return o.Status == OrderWaiting || o.Status == OrderExpired }

// expireTopUp ends a top-up whose money has not come in time, and tells its owner.
func (c *Cashier) expireTopUp(ctx context.Context, owner holdfast.Owner, n string, now holdfast.Time) error {
	key := keyOf(owner, kindTopUp, n)
	return c.again(ctx, func() error {
		var o Order
		version, err := c.load(ctx, key, &o)
		if err != nil || version == 0 || o.Status != OrderWaiting || o.Until == 0 || now < o.Until {
			return err
		}
		o.Status, o.Changed, o.Bank = OrderExpired, now, "the money has not come within "+long(time.Duration(o.Until-o.At))
		d := draft{at: now}
		d.put(key, version, &o)
		d.receipt(owner, Receipt{Kind: ReceiptTopUpExpired, Asset: o.Asset, Amount: o.Amount, Number: n}, "expired")
		return c.submit(ctx, &d)
	})
}

// TopUpFailed ends a top-up whose money will not come. One that has come to its end by itself stays as it is.
func (c *Cashier) TopUpFailed(ctx context.Context, owner holdfast.Owner, n, why string, now holdfast.Time) (o Order, err error) {
	if err := first(validNumber(n, "number"), validText(why, "why", 128)); err != nil {
		return o, err
	}
	key := keyOf(owner, kindTopUp, n)
	err = c.again(ctx, func() error {
		o = Order{Number: n}
		version, err := c.must(ctx, key, &o, refuse(OrderUnknown, "number"))
		if err != nil || o.Status == OrderReturned || o.Status == OrderExpired {
			return err
		}
		if o.Status != OrderWaiting {
			return refuse(OrderStateWrong, "")
		}
		o.Status, o.Changed, o.Bank = OrderReturned, now, why
		d := draft{at: now}
		d.put(key, version, &o)
		return c.submit(ctx, &d)
	})
	return o, err
}

// QueryTopUp returns a top-up.
func (c *Cashier) QueryTopUp(ctx context.Context, owner holdfast.Owner, n string) (Order, error) {
	o, err := c.order(ctx, owner, kindTopUp, n)
	return o, err
}

// Withdraw takes money out of a wallet, to be sent to the customer's bank. Until the bank's answer is known it stands on an account of the
// customer that he cannot spend from. It counts against his limits.
func (c *Cashier) Withdraw(ctx context.Context, ask TopUpAsk, now holdfast.Time) (o Order, err error) {
	if err := ask.check(); err != nil {
		return o, err
	}
	b := BankOrder{Owner: ask.Owner, Number: ask.Number}
	key, given := b.key(), ""
	if ask.Account != nil {
		given = c.sealAccount(ask.Owner, *ask.Account)
	}
	err = c.again(ctx, func() error {
		o = Order{Number: ask.Number}
		had, err := c.own(ctx, key, &o)
		if err != nil || had > 0 {
			return first(err, o.same(&ask, given))
		}
		o = Order{Number: ask.Number, Status: OrderWaiting, Asset: ask.Asset, Amount: ask.Amount, At: now, Changed: now, To: given}
		if given == "" {
			if o.To, err = c.payeeOf(ctx, ask.Owner, accountName(ask.To)); err != nil {
				return err
			}
		}
		d := draft{at: now, code: moveWithdraw, ref: refOf(key)}
		from := account(ask.Owner, Wallet, ask.Asset)
		if err := c.spending(ctx, &d, from, ask.Amount, key); err != nil {
			return c.unlessSince(ctx, key, 0, err)
		}
		d.put(key, 0, &o, o.index(&b)...)
		d.receipt(ask.Owner, Receipt{Kind: ReceiptWithdrawn, Asset: ask.Asset, Amount: -ask.Amount, Number: ask.Number})
		d.move(from, account(ask.Owner, Outgoing, ask.Asset), ask.Amount)
		return c.submit(ctx, &d)
	})
	return o, err
}

// Indexes of orders and deposits, after bankIndex.
const (
	openIndex     = bankIndex + "/open"     // to be sent, or sent and not ended
	doubtfulIndex = bankIndex + "/doubtful" // of those, the ones about which the bank has contradicted itself
	unsentIndex   = bankIndex + "/nowhere/" // by owner: it is not known where to pay them
	bookedIndex   = bankIndex + "/booked/"  // by bank and asset: ended, and not found in the bank's book yet
	matchedIndex  = bankIndex + "/matched/" // by bank, asset and day: found in the statement of this day
)

func nowhere(o holdfast.Owner) string { return unsentIndex + o.String() }

func booked(via string, asset holdfast.Asset) string { return bookedIndex + via + "/" + asset.String() }

func matched(via string, asset holdfast.Asset, day string) string {
	return matchedIndex + via + "/" + asset.String() + "/" + day
}

// index says where an order is listed.
func (o *Order) index(b *BankOrder) []string {
	switch {
	case o.Status >= OrderDone && o.Sent == 0 && o.Status == OrderReturned:
		return nil // no bank has ever heard of it
	case o.Status >= OrderDone:
		return []string{booked(o.Via, o.Asset)}
	case o.To == "" && o.Sent == 0:
		return []string{nowhere(b.Owner)}
	case o.Doubtful:
		return []string{openIndex, doubtfulIndex}
	}
	return []string{openIndex}
}

// OpenOrder is a withdrawal or payout that has not ended, and can be sent.
type OpenOrder struct {
	BankOrder
	Order   Order
	Version uint64      // of its record
	Payee   BankAccount // where it goes
}

// ID is the end-to-end id.
func (o *OpenOrder) ID() string { return o.EndToEnd() }

// OpenOrders lists up to max withdrawals and payouts of all owners that have not ended and whose payee is known, in the order of their keys,
// from the one after the key on; next is the key to go on after, "" when that was all.
func (c *Cashier) OpenOrders(ctx context.Context, after string, max int) (list []OpenOrder, next string, err error) {
	return c.listOrders(ctx, openIndex, after, max)
}

// DoubtfulOrders lists those of the open orders about which a bank has contradicted itself: people have to look.
func (c *Cashier) DoubtfulOrders(ctx context.Context, after string, max int) (list []OpenOrder, next string, err error) {
	return c.listOrders(ctx, doubtfulIndex, after, max)
}

func (c *Cashier) listOrders(ctx context.Context, index, after string, max int) (list []OpenOrder, next string, err error) {
	records, err := c.Books.ByIndex(ctx, index, after, max)
	if err != nil {
		return nil, "", &Unavailable{Err: err}
	}
	for i := range records {
		r := &records[i]
		next = r.Key
		b, ok := BankOrderOf(r.Key)
		if !ok || r.Pending != nil {
			continue // its end is under way
		}
		var o Order
		if err := unpack(r.Key, r.Body, &o); err != nil {
			return nil, "", &Unavailable{Err: err}
		}
		open, err := c.opened(b, o, r.Version)
		if err != nil {
			return nil, "", err
		}
		list = append(list, open)
	}
	if len(records) < max {
		next = ""
	}
	return list, next, nil
}

func (c *Cashier) opened(b BankOrder, o Order, version uint64) (OpenOrder, error) {
	o.Number = b.Number
	open := OpenOrder{BankOrder: b, Order: o, Version: version}
	if o.To == "" {
		return open, nil
	}
	var err error
	if open.Payee, err = c.openAccount(b.Owner, o.To); err != nil {
		return open, &Unavailable{Err: err}
	}
	return open, nil
}

// QueryBankOrder returns a withdrawal or payout. One whose end is under way is Pending.
func (c *Cashier) QueryBankOrder(ctx context.Context, b BankOrder) (Order, error) {
	kind := kindWithdraw
	if b.Payout {
		kind = kindPayout
	}
	return c.order(ctx, b.Owner, kind, b.Number)
}

// BankStep is what a [BankChange] says. The numbers are those of package bank, which says more about each.
type BankStep uint8

// Steps of an order.
const (
	BankSending     BankStep = iota + 1 // an attempt is made; written before anything is sent
	BankAccepting                       // the bank has it
	BankDoubting                        // the bank contradicts itself
	BankPaid                            // the end: the money leaves the platform's books
	BankRefused                         // the end: the bank has not paid and never will; the money is given back
	BankNotExecuted                     // the end: it never came to the bank and cannot any more; the money is given back
	bankSteps
)

func (s BankStep) status(before OrderStatus) OrderStatus {
	switch s {
	case BankPaid:
		return OrderDone
	case BankRefused, BankNotExecuted:
		return OrderReturned
	case BankSending:
		return OrderSent
	}
	return before
}

// BankChange is something to be written down about an order.
type BankChange struct {
	Version uint64 // that its record must have; 0: any
	Step    BankStep
	Via     string // the bank it is about, 1-32 letters and digits
	At      holdfast.Time
	Ref     string // the bank's own number for the payment
	Reason  string // why refused or doubtful
}

func (ch *BankChange) check() error {
	if ch.Step == 0 || ch.Step >= bankSteps {
		return refuse(FieldInvalid, "step")
	}
	return first(validText(ch.Ref, "bank", 128), validText(ch.Reason, "bank", 128), validVia(ch.Via))
}

func validVia(via string) error {
	if len(via) > 32 {
		return refuse(FieldInvalid, "via")
	}
	if via == "" {
		return nil // by hand
	}
	return validNumber(via, "via")
}

// mark tells a change from others, so that one which was written before is known when it comes again.
func (ch *BankChange) mark() uint64 {
	return spread(fmt.Sprint(ch.Version, ch.Step, ch.At), ch.Via, ch.Ref, ch.Reason)
}

// ErrOrderChanged is the error of a [BankChange] whose order has another version, or has ended, or is another bank's.
var ErrOrderChanged = errors.New("the order has been changed meanwhile")

// RecordBank writes a change of an order down, together with the money that it moves, if the order has the version that the change names,
// and returns the order as it stands then. Otherwise nothing happens, and the error is ErrOrderChanged with the order as it stands, the zero
// OpenOrder when it has ended. The change that was written last is answered as the first time when it comes again. Any other error: nobody
// knows, and the same change is to be recorded again. now is the time at which the money moves.
func (c *Cashier) RecordBank(ctx context.Context, b BankOrder, ch BankChange, now holdfast.Time) (open OpenOrder, err error) {
	if err := first(validNumber(b.Number, "number"), ch.check()); err != nil {
		return open, err
	}
	err = c.again(ctx, func() error {
		var o Order
		version, err := c.must(ctx, b.key(), &o, refuse(OrderUnknown, "number"))
		switch {
		case err == errUnderWay && (o.Last == ch.mark() || ch.Version == 0 && o.Status == ch.Step.status(o.Status)):
			return errOwn
		case err != nil:
			return err
		case o.Last == ch.mark() && ch.Version != 0:
			open, err = c.opened(b, o, version)
			return err
		case o.Status >= OrderDone:
			open = OpenOrder{}
			return ErrOrderChanged
		case ch.Version != 0 && ch.Version != version || o.Via != "" && ch.Via != "" && o.Via != ch.Via:
			if open, err = c.opened(b, o, version); err != nil {
				return err
			}
			return ErrOrderChanged
		}
		o.apply(&ch, now)
		d := draft{at: now, code: movePayout, ref: refOf(b.key())}
		if o.Status == OrderDone {
			d.move(account(b.Owner, Outgoing, o.Asset), account(c.Bank, BankMoney, o.Asset), o.Amount)
		}
		d.put(b.key(), version, &o, o.index(&b)...)
		if err := c.answered(ctx, &d, &b, &o); err != nil {
			return err
		}
		if err := c.submit(ctx, &d); err != nil {
			return err
		}
		open, err = c.opened(b, o, version+1)
		return err
	})
	return open, err
}

// apply is what a change makes of an order.
func (o *Order) apply(ch *BankChange, now holdfast.Time) {
	o.Status, o.Changed, o.Last = ch.Step.status(o.Status), now, ch.mark()
	switch ch.Step {
	case BankSending:
		o.Sent, o.Via = max(o.Sent, ch.At), or(o.Via, ch.Via)
	case BankAccepting:
		o.Accepted = true
	case BankDoubting:
		o.Doubtful, o.Bank = true, ch.Reason
	case BankPaid:
		o.Bank, o.Via = ch.Ref, or(o.Via, ch.Via)
	default:
		o.Bank = ch.Reason
	}
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// Recall is for the owner of an order who wants his money back. What has not been sent to a bank is given back at once. Of what has been sent
// nobody knows: it is not sent any more, and ends when the bank says that it has paid, or that it has not and cannot any more.
func (c *Cashier) Recall(ctx context.Context, b BankOrder, now holdfast.Time) (o Order, err error) {
	if err := validNumber(b.Number, "number"); err != nil {
		return o, err
	}
	err = c.again(ctx, func() error {
		o = Order{Number: b.Number}
		version, err := c.must(ctx, b.key(), &o, refuse(OrderUnknown, "number"))
		switch {
		case err == errUnderWay:
			return errOwn
		case err != nil || o.Status == OrderReturned || o.Recalled:
			return err
		case o.Status == OrderDone:
			return refuse(OrderStateWrong, "")
		}
		o.Recalled, o.Changed = true, now
		d := draft{at: now, ref: refOf(b.key())}
		if o.Sent == 0 {
			o.Status, o.Bank = OrderReturned, "recalled"
		}
		d.put(b.key(), version, &o, o.index(&b)...)
		if err := c.answered(ctx, &d, &b, &o); err != nil {
			return err
		}
		return c.submit(ctx, &d)
	})
	return o, err
}

// Sent notes by hand that a bank is asked; see RecordBank.
func (c *Cashier) Sent(ctx context.Context, b BankOrder, now holdfast.Time) (Order, error) {
	return c.byHand(ctx, b, BankChange{Step: BankSending, At: now}, now)
}

// PaidOut notes by hand that the bank has paid; bank is the bank's own number for it. The money leaves the platform's books.
func (c *Cashier) PaidOut(ctx context.Context, b BankOrder, bank string, now holdfast.Time) (Order, error) {
	return c.byHand(ctx, b, BankChange{Step: BankPaid, At: now, Ref: bank}, now)
}

// PayoutReturned notes by hand that the bank has not paid and never will. The money is given back to its owner.
func (c *Cashier) PayoutReturned(ctx context.Context, b BankOrder, why string, now holdfast.Time) (Order, error) {
	return c.byHand(ctx, b, BankChange{Step: BankRefused, At: now, Reason: why}, now)
}

// byHand writes a change whatever version the order has. One that is as it should be is left alone.
func (c *Cashier) byHand(ctx context.Context, b BankOrder, ch BankChange, now holdfast.Time) (Order, error) {
	open, err := c.RecordBank(ctx, b, ch, now)
	if !errors.Is(err, ErrOrderChanged) {
		return open.Order, err
	}
	o, err := c.QueryBankOrder(ctx, b)
	if err == nil && o.Status != ch.Step.status(o.Status) {
		err = refuse(OrderStateWrong, "")
	}
	return o, err
}

// answered adds what the owner is told of the end of an order, and the money that goes back.
func (c *Cashier) answered(ctx context.Context, d *draft, b *BankOrder, o *Order) error {
	returned := o.Status == OrderReturned
	if !returned && (!b.Payout || o.Status != OrderDone) {
		return nil
	}
	if !b.Payout {
		d.code = moveReturn
		d.move(account(b.Owner, Outgoing, o.Asset), account(b.Owner, Wallet, o.Asset), o.Amount)
		d.receipt(b.Owner, Receipt{Kind: ReceiptWithdrawalReturned, Asset: o.Asset, Amount: o.Amount, Number: b.Number, Text: o.Bank}, "back")
		return nil
	}
	var m Merchant
	if _, err := c.must(ctx, keyOf(b.Owner, kindMerchant), &m, refuse(MerchantUnknown, "")); err != nil {
		return err
	}
	e := Event{Kind: EventPaidOut, Asset: o.Asset, Amount: o.Amount, Number: b.Number}
	if returned {
		d.code = moveReturn
		d.move(account(b.Owner, Outgoing, o.Asset), account(b.Owner, Settlement, o.Asset), o.Amount)
		e.Kind, e.Effect = EventPayoutReturned, o.Amount
	}
	return c.tell(d, b.Owner, m.Zone, e)
}

// OpenBank opens the platform's account at the bank in some currencies.
func (c *Cashier) OpenBank(ctx context.Context, now holdfast.Time, assets ...holdfast.Asset) error {
	d := draft{at: now}
	for _, asset := range assets {
		d.open(account(c.Bank, BankMoney, asset), holdfast.LimitNone)
		d.open(account(c.Bank, Unassigned, asset), holdfast.LimitDebits)
	}
	return c.again(ctx, func() error { return c.submit(ctx, &d) })
}
