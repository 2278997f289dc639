package pay_test

import (
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

func (w *world) payWithCode(number, code string) (pay.Trade, error) {
	return w.cashier.PayWithCode(w.ctx, w.merchants[0], number, code, w.tick())
}

func (w *world) code(n int) string { return pay.PaymentCode(w.customers[n], w.secret[:], w.now) }

func TestACodePaysATradeThatWaits(t *testing.T) {
	for n := range 3 {
		w := newWorld(t)
		w.waiting("A")
		code := w.code(n)
		w.books.Reads()
		paid, err := w.payWithCode("A", code)
		w.must(err)
		if reads := w.books.Reads(); reads != 4 {
			t.Errorf("it took %d reads, want 4: the customer, the trade, the merchant, the wallet record", reads)
		}
		if paid.Status != pay.StatusSuccess || paid.Payer != w.customers[n] {
			t.Fatalf("paid: %+v", paid)
		}
		for range 2 { // while the code counts, and when it does no more
			again, err := w.payWithCode("A", code)
			w.must(err)
			if again != paid {
				t.Fatalf("again: %+v, want %+v", again, paid)
			}
			w.now += holdfast.Time(10 * time.Minute)
		}
		if got := w.balance(w.customers[n]).Available; got != startMoney-paid.Amount {
			t.Errorf("the payer has %d", got)
		}
		w.audit()
	}
}

func TestACodePaysOneTradeOnly(t *testing.T) {
	w := newWorld(t)
	w.waiting("A")
	w.waiting("B")
	code := w.code(0)
	w.must(only(w.payWithCode("A", code)))
	w.refused(pay.CodeUsed, only(w.payWithCode("B", code)))
	if b, _ := w.cashier.Query(w.ctx, w.merchants[0], "B", w.now); b.Status != pay.StatusWaiting {
		t.Errorf("B is %v", b.Status)
	}
	w.now += holdfast.Time(10 * time.Minute)
	w.refused(pay.CodeWrong, only(w.payWithCode("B", code)))
	w.refused(pay.TradePaid, only(w.payWithCode("A", w.code(1))))
	w.refused(pay.CodeWrong, only(w.payWithCode("A", "280000000412345678")))
	w.refused(pay.CodeWrong, only(w.payWithCode("A", "28")))
	w.refused(pay.TradeUnknown, only(w.payWithCode("C", w.code(0))))
	w.audit()
}

// TestTheSameCodeAtTwoPlacesInOneInstant: between the decision and the transaction of one payment another one uses the code.
func TestTheSameCodeAtTwoPlacesInOneInstant(t *testing.T) {
	for n := range 3 { // payers in the merchant's shard and in others
		w := newWorld(t)
		w.waiting("A")
		w.waiting("B")
		code, first := w.code(n), true
		w.books.Meanwhile = func(*holdfast.Txn) {
			if first {
				first = false
				w.must(only(w.payWithCode("B", code)))
			}
		}
		w.refused(pay.CodeUsed, only(w.payWithCode("A", code)))
		if got := w.balance(w.customers[n]).Available; got != startMoney-1000 {
			t.Errorf("the payer has %d", got)
		}
		w.audit()
	}
}

func TestAnUnknownPaymentWithACodeIsFoundOut(t *testing.T) {
	w := newWorld(t)
	w.waiting("A")
	w.books.Fault = func(*holdfast.Txn) paytest.Fault { return paytest.Stuck }
	code := w.code(0)
	_, err := w.payWithCode("A", code)
	if _, ok := err.(*pay.Pending); !ok {
		t.Fatalf("got %v, want Pending", err)
	}
	w.books.Fault = nil
	_, err = w.payWithCode("A", code)
	if _, ok := err.(*pay.Pending); !ok || pay.UnderWay(err) {
		t.Fatalf("asked again meanwhile: %v", err)
	}
	w.waiting("B")
	w.now += holdfast.Time(time.Minute)
	if _, err = w.payWithCode("B", w.code(0)); !pay.UnderWay(err) {
		t.Fatalf("another payment meanwhile: %v", err)
	}
	w.books.Deliver()
	paid, err := w.payWithCode("A", code)
	w.must(err)
	if paid.Status != pay.StatusSuccess {
		t.Fatalf("in the end: %+v", paid)
	}
	w.audit()
}

func TestUnderWayIsNoOtherTrouble(t *testing.T) {
	w := newWorld(t)
	w.waiting("A")
	w.books.Fault = func(*holdfast.Txn) paytest.Fault { return paytest.Gone }
	_, err := w.payWithCode("A", w.code(0))
	if err == nil || pay.UnderWay(err) || pay.UnderWay(nil) {
		t.Fatalf("got %v", err)
	}
}
