package httpapi

import (
	"context"
	"net/http"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

// customerListRoutes are what a customer looks through: what is on its way from and to a bank, and the names of shops.
func (a *api) customerListRoutes(r *router) {
	add[customerStatementIn, jsonOut[topUpsBody]](r, operation{
		name: "list-top-ups", method: get, path: "/v1/customers/{id}/top-ups", tag: tagCustomers, summary: "Page through the top-ups of a customer, by number",
		action: guard.ReadMoney, buyers: true, handle: a.atTill(getTopUps),
	})
	add[customerStatementIn, jsonOut[payoutsBody]](r, operation{
		name: "list-withdrawals", method: get, path: "/v1/customers/{id}/withdrawals", tag: tagCustomers, summary: "Page through the withdrawals of a customer, by number",
		text:   "What can be said of one that waits for a bank is told by reading it by itself.",
		action: guard.ReadMoney, buyers: true, handle: a.atTill(getWithdrawals),
	})
	add[merchantIn, jsonOut[merchantNameBody]](r, operation{
		name: "read-merchant-name", method: get, path: "/v1/merchants/{id}/name", tag: tagCustomers, summary: "Read what a merchant is called, for the receipts of his customers",
		action: guard.ReadMoney, buyers: true, handle: a.atTill(getMerchantName),
	})
}

type topUpsBody struct {
	TopUps []topUpBody `json:"top_ups"`
	Next   string      `json:"next,omitempty" doc:"Send it as cursor, for the next page; left out on the last one"`
}

type payoutsBody struct {
	Payouts []payoutBody `json:"payouts"`
	Next    string       `json:"next,omitempty" doc:"Send it as cursor, for the next page; left out on the last one"`
}

type merchantNameBody struct {
	ID   string `json:"id" example:"2088000000010420"`
	Name string `json:"name"`
}

// customerPage is the customer that the path names, who has to be one, and the page of a list that is asked for.
func (t *till) customerPage(ctx context.Context) (o holdfast.Owner, after string, limit int, err error) {
	if o, err = t.x.pathMine("id"); err != nil {
		return 0, "", 0, err
	}
	if after, limit, err = t.x.page(); err != nil {
		return 0, "", 0, err
	}
	_, err = t.Customer(ctx, o) // a list of nobody's is not an empty one
	return o, after, limit, err
}

func getTopUps(ctx context.Context, t *till) error {
	o, after, limit, err := t.customerPage(ctx)
	if err != nil {
		return err
	}
	list, next, err := t.TopUps(ctx, o, after, limit)
	if err != nil {
		return err
	}
	body := topUpsBody{TopUps: []topUpBody{}, Next: next}
	for i := range list {
		body.TopUps = append(body.TopUps, t.topUpBodyOf(o, &list[i]))
	}
	return t.x.sendJSON(http.StatusOK, body)
}

func getWithdrawals(ctx context.Context, t *till) error {
	o, after, limit, err := t.customerPage(ctx)
	if err != nil {
		return err
	}
	list, next, err := t.Withdrawals(ctx, o, after, limit)
	if err != nil {
		return err
	}
	body := payoutsBody{Payouts: []payoutBody{}, Next: next}
	for i := range list {
		body.Payouts = append(body.Payouts, payoutBodyOf(pay.BankOrder{Owner: o, Number: list[i].Number}, &list[i]))
	}
	return t.x.sendJSON(http.StatusOK, body)
}

func getMerchantName(ctx context.Context, t *till) error {
	o, err := t.x.pathOwner("id")
	if err != nil {
		return err
	}
	m, err := t.Merchant(ctx, o)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, merchantNameBody{o.String(), m.Name})
}

// BankDetails are an account of the platform at a bank, to which customers pay to top their wallets up.
type BankDetails struct {
	Bank   string `json:"bank" doc:"Name of the bank" example:"icbc"`
	Number string `json:"number" doc:"Number of the platform's account there"`
	Holder string `json:"holder" doc:"Whom the account belongs to"`
}
