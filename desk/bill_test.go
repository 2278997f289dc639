package desk

import (
	"testing"
	"time"

	"holdfast"
	"holdfast/alipay"
	"holdfast/pay"
)

// TestABillComesToWhatIsSettled goes through all ways in which a trade changes what the merchant is paid: for each day the rows of the bill come to the
// net of the settlement, and shares and the fees of protected trades stand in their columns.
func TestABillComesToWhatIsSettled(t *testing.T) {
	w := newWorld(t)
	m, day := w.merchants[0], time.Date(2026, 11, 27, 0, 0, 0, 0, gmt8)
	sell := func(number string, mode pay.Mode) {
		_, err := w.cashier.PayNew(w.ctx, pay.TradeAsk{
			Merchant: m, OutTradeNo: number, TradeOffer: pay.TradeOffer{Amount: 10_000, Asset: cny, Mode: mode, Subject: "x"},
		}, w.customers[0], w.tick())
		w.must(err)
	}
	split := func(number, request string, amount holdfast.Amount, finish bool) {
		ask := pay.SplitAsk{Merchant: m, OutTradeNo: number, Number: request, Finish: finish}
		if amount > 0 {
			ask.Shares = []pay.Share{{To: w.customers[1], Amount: amount}}
		}
		_, _, err := w.cashier.Split(w.ctx, ask, w.tick())
		w.must(err)
	}
	refund := func(number string, amount holdfast.Amount) {
		_, _, err := w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: m, OutTradeNo: number, Number: "R-" + number, Amount: amount}, w.tick())
		w.must(err)
	}
	sell("plain", pay.Plain)
	split("plain", "S1", 1_000, false)
	refund("plain", 2_000)
	sell("kept", pay.Protected)
	refund("kept", 500)
	sell("shared", pay.Split)
	refund("shared", 100)
	split("shared", "S2", 3_000, false)
	wallet := holdfast.AccountID{Owner: w.customers[1], Purpose: pay.Wallet, Asset: cny}
	_, err := w.cashier.Transfer(w.ctx, pay.TransferAsk{
		From: w.customers[1], To: w.customers[0], Number: "X", Asset: cny, Amount: w.balance(w.customers[1]).Available,
	}, w.tick())
	w.must(err)
	w.books.Change(holdfast.CloseAccount, wallet) // what it cannot take comes back
	split("plain", "S5", 30, false)
	split("shared", "S6", 40, false)
	w.now = w.now.AddDate(0, 0, 1)
	_, err = w.cashier.Release(w.ctx, pay.EscrowAsk{Merchant: m, OutTradeNo: "kept"}, 5_000, w.tick())
	w.must(err)
	split("shared", "S3", 0, true)
	split("plain", "S4", 200, true)
	wants := [][]struct {
		number               string
		total, received, fee holdfast.Amount
		share                holdfast.Amount
	}{
		{
			{"plain", 10_000, 10_000, -60, 0},
			{"plain", 0, 0, 0, -1_000},
			{"plain", -2_000, -2_000, 12, 0},
			{"kept", 10_000, 0, 0, 0}, // the platform has it
			{"kept", -500, 0, 0, 0},
			{"shared", 10_000, 60, -60, 0},
			{"shared", -100, 0, 0, 0},
			{"shared", 0, 3_000, 0, -3_000},
			{"plain", 0, 0, 0, -30},
			{"plain", 0, 0, 0, 30},
			{"shared", 0, 40, 0, -40},
			{"shared", 0, -40, 0, 40},
		},
		{
			{"kept", 0, 5_000, -30, 0},
			{"shared", 0, 6_840, 0, 0},
			{"plain", 0, 0, 0, -200},
			{"plain", 0, 0, 0, 200},
		},
	}
	w.now = w.now.AddDate(0, 0, 2)
	for i, want := range wants {
		b := span(m, day.AddDate(0, 0, i), false)
		var net holdfast.Amount
		n := 0
		for r, err := range w.desk.rows(w.ctx, b) {
			w.must(err)
			net += r.Received + r.Fee + r.Share
			if n < len(want) && (r.OutTradeNo != want[n].number || r.Total != want[n].total || r.Received != want[n].received || r.Fee != want[n].fee || r.Share != want[n].share) {
				t.Errorf("day %d, row %d: %+v, want %+v", i, n, r, want[n])
			}
			if r.Business != "" && r.Business != alipay.Sharing && r.Business != alipay.Releasing || r.Business != "" && r.Refund {
				t.Errorf("day %d, row %d is about %q", i, n, r.Business)
			}
			n++
		}
		list, err := w.cashier.Settle(w.ctx, m, b.From.Format(time.DateOnly), w.tick())
		w.must(err)
		if len(list) != 1 || n != len(want) || net != list[0].Net || net == 0 {
			t.Errorf("day %d: %d rows come to %d, and settled is %+v", i, n, net, list)
		}
	}
}
