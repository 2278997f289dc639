package pay_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"holdfast"
	"holdfast/pay"
	"holdfast/pay/paytest"
)

// busyMarket has trades in every state, refunds, shares, a freeze, a withdrawal and a settled day.
func busyMarket(t *testing.T) *world {
	w := newWorld(t)
	for n, mode := range []pay.Mode{pay.Plain, pay.Protected, pay.Split} {
		for i, payer := range w.customers {
			ask := w.offer(0, fmt.Sprintf("%d-%d", n, i), 1000, mode)
			_, err := w.cashier.PayNew(w.ctx, ask, payer, w.tick())
			w.must(err)
			if i == 0 {
				_, _, err = w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: ask.Merchant, OutTradeNo: ask.OutTradeNo, Number: "R", Amount: 300}, w.tick())
				w.must(err)
			}
		}
	}
	w.books.Deliver()
	return w
}

// auditAll goes through all pages of so many purses.
func (w *world) auditAll(size int) (all pay.AuditPage) {
	w.t.Helper()
	for pages := 0; pages < 100; pages++ {
		page, err := w.cashier.Audit(w.ctx, w.books.Audited(), all.Next, size)
		w.must(err)
		all.Customers, all.Merchants, all.Strangers = all.Customers+page.Customers, all.Merchants+page.Merchants, all.Strangers+page.Strangers
		all.Differences, all.Undecided = append(all.Differences, page.Differences...), append(all.Undecided, page.Undecided...)
		if all.Next = page.Next; all.Next == (pay.Purse{}) {
			return all
		}
	}
	w.t.Fatalf("the audit does not end")
	return all
}

func TestAnAuditOfAllFindsNothingInGoodBooks(t *testing.T) {
	w := busyMarket(t)
	for _, size := range []int{1, 2, 1000} {
		all := w.auditAll(size)
		if all.Customers != 3 || all.Merchants != 2 || all.Strangers != 0 || len(all.Differences)+len(all.Undecided) > 0 {
			t.Errorf("pages of %d: %+v", size, all)
		}
	}
}

// TestAnAuditFindsWhatAnOperatorDidPastThePayments: each row is a raw entry in the ledger, of money without a document or of a document without money.
func TestAnAuditFindsWhatAnOperatorDidPastThePayments(t *testing.T) {
	stranger := owner(77)
	in := func(o holdfast.Owner, p holdfast.Purpose) holdfast.AccountID {
		return holdfast.AccountID{Owner: o, Purpose: p, Asset: cny}
	}
	for _, row := range []struct {
		name string
		do   func(w *world, txn *holdfast.Txn)
		want []string // each difference, by the account and both numbers
	}{
		{"money from wallet to wallet", func(w *world, txn *holdfast.Txn) {
			txn.Transfers = []holdfast.Transfer{{Debit: in(w.customers[0], pay.Wallet), Credit: in(w.customers[0], pay.Frozen), Amount: 7}}
		}, []string{"customer 0 wallet -7", "customer 0 frozen 7"}},
		{"a merchant's fee is given to him", func(w *world, txn *holdfast.Txn) {
			txn.Transfers = []holdfast.Transfer{{Debit: in(w.merchants[0], pay.Fees), Credit: in(w.merchants[0], pay.Settlement), Amount: 5}}
		}, []string{"merchant 0 settlement 5", "merchant 0 fee -5"}},
		{"escrow is released without a word", func(w *world, txn *holdfast.Txn) {
			txn.Transfers = []holdfast.Transfer{{Debit: in(w.merchants[0], pay.Escrow), Credit: in(w.merchants[0], pay.Royalty), Amount: 1}}
		}, []string{"merchant 0 escrow -1", "merchant 0 royalty 1"}},
		{"a wallet of nobody", func(w *world, txn *holdfast.Txn) {
			txn.Accounts = []holdfast.AccountChange{{Op: holdfast.OpenAccount, ID: in(stranger, pay.Wallet)}, {Op: holdfast.OpenAccount, ID: in(stranger, pay.Frozen)}}
			txn.Transfers = []holdfast.Transfer{{Debit: in(stranger, pay.Wallet), Credit: in(stranger, pay.Frozen), Amount: 9}}
		}, []string{"stranger wallet -9", "stranger frozen 9"}},
		{"a receipt is gone", func(w *world, txn *holdfast.Txn) {
			txn.Records = []holdfast.RecordChange{w.deletes(w.customers[1], "receipt/")}
		}, []string{"customer 1 wallet -1000"}},
		{"a row of a statement is gone", func(w *world, txn *holdfast.Txn) {
			txn.Records = []holdfast.RecordChange{w.deletes(w.merchants[0], "event/")}
		}, []string{"merchant 0 settlement"}},
		{"a trade is gone", func(w *world, txn *holdfast.Txn) {
			txn.Records = []holdfast.RecordChange{w.deletes(w.merchants[0], "trade/0-1")}
		}, []string{"merchant 0 fee 7"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := busyMarket(t)
			txn := &holdfast.Txn{ID: holdfast.NewID(w.tick(), [10]byte{1})}
			row.do(w, txn)
			for i := range txn.Transfers {
				txn.Transfers[i].ID, txn.Transfers[i].Kind = holdfast.NewID(w.tick(), [10]byte{byte(i), 9}), holdfast.Immediate
			}
			if out, err := w.books.Submit(w.ctx, txn); err != nil || out.Status != holdfast.Done {
				t.Fatalf("%+v, %v", out, err)
			}
			names := map[holdfast.Owner]string{stranger: "stranger"}
			for i, o := range w.customers {
				names[o] = fmt.Sprint("customer ", i)
			}
			for i, o := range w.merchants {
				names[o] = fmt.Sprint("merchant ", i)
			}
			all := w.auditAll(2)
			var got []string
			for _, d := range all.Differences {
				got = append(got, fmt.Sprintf("%s %s %d", names[d.Account.Owner], d.Account.Purpose, d.Ledger-d.Documents))
			}
			same := slices.EqualFunc(got, row.want, func(a, b string) bool { return a == b || strings.HasPrefix(a, b+" ") })
			if !same || len(all.Undecided) > 0 {
				t.Errorf("got %q, want %q; undecided %v", got, row.want, all.Undecided)
			}
		})
	}
}

