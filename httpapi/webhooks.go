package httpapi

import (
	"context"
	"net/http"
	"strings"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
	"holdfast/signin"
	"holdfast/webhook"
)

func (a *api) webhookRoutes(r *router) {
	add[newEndpointIn, jsonOut[endpointSecretBody]](r, operation{
		name: "create-webhook", method: post, path: "/v1/webhooks", tag: tagMerchants, summary: "Have a merchant's events posted to an address",
		text: "Signed as Standard Webhooks says, with the secret that the answer has; at most ten endpoints at a time. An event comes at least once, in no order: its " +
			"webhook-id is that of the event. The Idempotency-Key is the number of the request: the same again makes nothing and answers the same.",
		action: guard.ManageMerchants, sellers: true, ok: created, handle: a.atTill(postEndpoint),
	})
	add[endpointsIn, jsonOut[endpointsBody]](r, operation{
		name: "find-webhooks", method: get, path: "/v1/webhooks", tag: tagMerchants, summary: "List the webhook endpoints of a merchant, oldest first",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getEndpoints),
	})
	add[endpointIn, jsonOut[EndpointBody]](r, operation{
		name: "read-webhook", method: get, path: "/v1/webhooks/{merchant}/endpoints/{endpoint}", tag: tagMerchants, summary: "Read a webhook endpoint",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getEndpoint),
	})
	add[changeEndpointIn, jsonOut[EndpointBody]](r, operation{
		name: "change-webhook", method: post, path: "/v1/webhooks/{merchant}/endpoints/{endpoint}", tag: tagMerchants, summary: "Change the address or the kinds of events of an endpoint, or disable it",
		text:   "What is left out stays. One that is enabled again is not told of what happened meanwhile. " + againDone,
		action: guard.ManageMerchants, sellers: true, handle: a.atTill(postEndpointChange),
	})
	add[endpointChangeIn, jsonOut[endpointSecretBody]](r, operation{
		name: "rotate-webhook-secret", method: post, path: "/v1/webhooks/{merchant}/endpoints/{endpoint}/rotate", tag: tagMerchants, summary: "Give an endpoint a new secret",
		text:   "For 24 hours events are signed with the one before as well. The Idempotency-Key is the number of the request: the same again changes nothing and answers the same.",
		action: guard.ManageMerchants, sellers: true, handle: a.atTill(postEndpointRotate),
	})
	add[endpointChangeIn, jsonOut[endpointsBody]](r, operation{
		name: "remove-webhook", method: post, path: "/v1/webhooks/{merchant}/endpoints/{endpoint}/remove", tag: tagMerchants, summary: "Take an endpoint away",
		text:   "What is due to be delivered to it is given up. Answers with those that are left. " + againDone,
		action: guard.ManageMerchants, sellers: true, handle: a.atTill(postEndpointRemove),
	})
	a.deliveryRoutes(r)
}

type newEndpointIn struct {
	NumberIn
	Body newEndpointBody
}

type newEndpointBody struct {
	Merchant string   `json:"merchant,omitempty" doc:"16 digits; may be left out with a key of the merchant" example:"2088000000010420"`
	URL      string   `json:"url" doc:"At most 256 bytes; not a private address, unless the platform allows it" example:"https://shop.example/hooks"`
	Types    []string `json:"types,omitempty" doc:"Of the events; all if left out" example:"[\"trade.paid\"]"`
}

type endpointsIn struct {
	MerchantIn
	DeadlineIn
}

// PathEndpoint documents a path that names a webhook endpoint.
type PathEndpoint struct {
	Merchant string `path:"merchant" doc:"16 digits" example:"2088000000010420"`
	Endpoint string `path:"endpoint" doc:"Id of the endpoint" example:"we0123456789abcdef"`
}

type endpointIn struct {
	PathEndpoint
	DeadlineIn
}

type endpointChangeIn struct {
	NumberIn
	PathEndpoint
}

type changeEndpointIn struct {
	NumberIn
	PathEndpoint
	Body changeEndpointBody
}

type changeEndpointBody struct {
	URL      string   `json:"url,omitempty"`
	Types    []string `json:"types,omitempty" doc:"Of the events; an empty list means all"`
	Disabled bool     `json:"disabled,omitempty" doc:"true: it is told of nothing. false: it is again, from now on"`
}

var (
	newEndpointMembers    = []string{"merchant", "url", "types"}
	changeEndpointMembers = []string{"url", "types", "disabled"}
)

// EndpointBody is an address where a merchant is told of events.
type EndpointBody struct {
	ID       string   `json:"id" example:"we0123456789abcdef"`
	Merchant string   `json:"merchant" doc:"16 digits"`
	URL      string   `json:"url"`
	Types    []string `json:"types" doc:"Of the events; none: all"`
	Disabled bool     `json:"disabled"`
	Why      string   `json:"why,omitempty" doc:"The platform has disabled it"`
	Created  string   `json:"created" format:"date-time"`
	Since    string   `json:"since" format:"date-time" doc:"It is told of events from then on"`
}

type endpointSecretBody struct {
	EndpointBody
	Secret string `json:"secret" doc:"To check signatures with" example:"whsec_..."`
}

