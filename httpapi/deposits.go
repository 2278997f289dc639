package httpapi

import (
	"context"
	"net/http"
	"strings"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

func (a *api) depositRoutes(r *router) {
	add[PageIn, jsonOut[depositsBody]](r, operation{
		name: "list-unassigned-deposits", method: get, path: "/v1/deposits", tag: tagCustomers, summary: "Page through money that banks have brought and nobody could be found for",
		text:   "Their text names no top-up that waits: a person finds out whose they are.",
		action: guard.RestrictPayments, handle: a.atTill(getDeposits),
	})
	add[readDepositIn, jsonOut[DepositBody]](r, operation{
		name: "read-deposit", method: get, path: "/v1/deposits/{deposit}", tag: tagCustomers, summary: "Read a deposit, and what has become of it",
		action: guard.RestrictPayments, handle: a.atTill(getDeposit),
	})
	add[assignDepositIn, jsonOut[DepositBody]](r, operation{
		name: "assign-deposit", method: post, path: "/v1/deposits/{deposit}/assign", tag: tagCustomers, summary: "Give a deposit that could not be assigned to a customer",
		text:   "The money goes into the wallet. Assigning it to the same customer once more is done and changes nothing; to another one it is refused.",
		action: guard.RestrictPayments, handle: a.atTill(postDepositAssign),
	})
}

// PathDeposit documents a path that names a deposit.
type PathDeposit struct {
	Deposit string `path:"deposit" maxLength:"64" doc:"Id of the deposit"`
}

type readDepositIn struct {
	PathDeposit
	DeadlineIn
}

type assignDepositIn struct {
	NumberIn
	PathDeposit
	Body assignDepositBody
}

type assignDepositBody struct {
	Owner string `json:"owner" doc:"The customer whose it is" example:"2088000000010420"`
}

var assignDepositMembers = []string{"owner"}

type depositsBody struct {
	Deposits []DepositBody `json:"deposits"`
	Next     string        `json:"next,omitempty" doc:"Send it as cursor, for the next page; left out on the last one"`
}

// DepositBody is money that has come into an account of the platform at a bank.
type DepositBody struct {
	ID       string `json:"id"`
	Status   string `json:"status" enum:"credited,unassigned,assigned" doc:"credited: to the top-up that its text names. assigned: by a person"`
	Bank     string `json:"bank" doc:"Which bank has brought it"`
	BankRef  string `json:"bank_ref" doc:"The bank's own reference"`
	Asset    string `json:"asset" example:"CNY"`
	Amount   int64  `json:"amount" doc:"In minor units"`
	EndToEnd string `json:"end_to_end,omitempty" doc:"What the payer has named it"`
	Text     string `json:"text,omitempty" doc:"What the payer has written"`
	From     string `json:"from,omitempty" doc:"The payer's account, if the bank tells it"`
	Time     string `json:"time" format:"date-time"`
	Reason   string `json:"reason,omitempty" doc:"Why it could not be assigned"`
	Owner    string `json:"owner,omitempty" doc:"The customer who has got it"`
	Number   string `json:"number,omitempty" doc:"Of the top-up"`
}

var depositStatuses = map[pay.DepositStatus]string{
	pay.DepositCredited: "credited", pay.DepositUnassigned: "unassigned", pay.DepositAssigned: "assigned",
}

func depositBodyOf(v *pay.Deposit) DepositBody {
	return DepositBody{
		ID: v.ID, Status: depositStatuses[v.Status], Bank: v.Via, BankRef: v.Ref, Asset: assetText(v.Asset), Amount: int64(v.Amount),
		EndToEnd: v.EndToEnd, Text: v.Text, From: v.From, Time: timeText(v.At), Reason: v.Why, Owner: ownerText(v.Owner), Number: v.Number,
	}
}

func getDeposits(ctx context.Context, t *till) error {
	limit, err := t.x.query.limit()
	if err != nil {
		return err
	}
	cursor := t.x.query.get("cursor")
	if strings.Trim(cursor, "0123456789abcdef") != "" || len(cursor) > maxName {
		return edgeMalformed.field("cursor", "the cursor is not one of this list: send the next of the page before")
	}
	list, next, err := t.UnassignedDeposits(ctx, cursor, limit)
	if err != nil {
		return err
	}
	b := depositsBody{Deposits: make([]DepositBody, len(list)), Next: next}
	for i := range list {
		b.Deposits[i] = depositBodyOf(&list[i])
	}
	return t.x.sendJSON(http.StatusOK, b)
}

func getDeposit(ctx context.Context, t *till) error {
	v, err := t.Deposit(ctx, t.x.r.PathValue("deposit"))
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, depositBodyOf(&v))
}

func postDepositAssign(ctx context.Context, t *till) error {
	var o holdfast.Owner
	if err := t.x.object(assignDepositMembers, func(s *scanner, _ string) { o = s.owner() }); err != nil {
		return err
	}
	if o == 0 {
		return edgeMalformed.field("owner", "name the customer whose it is")
	}
	v, err := t.AssignDeposit(ctx, t.x.r.PathValue("deposit"), o, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, depositBodyOf(&v))
}
