package backoffice

import (
	"encoding/json"
	"time"

	"holdfast"
	"holdfast/pay"
)

// EventID is the name of an event among those of all merchants; it is the webhook-id of all deliveries of it.
func EventID(e *pay.Event) string { return e.Merchant.String() + "-" + e.Stamp() }

// Event is the body of a delivery to a webhook endpoint:
//
//	{"id": "...", "type": "trade.paid", "time": "2026-11-27T09:00:00.123Z", "data": {...}}
//
// Types are those of [pay.EventKind.Type], and more may come. Times are RFC 3339 in UTC, amounts whole minor units of the asset, owners 16
// digits. What does not apply is left out.
type Event struct {
	ID   string    `json:"id"`
	Type string    `json:"type"`
	Time time.Time `json:"time"`
	Data EventData `json:"data"`
}

// EventData is what an event says.
type EventData struct {
	Merchant   string          `json:"merchant"`
	OutTradeNo string          `json:"out_trade_no,omitempty"` // of the trade; of an authorisation the merchant's number
	TradeNo    string          `json:"trade_no,omitempty"`     // the platform's number of it
	Number     string          `json:"number,omitempty"`       // of the refund, split, operation or payout; of a settlement the day
	Subject    string          `json:"subject,omitempty"`
	Shop       string          `json:"shop,omitempty"`
	Till       string          `json:"till,omitempty"`
	Clerk      string          `json:"clerk,omitempty"`
	Passback   string          `json:"passback,omitempty"` // as the merchant gave it
	App        string          `json:"app,omitempty"`
	Asset      string          `json:"asset,omitempty"`
	Amount     holdfast.Amount `json:"amount"`             // of this event
	Total      holdfast.Amount `json:"total,omitempty"`    // of the trade or authorisation
	Refunded   holdfast.Amount `json:"refunded,omitempty"` // of the trade, all in all
	Fee        holdfast.Amount `json:"fee,omitempty"`      // taken (above 0) or given back (below)
	Effect     holdfast.Amount `json:"effect,omitempty"`   // on the merchant's settlement account
	Status     string          `json:"status,omitempty"`   // of the trade, afterwards
	Other      string          `json:"other,omitempty"`    // the buyer, payer or receiver
	Created    *time.Time      `json:"created,omitempty"`
	Paid       *time.Time      `json:"paid,omitempty"`
}

// EventOf is the event as a receiver sees it.
func EventOf(e *pay.Event) Event {
	d := EventData{
		Merchant: e.Merchant.String(), OutTradeNo: e.OutTradeNo, TradeNo: e.TradeNo, Number: e.Known(), Subject: e.Subject, Shop: e.Shop, Till: e.Till,
		Clerk: e.Clerk, Passback: e.Passback, App: e.App, Amount: e.Amount, Total: e.Total, Refunded: e.Refunded, Fee: e.Fee, Effect: e.Effect,
		Status: e.Status.String(), Created: timeOf(e.Created), Paid: timeOf(e.Paid),
	}
	if e.Asset != 0 {
		d.Asset = e.Asset.String()
	}
	if e.Other != 0 {
		d.Other = e.Other.String()
	}
	return Event{ID: EventID(e), Type: e.Kind.Type(), Time: e.Time.Std().UTC(), Data: d}
}

func timeOf(t holdfast.Time) *time.Time {
	if t == 0 {
		return nil
	}
	at := t.Std().UTC()
	return &at
}

func bodyOf(e *pay.Event) ([]byte, error) { return json.Marshal(EventOf(e)) }