type endpointsBody struct {
	Endpoints []EndpointBody `json:"endpoints"`
}

func endpointBodyOf(merchant holdfast.Owner, v *pay.Endpoint) EndpointBody {
	b := EndpointBody{
		ID: v.ID, Merchant: merchant.String(), URL: v.URL, Types: []string{}, Disabled: v.Off, Why: v.Why, Created: v.Created.String(), Since: v.Since.String(),
	}
	for _, k := range v.Kinds {
		b.Types = append(b.Types, k.Type())
	}
	return b
}

// eventKinds reads a list of types of events.
func (s *scanner) eventKinds() []pay.EventKind {
	kinds := []pay.EventKind{}
	for range s.elements(maxList) {
		name := s.string(maxName)
		k, known := pay.KindOfType(name)
		if !known {
			s.fail("%s is no type of an event: see the webhooks of the document", printable(name))
		}
		kinds = append(kinds, k)
	}
	return kinds
}

// secretOf makes a secret and what it is sealed with, under the number of the request, which is its Idempotency-Key.
func (t *till) freshSecret() (secret string, nonce [pay.NonceBytes]byte, err error) {
	if t.key == "" {
		return "", nonce, edgeMalformed.field(idempotencyHeader, "send an Idempotency-Key: a fresh UUID, and the same one when you ask again")
	}
	made, err := webhook.NewSecret(t.source())
	if err != nil {
		return "", nonce, err
	}
	return made.Text(), nonce, t.fill(nonce[:])
}

func postEndpoint(ctx context.Context, t *till) error {
	var ask pay.EndpointAsk
	err := t.x.object(newEndpointMembers, func(s *scanner, name string) {
		switch name {
		case "merchant":
			ask.Merchant = s.owner()
		case "url":
			ask.URL = s.words()
		case "types":
			ask.Kinds = s.eventKinds()
		}
	})
	if err != nil {
		return err
	}
	if ask.Merchant, err = t.bodyMerchant(ask.Merchant); err != nil {
		return err
	}
	if err := t.checkAddress("url", ask.URL); err != nil {
		return err
	}
	if _, err := t.Merchant(ctx, ask.Merchant); err != nil {
		return err
	}
	if ask.Secret, ask.Nonce, err = t.freshSecret(); err != nil {
		return err
	}
	ask.Number = t.key
	v, secret, err := t.NewEndpoint(ctx, ask, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(t.madeNow(v.Created), endpointSecretBody{endpointBodyOf(ask.Merchant, &v), secret})
}

func getEndpoints(ctx context.Context, t *till) error {
	o, err := t.queryMerchant()
	if err != nil {
		return err
	}
	return t.sendEndpoints(ctx, o)
}

func (t *till) sendEndpoints(ctx context.Context, o holdfast.Owner) error {
	list, err := t.Endpoints(ctx, o)
	if err != nil {
		return err
	}
	body := endpointsBody{Endpoints: []EndpointBody{}}
	for i := range list {
		body.Endpoints = append(body.Endpoints, endpointBodyOf(o, &list[i]))
	}
	return t.x.sendJSON(http.StatusOK, body)
}

func getEndpoint(ctx context.Context, t *till) error {
	o, err := t.pathMerchant("merchant")
	if err != nil {
		return err
	}
	v, err := t.Cashier.Endpoint(ctx, o, t.x.r.PathValue("endpoint"))
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, endpointBodyOf(o, &v))
}

func (x *exchange) endpointChange() (c pay.EndpointChange, err error) {
	err = x.object(changeEndpointMembers, func(s *scanner, name string) {
		switch name {
		case "url":
			c.URL = new(s.words())
		case "types":
			c.Kinds = new(s.eventKinds())
		case "disabled":
			c.Off = new(s.boolean())
		}
	})
	return c, err
}

func postEndpointChange(ctx context.Context, t *till) error {
	c, err := t.x.endpointChange()
	if err != nil {
		return err
	}
	o, err := t.pathMerchant("merchant")
	if err != nil {
		return err
	}
	if c.URL != nil {
		if err := t.checkAddress("url", *c.URL); err != nil {
			return err
		}
	}
	v, err := t.ChangeEndpoint(ctx, o, t.x.r.PathValue("endpoint"), c, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, endpointBodyOf(o, &v))
}

func postEndpointRotate(ctx context.Context, t *till) error {
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	o, err := t.pathMerchant("merchant")
	if err != nil {
		return err
	}
	ask := pay.RotateAsk{Merchant: o, ID: t.x.r.PathValue("endpoint"), Number: t.key}
	if ask.Secret, ask.Nonce, err = t.freshSecret(); err != nil {
		return err
	}
	v, secret, err := t.RotateSecret(ctx, ask, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, endpointSecretBody{endpointBodyOf(o, &v), secret})
}

func postEndpointRemove(ctx context.Context, t *till) error {
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	o, err := t.pathMerchant("merchant")
	if err != nil {
		return err
	}
	if err := t.did(t.RemoveEndpoint(ctx, o, t.x.r.PathValue("endpoint"), t.at)); err != nil {
		return err
	}
	return t.sendEndpoints(ctx, o)
}

