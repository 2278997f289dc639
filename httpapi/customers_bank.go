package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
	"holdfast/signin"
)

// PayoutEstimate is an honest word about when a bank will have taken an order. It is an estimate of what nobody knows.
type PayoutEstimate struct {
	Bank  string        // who pays it; "": nothing is said, because no bank is configured for its currency
	Ahead int           // orders that come before it
	Down  bool          // the bank does not answer
	Since holdfast.Time // since when, if Down
	// Soonest is how long it takes if the bank answers from now on; Likely, if an outage lasts as long again as it has lasted. Both count only where
	// Known is true: else it has not been measured how many orders the bank takes.
	Soonest, Likely time.Duration
	Known           bool
}

func (a *api) customerBankRoutes(r *router) {
	for _, v := range []struct {
		who, path, tag string
		action         guard.Action
		buyers         bool
		staff          signin.Right
	}{
		{"customer", "/v1/customers/{id}/bank-accounts", tagCustomers, guard.ManageCustomers, true, 0},
		{"merchant", "/v1/merchants/{id}/bank-accounts", tagMerchants, guard.ManageMerchants, false, signin.Manage},
	} {
		add[putBankAccountIn, jsonOut[bankAccountsBody]](r, operation{
			name: "put-" + v.who + "-bank-account", method: post, path: v.path, tag: v.tag, summary: "Keep a bank account of a " + v.who + ", or change it",
			text:   "It is kept sealed. What waits because no account was known is paid there; what has been sent before is not changed by it. " + againDone,
			action: v.action, buyers: v.buyers, staff: v.staff, handle: a.atTill(postBankAccount),
		})
		add[readCustomerIn, jsonOut[bankAccountsBody]](r, operation{
			name: "list-" + v.who + "-bank-accounts", method: get, path: v.path, tag: v.tag, summary: "List the bank accounts of a " + v.who,
			action: guard.ReadMoney, sellers: v.who == "merchant", buyers: v.buyers, handle: a.atTill(getBankAccounts),
		})
		add[removeBankAccountIn, jsonOut[bankAccountsBody]](r, operation{
			name: "remove-" + v.who + "-bank-account", method: post, path: v.path + "/{account}/remove", tag: v.tag, summary: "Forget a bank account of a " + v.who,
			text: "What was ordered before is paid to it all the same. " + againDone, action: v.action, buyers: v.buyers, staff: v.staff, handle: a.atTill(postBankAccountRemove),
		})
	}
	add[recallIn, jsonOut[payoutBody]](r, operation{
		name: "recall-payout", method: post, path: "/v1/payouts/{owner}/{number}/recall", tag: tagCustomers, summary: "Ask for the money of a withdrawal back",
		text: "What has not been sent to a bank is given back at once. What has been sent is not sent again, and comes back only when the bank says that it has not " +
			"paid and cannot any more: until then nobody knows. " + againDone,
		action: guard.MoveMoney, buyers: true, handle: a.atTill(postRecall),
	})
}

type putBankAccountIn struct {
	NumberIn
	PathOwner
	Body bankAccountBody
}

type bankAccountBody struct {
	Name   string `json:"name,omitempty" maxLength:"64" doc:"What the owner calls it; main if left out: the one that is paid to when no other one is named"`
	Number string `json:"number" doc:"An IBAN, or the bank's own number"`
	Holder string `json:"holder" doc:"Name of the holder, as the bank knows it"`
}

var bankAccountMembers = []string{"name", "number", "holder"}

type removeBankAccountIn struct {
	NumberIn
	PathOwner
	Account string `path:"account" maxLength:"64" doc:"What the owner calls it"`
}

type bankAccountsBody struct {
	BankAccounts []keptAccountBody `json:"bank_accounts"`
}

type keptAccountBody struct {
	Name  string `json:"name" doc:"What the owner calls it"`
	Tail  string `json:"tail" doc:"The last four characters of its number: the number is not shown"`
	Added string `json:"added" format:"date-time"`
}

// PayToBody is a bank account that one order is paid to.
type PayToBody struct {
	Number string `json:"number" doc:"An IBAN, or the bank's own number"`
	Holder string `json:"holder" doc:"Name of the holder, as the bank knows it"`
}

var payToMembers = []string{"number", "holder"}

func (s *scanner) payTo() *pay.BankAccount {
	b := new(pay.BankAccount)
	for name := range s.members(payToMembers) {
		if name == "number" {
			b.Number = s.words()
		} else {
			b.Name = s.words()
		}
	}
	return b
}

