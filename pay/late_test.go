package pay_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// TestALatePaymentIsToldToBoth: nobody knows what came of a payment when the merchant closes the trade, and then it goes back; or it goes back at once and
// those concerned cannot be told. Whoever works through what is due tells both sides, once.
func TestALatePaymentIsToldToBoth(t *testing.T) {
	for name, payer := range map[string]int{"another shard": 0, "the merchant's shard": 2} {
		for _, silent := range []bool{false, true} {
			w := newWorld(t)
			ask := w.waiting("P")
			ask.Payer = w.customers[payer]
			if silent { // it is refused in this call, and then nothing can be written for a while
				w.books.Meanwhile = func(*holdfast.Txn) {
					w.books.Meanwhile = nil
					w.must(only(w.cashier.Close(w.ctx, ask.Merchant, "P", w.tick())))
					failed := 0
					w.books.Fault = func(x *holdfast.Txn) paytest.Fault {
						if failed++; failed == 2 { // the payment itself is the first
							return paytest.Gone
						}
						return paytest.NoFault
					}
				}
				w.refused(pay.TradeClosed, only(w.cashier.Pay(w.ctx, ask, w.tick())))
			} else {
				first := true
				w.books.Fault = func(x *holdfast.Txn) paytest.Fault {
					if !first {
						return paytest.NoFault
					}
					first = false
					if payer == 2 {
						return paytest.NotProposed
					}
					return paytest.Stuck
				}
				if err := only(w.cashier.Pay(w.ctx, ask, w.tick())); !errors.As(err, new(*pay.Pending)) {
					t.Fatalf("told %v", err)
				}
				w.must(only(w.cashier.Close(w.ctx, ask.Merchant, "P", w.tick())))
			}
			w.books.Fault = nil
			run := func() (failed int) {
				w.now += holdfast.Time(time.Minute)
				for back := range 3 {
					due, err := w.cashier.ListDue(w.ctx, w.now-holdfast.Time(time.Duration(back)*time.Minute), "", 10)
					w.must(err)
					for _, d := range due {
						if w.cashier.RunDue(w.ctx, d, w.tick()) != nil {
							failed++
						}
					}
				}
				return failed
			}
			if failed := run(); failed == 0 && payer == 0 && !silent {
				t.Errorf("%s: it is told while it is under way", name)
			}
			w.books.Deliver()
			for range 2 {
				if run() > 0 {
					t.Errorf("%s, %v: it is still due", name, silent)
				}
			}
			told := 0
			events, err := w.cashier.Events(w.ctx, ask.Merchant, "", 10)
			w.must(err)
			for _, e := range events {
				if e.Kind == pay.EventNotPaid && e.Other == ask.Payer && e.Amount == 1000 && e.OutTradeNo == "P" {
					told++
				}
			}
			lines, _, err := w.cashier.Statement(w.ctx, ask.Payer, "", 10)
			w.must(err)
			for _, r := range lines {
				if r.Kind == pay.ReceiptNotPaid && r.Other == ask.Merchant && r.Amount == 1000 && r.Number == "P" {
					told++
				}
			}
			if told != 2 || w.balance(ask.Payer).Available != startMoney {
				t.Errorf("%s, %v: %d of two were told: %+v %+v", name, silent, told, events, lines)
			}
			w.audit()
		}
	}
}

