package httpapi

import (
	"context"
	"net/http"
	"strings"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

func (a *api) eventRoutes(r *router) {
	add[eventsIn, jsonOut[eventsBody]](r, operation{
		name: "find-events", method: get, path: "/v1/events", tag: tagTrades, summary: "Page through what has happened to a merchant, oldest first",
		text: "What webhooks tell, in the order of time: an event is written in the transaction that makes it happen. The list ends before a payment that is not decided yet; " +
			"ask again from the same cursor for what comes.",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getEvents),
	})
}

type eventsIn struct {
	MerchantIn
	PageIn
}

// EventBody is something that has happened to a merchant.
type EventBody struct {
	ID           string `json:"id" doc:"Send it as cursor for those that come after it"`
	Kind         string `json:"kind" doc:"What has happened" example:"paid"`
	Time         string `json:"time" format:"date-time"`
	Merchant     string `json:"merchant" doc:"16 digits"`
	OutTradeNo   string `json:"out_trade_no,omitempty" doc:"Of the trade; of an authorisation its out_order_no"`
	TradeNo      string `json:"trade_no,omitempty" doc:"Of the trade; of an authorisation its auth_no"`
	Number       string `json:"number,omitempty" doc:"Of the refund, split, payout or other order"`
	Subject      string `json:"subject,omitempty"`
	Shop         string `json:"shop,omitempty"`
	Till         string `json:"till,omitempty"`
	Clerk        string `json:"clerk,omitempty"`
	Passback     string `json:"passback,omitempty" doc:"As the merchant gave it"`
	App          string `json:"app,omitempty"`
	Asset        string `json:"asset,omitempty" example:"CNY"`
	Status       string `json:"status,omitempty" enum:"WAIT_BUYER_PAY,TRADE_SUCCESS,TRADE_FINISHED,TRADE_CLOSED" doc:"Of the trade, afterwards"`
	Total        int64  `json:"total,omitempty" doc:"Of the trade, in minor units, as all of these"`
	Amount       int64  `json:"amount" doc:"Of this event"`
	Fee          int64  `json:"fee" doc:"Taken (above 0) or given back (below)"`
	Refunded     int64  `json:"refunded,omitempty" doc:"All in all, afterwards"`
	Effect       int64  `json:"effect" doc:"On the balance for settlement: what is paid out is the sum of these"`
	Other        string `json:"other,omitempty" doc:"The buyer or receiver, 16 digits"`
	TradeCreated string `json:"trade_created,omitempty" format:"date-time"`
	TradePaid    string `json:"trade_paid,omitempty" format:"date-time"`
}

type eventsBody struct {
	Events []EventBody `json:"events"`
	Next   string      `json:"next,omitempty" doc:"Cursor of the next page, and of what comes later; left out when there was nothing"`
}

func eventBodyOf(e *pay.Event) EventBody {
	return EventBody{
		ID: lastOf(e.Key), Kind: e.Kind.String(), Time: e.Time.String(), Merchant: e.Merchant.String(), OutTradeNo: e.OutTradeNo, TradeNo: e.TradeNo,
		Number: e.Number, Subject: e.Subject, Shop: e.Shop, Till: e.Till, Clerk: e.Clerk, Passback: e.Passback, App: e.App, Asset: assetText(e.Asset),
		Status: e.Status.String(), Total: int64(e.Total), Amount: int64(e.Amount), Fee: int64(e.Fee), Refunded: int64(e.Refunded), Effect: int64(e.Effect),
		Other: ownerText(e.Other), TradeCreated: timeText(e.Created), TradePaid: timeText(e.Paid),
	}
}

// lastOf is what stands behind the last slash of a key.
func lastOf(key string) string { return key[strings.LastIndexByte(key, '/')+1:] }

func getEvents(ctx context.Context, t *till) error {
	after, limit, err := t.x.page()
	if err != nil {
		return err
	}
	o, err := t.queryMerchant()
	if err != nil {
		return err
	}
	if after != "" {
		after = holdfast.OwnedKey(o, "event/"+after)
	}
	list, err := t.Events(ctx, o, after, limit)
	if err != nil {
		return err
	}
	body := eventsBody{Events: []EventBody{}}
	for i := range list {
		body.Events = append(body.Events, eventBodyOf(&list[i]))
	}
	if len(list) > 0 {
		body.Next = body.Events[len(list)-1].ID
	}
	return t.x.sendJSON(http.StatusOK, body)
}
