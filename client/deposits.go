package client

import (
	"context"
	"time"

	"holdfast"
)

// Deposit is money that has come into an account of the platform at a bank.
type Deposit struct {
	ID       string          `json:"id"`
	Status   string          `json:"status"`   // credited, unassigned, assigned
	Bank     string          `json:"bank"`     // which bank has brought it
	BankRef  string          `json:"bank_ref"` // the bank's own reference
	Asset    holdfast.Asset  `json:"asset"`
	Amount   holdfast.Amount `json:"amount"`
	EndToEnd string          `json:"end_to_end"` // what the payer has named it
	Text     string          `json:"text"`       // what the payer has written
	From     string          `json:"from"`       // the payer's account, if the bank tells it
	Time     time.Time       `json:"time"`
	Reason   string          `json:"reason"` // why it could not be assigned
	Owner    holdfast.Owner  `json:"owner"`  // who has got it
	Number   string          `json:"number"` // of the top-up
}

// UnassignedDeposits reads a page of the money that nobody could be found for, at most limit (0: 100). cursor is "", or the next of the page before;
// next is "" on the last one.
func (c *Client) UnassignedDeposits(ctx context.Context, cursor string, limit int) (list []Deposit, next string, err error) {
	var v struct {
		Deposits []Deposit `json:"deposits"`
		Next     string    `json:"next"`
	}
	err = c.get(ctx, "/v1/deposits"+paged(cursor, limit), &v)
	return v.Deposits, v.Next, err
}

// Deposit reads a deposit, and what has become of it.
func (c *Client) Deposit(ctx context.Context, id string) (v Deposit, err error) {
	return v, c.get(ctx, pathOf("/v1/deposits/:deposit", id), &v)
}

// AssignDeposit gives a deposit that could not be assigned to a customer. Repeating is done.
func (c *Client) AssignDeposit(ctx context.Context, id string, owner holdfast.Owner) (v Deposit, err error) {
	body := struct {
		Owner holdfast.Owner `json:"owner"`
	}{owner}
	return v, c.order(ctx, pathOf("/v1/deposits/:deposit/assign", id), body, &v)
}
