package pay_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/pay"
)

// plain makes a plain trade that is paid by the first customer.
func (w *world) plain(number string, mode pay.Mode) pay.PayAsk {
	w.t.Helper()
	_, err := w.cashier.PayNew(w.ctx, w.offer(0, number, 1000, mode), w.customers[0], w.tick())
	w.must(err)
	return pay.PayAsk{Merchant: w.merchants[0], OutTradeNo: number, Payer: w.customers[1]}
}

func (w *world) waiting(number string) pay.PayAsk {
	w.t.Helper()
	_, err := w.cashier.Create(w.ctx, w.offer(0, number, 1000, pay.Plain), w.tick())
	w.must(err)
	return pay.PayAsk{Merchant: w.merchants[0], OutTradeNo: number, Payer: w.customers[0]}
}

func (w *world) auth(number string, amount holdfast.Amount) {
	w.t.Helper()
	ask := pay.AuthAsk{Merchant: w.merchants[0], OutOrderNo: number, Request: "1", Title: "room", Asset: cny, Amount: amount}
	_, err := w.cashier.OpenAuth(w.ctx, ask, w.tick())
	w.must(err)
	_, err = w.cashier.Authorize(w.ctx, w.merchants[0], number, w.customers[0], "", w.tick())
	w.must(err)
}

func only[T any](_ T, err error) error { return err }

func two[T, U any](_ T, _ U, err error) error { return err }

func (w *world) payNew(change func(*pay.TradeAsk)) error {
	ask := w.offer(0, "N", 1000, pay.Plain)
	change(&ask)
	return only(w.cashier.PayNew(w.ctx, ask, w.customers[0], w.tick()))
}

func (w *world) limited(l pay.Limits) error {
	w.must(w.cashier.SetLimits(w.ctx, w.customers[0], cny, l, w.tick()))
	w.plain("before", pay.Plain)
	if l.Payment > 0 {
		w.must(w.cashier.SetLimits(w.ctx, w.customers[0], cny, pay.Limits{Payment: 999}, w.tick()))
	}
	return w.payNew(func(*pay.TradeAsk) {})
}

func (w *world) split(number string, amount holdfast.Amount, finish bool, to ...holdfast.Owner) error {
	ask := pay.SplitAsk{Merchant: w.merchants[0], OutTradeNo: "S", Number: number, Finish: finish}
	for _, o := range to {
		ask.Shares = append(ask.Shares, pay.Share{To: o, Amount: amount})
	}
	return two(w.cashier.Split(w.ctx, ask, w.tick()))
}

func (w *world) transferTo(to holdfast.Owner, amount holdfast.Amount) error {
	return only(w.cashier.Transfer(w.ctx, pay.TransferAsk{From: w.customers[0], To: to, Number: "X", Asset: cny, Amount: amount}, w.tick()))
}

func (w *world) escrowAsk(by holdfast.Owner) pay.EscrowAsk {
	return pay.EscrowAsk{Merchant: w.merchants[0], OutTradeNo: "E", By: by}
}

