package client

import (
	"context"
	"net/url"
	"time"

	"holdfast"
)

// Event is something that has happened to a merchant: what a webhook gets.
type Event struct {
	ID   string    `json:"id"`   // the webhook-id of all deliveries of it
	Type string    `json:"type"` // trade.paid, refund.done, ...; more may come
	Time time.Time `json:"time"`
	Data EventData `json:"data"`
}

// EventData is what an event says, amounts in minor units. What does not apply is zero.
type EventData struct {
	Merchant   holdfast.Owner  `json:"merchant"`
	OutTradeNo string          `json:"out_trade_no"` // of an authorisation its out_order_no
	TradeNo    string          `json:"trade_no"`     // of an authorisation its auth_no
	Number     string          `json:"number"`       // of the refund, split, operation or payout; of a settlement the day
	Subject    string          `json:"subject"`
	Shop       string          `json:"shop"`
	Till       string          `json:"till"`
	Clerk      string          `json:"clerk"`
	Passback   string          `json:"passback"`
	App        string          `json:"app"`
	Asset      holdfast.Asset  `json:"asset"`
	Amount     holdfast.Amount `json:"amount"` // of this event
	Total      holdfast.Amount `json:"total"`  // of the trade or authorisation
	Refunded   holdfast.Amount `json:"refunded"`
	Fee        holdfast.Amount `json:"fee"`    // taken, or given back (below 0)
	Effect     holdfast.Amount `json:"effect"` // on the balance for settlement
	Status     string          `json:"status"` // of the trade, afterwards
	Other      holdfast.Owner  `json:"other"`  // the buyer, payer or receiver
	Created    time.Time       `json:"created"`
	Paid       time.Time       `json:"paid"`
}

// Events reads a page of what has happened to a merchant, oldest first. next goes on behind the last of them, also later, when more has
// happened; it is the cursor that was given when nothing has.
func (c *Client) Events(ctx context.Context, merchant holdfast.Owner, cursor string, limit int) (list []Event, next string, err error) {
	var v struct {
		Events []Event `json:"events"`
		Next   string  `json:"next"`
	}
	err = c.get(ctx, "/v1/events"+pageOf(url.Values{"merchant": {merchant.String()}}, cursor, limit), &v)
	if v.Next == "" {
		v.Next = cursor
	}
	return v.Events, v.Next, err
}

// EventsSince reads the first page of what has happened to a merchant since a moment; see [Client.Events] for next.
func (c *Client) EventsSince(ctx context.Context, merchant holdfast.Owner, since time.Time, limit int) (list []Event, next string, err error) {
	var v struct {
		Events []Event `json:"events"`
		Next   string  `json:"next"`
	}
	q := url.Values{"merchant": {merchant.String()}, "since": {since.UTC().Format(time.RFC3339Nano)}}
	err = c.get(ctx, "/v1/events"+pageOf(q, "", limit), &v)
	return v.Events, v.Next, err
}

// Event reads one event by its id; see [IsNotFound].
func (c *Client) Event(ctx context.Context, id string) (v Event, err error) {
	err = c.get(ctx, pathOf("/v1/events/:event", id), &v)
	return v, err
}

// Webhook is an address where a merchant is told of events.
type Webhook struct {
	ID       string         `json:"id"`
	Merchant holdfast.Owner `json:"merchant"`
	URL      string         `json:"url"`
	Types    []string       `json:"types"` // of the events; none: all
	Disabled bool           `json:"disabled"`
	Why      string         `json:"why"` // the platform has disabled it
	Created  time.Time      `json:"created"`
	Since    time.Time      `json:"since"` // it is told of events from then on
}

type secretWebhook struct {
	Webhook
	Secret string `json:"secret"`
}

// CreateWebhook has the events of a merchant posted to an address, and returns the secret that they are signed with.
func (c *Client) CreateWebhook(ctx context.Context, merchant holdfast.Owner, address string, types ...string) (w Webhook, secret string, err error) {
	body := struct {
		Merchant holdfast.Owner `json:"merchant"`
		URL      string         `json:"url"`
		Types    []string       `json:"types,omitempty"`
	}{merchant, address, types}
	var v secretWebhook
	err = c.order(ctx, "/v1/webhooks", body, &v)
	return v.Webhook, v.Secret, err
}

type webhooks struct {
	Endpoints []Webhook `json:"endpoints"`
}

