package httpapi

import (
	"context"
	"net/http"

	"holdfast/guard"
	"holdfast/pay"
)

func (a *api) refundRoutes(r *router) {
	add[refundAskIn, jsonOut[RefundBody]](r, operation{
		name: "refund", method: post, path: "/v1/refunds", tag: tagTrades, summary: "Give a part of a trade back to its buyer",
		text: "At most what is left of the trade; of the fee the same part goes back to the merchant. The same number with the same amount is answered as the first time: " +
			"out_request_no is unique for the trade.",
		action: guard.MoveMoney, sellers: true, ok: created, handle: a.atTill(postRefund),
	})
	add[refundsIn, jsonOut[refundsBody]](r, operation{
		name: "find-refunds", method: get, path: "/v1/refunds", tag: tagTrades, summary: "Page through the refunds of a trade, by number",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getRefunds),
	})
	add[refundIn, jsonOut[RefundBody]](r, operation{
		name: "read-refund", method: get, path: "/v1/refunds/{merchant}/{out_trade_no}/{out_request_no}", tag: tagTrades, summary: "Read a refund",
		text:   "404 means that nothing has been given back under this number. While it is under way the answer is outcome-unknown.",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getRefund),
	})
}

type refundAskIn struct {
	NumberIn
	Body refundAskBody
}

type refundAskBody struct {
	Merchant     string `json:"merchant,omitempty" doc:"16 digits; may be left out with a key of the merchant" example:"2088000000010420"`
	OutTradeNo   string `json:"out_trade_no" maxLength:"64" doc:"The merchant's number of the trade"`
	OutRequestNo string `json:"out_request_no,omitempty" maxLength:"64" doc:"Number of the refund, unique for the trade. The Idempotency-Key if left out"`
	Amount       int64  `json:"amount" doc:"In minor units"`
	Reason       string `json:"reason,omitempty" maxLength:"256" doc:"Of control characters tabs and ends of lines only"`
	Clerk        string `json:"clerk,omitempty" maxLength:"64"`
}

var refundAskMembers = []string{"merchant", "out_trade_no", "out_request_no", "amount", "reason", "clerk"}

type refundsIn struct {
	MerchantIn
	OutTradeNo string `query:"out_trade_no" maxLength:"64" doc:"The merchant's number of the trade"`
	PageIn
}

type refundIn struct {
	PathTrade
	OutRequestNo string `path:"out_request_no" maxLength:"64" doc:"Number of the refund"`
	DeadlineIn
}

// RefundBody is a part of a trade that has been given back.
type RefundBody struct {
	Merchant     string     `json:"merchant" doc:"16 digits"`
	OutTradeNo   string     `json:"out_trade_no"`
	OutRequestNo string     `json:"out_request_no"`
	Amount       int64      `json:"amount" doc:"In minor units"`
	FeeReturned  int64      `json:"fee_returned" doc:"Of the fee, given back to the merchant with this refund"`
	Reason       string     `json:"reason,omitempty"`
	Clerk        string     `json:"clerk,omitempty"`
	Time         string     `json:"time" format:"date-time"`
	Trade        *TradeBody `json:"trade,omitempty" doc:"As it stands now; left out in lists"`
}

type refundsBody struct {
	Refunds []RefundBody `json:"refunds" doc:"In the order of their numbers. That of a cancelled trade has the number ~cancel, and what a decided dispute gave back ~decided"`
	Next    string       `json:"next,omitempty" doc:"Cursor of the next page; left out on the last one"`
}

func refundBodyOf(merchant, outTradeNo, number string, r *pay.Refund) RefundBody {
	return RefundBody{
		Merchant: merchant, OutTradeNo: outTradeNo, OutRequestNo: number, Amount: int64(r.Amount), FeeReturned: int64(r.FeeBack),
		Reason: r.Reason, Clerk: r.Clerk, Time: r.At.String(),
	}
}

func postRefund(ctx context.Context, t *till) error {
	var ask pay.RefundAsk
	err := t.x.object(refundAskMembers, func(s *scanner, name string) {
		switch name {
		case "merchant":
			ask.Merchant = s.owner()
		case "out_trade_no":
			ask.OutTradeNo = s.words()
		case "out_request_no":
			ask.Number = s.words()
		case "amount":
			ask.Amount = s.amount()
		case "reason":
			ask.Reason = s.words()
		case "clerk":
			ask.Clerk = s.words()
		}
	})
	if err != nil {
		return err
	}
	if ask.Merchant, err = t.bodyMerchant(ask.Merchant); err != nil {
		return err
	}
	if ask.Number, err = t.number(ask.Number, "out_request_no"); err != nil {
		return err
	}
	v, refund, err := t.Refund(ctx, ask, t.at)
	if err != nil {
		return renamed(renamed(err, "refund_amount", "amount"), "refund_reason", "reason")
	}
	status := http.StatusCreated
	if refund.Again {
		status = http.StatusOK
	}
	return t.sendRefund(status, &v, ask.Number, &refund)
}

func (t *till) sendRefund(status int, v *pay.Trade, number string, r *pay.Refund) error {
	body := refundBodyOf(v.Merchant.String(), v.OutTradeNo, number, r)
	body.Trade = new(tradeBodyOf(v))
	return t.x.sendJSON(status, body)
}

func getRefunds(ctx context.Context, t *till) error {
	after, limit, err := t.x.page()
	if err != nil {
		return err
	}
	merchant, err := t.queryMerchant()
	if err != nil {
		return err
	}
	outTradeNo := t.x.query.get("out_trade_no")
	list, next, err := t.Refunds(ctx, merchant, outTradeNo, after, limit)
	if err != nil {
		return err
	}
	body := refundsBody{Refunds: []RefundBody{}, Next: next}
	for i := range list {
		body.Refunds = append(body.Refunds, refundBodyOf(merchant.String(), outTradeNo, list[i].Number, &list[i].Refund))
	}
	return t.x.sendJSON(http.StatusOK, body)
}

func getRefund(ctx context.Context, t *till) error {
	merchant, outTradeNo, err := t.ownTrade()
	if err != nil {
		return err
	}
	number := t.x.r.PathValue("out_request_no")
	v, refund, found, err := t.QueryRefund(ctx, merchant, outTradeNo, number, t.at)
	switch {
	case err != nil:
		return err
	case !found:
		return edgeNotFound.field("out_request_no", "nothing has been given back under this number: check it, or ask for the refund")
	}
	return t.sendRefund(http.StatusOK, &v, number, &refund)
}
