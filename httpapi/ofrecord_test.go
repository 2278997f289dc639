package httpapi

import (
	"net/http"
	"slices"
	"testing"

	"holdfast"
	"holdfast/client"
	"holdfast/pay"
)

// TestWhatWasMovedForADocumentIsFound: the client's keys are those of the documents, so that from a trade one comes to all its transfers.
func TestWhatWasMovedForADocumentIsFound(t *testing.T) {
	s := newStall(t)
	var moved []holdfast.Ref
	s.books.Meanwhile = func(t *holdfast.Txn) {
		for i := range t.Transfers {
			moved = append(moved, t.Transfers[i].Ref)
		}
	}
	fits := func(what, key string, least int) {
		t.Helper()
		want := pay.RefOf(key)
		if len(moved) < least || slices.ContainsFunc(moved, func(r holdfast.Ref) bool { return r != want }) {
			t.Errorf("%s (%s): moved with %v, not %d times %v", what, key, moved, least, want)
		}
		moved = nil
	}
	sale := s.sale("R-1", 500)
	sale.Payer = s.alice
	s.need(only(s.c.CreateTrade(s.ctx, sale)))
	s.need(only(s.c.Refund(s.ctx, client.NewRefund{Merchant: s.merchant, OutTradeNo: "R-1", OutRequestNo: "r", Amount: 20})))
	fits("paid and refunded", client.TradeKey(s.merchant, "R-1"), 2)
	s.need(only(s.c.Send(s.ctx, client.Send{From: s.alice, To: s.bob, Number: "s-1", Asset: cny, Amount: 5})))
	fits("sent", client.SentKey(s.alice, "s-1"), 1)
	out, err := s.c.Withdraw(s.ctx, s.alice, client.Withdrawal{Money: client.Money{Number: "w-1", Asset: cny, Amount: 5}})
	s.need(err)
	fits("withdrawn", client.PayoutKey(&out), 1)
	frozen, err := s.c.OpenAuthorisation(s.ctx, client.NewAuthorisation{Merchant: s.merchant, OutOrderNo: "A-1", Title: "room", Amount: 9, Asset: cny})
	s.need(err)
	s.need(only(s.c.Authorise(s.ctx, s.merchant, "A-1", s.alice, "")))
	fits("frozen", client.FreezeKey(s.alice, frozen.AuthNo), 1)
	s.topUp(s.alice, "t-1", 7)
	fits("topped up", client.TopUpKey(s.alice, "t-1"), 1)
}

// TestTransfersOfARecord: the list is that of the reference of the record, and bad keys are said to be.
func TestTransfersOfARecord(t *testing.T) {
	b, far := crossingBank(t)
	key := client.TradeKey(b.alice.Owner, "T-1")
	p := b.transfer(b.alice, far, 5)
	p.Ref = pay.RefOf(key)
	b.done(b.Pay(t.Context(), p))
	b.done(b.Pay(t.Context(), b.transfer(b.alice, b.shop, 5)))
	if list, err := b.TransfersOf(t.Context(), key); err != nil || len(list) != 1 || list[0].ID != p.ID || list[0].Credit != far {
		t.Errorf("%+v %v", list, err)
	}
	for _, bad := range []string{"T-1", "o/1/trade/T-1", key[:19]} {
		_, err := b.TransfersOf(t.Context(), bad)
		if e, ok := err.(*client.Error); !ok || e.Status != http.StatusBadRequest || e.Field != "record" { //nolint:errorlint // it is not wrapped
			t.Errorf("%q: %v", bad, err)
		}
	}
}
