package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

func (a *api) paymentAuditRoutes(r *router) {
	add[paymentAuditIn, jsonOut[PaymentAuditBody]](r, operation{
		name: "audit-payments", method: get, path: "/v1/audit/payments", tag: tagFleet,
		summary: "Compare the accounts of customers and merchants with all their documents, a page at a time",
		text: "Trades, refunds, receipts, rows of statements, payouts, withdrawals, authorisations: what they come to is what the accounts must hold. " +
			"It reads what the site that is asked knows, while payments go on; what it finds is exact. A page ends before its limit when the time " +
			"of the request does: ask for longer with X-Deadline-Ms. Those that are undecided were paid or paid each time they were read, or have more " +
			"documents than there was time for; ask again when it is quiet. The platform's own accounts are compared with the books of its banks instead.",
		action: guard.AuditPayments, handle: a.atTill(getPaymentAudit),
	})
}

type paymentAuditIn struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" doc:"Owners and currencies on a page; 100 if left out"`
	Cursor string `query:"cursor" doc:"The next of the page before; left out for the first page"`
	DeadlineIn
}

// PaymentAuditBody is what one page of the audit found.
type PaymentAuditBody struct {
	Customers   int                     `json:"customers" doc:"Wallets of one currency that were audited"`
	Merchants   int                     `json:"merchants" doc:"Merchants in one currency that were audited"`
	Strangers   int                     `json:"strangers" doc:"Owners in one currency who have accounts of payments, and are neither: there must be nothing on them"`
	Differences []PaymentDifferenceBody `json:"differences" doc:"Accounts that do not hold what the documents say"`
	Undecided   []UndecidedBody         `json:"undecided" doc:"Who could not be audited"`
	Next        string                  `json:"next,omitempty" doc:"Cursor of the next page; left out on the last one"`
}

// PaymentDifferenceBody is an account that does not hold what the documents say.
type PaymentDifferenceBody struct {
	Account   string `json:"account" example:"2088000000010420.wallet.CNY"`
	Documents int64  `json:"documents" doc:"What the documents of the owner come to, in minor units"`
	Ledger    int64  `json:"ledger" doc:"What the account holds"`
}

// UndecidedBody is what an owner has in one currency, which could not be audited.
type UndecidedBody struct {
	Owner string `json:"owner" doc:"16 digits" example:"2088000000010420"`
	Asset string `json:"asset" example:"CNY"`
	Why   string `json:"why"`
}

// auditShare is the part of a request's time in which is audited: the rest is for the answer.
const auditShare = 0.8

func getPaymentAudit(ctx context.Context, t *till) error {
	after, limit, err := t.x.page()
	if err != nil {
		return err
	}
	from, err := purseOf(after)
	if err != nil {
		return badCursor()
	}
	if t.Audited == nil {
		return edgePaymentsOff.problem("")
	}
	if until, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(auditShare*float64(time.Until(until))))
		defer cancel()
	}
	page, err := t.Audit(ctx, t.Audited, from, limit)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, paymentAuditBodyOf(&page))
}

func paymentAuditBodyOf(page *pay.AuditPage) PaymentAuditBody {
	b := PaymentAuditBody{
		Customers: page.Customers, Merchants: page.Merchants, Strangers: page.Strangers,
		Differences: []PaymentDifferenceBody{}, Undecided: []UndecidedBody{},
	}
	for _, d := range page.Differences {
		b.Differences = append(b.Differences, PaymentDifferenceBody{d.Account.String(), int64(d.Documents), int64(d.Ledger)})
	}
	for _, u := range page.Undecided {
		b.Undecided = append(b.Undecided, UndecidedBody{u.Owner.String(), u.Asset.String(), u.Why.Error()})
	}
	if page.Next != (pay.Purse{}) {
		b.Next = page.Next.Owner.String() + "." + page.Next.Asset.String()
	}
	return b
}

// purseOf reads a cursor: an owner and a currency; "": the beginning.
func purseOf(cursor string) (p pay.Purse, err error) {
	if cursor == "" {
		return p, nil
	}
	owner, asset, _ := strings.Cut(cursor, ".")
	if p.Owner, err = holdfast.ParseOwner(owner); err == nil {
		p.Asset, err = holdfast.ParseAsset(asset)
	}
	return p, err
}
