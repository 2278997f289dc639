package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/pay"
	"holdfast/site"
)

// auditBooks are the books of the replicas at this site, with who is in them.
type auditBooks struct{ site.Books }

// Purses implements [pay.AuditBooks].
func (b auditBooks) Purses(ctx context.Context, after pay.Purse, max int) ([]pay.Purse, error) {
	list, err := b.Books.Purses(ctx, pay.Keeps, holdfast.AccountID{Owner: after.Owner, Asset: after.Asset}, max)
	if err != nil {
		return nil, err
	}
	purses := make([]pay.Purse, len(list))
	for i, id := range list {
		purses[i] = pay.Purse{Owner: id.Owner, Asset: id.Asset}
	}
	return purses, nil
}

const (
	// auditLimit is how many owners and currencies are asked for at once: those of a tenth of a second, about.
	auditLimit = 500
	// auditRounds is how often a page is asked for in which somebody was undecided, and auditPause the time before that.
	auditRounds = 4
	auditPause  = time.Second
)

// auditedPage is what was found behind a cursor.
type auditedPage struct {
	cursor string
	client.PaymentAudit
}

// auditPayments has a site audit everybody, page by page. Between two pages it rests as long as the last one took, so that payments have at least
// half of what an audit would take for itself. nil: there are no payments at this site.
func auditPayments(ctx context.Context, w io.Writer, c *client.Client) (*client.PaymentAudit, error) {
	var pages []auditedPage
	for cursor := ""; ; {
		began := time.Now()
		page, next, err := c.AuditPayments(ctx, cursor, auditLimit)
		if refused, ok := errors.AsType[*client.Error](err); ok && refused.Code == "payments-off" && len(pages) == 0 {
			fmt.Fprintln(w, "There are no payments of people at this site.")
			return nil, nil
		}
		if err != nil {
			return nil, whyNotAudited(err)
		}
		pages = append(pages, auditedPage{cursor, page})
		if cursor = next; cursor == "" {
			break
		}
		if err := rest(ctx, time.Since(began)); err != nil {
			return nil, err
		}
	}
	all := &client.PaymentAudit{}
	for i := range pages {
		if err := pages[i].decide(ctx, c); err != nil {
			return nil, whyNotAudited(err)
		}
		all.Add(&pages[i].PaymentAudit)
	}
	printPayments(w, all)
	return all, nil
}

func whyNotAudited(err error) error {
	if refused, ok := errors.AsType[*client.Error](err); ok && refused.Status == http.StatusForbidden {
		return fmt.Errorf("payments were not audited: %w; --books audits the books and the replicas alone", err)
	}
	return fmt.Errorf("ask for the audit of payments: %w", err)
}

// decide asks again while somebody on the page is undecided: he was paying. What there are more of by then is on the page as well, or on the next.
func (p *auditedPage) decide(ctx context.Context, c *client.Client) error {
	limit := min(client.MaxPage, p.Customers+p.Merchants+p.Strangers+len(p.Undecided))
	for round := 1; round < auditRounds && len(p.Undecided) > 0; round++ {
		if err := rest(ctx, auditPause); err != nil {
			return err
		}
		again, _, err := c.AuditPayments(ctx, p.cursor, limit)
		if err != nil {
			return err
		}
		p.PaymentAudit = again
	}
	return nil
}

// mostDifferences are printed; the JSON has all.
const mostDifferences = 100

func printPayments(w io.Writer, p *client.PaymentAudit) {
	fmt.Fprintf(w, "payments: %d wallets of customers and %d purses of merchants audited, a currency each, and %d others: %d differences, %d undecided\n",
		p.Customers, p.Merchants, p.Strangers, len(p.Differences), len(p.Undecided))
	for _, d := range p.Differences[:min(len(p.Differences), mostDifferences)] {
		fmt.Fprintf(w, "  DIFFERENCE: %s\n", differenceText(&d))
	}
	for _, u := range p.Undecided[:min(len(p.Undecided), mostDifferences)] {
		fmt.Fprintf(w, "  UNDECIDED: owner %s in %s: %s\n", u.Owner, u.Asset, u.Why)
	}
	if n := max(len(p.Differences), len(p.Undecided)) - mostDifferences; n > 0 {
		fmt.Fprintf(w, "  ... and %d more: --json - has all\n", n)
	}
	if len(p.Differences)+len(p.Undecided) == 0 {
		fmt.Fprintln(w, "Every account of customers and merchants holds what the documents say.")
	}
}

func differenceText(d *client.PaymentDifference) string {
	return fmt.Sprintf("%s holds %d, and the documents of its owner say %d: %+d", d.Account, d.Ledger, d.Documents, d.Ledger-d.Documents)
}

// judge fails the audit when an account does not hold what the documents say, or nobody knows whether it does.
func (r *auditResult) judge() {
	p := r.Payments
	if p == nil || len(p.Differences)+len(p.Undecided) == 0 {
		return
	}
	r.OK = false
	for _, d := range p.Differences[:min(len(p.Differences), mostDifferences)] {
		r.Problems = append(r.Problems, differenceText(&d))
	}
	if n := len(p.Undecided); n > 0 {
		r.Problems = append(r.Problems, fmt.Sprintf("%d owners and currencies could not be audited", n))
	}
}

// rest waits, unless the context ends before.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
