package httpapi

import (
	"context"
	"net/http"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

// authorisationRoutes are what a merchant does with authorisations; the customer's part is with the customers.
func (a *api) authorisationRoutes(r *router) {
	add[authAskIn, jsonOut[AuthorisationBody]](r, operation{
		name: "open-authorisation", method: post, path: "/v1/authorisations", tag: tagTrades, summary: "Ask a customer to freeze money for a merchant",
		text: "It waits for the customer; with payment_code it is that of the customer who shows the code, and the money is frozen at once. Trades are paid from it " +
			"by POST /v1/trades with authorisation, in parts. The same request again is answered as it stands.",
		action: guard.MoveMoney, sellers: true, ok: created, handle: a.atTill(postAuthorisation),
	})
	add[authIn, jsonOut[AuthorisationBody]](r, operation{
		name: "read-authorisation", method: get, path: "/v1/authorisations/{merchant}/{out_order_no}", tag: tagTrades, summary: "Read an authorisation as it stands",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getAuthorisation),
	})
	add[authOperationIn, jsonOut[authOperationBody]](r, operation{
		name: "read-authorisation-operation", method: get, path: "/v1/authorisations/{merchant}/{out_order_no}/operations/{out_request_no}", tag: tagTrades,
		summary: "Read what one request has frozen or released",
		action:  guard.ReadMoney, sellers: true, handle: a.atTill(getAuthOperation),
	})
	add[unfreezeIn, jsonOut[AuthorisationBody]](r, operation{
		name: "unfreeze-authorisation", method: post, path: "/v1/authorisations/{merchant}/{out_order_no}/unfreeze", tag: tagTrades, summary: "Release a part of what is frozen",
		text:   "The same number with the same amount is answered as the first time.",
		action: guard.MoveMoney, sellers: true, handle: a.atTill(postUnfreeze),
	})
}

type authAskIn struct {
	NumberIn
	Body authAskBody
}

type authAskBody struct {
	Merchant     string `json:"merchant,omitempty" doc:"16 digits; may be left out with a key of the merchant" example:"2088000000010420"`
	OutOrderNo   string `json:"out_order_no,omitempty" maxLength:"64" doc:"The merchant's number, unique for him. The Idempotency-Key if left out"`
	OutRequestNo string `json:"out_request_no,omitempty" maxLength:"64" doc:"Number of the request to freeze; out_order_no if left out"`
	Title        string `json:"title,omitempty" doc:"What it is for; at most 256 bytes"`
	Amount       int64  `json:"amount" doc:"In minor units"`
	Asset        string `json:"asset" example:"CNY"`
	Until        string `json:"until,omitempty" format:"date-time" doc:"The end of the time to agree, 1 minute to 15 days from now; 15 minutes if left out"`
	App          string `json:"app,omitempty" doc:"Id of the merchant's app whose key signs the notices"`
	Notify       string `json:"notify,omitempty" doc:"Address for the notices of this authorisation, with app; at most 256 bytes"`
	PaymentCode  string `json:"payment_code,omitempty" doc:"The 18 digits that a customer shows: his money is frozen at once"`
}

var authAskMembers = []string{
	"merchant", "out_order_no", "out_request_no", "title", "amount", "asset", "until", "app", "notify", "payment_code",
}

type authIn struct {
	PathAuthorisation
	DeadlineIn
}

type authOperationIn struct {
	PathAuthorisation
	OutRequestNo string `path:"out_request_no" maxLength:"64" doc:"Number of the request"`
	DeadlineIn
}

type unfreezeIn struct {
	NumberIn
	PathAuthorisation
	Body unfreezeBody
}

type unfreezeBody struct {
	OutRequestNo string `json:"out_request_no,omitempty" maxLength:"64" doc:"Number of the request, unique for the authorisation. The Idempotency-Key if left out"`
	Amount       int64  `json:"amount" doc:"In minor units; at most what is still frozen"`
	Remark       string `json:"remark,omitempty" doc:"At most 256 bytes"`
}

var unfreezeMembers = []string{"out_request_no", "amount", "remark"}

type authOperationBody struct {
	Authorisation AuthorisationBody `json:"authorisation"`
	OutRequestNo  string            `json:"out_request_no"`
	Kind          string            `json:"kind" enum:"freeze,unfreeze"`
	Amount        int64             `json:"amount" doc:"In minor units"`
	Remark        string            `json:"remark,omitempty"`
	Time          string            `json:"time" format:"date-time"`
}

