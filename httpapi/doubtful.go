package httpapi

import (
	"context"
	"net/http"

	"holdfast/guard"
	"holdfast/pay"
)

type doubtfulIn struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" doc:"Payouts on a page; 100 if left out"`
	Cursor string `query:"cursor" doc:"The next of the page before; left out for the first page"`
	DeadlineIn
}

type doubtfulBody struct {
	Payouts []payoutBody `json:"payouts"`
	Next    string       `json:"next,omitempty"`
}

type decidePayoutIn struct {
	NumberIn
	PathPayout
	Body decidePayoutBody
}

type decidePayoutBody struct {
	Paid bool   `json:"paid" doc:"true: the bank has paid it, and the money leaves the books. false: it has not and never will, and the money goes back to its owner"`
	Bank string `json:"bank,omitempty" maxLength:"64" doc:"Of one that is paid: what the bank calls the payment"`
	Why  string `json:"why,omitempty" maxLength:"200" doc:"Of one that is not: in words, who has said so"`
}

var decidePayoutMembers = []string{"paid", "bank", "why"}

func (a *api) doubtfulRoutes(r *router) {
	add[doubtfulIn, jsonOut[doubtfulBody]](r, operation{
		name: "find-doubtful", method: get, path: "/v1/reconciliation/doubtful", tag: tagTrades,
		summary: "Page through the withdrawals and payouts about which a bank has contradicted itself",
		text:    "Nobody asks the bank any more: its money waits until somebody has spoken with the bank and decided it.",
		action:  guard.RestrictPayments, handle: a.atTill(getDoubtful),
	})
	add[decidePayoutIn, jsonOut[payoutBody]](r, operation{
		name: "decide-payout", method: post, path: "/v1/payouts/{owner}/{number}/decide", tag: tagTrades,
		summary: "Say what has become of a withdrawal or payout that is doubtful",
		text: "For those alone: of any other the bank is asked until it says so itself. To say that one was not paid which the bank pays after all loses the money. " +
			againDone,
		action: guard.RestrictPayments, handle: a.atTill(postPayoutDecide),
	})
}

func getDoubtful(ctx context.Context, t *till) error {
	after, limit, err := t.x.page()
	if err != nil {
		return err
	}
	list, next, err := t.DoubtfulOrders(ctx, after, limit)
	if err != nil {
		return err
	}
	body := doubtfulBody{Payouts: []payoutBody{}, Next: next}
	for i := range list {
		body.Payouts = append(body.Payouts, payoutBodyOf(list[i].BankOrder, &list[i].Order))
	}
	return t.x.sendJSON(http.StatusOK, body)
}

func postPayoutDecide(ctx context.Context, t *till) error {
	var d decidePayoutBody
	given := false
	err := t.x.object(decidePayoutMembers, func(s *scanner, name string) {
		switch name {
		case "paid":
			given, d.Paid = true, s.boolean()
		case "bank":
			d.Bank = s.words()
		case "why":
			d.Why = s.words()
		}
	})
	switch {
	case err != nil:
		return err
	case !given:
		return edgeMalformed.field("paid", "say true when the bank has paid it, and false when it has not and never will")
	case d.Paid && d.Bank == "":
		return edgeMalformed.field("bank", "say what the bank calls the payment: its statement has it, and is compared with this")
	case !d.Paid && d.Why == "":
		return edgeMalformed.field("why", "say in words who has said that it was not paid: its owner is told")
	}
	b, o, err := t.payout(ctx)
	switch {
	case err != nil:
		return err
	case o.Status >= pay.OrderDone: // decided before: as it was, or refused below
	case !o.Doubtful:
		return &pay.Refusal{Code: pay.OrderStateWrong, Text: "The bank is still asked about it, so nobody has to decide: wait, or recall it."}
	}
	if d.Paid {
		o, err = t.PaidOut(ctx, b, d.Bank, t.at)
	} else {
		o, err = t.PayoutReturned(ctx, b, d.Why, t.at)
	}
	if err != nil {
		return err
	}
	return t.sendPayout(ctx, b, &o)
}
