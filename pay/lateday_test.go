package pay_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// TestAClosedDayStaysAsItIs: a merchant is told of a freeze when its day is settled already. The day says the same as before, to whoever settles it
// again and to whoever reads its rows.
func TestAClosedDayStaysAsItIs(t *testing.T) {
	w := newWorld(t)
	shop, payer := w.merchants[0], w.customers[0]
	ask := pay.AuthAsk{Merchant: shop, OutOrderNo: "F1", Request: "1", Title: "room", Asset: cny, Amount: 500}
	w.must(only(w.cashier.OpenAuth(w.ctx, ask, w.tick())))
	w.books.Fault = func(t *holdfast.Txn) paytest.Fault { // the money is frozen, and nobody can tell the merchant
		if strings.Contains(t.Records[0].Key, "/event/") {
			return paytest.Gone
		}
		return paytest.NoFault
	}
	if err := only(w.cashier.Authorize(w.ctx, shop, "F1", payer, "", w.tick())); !errors.Is(err, paytest.ErrGone) {
		t.Fatalf("authorised: %v", err)
	}
	w.books.Fault = nil
	const day = "2026-11-27"
	w.now += holdfast.Time(24 * time.Hour)
	before, err := w.cashier.Settle(w.ctx, shop, day, w.now)
	w.must(err)
	w.must(only(w.cashier.Authorize(w.ctx, shop, "F1", payer, "", w.tick())))
	if events, err := w.cashier.Events(w.ctx, shop, "", 10); err != nil || len(events) != 1 || events[0].Kind != pay.EventFrozen {
		t.Fatalf("the merchant was told %+v, %v", events, err)
	}
	after, err := w.cashier.Settle(w.ctx, shop, day, w.tick())
	w.must(err)
	if !reflect.DeepEqual(before, after) {
		t.Errorf("the day was settled with %+v, and then with %+v", before, after)
	}
	err = w.cashier.Rows(w.ctx, shop, 0, w.now, func(e *pay.Event) { t.Errorf("a row of a day that had none: %+v", *e) })
	w.must(err)
}