// TestALatePaymentIsToldAlthoughItsProcessDied: whoever took the payment can write nothing any more when it has been sent. Who gives the money back notes it
// first, any number of times, and both sides are told, once; not if the payer has paid in the end, nor of what is no payment.
func TestALatePaymentIsToldAlthoughItsProcessDied(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		w := newWorld(t)
		m, o := w.merchants[0], w.customers[0]
		if frozen {
			w.auth("A", 2000)
		}
		before := w.balance(o).Available
		var sent *holdfast.Txn
		w.books.Fault = func(x *holdfast.Txn) paytest.Fault {
			if sent != nil {
				return paytest.Gone
			}
			sent = x
			return paytest.Stuck
		}
		var err error
		if offer := w.offer(0, "P", 1000, pay.Plain); frozen {
			_, err = w.cashier.PayFrozen(w.ctx, offer, "A", false, w.tick())
		} else {
			_, err = w.cashier.PayNew(w.ctx, offer, o, w.tick())
		}
		if !errors.As(err, new(*pay.Pending)) {
			t.Fatalf("told %v", err)
		}
		w.books.Fault = nil
		_, err = w.cashier.Create(w.ctx, w.offer(0, "P", 1000, pay.Plain), w.tick()) // it is the land's turn to be refused
		w.must(err)
		w.must(only(w.cashier.Close(w.ctx, m, "P", w.tick())))
		for range 2 {
			w.must(w.cashier.Returned(w.ctx, sent, w.tick()))
		}
		w.must(w.cashier.Returned(w.ctx, &holdfast.Txn{Records: []holdfast.RecordChange{{Key: "nobody's"}, {Key: holdfast.OwnedKey(o, "receipt/x")}}}, w.tick()))
		w.books.Deliver()
		for range 2 {
			w.must(w.runDue(w.now + holdfast.Time(2*time.Minute)))
		}
		if n := w.told(0, pay.EventNotPaid); n != 1 {
			t.Errorf("frozen %v: the merchant was told %d times", frozen, n)
		}
		if r := w.lastLine(o); r.Kind != pay.ReceiptNotPaid || r.Amount != 1000 || r.Other != m || r.Number != "P" {
			t.Errorf("frozen %v: the buyer is told %+v", frozen, r)
		}
		if got := w.balance(o).Available; got != before {
			t.Errorf("frozen %v: the buyer has %d, before %d", frozen, got, before)
		}
		w.audit()
		if _, err := w.cashier.PayNew(w.ctx, w.offer(0, "Q", 700, pay.Plain), o, w.tick()); err != nil {
			t.Fatal(err)
		}
		sent = nil
		w.books.Fault = func(x *holdfast.Txn) paytest.Fault { sent = x; return paytest.NoFault }
		_, err = w.cashier.PayNew(w.ctx, w.offer(0, "R", 700, pay.Plain), o, w.tick())
		w.must(err)
		w.books.Fault = nil
		w.must(w.cashier.Returned(w.ctx, sent, w.tick())) // one of its tries went back, and another one did not
		w.must(w.runDue(w.now + holdfast.Time(2*time.Minute)))
		if n := w.told(0, pay.EventNotPaid); n != 1 {
			t.Errorf("frozen %v: the merchant is told of one that was paid", frozen)
		}
	}
}

// TestALatePaymentAfterACancelByNumber: the number was cancelled before there was a trade, so the trade says nothing of the money; both sides are told how much of
// which currency has gone back all the same, and the buyer for what.
func TestALatePaymentAfterACancelByNumber(t *testing.T) {
	for _, unknown := range []bool{true, false} {
		w := newWorld(t)
		m, o := w.merchants[0], w.customers[0]
		cancel := func() {
			_, did, err := w.cashier.Cancel(w.ctx, m, "P", w.tick())
			if w.must(err); did != pay.CancelledNothing {
				t.Fatalf("the cancel did %v", did)
			}
		}
		pays := func() error { return only(w.cashier.PayNew(w.ctx, w.offer(0, "P", 1000, pay.Plain), o, w.tick())) }
		if unknown {
			w.books.Fault = func(*holdfast.Txn) paytest.Fault { w.books.Fault = nil; return paytest.Stuck }
			if err := pays(); !errors.As(err, new(*pay.Pending)) {
				t.Fatalf("told %v", err)
			}
			cancel()
		} else {
			w.books.Meanwhile = func(*holdfast.Txn) { w.books.Meanwhile = nil; cancel() }
			w.refused(pay.TradeClosed, pays())
		}
		w.books.Deliver()
		w.must(w.runDue(w.now + holdfast.Time(time.Minute)))
		events, err := w.cashier.Events(w.ctx, m, "", 10)
		w.must(err)
		i := slices.IndexFunc(events, func(e pay.Event) bool { return e.Kind == pay.EventNotPaid })
		if i < 0 || events[i].Asset != cny || events[i].Amount != 1000 || events[i].Total != 1000 || events[i].Subject != "tea" || events[i].Other != o {
			t.Errorf("unknown %v: the merchant is told %+v", unknown, events)
		}
		if r := w.lastLine(o); r.Kind != pay.ReceiptNotPaid || r.Asset != cny || r.Amount != 1000 || r.Text != "tea" {
			t.Errorf("unknown %v: the buyer is told %+v", unknown, r)
		}
		w.audit()
	}
}
