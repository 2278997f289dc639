package wallet

import (
	"context"
	"net/http"

	"holdfast/client"
	"holdfast/page"
)

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
