package wallet

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

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
			link := v.Link("/wallet/withdraw/order", "number", o.Number)
			f.Orders = append(f.Orders, order{link, sum(o.Amount, o.Asset), "payout-" + stateOf(o), o.Status == "waiting" || o.Status == "sent", o.Asked})
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