// refusals provokes every refusal there is.
var refusals = map[pay.Code]func(w *world) error{
	pay.AmountInvalid: func(w *world) error { return w.payNew(func(a *pay.TradeAsk) { a.Amount = 0 }) },
	pay.NumberInvalid: func(w *world) error { return w.payNew(func(a *pay.TradeAsk) { a.OutTradeNo = "a/b" }) },
	pay.FieldInvalid:  func(w *world) error { return w.payNew(func(a *pay.TradeAsk) { a.Subject = "" }) },
	pay.AssetInvalid:  func(w *world) error { return w.payNew(func(a *pay.TradeAsk) { a.Asset = 0 }) },
	pay.TimeInvalid:   func(w *world) error { return w.payNew(func(a *pay.TradeAsk) { a.Until = w.now + 1 }) },
	pay.TooMany: func(w *world) error {
		return w.split("1", 1, false, w.customers[0], w.customers[0], w.customers[0], w.customers[0], w.customers[0], w.customers[0])
	},
	pay.OwnerNotIssued: func(w *world) error {
		o, _ := holdfast.NewOwner(7, 8)
		return only(w.cashier.RegisterCustomer(w.ctx, pay.CustomerAsk{Owner: o}, w.now))
	},
	pay.AliasInvalid: func(w *world) error { return only(w.cashier.FindAlias(w.ctx, "nobody")) },
	pay.AliasTaken: func(w *world) error {
		return w.cashier.AddAlias(w.ctx, w.customers[0], "+8613900000001", w.now)
	},
	pay.AliasUnknown:    func(w *world) error { return only(w.cashier.FindAlias(w.ctx, "nobody@example.com")) },
	pay.CustomerUnknown: func(w *world) error { return only(w.cashier.Customer(w.ctx, owner(77))) },
	pay.CustomerExists: func(w *world) error {
		return only(w.cashier.RegisterCustomer(w.ctx, pay.CustomerAsk{Owner: w.customers[0]}, w.now))
	},
	pay.WalletMissing: func(w *world) error { return only(w.cashier.PayNew(w.ctx, w.offer(0, "N", 1, 0), owner(77), w.now)) },
	pay.WalletBlocked: func(w *world) error {
		w.must(w.cashier.SetBlocked(w.ctx, w.customers[0], cny, true, w.now))
		return w.payNew(func(*pay.TradeAsk) {})
	},
	pay.BalanceNotEnough: func(w *world) error { return w.payNew(func(a *pay.TradeAsk) { a.Amount = startMoney + 1 }) },
	pay.LimitPayment:     func(w *world) error { return w.limited(pay.Limits{Payment: 1000}) },
	pay.LimitDay:         func(w *world) error { return w.limited(pay.Limits{Day: 1999}) },
	pay.LimitMonth:       func(w *world) error { return w.limited(pay.Limits{Month: 1999}) },
	pay.MerchantUnknown:  func(w *world) error { return w.payNew(func(a *pay.TradeAsk) { a.Merchant = owner(77) }) },
	pay.MerchantExists: func(w *world) error {
		return only(w.cashier.RegisterMerchant(w.ctx, pay.MerchantAsk{Owner: w.merchants[0], Name: "other", Zone: "Asia/Tokyo"}, w.now))
	},
	pay.AppUnknown:  func(w *world) error { return only(w.cashier.App(w.ctx, pay.AppID(w.merchants[0], 3))) },
	pay.ShopUnknown: func(w *world) error { return only(w.cashier.Shop(w.ctx, w.merchants[0], "s1", "")) },
	pay.SellerBlocked: func(w *world) error {
		w.must(w.cashier.BlockMerchant(w.ctx, w.merchants[0], true, w.now))
		return w.payNew(func(*pay.TradeAsk) {})
	},
	pay.SellerBalance: func(w *world) error {
		w.plain("P", pay.Plain)
		w.must(only(w.cashier.Transfer(w.ctx, pay.TransferAsk{
			From: w.merchants[0], To: w.customers[2], Number: "X", Asset: cny, Amount: 900, Business: true,
		}, w.tick())))
		return two(w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: w.merchants[0], OutTradeNo: "P", Number: "R", Amount: 1000}, w.tick()))
	},
	pay.SellerIsBuyer: func(w *world) error { return w.payNew(func(a *pay.TradeAsk) { a.Buyer = a.Merchant }) },
	pay.TradeUnknown:  func(w *world) error { return only(w.cashier.Query(w.ctx, w.merchants[0], "none", w.now)) },
	pay.TradeDiffers: func(w *world) error {
		w.waiting("N")
		return w.payNew(func(a *pay.TradeAsk) { a.Amount++ })
	},
	pay.BuyerDiffers: func(w *world) error { return w.payNew(func(a *pay.TradeAsk) { a.Buyer = w.customers[1] }) },
	pay.TradePaid:    func(w *world) error { return only(w.cashier.Pay(w.ctx, w.plain("P", pay.Plain), w.tick())) },
	pay.TradeClosed: func(w *world) error {
		ask := w.waiting("P")
		w.must(only(w.cashier.Close(w.ctx, ask.Merchant, "P", w.tick())))
		return only(w.cashier.Pay(w.ctx, ask, w.tick()))
	},
	pay.TradeFinished: func(w *world) error {
		w.plain("P", pay.Plain)
		w.now += holdfast.Time(366 * 24 * time.Hour)
		return two(w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: w.merchants[0], OutTradeNo: "P", Number: "R", Amount: 1}, w.tick()))
	},
	pay.TradeNotPaid: func(w *world) error {
		w.waiting("P")
		return two(w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: w.merchants[0], OutTradeNo: "P", Number: "R", Amount: 1}, w.tick()))
	},
	pay.TradeStatus: func(w *world) error {
		return only(w.cashier.Close(w.ctx, w.plain("P", pay.Plain).Merchant, "P", w.tick()))
	},
	pay.TradeExpired: func(w *world) error {
		ask := w.waiting("P")
		w.now += holdfast.Time(16 * 24 * time.Hour)
		return only(w.cashier.Pay(w.ctx, ask, w.now))
	},
	pay.RefundTooMuch: func(w *world) error {
		w.plain("P", pay.Plain)
		return two(w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: w.merchants[0], OutTradeNo: "P", Number: "R", Amount: 1001}, w.tick()))
	},
	pay.RequestDiffers: func(w *world) error { w.must(w.transferTo(w.customers[1], 1)); return w.transferTo(w.customers[1], 2) },
	pay.SplitTooMuch:   func(w *world) error { w.plain("S", pay.Split); return w.split("1", 994, false, w.customers[1]) },
	pay.SplitFinished: func(w *world) error {
		w.plain("S", pay.Split)
		w.must(w.split("1", 1, true))
		return w.split("2", 1, false, w.customers[1])
	},
	pay.ReceiverInvalid: func(w *world) error { w.plain("S", pay.Split); return w.split("1", 1, false, owner(77)) },
	pay.NotEscrow: func(w *world) error {
		w.plain("E", pay.Plain)
		return only(w.cashier.Confirm(w.ctx, w.escrowAsk(w.customers[0]), w.tick()))
	},
	pay.EscrowStatus: func(w *world) error {
		w.plain("E", pay.Protected)
		return only(w.cashier.Lapse(w.ctx, w.escrowAsk(0), w.tick()))
	},
	pay.EscrowDisputed: func(w *world) error {
		w.plain("E", pay.Protected)
		w.must(only(w.cashier.Dispute(w.ctx, w.escrowAsk(w.customers[0]), w.tick())))
		return only(w.cashier.Confirm(w.ctx, w.escrowAsk(w.customers[0]), w.tick()))
	},
	pay.EscrowTooMuch: func(w *world) error {
		w.plain("E", pay.Protected)
		return only(w.cashier.Release(w.ctx, w.escrowAsk(0), 1001, w.tick()))
	},
	pay.CodeWrong: func(w *world) error {
		return only(w.cashier.PayByCode(w.ctx, w.offer(0, "N", 1, 0), "280000000312345678", w.now))
	},
	pay.TooManyCodes: func(w *world) error {
		for n := range pay.NamedTries {
			_ = w.offered("N", wrongCode(w.customers[0], n)) // refused as wrong
		}
		return w.offered("N", wrongCode(w.customers[0], 99))
	},
	pay.CodeUsed: func(w *world) error {
		code := pay.PaymentCode(w.customers[0], w.secret[:], w.now)
		w.must(only(w.cashier.PayByCode(w.ctx, w.offer(0, "N", 1, 0), code, w.tick())))
		return only(w.cashier.PayByCode(w.ctx, w.offer(1, "N", 1, 0), code, w.tick()))
	},
	pay.GrantUnknown: func(w *world) error {
		return only(w.cashier.CheckAccess(w.ctx, w.app(1), "A000", w.now))
	},
	pay.GrantExpired: func(w *world) error {
		_, code, err := w.cashier.Agree(w.ctx, w.customers[0], w.app(1), []string{pay.ScopeBase}, [pay.GrantBytes]byte{1}, w.tick())
		w.must(err)
		return only(w.cashier.Exchange(w.ctx, w.app(1), code, w.now+holdfast.Time(pay.CodeLife)))
	},
	pay.GrantReplaced: func(w *world) error {
		_, code, err := w.cashier.Agree(w.ctx, w.customers[0], w.app(1), []string{pay.ScopeBase}, [pay.GrantBytes]byte{1}, w.tick())
		w.must(err)
		w.must(only(w.cashier.Exchange(w.ctx, w.app(1), code, w.now)))
		return only(w.cashier.Exchange(w.ctx, w.app(1), code, w.now+holdfast.Time(pay.LostLife)))
	},
	pay.GrantOfOther: func(w *world) error {
		_, code, err := w.cashier.Agree(w.ctx, w.customers[0], w.app(1), []string{pay.ScopeBase}, [pay.GrantBytes]byte{1}, w.tick())
		w.must(err)
		return only(w.cashier.Exchange(w.ctx, w.app(2), code, w.now))
	},
	pay.KeyRevoked: func(w *world) error {
		issue := func() (pay.MerchantKey, error) {
			k, _, err := w.cashier.IssueKey(w.ctx, w.merchants[0], "till", [pay.KeyBytes]byte{7}, w.tick())
			return k, err
		}
		k, err := issue()
		w.must(err)
		for range 2 {
			w.must(w.cashier.RevokeKey(w.ctx, w.merchants[0], k.ID, w.tick()))
		}
		return only(issue())
	},
	pay.TokenUnknown: func(w *world) error { return only(w.cashier.Open(w.ctx, strings.Repeat("0", 31), w.now)) },
	pay.TradeTokenConflict: func(w *world) error {
		w.must(two(w.cashier.Precreate(w.ctx, w.offer(0, "N", 1, 0), [pay.TokenBytes]byte{1}, w.tick())))
		return two(w.cashier.Precreate(w.ctx, w.offer(0, "N", 1, 0), [pay.TokenBytes]byte{1}, w.tick()))
	},
	pay.AuthUnknown: func(w *world) error { return only(w.cashier.QueryAuth(w.ctx, w.merchants[0], "none", w.now)) },
	pay.AuthStateWrong: func(w *world) error {
		ask := pay.AuthAsk{Merchant: w.merchants[0], OutOrderNo: "F", Request: "1", Asset: cny, Amount: 1}
		w.must(only(w.cashier.OpenAuth(w.ctx, ask, w.tick())))
		return only(w.cashier.Unfreeze(w.ctx, w.merchants[0], "F", "2", 1, "", w.tick()))
	},
	pay.AuthTooMuch: func(w *world) error {
		w.auth("F", 500)
		return only(w.cashier.PayFrozen(w.ctx, w.offer(0, "N", 501, 0), "F", false, w.tick()))
	},
	pay.AuthPayerDiffers: func(w *world) error {
		w.auth("F", 500)
		return only(w.cashier.Authorize(w.ctx, w.merchants[0], "F", w.customers[1], "", w.tick()))
	},
	pay.PayeeUnknown: func(w *world) error { return w.transferTo(owner(77), 1) },
	pay.PayeeIsPayer: func(w *world) error { return w.transferTo(w.customers[0], 1) },
	pay.PayeeBlocked: func(w *world) error {
		w.books.Change(holdfast.FreezeAccount, holdfast.AccountID{Owner: w.customers[1], Purpose: pay.Wallet, Asset: cny})
		return w.transferTo(w.customers[1], 1)
	},
	pay.OrderUnknown: func(w *world) error { return only(w.cashier.QueryTransfer(w.ctx, w.customers[0], "none")) },
	pay.OrderStateWrong: func(w *world) error {
		return only(w.cashier.TopUpFailed(w.ctx, w.customers[0], "start", "lost", w.now))
	},
	pay.CaseUnknown: func(w *world) error { return only(w.cashier.ExplainCase(w.ctx, "none", "why", "ann", w.now)) },
	pay.CaseClosedBefore: func(w *world) error {
		w.must(w.cashier.PutCase(w.ctx, pay.Case{ID: "c", Kind: 1, Progress: pay.CaseOpen}, w.now))
		w.must(only(w.cashier.CloseCase(w.ctx, "c", "the bank has corrected it", "ann", w.now)))
		return only(w.cashier.ExplainCase(w.ctx, "c", "why", "ann", w.now))
	},
	pay.DayNotOver: func(w *world) error { return only(w.cashier.Settle(w.ctx, w.merchants[0], "2026-11-27", w.now)) },
	pay.EventUnknown: func(w *world) error {
		return only(w.cashier.EventOf(w.ctx, w.merchants[0], "x"))
	},
	pay.EndpointUnknown: func(w *world) error {
		return only(w.cashier.Endpoint(w.ctx, w.merchants[0], "we1"))
	},
	pay.DeliveryUnknown: func(w *world) error {
		return only(w.cashier.Redeliver(w.ctx, w.merchants[0], "x:notice", w.now))
	},
	pay.LedgerRefused: func(w *world) error {
		account := holdfast.AccountID{Owner: w.merchants[0], Purpose: pay.Settlement, Asset: cny}
		w.books.Change(holdfast.CloseAccount, account)
		return w.cashier.OpenCurrency(w.ctx, w.merchants[0], cny, w.tick())
	},
}

// TestEveryRefusal shows what the caller sees of each, that its words say what to do, and that it has moved nothing.
func TestEveryRefusal(t *testing.T) {
	for _, code := range pay.Codes() {
		provoke := refusals[code]
		if provoke == nil {
			t.Errorf("nothing here provokes %s", code)
			continue
		}
		t.Run(string(code), func(t *testing.T) {
			w := newWorld(t)
			err := provoke(w)
			var r *pay.Refusal
			if !errors.As(err, &r) || r.Code != code {
				t.Fatalf("got %v", err)
			}
			if r.Text != code.Text() || !strings.Contains(r.Text, ":") || !strings.HasSuffix(r.Text, ".") {
				t.Errorf("it does not say what to do: %q", r.Text)
			}
			if !strings.Contains(err.Error(), r.Text) {
				t.Errorf("the error is %q", err)
			}
			w.audit()
		})
	}
	if extra := len(refusals) - len(pay.Codes()); extra != 0 || !slices.IsSorted(pay.Codes()) {
		t.Errorf("%d refusals are provoked that are not listed", extra)
	}
}
