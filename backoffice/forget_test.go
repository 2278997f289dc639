package backoffice

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/pay"
)

// Codes that have been used are forgotten a day later, when their payer pays again; until then none can be used twice.
func TestUsedCodesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBankWorld(t, 1)
		w.books.Fault = nil
		o, secret := w.customers[0], [pay.SecretBytes]byte{7}
		_, err := w.cashier.AddDevice(w.ctx, o, secret, [pay.NonceBytes]byte{1}, w.now())
		must(t, err)
		f := &forgetter{office: &Office{cfg: Config{Cashier: w.cashier, Now: time.Now}}, payers: nil}
		left := func() int {
			records, err := w.books.Records(w.ctx, "o/"+o.String()+"/used/", "", 1000)
			must(t, err)
			return len(records)
		}
		shop := ownerOf(11)
		_, err = w.cashier.RegisterMerchant(w.ctx, pay.MerchantAsk{Owner: shop, Name: "shop", Zone: "Asia/Shanghai", Assets: []holdfast.Asset{cny}}, w.now())
		must(t, err)
		for n := range 3 {
			code := pay.PaymentCode(o, secret[:], w.now())
			_, err := w.cashier.PayByCode(w.ctx, pay.TradeAsk{
				Merchant: shop, OutTradeNo: string(rune('A' + n)), TradeOffer: pay.TradeOffer{Amount: 1, Asset: cny, Subject: "tea"},
			}, code, w.now())
			must(t, err)
			time.Sleep(2 * time.Minute)
		}
		if f.clear(context.Background(), o); left() != 3 {
			t.Errorf("%d codes are remembered while they may be shown again", left())
		}
		time.Sleep(25 * time.Hour)
		if f.clear(context.Background(), o); left() != 0 {
			t.Errorf("%d codes are remembered a day later", left())
		}
	})
}
