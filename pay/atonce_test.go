package pay_test

import (
	"testing"

	"holdfast"
	"holdfast/pay"
)

// beside lets one cashier make so many calls of its books, then lets another do its whole thing, and then the first go on to the end.
func (w *world) beside(calls int, one, other *asked) {
	next, stop := w.side(one)
	defer stop()
	for range calls {
		next()
	}
	whole, end := w.side(other)
	defer end()
	for _, more := whole(); more; {
		_, more = whole()
	}
	for _, more := next(); more; {
		_, more = next()
	}
}

// TestCancelWhileAPartGoesBack: a cancel gives back what is left when it is done, not what was left when it began to look.
func TestCancelWhileAPartGoesBack(t *testing.T) {
	for calls := range 8 {
		w := scene{pay.Plain, true}.world(t)
		cancel := &asked{do: func(c *pay.Cashier, now holdfast.Time) error {
			_, did, err := c.Cancel(w.ctx, w.merchants[0], "T", now)
			if err == nil && did != pay.CancelledRefunded {
				t.Errorf("after %d calls: it did %v", calls, did)
			}
			return err
		}}
		w.beside(calls, cancel, w.refundOf("R1", 600))
		v, err := w.cashier.Query(w.ctx, w.merchants[0], "T", w.now)
		if w.must(err); cancel.code != "" || v.Status != pay.StatusClosed || v.Refunded != v.Amount {
			t.Errorf("after %d calls: the cancel was answered %q, and the trade is %s with %d back", calls, cancel.code, v.Status, v.Refunded)
		}
		w.audit()
	}
}

// TestOneRefundAtTwoSites: whoever is slower is not told that there is too little left because the other has done the same.
func TestOneRefundAtTwoSites(t *testing.T) {
	for calls := range 8 {
		w := scene{pay.Plain, true}.world(t)
		one := w.refundOf("R1", 600)
		w.beside(calls, one, w.refundOf("R1", 600))
		v, err := w.cashier.Query(w.ctx, w.merchants[0], "T", w.now)
		if w.must(err); one.code != "" || v.Refunded != 600 {
			t.Errorf("after %d calls: answered %q, and %d are back", calls, one.code, v.Refunded)
		}
		w.audit()
	}
}

// TestOneTransferAtTwoSites: nor that it is above a limit because of itself.
func TestOneTransferAtTwoSites(t *testing.T) {
	for calls := range 8 {
		w := newWorld(t)
		w.must(w.cashier.SetLimits(w.ctx, w.customers[0], cny, pay.Limits{Day: 900}, w.tick()))
		send := func() *asked {
			return &asked{do: func(c *pay.Cashier, now holdfast.Time) error {
				return only(c.Transfer(w.ctx, pay.TransferAsk{From: w.customers[0], To: w.customers[1], Number: "X", Asset: cny, Amount: 500}, now))
			}}
		}
		one := send()
		w.beside(calls, one, send())
		if got := w.money(w.customers[1], pay.Wallet); one.code != "" || got != startMoney+500 {
			t.Errorf("after %d calls: answered %q, and the payee has %d", calls, one.code, got)
		}
		w.audit()
	}
}