func (a *api) deliveryRoutes(r *router) {
	add[deliveriesIn, jsonOut[deliveriesBody]](r, operation{
		name: "find-deliveries", method: get, path: "/v1/webhooks/{merchant}/deliveries", tag: tagMerchants, summary: "Page through what became of telling a merchant of events, the latest events first",
		text:   "To his endpoints, and to the notify addresses of his trades. An event that nobody has tried to deliver yet is not in the list.",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getDeliveries),
	})
	add[deliveryIn, jsonOut[DeliveryBody]](r, operation{
		name: "read-delivery", method: get, path: "/v1/webhooks/{merchant}/deliveries/{delivery}", tag: tagMerchants, summary: "Read a delivery",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getDelivery),
	})
	add[redeliverIn, jsonOut[DeliveryBody]](r, operation{
		name: "redeliver", method: post, path: "/v1/webhooks/{merchant}/deliveries/{delivery}/redeliver", tag: tagMerchants, summary: "Deliver an event once more, whatever became of it before",
		text: "The schedule of attempts begins anew if this one fails. An endpoint can be told of any event of its merchant, also of one from before it was made: the id of a delivery is " +
			"that of the event without the merchant's number, a colon, and the endpoint's id, or notice for the notify address. " + againDone,
		action: guard.ManageMerchants, sellers: true, staff: signin.Work, handle: a.atTill(postRedeliver),
	})
}

type deliveriesIn struct {
	Merchant string `path:"merchant" doc:"16 digits" example:"2088000000010420"`
	PageIn
}

// PathDelivery documents a path that names a delivery.
type PathDelivery struct {
	Merchant string `path:"merchant" doc:"16 digits" example:"2088000000010420"`
	Delivery string `path:"delivery" doc:"Id of the delivery"`
}

type deliveryIn struct {
	PathDelivery
	DeadlineIn
}

type redeliverIn struct {
	NumberIn
	PathDelivery
}

// DeliveryBody is what became of telling a merchant of an event at one address.
type DeliveryBody struct {
	ID       string `json:"id"`
	Event    string `json:"event" doc:"Id of the event, as in GET /v1/events"`
	Type     string `json:"type,omitempty" doc:"Of the event" example:"trade.paid"`
	Target   string `json:"target" doc:"Id of the endpoint; notice: the notify address of the trade"`
	Attempts uint32 `json:"attempts" format:"int64"`
	First    string `json:"first,omitempty" format:"date-time" doc:"The first attempt"`
	Last     string `json:"last,omitempty" format:"date-time" doc:"The last attempt"`
	TookMs   int64  `json:"took_ms" doc:"How long the last one took"`
	Status   uint32 `json:"status,omitempty" format:"int64" doc:"HTTP status of the last answer; left out when there was none"`
	Answer   string `json:"answer,omitempty" doc:"Its first bytes"`
	Why      string `json:"why,omitempty" doc:"It was not taken"`
	Next     string `json:"next,omitempty" format:"date-time" doc:"When it is tried again; left out: not any more"`
	Done     bool   `json:"done" doc:"It was taken"`
}

type deliveriesBody struct {
	Deliveries []DeliveryBody `json:"deliveries"`
	Next       string         `json:"next,omitempty" doc:"Cursor of the next page; left out on the last one"`
}

func deliveryBodyOf(v *pay.Delivery) DeliveryBody {
	return DeliveryBody{
		ID: v.ID(), Event: eventID(v.Merchant, v.Event), Type: v.Kind.Type(), Target: v.Target, Attempts: v.Attempts, First: timeText(v.Begun), Last: timeText(v.At),
		TookMs: v.Took.Milliseconds(), Status: v.Status, Answer: strings.ToValidUTF8(v.Answer, "\uFFFD"), Why: v.Why, Next: timeText(v.Next), Done: v.Done,
	}
}

func getDeliveries(ctx context.Context, t *till) error {
	after, limit, err := t.x.page()
	if err != nil {
		return err
	}
	o, err := t.pathMerchant("merchant")
	if err != nil {
		return err
	}
	prefix := holdfast.OwnedKey(o, "delivery/")
	if after != "" {
		after = prefix + after
	}
	list, next, err := t.Deliveries(ctx, o, after, limit)
	if err != nil {
		return err
	}
	body := deliveriesBody{Deliveries: []DeliveryBody{}, Next: strings.TrimPrefix(next, prefix)}
	for i := range list {
		body.Deliveries = append(body.Deliveries, deliveryBodyOf(&list[i]))
	}
	return t.x.sendJSON(http.StatusOK, body)
}

func getDelivery(ctx context.Context, t *till) error {
	o, err := t.pathMerchant("merchant")
	if err != nil {
		return err
	}
	v, err := t.Delivery(ctx, o, t.x.r.PathValue("delivery"))
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, deliveryBodyOf(&v))
}

func postRedeliver(ctx context.Context, t *till) error {
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	o, err := t.pathMerchant("merchant")
	if err != nil {
		return err
	}
	v, err := t.Redeliver(ctx, o, t.x.r.PathValue("delivery"), t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, deliveryBodyOf(&v))
}
