package drill

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
)

// deal is one payment of a trade, or one refund of it, as its caller saw it.
type deal struct {
	tradeKey
	request  string // the number of the refund; "": it is the payment
	customer holdfast.Owner
	amount   holdfast.Amount
	fee      holdfast.Amount // as the answer says: taken, or by a refund given back
	status   holdfast.Status // as the caller was told; in the proof what became of it
	said     string          // the code of a refusal
	odd      string          // what in the answer is not what was asked for
	called   time.Duration
	ended    time.Duration
}

// tradeKey names a trade.
type tradeKey struct {
	merchant holdfast.Owner
	number   string
}

// ref is the reference of every transfer of the trade: the beginning of a hash of the key of its record.
func (k tradeKey) ref() holdfast.Ref {
	sum := sha256.Sum256([]byte(holdfast.OwnedKey(k.merchant, "trade/"+k.number)))
	return holdfast.Ref(sum[:len(holdfast.Ref{})])
}

func (k tradeKey) String() string {
	return fmt.Sprintf("trade %s of merchant %s", k.number, k.merchant)
}

func (d *deal) refund() bool { return d.request != "" }

// deals is the book of trades. Their times are in the other book as well, with all that is measured.
type deals struct {
	mu   sync.Mutex
	list []deal
}

func (b *deals) write(d deal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, d)
}

// deal is what an errand is to the people who have it.
func (w *world) deal(e *errand) deal {
	number := func(i int) string {
		return w.trade.Events[i%len(w.trade.Events)].Invoice + "-" + strconv.Itoa(i)
	}
	d := deal{amount: e.transfer.Amount}
	if e.after >= 0 {
		d.tradeKey, d.request = tradeKey{e.transfer.Debit.Owner, number(e.after)}, number(e.number)
		d.customer = e.transfer.Credit.Owner
		return d
	}
	d.tradeKey, d.customer = tradeKey{e.transfer.Credit.Owner, number(e.number)}, e.transfer.Debit.Owner
	return d
}

// ask asks for it. The same may be asked for again: it has a number.
func (d *deal) ask(ctx context.Context, c *client.Client) error {
	if d.refund() {
		v, err := c.Refund(ctx, client.NewRefund{Merchant: d.merchant, OutTradeNo: d.number, OutRequestNo: d.request, Amount: d.amount, Reason: "sent back"})
		if err == nil {
			d.fee = v.FeeReturned
			d.odd = unlike(map[string]bool{"amount": v.Amount == d.amount, "number": v.OutRequestNo == d.request && v.OutTradeNo == d.number, "merchant": v.Merchant == d.merchant})
		}
		return err
	}
	v, err := c.CreateTrade(ctx, client.NewTrade{
		Merchant: d.merchant, OutTradeNo: d.number, Amount: d.amount, Asset: pounds, Subject: d.subject(), Payer: d.customer,
	})
	if err == nil {
		d.fee = v.Fee
		d.odd = unlike(map[string]bool{"amount": v.Amount == d.amount, "number": v.OutTradeNo == d.number, "merchant": v.Merchant == d.merchant, "payer": v.Payer == d.customer})
	}
	return err
}

func (d *deal) subject() string { return "Order " + d.number }

// unlike names what is not as it should be; "": everything is.
func unlike(same map[string]bool) string {
	for _, field := range []string{"number", "merchant", "payer", "asset", "subject", "amount", "status", "fee", "fee returned", "refunded"} {
		if ok, asked := same[field]; asked && !ok {
			return field
		}
	}
	return ""
}

// answered is what an answer of the API for payments of people means, with the code of a refusal.
func answered(err error) (holdfast.Status, string) {
	var e *client.Error
	switch {
	case err == nil:
		return holdfast.Done, ""
	case errors.Is(err, client.ErrUnknown) || errors.As(err, &e) && e.Code == "outcome-unknown":
		return holdfast.Unknown, ""
	case !errors.As(err, &e) || e.Status >= http.StatusInternalServerError || e.Status == http.StatusTooManyRequests:
		return holdfast.NotExecuted, ""
	}
	return holdfast.Refused, e.Code
}

// trade makes one errand as a trade, or as the refund of one, and writes the answer down.
func (l *load) trade(ctx context.Context, c *client.Client, d deal, s Sample) holdfast.Status {
	ctx, cancel := context.WithTimeout(ctx, payDeadline-(l.clock()-s.Due))
	defer cancel()
	d.called = l.clock()
	err := d.ask(ctx, c)
	d.status, d.said = answered(err)
	d.ended = l.clock()
	s.Ended, s.Status = d.ended, d.status
	if d.status == holdfast.Refused {
		err = nil // an answer all the same; see refusals
	}
	l.deals.write(d)
	l.book.write(page{sample: s, called: d.called}, err)
	return d.status
}

// sale is a trade as it must be, by what callers were told.
type sale struct {
	tradeKey
	customer holdfast.Owner
	amount   holdfast.Amount
	fee      holdfast.Amount
	refunds  map[string]holdfast.Amount // by number of the request
	refunded holdfast.Amount
}

func (s *sale) feeBack() holdfast.Amount { return returned(s.fee, s.refunded, s.amount) }

func (s *sale) status() string {
	if s.refunded == s.amount {
		return "TRADE_CLOSED"
	}
	return "TRADE_SUCCESS"
}

// txn is what the sale has moved in all.
func (s *sale) txn(m *market) *holdfast.Txn {
	t := &holdfast.Txn{}
	seller, customer := m.byOwner[s.merchant], holdfast.AccountID{Owner: s.customer, Purpose: wallet, Asset: pounds}
	move := func(from, to holdfast.AccountID, amount holdfast.Amount) {
		if amount > 0 {
			t.Transfers = append(t.Transfers, holdfast.Transfer{Kind: holdfast.Immediate, Debit: from, Credit: to, Amount: amount, Ref: s.ref()})
		}
	}
	move(customer, seller.settlement(), s.amount-s.fee)
	move(customer, seller.fees(), s.fee)
	move(seller.fees(), customer, s.feeBack())
	move(seller.settlement(), customer, s.refunded-s.feeBack())
	return t
}

// sold is every trade that must be there, by what became of each call.
func sold(list []deal, m *market) map[tradeKey]*sale {
	all := map[tradeKey]*sale{}
	for i := range list {
		if d := &list[i]; !d.refund() && d.status == holdfast.Done {
			all[d.tradeKey] = &sale{d.tradeKey, d.customer, d.amount, m.byOwner[d.merchant].plan.of(d.amount), map[string]holdfast.Amount{}, 0}
		}
	}
	for i := range list {
		d := &list[i]
		if s := all[d.tradeKey]; d.refund() && d.status == holdfast.Done && s != nil {
			s.refunds[d.request], s.refunded = d.amount, s.refunded+d.amount
		}
	}
	return all
}