// deletes is the change that deletes the first record of a kind.
func (w *world) deletes(o holdfast.Owner, kind string) holdfast.RecordChange {
	w.t.Helper()
	list, err := w.books.Records(w.ctx, holdfast.OwnedKey(o, kind), "", 1)
	if err != nil || len(list) == 0 {
		w.t.Fatalf("%s: %v, %v", kind, list, err)
	}
	return holdfast.RecordChange{Key: list[0].Key, Expect: list[0].Version, Delete: true}
}

// TestAnAuditLeavesPaymentsUnderWayAside: between the shards a payment counts on neither side, and nobody is undecided because of it.
func TestAnAuditLeavesPaymentsUnderWayAside(t *testing.T) {
	w := busyMarket(t)
	w.books.Fault = func(*holdfast.Txn) paytest.Fault { return paytest.Stuck }
	_, err := w.cashier.PayNew(w.ctx, w.offer(0, "stuck", 500, pay.Plain), w.customers[0], w.tick())
	if pending := (*pay.Pending)(nil); !errors.As(err, &pending) {
		t.Fatalf("the payment is %v, not under way", err)
	}
	w.books.Fault = nil
	if _, err := w.cashier.AuditCustomer(w.ctx, w.customers[0], cny); err == nil {
		t.Fatal("nothing of the customer is under way")
	}
	for _, when := range []string{"under way", "arrived"} {
		if all := w.auditAll(10); all.Customers != 3 || len(all.Differences)+len(all.Undecided) > 0 {
			t.Errorf("%s: %+v", when, all)
		}
		w.books.Deliver()
	}
}

// restless are books in which a payment is made whenever somebody reads the documents of a customer, so many times.
type restless struct {
	pay.AuditBooks
	times int
	pay   func()
	kind  string // of the documents; "": receipts
}

func (b *restless) Records(ctx context.Context, prefix, after string, max int) ([]holdfast.Record, error) {
	list, err := b.AuditBooks.Records(ctx, prefix, after, max)
	if b.times > 0 && strings.HasSuffix(prefix, "/"+cmp.Or(b.kind, "receipt")+"/") {
		b.times--
		b.pay()
	}
	return list, err
}

