package httpapi

import (
	"context"
	"time"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

// escrowRoutes are what a merchant and the platform do with trades under escrow; the buyer's part is with the customers.
func (a *api) escrowRoutes(r *router) {
	add[tradeIn, jsonOut[TradeBody]](r, operation{
		name: "read-escrow", method: get, path: "/v1/escrows/{merchant}/{out_trade_no}", tag: tagTrades, summary: "Read a trade under escrow",
		text:   "409, escrow-none: there is such a trade, and it is not under escrow or has not been paid.",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getEscrow),
	})
	add[shipIn, jsonOut[TradeBody]](r, operation{
		name: "ship-escrow", method: post, path: "/v1/escrows/{merchant}/{out_trade_no}/ship", tag: tagTrades, summary: "Say that the merchant has shipped",
		text: "From then on the buyer has the time to confirm or to dispute; when it is over he has confirmed. Shipping once more changes nothing, the time neither. The platform says how much " +
			"time the buyer has to have at least: 72 hours, if least_protection of its configuration says nothing else. A trade that is not shipped until its deadline " +
			"is paid back.",
		action: guard.MoveMoney, sellers: true, handle: a.atTill(postShip),
	})
	add[releaseIn, jsonOut[TradeBody]](r, operation{
		name: "release-escrow", method: post, path: "/v1/escrows/{merchant}/{out_trade_no}/release", tag: tagTrades, summary: "Give the merchant a part of what is held, before the buyer has confirmed",
		text:   "total is what is to have been released all in all, so that asking again is harmless. The fee is taken of what is released.",
		action: guard.MoveMoney, handle: a.atTill(postRelease),
	})
	add[decideIn, jsonOut[TradeBody]](r, operation{
		name: "decide-escrow", method: post, path: "/v1/escrows/{merchant}/{out_trade_no}/decide", tag: tagTrades, summary: "End a dispute: a part for the merchant, the rest back to the buyer",
		text:   "Both at once, or neither. The same decision again is done and changes nothing; another one is refused.",
		action: guard.RestrictPayments, handle: a.atTill(postDecide),
	})
}

type shipIn struct {
	NumberIn
	PathTrade
	Body shipBody
}

type shipBody struct {
	WithinS int64 `json:"within_s" minimum:"3600" maximum:"7776000" doc:"Seconds that the buyer has to confirm or dispute: at least what the platform wants (refused with what that is), at most 90 days"`
}

type releaseIn struct {
	NumberIn
	PathTrade
	Body releaseBody
}

type releaseBody struct {
	Total int64 `json:"total" doc:"What is to have been released all in all, in minor units"`
}

type decideIn struct {
	NumberIn
	PathTrade
	Body decideBody
}

type decideBody struct {
	ToMerchant int64 `json:"to_merchant" doc:"What of the amount that is held the merchant gets, in minor units; the rest goes back to the buyer. May be 0"`
}

var (
	shipMembers    = []string{"within_s"}
	releaseMembers = []string{"total"}
	decideMembers  = []string{"to_merchant"}
)

// escrowAsk is the trade that the path names, in the name of its merchant.
func (t *till) escrowAsk() (ask pay.EscrowAsk, err error) {
	ask.Merchant, ask.OutTradeNo, err = t.ownTrade()
	ask.By = ask.Merchant
	return ask, err
}

func getEscrow(ctx context.Context, t *till) error {
	ask, err := t.escrowAsk()
	if err != nil {
		return err
	}
	v, err := t.Query(ctx, ask.Merchant, ask.OutTradeNo, t.at)
	if err != nil {
		return err
	}
	if v.Protection == pay.Unprotected {
		return &pay.Refusal{Code: pay.NotEscrow, Text: pay.NotEscrow.Text()}
	}
	return t.sendTrade(&v)
}

func postShip(ctx context.Context, t *till) error {
	given, within := false, int64(0)
	err := t.x.object(shipMembers, func(s *scanner, _ string) { given, within = true, s.integer(0, 1_000_000_000) })
	if err != nil {
		return err
	}
	if !given {
		return edgeMalformed.field("within_s", "say how many seconds the buyer has to confirm or dispute")
	}
	ask, err := t.escrowAsk()
	if err != nil {
		return err
	}
	v, err := t.Ship(ctx, ask, time.Duration(within)*time.Second, t.at)
	if err != nil {
		return renamed(err, "within", "within_s")
	}
	return t.sendTrade(&v)
}

// oneAmount reads a body that is one amount; it must be there, because 0 may mean something.
func (x *exchange) oneAmount(known []string) (amount holdfast.Amount, err error) {
	given := false
	err = x.object(known, func(s *scanner, _ string) { given, amount = true, s.amount() })
	if err == nil && !given {
		err = edgeMalformed.field(known[0], "send the amount, in minor units")
	}
	return amount, err
}

func postRelease(ctx context.Context, t *till) error {
	total, err := t.x.oneAmount(releaseMembers)
	if err != nil {
		return err
	}
	ask, err := t.escrowAsk()
	if err != nil {
		return err
	}
	v, err := t.Release(ctx, ask, total, t.at)
	if err != nil {
		return err
	}
	return t.sendTrade(&v)
}

func postDecide(ctx context.Context, t *till) error {
	toMerchant, err := t.x.oneAmount(decideMembers)
	if err != nil {
		return err
	}
	ask, err := t.escrowAsk()
	if err != nil {
		return err
	}
	v, err := t.Decide(ctx, ask, toMerchant, t.at)
	if err != nil {
		return err
	}
	return t.sendTrade(&v)
}
