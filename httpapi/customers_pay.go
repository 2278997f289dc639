package httpapi

import (
	"context"
	"net/http"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

func (a *api) customerPayRoutes(r *router) {
	add[payTradeIn, jsonOut[TradeBody]](r, operation{
		name: "pay-trade", method: post, path: "/v1/trades/{merchant}/{out_trade_no}/pay", tag: tagTrades, summary: "Pay a trade from a customer's wallet",
		text: "Limits, balance, fee and receipt in one transaction. A trade that this customer has paid already is answered as the first time. Of two " +
			"payments of one trade one counts, and the money of the other one goes back by itself.",
		action: guard.MoveMoney, buyers: true, handle: a.atTill(postTradePay),
	})
	add[openCodeIn, jsonOut[openedBody]](r, operation{
		name: "open-code", method: post, path: "/v1/codes/open", tag: tagTrades, summary: "See the trade behind a QR code that a shop shows",
		text:   "It notes that the buyer has seen the trade. " + againDone,
		action: guard.MoveMoney, buyers: true, handle: a.atTill(postCodeOpen),
	})
	add[authoriseIn, jsonOut[AuthorisationBody]](r, operation{
		name: "authorise", method: post, path: "/v1/authorisations/{merchant}/{out_order_no}/authorise", tag: tagTrades, summary: "Freeze the money of an authorisation in a customer's wallet",
		text: "By who pays, or by the payment code that the customer shows. One that this customer has authorised already is answered as it stands. If nothing " +
			"could be frozen, the same customer or another one may authorise it, until the time to do so is over.",
		action: guard.MoveMoney, buyers: true, handle: a.atTill(postAuthorise),
	})
	for _, v := range []struct {
		name, path, summary string
		how                 func(*till) func(context.Context, pay.EscrowAsk, holdfast.Time) (pay.Trade, error)
	}{
		{"confirm-escrow", "/v1/escrows/{merchant}/{out_trade_no}/confirm", "Give the merchant what the platform holds: the buyer has got what he paid for", func(t *till) func(context.Context, pay.EscrowAsk, holdfast.Time) (pay.Trade, error) { return t.Confirm }},
		{"dispute-escrow", "/v1/escrows/{merchant}/{out_trade_no}/dispute", "Stop what the platform holds, until the dispute is decided", func(t *till) func(context.Context, pay.EscrowAsk, holdfast.Time) (pay.Trade, error) { return t.Dispute }},
	} {
		add[buyerIn, jsonOut[TradeBody]](r, operation{
			name: v.name, method: post, path: v.path, tag: tagTrades, summary: v.summary,
			text: againDone, action: guard.MoveMoney, buyers: true, handle: a.atTill(buyerSays(v.how)),
		})
	}
}

type payTradeIn struct {
	NumberIn
	PathTrade
	Body payTradeBody
}

type payTradeBody struct {
	Payer string `json:"payer,omitempty" doc:"The customer. May be left out with a session of the customer" example:"2088000000010420"`
}

var payTradeMembers = []string{"payer"}

func postTradePay(ctx context.Context, t *till) (err error) {
	var ask pay.PayAsk
	if ask.Merchant, ask.OutTradeNo, err = t.x.pathTrade(); err != nil {
		return err
	}
	if err := t.x.object(payTradeMembers, func(s *scanner, _ string) { ask.Payer = s.owner() }); err != nil {
		return err
	}
	if ask.Payer, err = t.x.buyerOr(ask.Payer, "payer", "name the customer who pays"); err != nil {
		return err
	}
	v, err := t.Pay(ctx, ask, t.at)
	if err != nil {
		return err
	}
	return t.sendTrade(&v)
}

type openCodeIn struct {
	NumberIn
	Body openCodeBody
}

type openCodeBody struct {
	Token string `json:"token" doc:"What stands behind the last slash of the address in the QR code"`
}

var openCodeMembers = []string{"token"}

type openedBody struct {
	TradeBody
	MerchantName string `json:"merchant_name,omitempty"`
}

func postCodeOpen(ctx context.Context, t *till) error {
	token := ""
	if err := t.x.object(openCodeMembers, func(s *scanner, _ string) { token = s.words() }); err != nil {
		return err
	}
	v, err := t.Open(ctx, token, t.at)
	if t.did(err) != nil {
		return err
	}
	m, err := t.Merchant(ctx, v.Merchant)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, openedBody{tradeBodyOf(&v), m.Name})
}

// PathAuthorisation documents a path that names an authorisation.
type PathAuthorisation struct {
	Merchant   string `path:"merchant" doc:"16 digits" example:"2088000000010420"`
	OutOrderNo string `path:"out_order_no" maxLength:"64" doc:"The merchant's number"`
}