func TestAnAuditReadsAgainWhilePaymentsGoOn(t *testing.T) {
	w := busyMarket(t)
	o := w.customers[0]
	for times, undecided := range map[int]int{1: 0, 4: 0, 5: 1} {
		n := 0
		books := &restless{AuditBooks: w.books.Audited(), times: times, pay: func() {
			n++
			_, err := w.cashier.PayNew(w.ctx, w.offer(1, fmt.Sprintf("again-%d-%d", times, n), 3, pay.Plain), o, w.tick())
			w.must(err)
			w.books.Deliver()
		}}
		page, err := w.cashier.Audit(w.ctx, books, pay.Purse{Owner: o - 1, Asset: cny}, 1)
		w.must(err)
		if len(page.Undecided) != undecided || len(page.Differences) > 0 || page.Customers != 1-undecided {
			t.Errorf("%d payments meanwhile: %+v", times, page)
		}
	}
}

// TestAnAuditEndsItsPageInTime: what was finished is told, and the next page goes on behind it; an owner who alone takes longer is undecided.
func TestAnAuditEndsItsPageInTime(t *testing.T) {
	w := busyMarket(t)
	ctx, cancel := context.WithCancel(w.ctx)
	books := &restless{AuditBooks: w.books.Audited(), times: 2}
	books.pay = func() {
		if books.times == 0 {
			cancel()
		}
	}
	purses, err := books.Purses(w.ctx, pay.Purse{}, 100)
	w.must(err)
	page, err := w.cashier.Audit(ctx, &ending{books, ctx}, pay.Purse{}, 100)
	w.must(err)
	if n := page.Customers + page.Merchants; n == 0 || n == len(purses) || len(page.Undecided) > 0 || page.Next == (pay.Purse{}) {
		t.Fatalf("the first page: %+v", page)
	}
	slow, err := w.cashier.Audit(ctx, &ending{books, ctx}, page.Next, 100)
	w.must(err)
	if len(slow.Undecided) != 1 || !errors.Is(slow.Undecided[0].Why, pay.ErrAuditTime) || slow.Next != slow.Undecided[0].Purse {
		t.Errorf("with no time at all: %+v", slow)
	}
}

// ending are books whose reads fail when a context has ended.
type ending struct {
	*restless
	ctx context.Context
}

func (b *ending) Account(ctx context.Context, id holdfast.AccountID) (holdfast.Account, bool, error) {
	if b.ctx.Err() != nil {
		return holdfast.Account{}, false, b.ctx.Err()
	}
	return b.restless.Account(ctx, id)
}

// TestAnAuditReadsAgainWhenAShareComesBack: a share that goes back to what is kept of its trade moves no money, so the accounts are the same before and after; a
// trade that was read before it and a share that was read after it do not belong together. What really differs is found all the same.
func TestAnAuditReadsAgainWhenAShareComesBack(t *testing.T) {
	for _, stolen := range []bool{false, true} {
		w := newWorld(t)
		w.plain("P", pay.Plain)
		if stolen {
			out, err := w.books.Submit(w.ctx, &holdfast.Txn{
				ID: holdfast.NewID(w.tick(), [10]byte{1}), Records: []holdfast.RecordChange{w.deletes(w.merchants[0], "event/")},
			})
			if w.must(err); out.Status != holdfast.Done {
				t.Fatalf("%+v", out)
			}
		}
		w.plain("S", pay.Split)
		w.must(w.transferTo(w.customers[1], w.balance(w.customers[0]).Available))
		wallet := holdfast.AccountID{Owner: w.customers[0], Purpose: pay.Wallet, Asset: cny}
		w.books.Change(holdfast.FreezeAccount, wallet)
		ask := pay.SplitAsk{Merchant: w.merchants[0], OutTradeNo: "S", Number: "1", Shares: []pay.Share{{To: w.customers[0], Amount: 9}}}
		w.must(two(w.cashier.Split(w.ctx, ask, w.tick())))
		w.books.Change(holdfast.ThawAccount, wallet)
		w.books.Change(holdfast.CloseAccount, wallet)
		books := &restless{AuditBooks: w.books.Audited(), kind: "trade", times: 1, pay: func() {
			w.must(two(w.cashier.Split(w.ctx, ask, w.tick())))
		}}
		page, err := w.cashier.Audit(w.ctx, books, pay.Purse{}, 100)
		w.must(err)
		if want := map[bool]int{true: 1}[stolen]; len(page.Differences) != want || len(page.Undecided) > 0 {
			t.Errorf("a row of the statement is gone: %v, and the audit found %v, undecided %v", stolen, page.Differences, page.Undecided)
		}
		if _, done, err := w.cashier.Split(w.ctx, ask, w.tick()); !stolen && (err != nil || !done.Shares[0].Back) {
			t.Errorf("the share did not come back: %+v, %v", done, err)
		}
	}
}