func postBankAccount(ctx context.Context, t *till) error {
	o, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	name, b := "", pay.BankAccount{}
	err = t.x.object(bankAccountMembers, func(s *scanner, member string) {
		switch member {
		case "name":
			name = s.words()
		case "number":
			b.Number = s.words()
		case "holder":
			b.Name = s.words()
		}
	})
	if err != nil {
		return err
	}
	if err := t.known(ctx, o); err != nil {
		return err
	}
	t.wrote = true // it may be kept when addressing what waits for it fails
	if err := t.PutAccount(ctx, o, name, b, t.at); err != nil {
		return accountFault(err, "number", "holder")
	}
	t.ordered()
	return t.sendAccounts(ctx, o)
}

// accountFault names the members of a bank account as the body has them.
func accountFault(err error, number, holder string) error {
	var r *pay.Refusal
	if errors.As(err, &r) && r.Code == pay.FieldInvalid {
		named := *r
		switch r.Field {
		case "account":
			named.Field = number
		case "name":
			named.Field = holder
		}
		return &named
	}
	return err
}

// known reports as an error that an owner is neither a customer nor a merchant, by what the path says he is.
func (t *till) known(ctx context.Context, o holdfast.Owner) (err error) {
	if strings.HasPrefix(t.x.r.URL.Path, "/v1/merchants/") {
		_, err = t.Merchant(ctx, o)
	} else {
		_, err = t.Customer(ctx, o)
	}
	return err
}

func getBankAccounts(ctx context.Context, t *till) error {
	o, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	if err := t.x.actsFor(o); err != nil {
		return err
	}
	if err := t.known(ctx, o); err != nil {
		return err
	}
	return t.sendAccounts(ctx, o)
}

func postBankAccountRemove(ctx context.Context, t *till) error {
	o, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	if err := t.did(t.RemoveAccount(ctx, o, t.x.r.PathValue("account"), t.at)); err != nil {
		return err
	}
	return t.sendAccounts(ctx, o)
}

func (t *till) sendAccounts(ctx context.Context, o holdfast.Owner) error {
	list, err := t.Accounts(ctx, o)
	if err != nil {
		return err
	}
	b := bankAccountsBody{BankAccounts: make([]keptAccountBody, len(list))}
	for i, a := range list {
		b.BankAccounts[i] = keptAccountBody{a.Name, a.Tail, timeText(a.At)}
	}
	return t.x.sendJSON(http.StatusOK, b)
}

type recallIn struct {
	NumberIn
	PathPayout
}

func postRecall(ctx context.Context, t *till) error {
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	b, _, err := t.payout(ctx)
	if err != nil {
		return err
	}
	o, err := t.Recall(ctx, b, t.at)
	if err != nil {
		return err
	}
	t.ordered()
	return t.sendPayout(ctx, b, &o)
}

// EstimateBody is what can be said of an order that waits for a bank.
type EstimateBody struct {
	Bank      string `json:"bank" doc:"Which one pays it"`
	Ahead     int    `json:"ahead" doc:"Orders that come before it"`
	Down      bool   `json:"bank_down" doc:"The bank does not answer just now"`
	DownSince string `json:"bank_down_since,omitempty" format:"date-time"`
	Soonest   *int64 `json:"soonest_s,omitempty" doc:"Seconds until the bank has taken it, if it answers from now on; left out while that has not been measured"`
	Likely    *int64 `json:"likely_s,omitempty" doc:"The same, if an outage lasts as long again as it has lasted: half of them do"`
}

// estimate is what can be said of an order; nil: nothing.
func (t *till) estimate(ctx context.Context, b pay.BankOrder, o *pay.Order) *EstimateBody {
	if t.Estimate == nil || o.Status >= pay.OrderDone {
		return nil
	}
	e, err := t.Estimate(ctx, b, *o)
	if err != nil || e.Bank == "" {
		return nil // the order is what was asked for, and that is known
	}
	v := &EstimateBody{Bank: e.Bank, Ahead: e.Ahead, Down: e.Down}
	if e.Down {
		v.DownSince = timeText(e.Since)
	}
	if e.Known {
		v.Soonest, v.Likely = new(wholeSeconds(e.Soonest)), new(wholeSeconds(e.Likely))
	}
	return v
}

// wholeSeconds rounds up: what takes any time at all does not take none.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
