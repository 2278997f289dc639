package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

func (a *api) eventRoutes(r *router) {
	add[eventsIn, jsonOut[eventsBody]](r, operation{
		name: "find-events", method: get, path: "/v1/events", tag: tagMerchants, summary: "Page through what has happened to a merchant, oldest first",
		text: "What webhooks tell, in the order of time: an event is written in the transaction that makes it happen. The list ends before a payment that is not decided yet; " +
			"ask again from the same cursor for what comes.",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getEvents),
	})
	add[eventIn, jsonOut[EventBody]](r, operation{
		name: "read-event", method: get, path: "/v1/events/{event}", tag: tagMerchants, summary: "Read one event of a merchant",
		text:   "It is what endpoints get as the body.",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getEvent),
	})
	r.documentWebhooks()
}

// documentWebhooks says what is posted to endpoints.
func (r *router) documentWebhooks() {
	doc := r.doc.OpenAPI()
	doc.Webhooks = map[string]*huma.PathItem{}
	body := doc.Components.Schemas.Schema(reflect.TypeFor[EventBody](), true, "")
	for _, k := range pay.EventKinds() {
		doc.Webhooks[k.Type()] = &huma.PathItem{Post: &huma.Operation{
			OperationID: k.Type(), Summary: "An event of the type " + k.Type(),
			Description: "Signed as Standard Webhooks says: headers webhook-id, webhook-timestamp and webhook-signature. Anything but a status 2xx is tried again.",
			RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{jsonType: {Schema: body}}},
			Responses:   map[string]*huma.Response{"200": {Description: "Taken"}},
		}}
	}
}

type eventsIn struct {
	MerchantIn
	Since string `query:"since" format:"date-time" doc:"What happened then or later; from the first event on if left out. Not together with cursor"`
	PageIn
}

type eventIn struct {
	Event string `path:"event" maxLength:"64" doc:"Id of the event" example:"2088000000010420-18b1d6a1f2c03e00-5d41402abc4b2a76"`
	DeadlineIn
}

// EventBody is something that has happened to a merchant: what a webhook gets.
type EventBody struct {
	ID   string        `json:"id" doc:"The webhook-id of all deliveries of it"`
	Type string        `json:"type" doc:"What it is about, and what has become of it; more may come" example:"trade.paid"`
	Time string        `json:"time" format:"date-time"`
	Data EventDataBody `json:"data"`
}

// EventDataBody is what an event says. What does not apply is left out.
type EventDataBody struct {
	Merchant   string `json:"merchant" doc:"16 digits"`
	OutTradeNo string `json:"out_trade_no,omitempty" doc:"Of the trade; of an authorisation its out_order_no"`
	TradeNo    string `json:"trade_no,omitempty" doc:"Of the trade; of an authorisation its auth_no"`
	Number     string `json:"number,omitempty" doc:"Of the refund, split, operation or payout; of a settlement the day"`
	Subject    string `json:"subject,omitempty"`
	Shop       string `json:"shop,omitempty"`
	Till       string `json:"till,omitempty"`
	Clerk      string `json:"clerk,omitempty"`
	Passback   string `json:"passback,omitempty" doc:"As the merchant gave it"`
	App        string `json:"app,omitempty"`
	Asset      string `json:"asset,omitempty" example:"CNY"`
	Amount     int64  `json:"amount" doc:"Of this event, in minor units, as all of these"`
	Total      int64  `json:"total,omitempty" doc:"Of the trade or authorisation"`
	Refunded   int64  `json:"refunded,omitempty" doc:"Of the trade, all in all, afterwards"`
	Fee        int64  `json:"fee,omitempty" doc:"Taken (above 0) or given back (below)"`
	Effect     int64  `json:"effect,omitempty" doc:"On the balance for settlement: what is paid out is the sum of these"`
	Status     string `json:"status,omitempty" enum:"WAIT_BUYER_PAY,TRADE_SUCCESS,TRADE_FINISHED,TRADE_CLOSED" doc:"Of the trade, afterwards"`
	Other      string `json:"other,omitempty" doc:"The buyer, payer or receiver, 16 digits"`
	Created    string `json:"created,omitempty" format:"date-time" doc:"Of the trade"`
	Paid       string `json:"paid,omitempty" format:"date-time" doc:"Of the trade"`
}

type eventsBody struct {
	Events []EventBody `json:"events"`
	Next   string      `json:"next,omitempty" doc:"Cursor of the next page, and of what comes later; left out when there was nothing"`
}

func eventBodyOf(e *pay.Event) EventBody {
	return EventBody{ID: eventID(e.Merchant, e.Stamp()), Type: e.Kind.Type(), Time: e.Time.String(), Data: EventDataBody{
		Merchant: e.Merchant.String(), OutTradeNo: e.OutTradeNo, TradeNo: e.TradeNo, Number: e.Known(), Subject: e.Subject, Shop: e.Shop, Till: e.Till,
		Clerk: e.Clerk, Passback: e.Passback, App: e.App, Asset: assetText(e.Asset), Amount: int64(e.Amount), Total: int64(e.Total), Refunded: int64(e.Refunded),
		Fee: int64(e.Fee), Effect: int64(e.Effect), Status: e.Status.String(), Other: ownerText(e.Other), Created: timeText(e.Created), Paid: timeText(e.Paid),
	}}
}

// eventID is the name of an event among those of all merchants.
func eventID(merchant holdfast.Owner, stamp string) string { return merchant.String() + "-" + stamp }

func getEvents(ctx context.Context, t *till) error {
	after, limit, err := t.x.page()
	if err != nil {
		return err
	}
	o, err := t.queryMerchant()
	if err != nil {
		return err
	}
	if after, err = t.eventsAfter(o, after); err != nil {
		return err
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

// eventsAfter is the key behind which the events begin that are asked for.
func (t *till) eventsAfter(o holdfast.Owner, cursor string) (string, error) {
	since := t.x.query.get("since")
	switch {
	case since != "" && cursor != "":
		return "", edgeMalformed.field("since", "a page is asked for by its cursor alone: leave since out")
	case cursor != "":
		stamp, ok := strings.CutPrefix(cursor, eventID(o, ""))
		if !ok {
			return "", badCursor()
		}
		return holdfast.OwnedKey(o, "event/"+stamp), nil
	case since == "":
		return "", nil
	}
	at, err := time.Parse(time.RFC3339Nano, since)
	if err != nil || at.Year() < 1971 || at.Year() > 2200 {
		return "", edgeMalformed.field("since", "a time is one of RFC 3339, for example 2026-11-27T09:00:00Z")
	}
	return pay.EventsFrom(o, holdfast.TimeOf(at)), nil
}

func getEvent(ctx context.Context, t *till) error {
	owner, stamp, _ := strings.Cut(t.x.r.PathValue("event"), "-")
	o, err := holdfast.ParseOwner(owner)
	if err != nil {
		return edgeMalformed.field("event", "the id of an event begins with the 16 digits of its merchant: %v", err)
	}
	if err := t.x.actsFor(o); err != nil {
		return err
	}
	e, err := t.EventOf(ctx, o, stamp)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, eventBodyOf(&e))
}
