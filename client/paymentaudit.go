package client

import (
	"context"
	"net/http"

	"holdfast"
)

// PaymentAudit is what the audit of some customers and merchants found; each is counted once for each currency.
type PaymentAudit struct {
	Customers   int                 `json:"customers"`
	Merchants   int                 `json:"merchants"`
	Strangers   int                 `json:"strangers"` // who are neither, and have accounts of payments: there must be nothing on them
	Differences []PaymentDifference `json:"differences"`
	Undecided   []UndecidedAudit    `json:"undecided"`
}

// PaymentDifference is an account that does not hold what the documents of its owner say. Amounts are in minor units.
type PaymentDifference struct {
	Account   holdfast.AccountID `json:"account"`
	Documents holdfast.Amount    `json:"documents"`
	Ledger    holdfast.Amount    `json:"ledger"`
}

// UndecidedAudit is somebody who could not be audited in a currency, and why.
type UndecidedAudit struct {
	Owner holdfast.Owner `json:"owner"`
	Asset holdfast.Asset `json:"asset"`
	Why   string         `json:"why"`
}

// AuditPayments compares the accounts of at most limit (1-[MaxPage]) owners and currencies with all documents, from a cursor on ("": from the
// first), as one site knows them. next is the cursor of the next page, "" on the last one. It needs an operator's key.
func (c *Client) AuditPayments(ctx context.Context, cursor string, limit int) (p PaymentAudit, next string, err error) {
	var v struct {
		PaymentAudit
		Next string `json:"next"`
	}
	err = c.fetch(ctx, &request{method: http.MethodGet, path: "/v1/audit/payments?" + pageQuery(cursor, limit).Encode(), alone: true}, &v)
	return v.PaymentAudit, v.Next, err
}

// Add puts another page to p.
func (p *PaymentAudit) Add(page *PaymentAudit) {
	p.Customers, p.Merchants, p.Strangers = p.Customers+page.Customers, p.Merchants+page.Merchants, p.Strangers+page.Strangers
	p.Differences, p.Undecided = append(p.Differences, page.Differences...), append(p.Undecided, page.Undecided...)
}