type authoriseIn struct {
	NumberIn
	PathAuthorisation
	Body authoriseBody
}

type authoriseBody struct {
	Payer       string `json:"payer,omitempty" doc:"The customer" example:"2088000000010420"`
	PaymentCode string `json:"payment_code,omitempty" doc:"In place of payer: the 18 digits that the customer's phone shows"`
}

var authoriseMembers = []string{"payer", "payment_code"}

// AuthorisationBody is a pre-authorisation, as it stands.
type AuthorisationBody struct {
	Merchant     string `json:"merchant"`
	OutOrderNo   string `json:"out_order_no" doc:"The merchant's number"`
	OutRequestNo string `json:"out_request_no" doc:"Of the freeze"`
	AuthNo       string `json:"auth_no" doc:"The platform's number: 28 digits"`
	Status       string `json:"status" enum:"INIT,AUTHORIZED,FINISH,CLOSED" doc:"INIT: nothing is frozen yet. FINISH: a part was taken, and nothing is left. CLOSED: everything was released, or it was not authorised in time"`
	Title        string `json:"title,omitempty"`
	Asset        string `json:"asset" example:"CNY"`
	Amount       int64  `json:"amount" doc:"In minor units"`
	Rest         int64  `json:"rest" doc:"Still frozen"`
	Paid         int64  `json:"paid" doc:"Taken by trades"`
	Payer        string `json:"payer,omitempty" doc:"Who authorises it"`
	App          string `json:"app,omitempty"`
	Created      string `json:"created" format:"date-time"`
	Until        string `json:"until" format:"date-time" doc:"The end of the time to authorise it"`
	FrozenUntil  string `json:"frozen_until,omitempty" format:"date-time" doc:"Of one that is authorised: then what is left of it is released by itself"`
}

func authorisationBodyOf(v *pay.Auth) AuthorisationBody {
	return AuthorisationBody{
		Merchant: v.Merchant.String(), OutOrderNo: v.OutOrderNo, OutRequestNo: v.Request, AuthNo: v.AuthNo, Status: v.Status.String(), Title: v.Title,
		Asset: assetText(v.Asset), Amount: int64(v.Amount), Rest: int64(v.Rest), Paid: int64(v.Paid), Payer: ownerText(v.Payer), App: v.App,
		Created: timeText(v.Created), Until: timeText(v.Until), FrozenUntil: timeText(v.Ends),
	}
}

func postAuthorise(ctx context.Context, t *till) error {
	merchant, err := t.x.pathOwner("merchant")
	if err != nil {
		return err
	}
	var payer holdfast.Owner
	code := ""
	err = t.x.object(authoriseMembers, func(s *scanner, name string) {
		if name == "payer" {
			payer = s.owner()
		} else {
			code = s.string(maxName)
		}
	})
	switch {
	case err != nil:
		return err
	case t.x.buyer != 0 && code != "":
		return edgeForbidden.field("payment_code", "A customer who has signed in authorises it without a code: leave it out.")
	case t.x.buyer != 0:
		if payer, err = t.x.buyerOr(payer, "payer", ""); err != nil {
			return err
		}
	case (payer == 0) == (code == ""):
		return edgeMalformed.field("payer", "say who authorises it, by \"payer\" or by \"payment_code\"")
	}
	t.wrote = true // the money may be frozen when telling the merchant fails
	v, err := t.Authorize(ctx, merchant, t.x.r.PathValue("out_order_no"), payer, code, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, authorisationBodyOf(&v))
}

type buyerIn struct {
	NumberIn
	PathTrade
	Body buyerBody
}

type buyerBody struct {
	By string `json:"by,omitempty" doc:"The buyer. May be left out with a session of the customer" example:"2088000000010420"`
}

var buyerMembers = []string{"by"}

// buyerSays does what only the buyer of a protected trade can do.
func buyerSays(how func(*till) func(context.Context, pay.EscrowAsk, holdfast.Time) (pay.Trade, error)) func(context.Context, *till) error {
	return func(ctx context.Context, t *till) (err error) {
		var ask pay.EscrowAsk
		if ask.Merchant, ask.OutTradeNo, err = t.x.pathTrade(); err != nil {
			return err
		}
		if err := t.x.object(buyerMembers, func(s *scanner, _ string) { ask.By = s.owner() }); err != nil {
			return err
		}
		if ask.By, err = t.x.buyerOr(ask.By, "by", "name the buyer"); err != nil {
			return err
		}
		v, err := how(t)(ctx, ask, t.at)
		if err != nil {
			return err
		}
		return t.sendTrade(&v)
	}
}