// Webhooks lists the webhook endpoints of a merchant.
func (c *Client) Webhooks(ctx context.Context, merchant holdfast.Owner) ([]Webhook, error) {
	var v webhooks
	err := c.get(ctx, "/v1/webhooks?merchant="+merchant.String(), &v)
	return v.Endpoints, err
}

func webhookPath(merchant holdfast.Owner, id, what string) string {
	return pathOf("/v1/webhooks/:merchant/endpoints/:endpoint", merchant.String(), id) + what
}

// Webhook reads a webhook endpoint.
func (c *Client) Webhook(ctx context.Context, merchant holdfast.Owner, id string) (v Webhook, err error) {
	err = c.get(ctx, webhookPath(merchant, id, ""), &v)
	return v, err
}

// WebhookChange is what is to be changed of an endpoint; nil: that stays.
type WebhookChange struct {
	URL      *string   `json:"url,omitempty"`
	Types    *[]string `json:"types,omitempty"` // an empty list means all
	Disabled *bool     `json:"disabled,omitempty"`
}

// ChangeWebhook changes an endpoint. One that is enabled again is not told of what happened meanwhile.
func (c *Client) ChangeWebhook(ctx context.Context, merchant holdfast.Owner, id string, change WebhookChange) (v Webhook, err error) {
	err = c.order(ctx, webhookPath(merchant, id, ""), change, &v)
	return v, err
}

// RotateWebhookSecret gives an endpoint a new secret; for 24 hours events are signed with the one before as well.
func (c *Client) RotateWebhookSecret(ctx context.Context, merchant holdfast.Owner, id string) (secret string, err error) {
	var v secretWebhook
	err = c.order(ctx, webhookPath(merchant, id, "/rotate"), struct{}{}, &v)
	return v.Secret, err
}

// RemoveWebhook takes an endpoint away. Repeating is done.
func (c *Client) RemoveWebhook(ctx context.Context, merchant holdfast.Owner, id string) error {
	return c.order(ctx, webhookPath(merchant, id, "/remove"), struct{}{}, new(struct{}))
}

