package wallet

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// Bounds of the lists of what is on its way from and to a bank.
const (
	listReads = 200 // at once
	listPages = 5
	listShown = 20
)

// order is something on its way from or to a bank, as a list shows it.
type order struct {
	Link, Sum string
	State     string // key of its word
	Open      bool   // it has not ended
	Asked     time.Time
}

// latestOrders are those that have not ended and the last of the others, latest first.
func latestOrders(list []order) []order {
	slices.SortStableFunc(list, func(a, b order) int {
		if a.Open != b.Open {
			return map[bool]int{true: -1, false: 1}[a.Open]
		}
		return cmp.Compare(b.Asked.UnixNano(), a.Asked.UnixNano())
	})
	return list[:min(len(list), listShown)]
}

// topUpForm announces money from a bank.
type topUpForm struct {
	Purses   []purse
	Currency string
	Amount   string
	Number   string
	Orders   []order
	problem
}

func (w *wallet) topUpForm(ctx context.Context, v *page.View, f topUpForm) (page.Answer, error) {
	var err error
	if f.Purses == nil {
		if f.Purses, err = w.purses(ctx, v); err != nil {
			return page.Answer{}, err
		}
	}
	if f.Currency == "" {
		p, _ := assetIn(f.Purses, "")
		f.Currency = p.Code()
	}
	f.Number = cmp.Or(f.Number, v.Fresh())
	cursor := ""
	for range listPages {
		list, next, err := w.API.TopUps(ctx, v.Owner(), cursor, listReads)
		if err != nil {
			return page.Answer{}, err
		}
		for i := range list {
			t := &list[i]
			f.Orders = append(f.Orders, order{v.Link("/wallet/top-up/order", "number", t.Number), sum(t.Amount, t.Asset), "top-up-" + t.Status, t.Status == "waiting", t.Asked})
		}
		if cursor = next; next == "" {
			break
		}
	}
	f.Orders = latestOrders(f.Orders)
	return page.Answer{Template: "top-up", Body: f}, nil
}

func (w *wallet) showTopUp(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	a, err := w.topUpForm(ctx, v, topUpForm{})
	if err != nil {
		return page.Failed(v, r, err)
	}
	return a
}

func (w *wallet) topUp(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	if bad, ok := posted(r); !ok {
		return bad
	}
	list, err := w.purses(ctx, v)
	if err != nil {
		return page.Failed(v, r, err)
	}
	f := topUpForm{Purses: list, Currency: text(r, "currency"), Amount: text(r, "amount"), Number: text(r, "number")}
	again2 := func(p problem) page.Answer {
		f.problem = p
		a, err := w.topUpForm(ctx, v, f)
		if err != nil {
			return page.Failed(v, r, err)
		}
		return a
	}
	p, known := assetIn(list, f.Currency)
	if !known {
		return wrong(again2(problem{v.T("problem-currency"), "currency"}))
	}
	f.Currency = p.Code()
	amount, err := holdfast.ParseMinor(f.Amount, p.Asset)
	if err != nil || amount <= 0 {
		return wrong(again2(problem{v.T("problem-amount"), "amount"}))
	}
	f.Number = cmp.Or(f.Number, v.Fresh())
	t, err := w.API.AnnounceTopUp(ctx, v.Owner(), client.Money{Number: f.Number, Asset: p.Asset, Amount: amount})
	if err != nil {
		ask := again{
			Action: "/wallet/top-up", Live: v.Link("/wallet/asking/top-up", "number", f.Number),
			Hidden: []field{{"number", f.Number}, {"currency", f.Currency}, {"amount", f.Amount}},
		}
		return refused(v, r, err, ask, again2)
	}
	return page.Answer{Redirect: v.Link("/wallet/top-up/order", "number", t.Number)}
}

// topUpOrder is how far a top-up is, and what to do so that it comes.
type topUpOrder struct {
	client.TopUp
	Sum  string
	Live string
}

func (w *wallet) topUpOrder(ctx context.Context, v *page.View, number string) (topUpOrder, error) {
	t, err := w.API.TopUp(ctx, v.Owner(), number)
	return topUpOrder{t, sum(t.Amount, t.Asset), v.Link("/wallet/top-up/live", "number", number)}, err
}

