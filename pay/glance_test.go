package pay_test

import (
	"strings"
	"testing"

	"holdfast"
	"holdfast/pay"
)

// TestAGlanceDecidesNothing: whatever a place has not heard of yet, a payment made there is decided by how things stand.
func TestAGlanceDecidesNothing(t *testing.T) {
	limited := pay.Limits{Payment: 10}
	for name, c := range map[string]struct {
		change func(w *world) error
		byCode bool
		want   pay.Code
	}{
		"the merchant has been blocked":    {change: func(w *world) error { return w.cashier.BlockMerchant(w.ctx, w.merchants[0], true, w.tick()) }, want: pay.SellerBlocked},
		"the wallet has been blocked":      {change: func(w *world) error { return w.cashier.SetBlocked(w.ctx, w.customers[0], cny, true, w.tick()) }, want: pay.WalletBlocked},
		"a limit has been set":             {change: func(w *world) error { return w.cashier.SetLimits(w.ctx, w.customers[0], cny, limited, w.tick()) }, want: pay.LimitPayment},
		"the phone has been taken away":    {change: func(w *world) error { return w.cashier.RemoveDevice(w.ctx, w.customers[0], 1, w.tick()) }, byCode: true, want: pay.CodeWrong},
		"a limit was set and lifted again": {change: func(w *world) error { return w.cashier.SetLimits(w.ctx, w.customers[0], cny, pay.Limits{}, w.tick()) }},
		"the customer has another phone": {byCode: true, change: func(w *world) error {
			return only(w.cashier.AddDevice(w.ctx, w.customers[0], [pay.SecretBytes]byte{9}, [pay.NonceBytes]byte{9}, w.tick()))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			code := w.code(0)
			w.must(c.change(w))
			w.books.Late = func(string) bool { return true }
			paying := func() error {
				if c.byCode {
					return only(w.cashier.PayByCode(w.ctx, w.offer(0, "A", 1000, pay.Plain), code, w.tick()))
				}
				return only(w.cashier.PayNew(w.ctx, w.offer(0, "A", 1000, pay.Plain), w.customers[0], w.tick()))
			}
			if got := refusal(paying()); got != c.want {
				t.Fatalf("answered %q, want %q", got, c.want)
			}
			paid := holdfast.Amount(1000)
			if c.want != "" {
				paid = 0
			}
			if got := w.balance(w.customers[0]).Available; got != startMoney-paid {
				t.Errorf("he has %d, want %d", got, startMoney-paid)
			}
			if got := refusal(paying()); got != c.want { // once more: as the first time
				t.Errorf("asked again: answered %q, want %q", got, c.want)
			}
			if got := w.balance(w.customers[0]).Available; got != startMoney-paid {
				t.Errorf("asked again: he has %d, want %d", got, startMoney-paid)
			}
		})
	}
}

// TestPaymentsHaveIdsThatTellTheirTime: by an id of version 7 a replica knows without the disk that nothing with it was done before.
func TestPaymentsHaveIdsThatTellTheirTime(t *testing.T) {
	w := newWorld(t)
	w.books.Meanwhile = func(x *holdfast.Txn) {
		ids := []holdfast.ID{x.ID}
		for i := range x.Transfers {
			ids = append(ids, x.Transfers[i].ID)
		}
		for _, id := range ids {
			if text := id.String(); !id.IsZero() && (text[14] != '7' || !strings.Contains("89ab", text[19:20])) {
				t.Errorf("the id %s is not of version 7", text)
			}
		}
	}
	w.must(only(w.cashier.PayNew(w.ctx, w.offer(0, "A", 1000, pay.Plain), w.customers[0], w.tick())))
}