// Delivery is what became of telling a merchant of an event at one address.
type Delivery struct {
	ID       string    `json:"id"`
	Event    string    `json:"event"` // its id
	Type     string    `json:"type"`
	Target   string    `json:"target"` // id of the endpoint; notice: the notify address of the trade
	Attempts uint32    `json:"attempts"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	TookMs   int64     `json:"took_ms"`
	Status   int       `json:"status"` // HTTP status of the last answer; 0: there was none
	Answer   string    `json:"answer"` // its first bytes
	Why      string    `json:"why"`    // it was not taken
	Next     time.Time `json:"next"`   // when it is tried again; zero: not any more
	Done     bool      `json:"done"`   // it was taken
}

// Deliveries reads a page of what became of telling a merchant, the latest events first; see [Client.Receipts] for cursor and limit.
func (c *Client) Deliveries(ctx context.Context, merchant holdfast.Owner, cursor string, limit int) (list []Delivery, next string, err error) {
	var v struct {
		Deliveries []Delivery `json:"deliveries"`
		Next       string     `json:"next"`
	}
	err = c.get(ctx, pathOf("/v1/webhooks/:merchant/deliveries", merchant.String())+pageOf(url.Values{}, cursor, limit), &v)
	return v.Deliveries, v.Next, err
}

// Delivery reads one delivery.
func (c *Client) Delivery(ctx context.Context, merchant holdfast.Owner, id string) (v Delivery, err error) {
	err = c.get(ctx, pathOf("/v1/webhooks/:merchant/deliveries/:delivery", merchant.String(), id), &v)
	return v, err
}

// Redeliver has an event delivered once more, whatever became of it before.
func (c *Client) Redeliver(ctx context.Context, merchant holdfast.Owner, id string) (v Delivery, err error) {
	err = c.order(ctx, pathOf("/v1/webhooks/:merchant/deliveries/:delivery/redeliver", merchant.String(), id), struct{}{}, &v)
	return v, err
}

// Case is a difference between a bank's book and the ledger, amounts in minor units.
type Case struct {
	ID       string          `json:"id"`
	Account  string          `json:"account"` // of the platform: bank and currency
	Key      string          `json:"key"`     // what both sides know the item by
	Kind     int             `json:"kind"`
	Name     string          `json:"difference"` // the same in words
	ToDo     string          `json:"to_do"`      // what to do about it
	Count    int             `json:"count"`
	Asset    holdfast.Asset  `json:"asset"`
	Amount   holdfast.Amount `json:"amount"`    // at stake
	Progress string          `json:"progress"`  // open, explained, closed
	Why      string          `json:"why"`       // what somebody has said last; of a closed one, what has resolved it
	Notes    []CaseNote      `json:"notes"`     // the latest last
	ByItself bool            `json:"by_itself"` // closed because both sides agree now
	Ledger   *CaseSide       `json:"ledger"`    // nil: it has nothing
	Bank     *CaseSide       `json:"bank"`
	Since    time.Time       `json:"since"`
	Seen     time.Time       `json:"seen"`
	Closed   time.Time       `json:"closed"`
}

// CaseNote is what somebody has said about a difference.
type CaseNote struct {
	Time     time.Time `json:"time"`
	By       string    `json:"by"` // name of the API key
	Progress string    `json:"progress"`
	Why      string    `json:"why"`
}

// CaseSide is an item as one side has it.
type CaseSide struct {
	ID     string          `json:"id"`  // end-to-end id
	Ref    string          `json:"ref"` // the bank's own
	Amount holdfast.Amount `json:"amount"`
	Asset  holdfast.Asset  `json:"asset"`
	Day    time.Time       `json:"day"`
	Open   bool            `json:"open"` // an order that has not ended
	Off    bool            `json:"off"`  // an order that has ended without being paid
	Note   string          `json:"note"`
}

// Cases reads a page of the differences that are not closed; see [Client.Receipts] for cursor and limit.
func (c *Client) Cases(ctx context.Context, cursor string, limit int) (list []Case, next string, err error) {
	var v struct {
		Cases []Case `json:"cases"`
		Next  string `json:"next"`
	}
	err = c.get(ctx, "/v1/reconciliation/cases"+pageOf(url.Values{}, cursor, limit), &v)
	return v.Cases, v.Next, err
}

// Case reads a difference.
func (c *Client) Case(ctx context.Context, id string) (v Case, err error) {
	err = c.get(ctx, pathOf("/v1/reconciliation/cases/:case", id), &v)
	return v, err
}

// ExplainCase says why a difference is there; CloseCase says why nothing more is done about it.
func (c *Client) ExplainCase(ctx context.Context, id, why string) (Case, error) {
	return c.workCase(ctx, id, "/explain", why)
}

// CloseCase says why nothing more is done about a difference. It comes again if something else is to be seen.
func (c *Client) CloseCase(ctx context.Context, id, why string) (Case, error) {
	return c.workCase(ctx, id, "/close", why)
}

func (c *Client) workCase(ctx context.Context, id, what, why string) (v Case, err error) {
	body := struct {
		Why string `json:"why"`
	}{why}
	err = c.order(ctx, pathOf("/v1/reconciliation/cases/:case", id)+what, body, &v)
	return v, err
}

// Deposit is money that has come into an account of the platform at a bank.
type Deposit struct {
	ID     string          `json:"id"`
	Bank   string          `json:"bank"`
	Ref    string          `json:"ref"` // the bank's own
	Asset  holdfast.Asset  `json:"asset"`
	Amount holdfast.Amount `json:"amount"`
	Text   string          `json:"text"` // what the payer has written
	Time   time.Time       `json:"time"`
	Status string          `json:"status"` // credited, unassigned, assigned
	Why    string          `json:"why"`    // it could not be assigned by itself
	Owner  holdfast.Owner  `json:"owner"`  // who has got it
}

// Deposits reads a page of the deposits of which nobody knows whose they are; see [Client.Receipts] for cursor and limit.
func (c *Client) Deposits(ctx context.Context, cursor string, limit int) (list []Deposit, next string, err error) {
	var v struct {
		Deposits []Deposit `json:"deposits"`
		Next     string    `json:"next"`
	}
	err = c.get(ctx, "/v1/reconciliation/deposits"+pageOf(url.Values{}, cursor, limit), &v)
	return v.Deposits, v.Next, err
}

// AssignDeposit says whose a deposit is: the money goes into his wallet.
func (c *Client) AssignDeposit(ctx context.Context, id string, to holdfast.Owner) (v Deposit, err error) {
	body := struct {
		To holdfast.Owner `json:"to"`
	}{to}
	err = c.order(ctx, pathOf("/v1/reconciliation/deposits/:deposit/assign", id), body, &v)
	return v, err
}