func (w *wallet) showTopUpOrder(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	o, err := w.topUpOrder(ctx, v, r.URL.Query().Get("number"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "top-up-order", Body: o}
}

func (w *wallet) tellTopUp(ctx context.Context, v *page.View) (string, any, error) {
	o, err := w.topUpOrder(ctx, v, query(v).Get("number"))
	return "top-up-now", o, err
}

// withdrawForm sends money to a bank.
type withdrawForm struct {
	Purses   []purse
	Accounts []client.KeptAccount
	Currency string
	Amount   string
	To       string // name of a kept account
	Orders   []order
	problem
}

func (w *wallet) withdrawForm(ctx context.Context, v *page.View, f withdrawForm) (page.Answer, error) {
	var err error
	if f.Purses == nil {
		if f.Purses, err = w.purses(ctx, v); err != nil {
			return page.Answer{}, err
		}
	}
	if f.Currency == "" {
		p, _ := assetIn(f.Purses, "")
		f.Currency = p.Code()
	}
	if f.Accounts, err = w.API.BankAccounts(ctx, client.OfCustomer, v.Owner()); err != nil {
		return page.Answer{}, err
	}
	cursor := ""
	for range listPages {
		list, next, err := w.API.Withdrawals(ctx, v.Owner(), cursor, listReads)
		if err != nil {
			return page.Answer{}, err
		}
		for i := range list {
			o := &list[i]
			f.Orders = append(f.Orders, order{v.Link("/wallet/withdraw/order", "number", o.Number), sum(o.Amount, o.Asset), "payout-" + stateOf(o), o.Status == "waiting" || o.Status == "sent", o.Asked})
		}
		if cursor = next; next == "" {
			break
		}
	}
	f.Orders = latestOrders(f.Orders)
	return page.Answer{Template: "withdraw", Body: f}, nil
}

// stateOf is how far a withdrawal is, as people see it.
func stateOf(o *client.Payout) string {
	switch {
	case o.Status == "done" || o.Status == "returned":
		return o.Status
	case o.Doubtful:
		return "doubtful"
	case o.Recalled:
		return "recalled"
	case o.NeedsAccount:
		return "no-account"
	case o.Accepted:
		return "accepted"
	}
	return o.Status
}

func (w *wallet) showWithdraw(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	a, err := w.withdrawForm(ctx, v, withdrawForm{})
	if err != nil {
		return page.Failed(v, r, err)
	}
	return a
}

// withdrawConfirm is what will happen.
type withdrawConfirm struct {
	withdrawForm
	Number, Minor, Sum, Left, Tail string
}

// readWithdraw reads what somebody wants to withdraw; an answer when that cannot be.
func (w *wallet) readWithdraw(ctx context.Context, v *page.View, r *http.Request) (f withdrawForm, p purse, amount holdfast.Amount, bad page.Answer, ok bool) {
	if bad, ok = posted(r); !ok {
		return f, p, 0, bad, false
	}
	list, err := w.purses(ctx, v)
	if err != nil {
		return f, p, 0, page.Failed(v, r, err), false
	}
	f = withdrawForm{Purses: list, Currency: text(r, "currency"), Amount: text(r, "amount"), To: text(r, "account")}
	p, known := assetIn(list, f.Currency)
	f.Currency = p.Code()
	amount, err = holdfast.ParseMinor(f.Amount, p.Asset)
	switch {
	case !known:
		f.problem = problem{v.T("problem-currency"), "currency"}
	case err != nil || amount <= 0:
		f.problem = problem{v.T("problem-amount"), "amount"}
	case amount > p.Wallet.Available:
		f.problem = problem{v.T("code-balance-not-enough"), "amount"}
	case f.To == "":
		f.problem = problem{v.T("problem-account"), "account"}
	}
	if f.Text == "" && !r.PostForm.Has("edit") {
		return f, p, amount, bad, true
	}
	a, err := w.withdrawForm(ctx, v, f)
	if err != nil {
		return f, p, 0, page.Failed(v, r, err), false
	}
	if f.Text != "" {
		a = wrong(a)
	}
	return f, p, 0, a, false
}

func (w *wallet) confirmWithdraw(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	f, p, amount, bad, ok := w.readWithdraw(ctx, v, r)
	if !ok {
		return bad
	}
	accounts, err := w.API.BankAccounts(ctx, client.OfCustomer, v.Owner())
	if err != nil {
		return page.Failed(v, r, err)
	}
	b := withdrawConfirm{withdrawForm: f, Number: v.Fresh(), Sum: sum(amount, p.Asset), Left: sum(p.Wallet.Available-amount, p.Asset)}
	for _, a := range accounts {
		if a.Name == f.To {
			b.Tail = a.Tail
		}
	}
	return page.Answer{Template: "withdraw-confirm", Body: b}
}

func (w *wallet) withdraw(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	f, p, amount, bad, ok := w.readWithdraw(ctx, v, r)
	number := text(r, "number")
	if !ok && f.Field == "amount" && number != "" {
		// The money may have left the wallet by this very order: whether it has is asked below, and a new one is refused there as well.
		amount, _ = holdfast.ParseMinor(f.Amount, p.Asset)
		ok = amount > 0
	}
	if !ok {
		return bad
	}
	number = cmp.Or(number, v.Fresh())
	o, err := w.API.Withdraw(ctx, v.Owner(), client.Withdrawal{Money: client.Money{Number: number, Asset: p.Asset, Amount: amount}, To: f.To})
	if err != nil {
		ask := again{
			Action: "/wallet/withdraw/confirm", Live: v.Link("/wallet/asking/withdraw", "number", number),
			Hidden: []field{{"number", number}, {"currency", f.Currency}, {"amount", f.Amount}, {"account", f.To}},
		}
		return refused(v, r, err, ask, func(pr problem) page.Answer {
			if pr.Field == "to" {
				pr.Field = "account"
			}
			f.problem = pr
			a, err := w.withdrawForm(ctx, v, f)
			if err != nil {
				return page.Failed(v, r, err)
			}
			return a
		})
	}
	return page.Answer{Redirect: v.Link("/wallet/withdraw/order", "number", o.Number)}
}

// withdrawOrder is how far a withdrawal is, and when the bank will have it.
type withdrawOrder struct {
	client.Payout
	Sum, State, Live string
	CanRecall        bool
	Soonest, Likely  time.Time // zero: nothing can be said
}

func (w *wallet) withdrawOrder(ctx context.Context, v *page.View, number string) (withdrawOrder, error) {
	o, err := w.API.Payout(ctx, v.Owner(), number)
	if err != nil {
		return withdrawOrder{}, err
	}
	return orderOf(v, o), nil
}

func orderOf(v *page.View, o client.Payout) withdrawOrder {
	b := withdrawOrder{Payout: o, Sum: sum(o.Amount, o.Asset), State: stateOf(&o), Live: v.Link("/wallet/withdraw/live", "number", o.Number)}
	open := o.Status == "waiting" || o.Status == "sent"
	b.CanRecall = open && !o.Recalled
	if e := o.Estimate; open && e != nil {
		if e.Soonest != nil {
			b.Soonest = v.Now.Add(time.Duration(*e.Soonest) * time.Second)
		}
		if e.Likely != nil && e.Down {
			b.Likely = v.Now.Add(time.Duration(*e.Likely) * time.Second)
		}
	}
	return b
}

func (w *wallet) showWithdrawOrder(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	o, err := w.withdrawOrder(ctx, v, r.URL.Query().Get("number"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "withdraw-order", Body: o}
}

func (w *wallet) tellWithdraw(ctx context.Context, v *page.View) (string, any, error) {
	o, err := w.withdrawOrder(ctx, v, query(v).Get("number"))
	return "withdraw-now", o, err
}

// recall asks for the money of a withdrawal back.
func (w *wallet) recall(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	if bad, ok := posted(r); !ok {
		return bad
	}
	number := text(r, "number")
	if _, err := w.API.Recall(ctx, v.Owner(), number); err != nil {
		ask := again{Action: "/wallet/withdraw/recall", Hidden: []field{{"number", number}}}
		return refused(v, r, err, ask, func(problem) page.Answer { return page.Failed(v, r, err) })
	}
	return page.Answer{Redirect: v.Link("/wallet/withdraw/order", "number", number, "done", "recalled")}
}

// accountsPage are the bank accounts that the platform keeps.
type accountsPage struct {
	Accounts             []client.KeptAccount
	Name, Holder, Number string
	problem
}

func (w *wallet) accountsPage(ctx context.Context, v *page.View, r *http.Request, b accountsPage) page.Answer {
	var err error
	if b.Accounts, err = w.API.BankAccounts(ctx, client.OfCustomer, v.Owner()); err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "bank-accounts", Body: b}
}

func (w *wallet) showBankAccounts(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	return w.accountsPage(ctx, v, r, accountsPage{})
}

func (w *wallet) keepBankAccount(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	if bad, ok := posted(r); !ok {
		return bad
	}
	b := accountsPage{Name: text(r, "name"), Holder: text(r, "holder"), Number: text(r, "account")}
	if _, err := w.API.PutBankAccount(ctx, client.OfCustomer, v.Owner(), b.Name, client.BankAccount{Number: b.Number, Holder: b.Holder}); err != nil {
		ask := again{Action: "/wallet/bank-accounts", Hidden: []field{{"name", b.Name}, {"holder", b.Holder}, {"account", b.Number}}}
		return refused(v, r, err, ask, func(p problem) page.Answer {
			if p.Field == "number" {
				p = problem{v.T("problem-bank-number"), "account"}
			}
			b.problem = p
			return w.accountsPage(ctx, v, r, b)
		})
	}
	return page.Answer{Redirect: v.Link("/wallet/bank-accounts", "done", "account-kept")}
}

func (w *wallet) removeBankAccount(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	if bad, ok := posted(r); !ok {
		return bad
	}
	name := text(r, "name")
	if _, err := w.API.RemoveBankAccount(ctx, client.OfCustomer, v.Owner(), name); err != nil {
		ask := again{Action: "/wallet/bank-accounts/remove", Hidden: []field{{"name", name}}}
		return refused(v, r, err, ask, func(p problem) page.Answer { return w.accountsPage(ctx, v, r, accountsPage{problem: p}) })
	}
	return page.Answer{Redirect: v.Link("/wallet/bank-accounts", "done", "account-removed")}
}