// readAuthAsk reads what is asked for, and the code that a customer shows.
func (x *exchange) readAuthAsk() (ask pay.AuthAsk, code string, err error) {
	err = x.object(authAskMembers, func(s *scanner, name string) {
		switch name {
		case "merchant":
			ask.Merchant = s.owner()
		case "out_order_no":
			ask.OutOrderNo = s.words()
		case "out_request_no":
			ask.Request = s.words()
		case "title":
			ask.Title = s.words()
		case "amount":
			ask.Amount = s.amount()
		case "asset":
			ask.Asset = s.asset()
		case "until":
			ask.Until = s.moment()
		case "app":
			ask.App = s.words()
		case "notify":
			ask.Notify = s.words()
		case "payment_code":
			code = s.words()
		}
	})
	return ask, code, err
}

func postAuthorisation(ctx context.Context, t *till) error {
	ask, code, err := t.x.readAuthAsk()
	if err != nil {
		return err
	}
	if ask.Merchant, err = t.bodyMerchant(ask.Merchant); err != nil {
		return err
	}
	if ask.OutOrderNo, err = t.number(ask.OutOrderNo, "out_order_no"); err != nil {
		return err
	}
	if ask.Request == "" {
		ask.Request = ask.OutOrderNo
	}
	if err := t.checkNotices(ctx, ask.Merchant, ask.App, ask.Notify); err != nil {
		return err
	}
	v, err := t.OpenAuth(ctx, ask, t.at)
	if t.did(err) == nil && code != "" {
		v, err = t.Authorize(ctx, ask.Merchant, ask.OutOrderNo, 0, code, t.at)
	} else if err == nil {
		v, err = t.QueryAuth(ctx, ask.Merchant, ask.OutOrderNo, t.at)
	}
	if err != nil {
		return renamed(renamed(renamed(err, "pay_timeout", "until"), "auth_code", "payment_code"), "order_title", "title")
	}
	return t.x.sendJSON(t.madeNow(v.Created), authorisationBodyOf(&v))
}

// ownAuthorisation is the one that the path names.
func (t *till) ownAuthorisation() (merchant holdfast.Owner, outOrderNo string, err error) {
	merchant, err = t.pathMerchant("merchant")
	return merchant, t.x.r.PathValue("out_order_no"), err
}

func getAuthorisation(ctx context.Context, t *till) error {
	merchant, outOrderNo, err := t.ownAuthorisation()
	if err != nil {
		return err
	}
	v, err := t.QueryAuth(ctx, merchant, outOrderNo, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, authorisationBodyOf(&v))
}

func getAuthOperation(ctx context.Context, t *till) error {
	merchant, outOrderNo, err := t.ownAuthorisation()
	if err != nil {
		return err
	}
	request := t.x.r.PathValue("out_request_no")
	v, op, found, err := t.QueryAuthOperation(ctx, merchant, outOrderNo, request, t.at)
	switch {
	case err != nil:
		return err
	case !found:
		return edgeNotFound.field("out_request_no", "nothing has been frozen or released under this number: check it")
	}
	body := authOperationBody{
		Authorisation: authorisationBodyOf(&v), OutRequestNo: op.Known, Kind: "freeze", Amount: int64(op.Amount), Remark: op.Remark, Time: op.At.String(),
	}
	if op.Unfreeze {
		body.Kind = "unfreeze"
	}
	return t.x.sendJSON(http.StatusOK, body)
}

func postUnfreeze(ctx context.Context, t *till) error {
	var number, remark string
	var amount holdfast.Amount
	err := t.x.object(unfreezeMembers, func(s *scanner, name string) {
		switch name {
		case "out_request_no":
			number = s.words()
		case "amount":
			amount = s.amount()
		case "remark":
			remark = s.words()
		}
	})
	if err != nil {
		return err
	}
	merchant, outOrderNo, err := t.ownAuthorisation()
	if err != nil {
		return err
	}
	if number, err = t.number(number, "out_request_no"); err != nil {
		return err
	}
	t.wrote = true // it may be released when telling the merchant fails
	v, err := t.Unfreeze(ctx, merchant, outOrderNo, number, amount, remark, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, authorisationBodyOf(&v))
}
