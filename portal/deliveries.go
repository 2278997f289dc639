package portal

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"holdfast/client"
	"holdfast/page"
)

func (p *portal) deliveryRoutes(*page.Shell) {
	p.page("GET /portal/deliveries", look, p.listDeliveries)
	p.page("GET /portal/deliveries/{id}", look, p.showDelivery)
	p.page("POST /portal/deliveries/{id}/redeliver", work, p.postRedeliver)
}

const (
	deliveriesOnPage = 50
	notice           = "notice" // the target of what the gateway tells
)

// deliveriesBody is what became of telling the merchant.
type deliveriesBody struct {
	base
	Rows    []deliveryRow
	Failing bool // only those that have not been taken
	Next    string
	Hooks   int
}

type deliveryRow struct {
	client.Delivery
	URL string // of the endpoint; "": a notice, or one that has been removed
}

// State names how a delivery stands: taken, tried again, given up.
func (d deliveryRow) State() string {
	switch {
	case d.Done:
		return "taken"
	case d.Next.IsZero():
		return "given-up"
	}
	return "again"
}

// Notice reports whether it is one of the gateway.
func (d deliveryRow) Notice() bool { return d.Target == notice }

// deliveryPath is the page of a delivery.
func (b base) DeliveryPath(id string) string { return "/portal/deliveries/" + url.PathEscape(id) }

// TradePath is the page of a trade.
func (b base) TradePath(no string) string { return tradePath(no) }

func (p *portal) listDeliveries(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	q := r.URL.Query()
	body := &deliveriesBody{base: b, Failing: q.Get("show") == "failing"}
	hooks, err := p.API.Webhooks(ctx, v.Owner())
	if err != nil {
		return page.Failed(v, r, err)
	}
	body.Hooks = len(hooks)
	cursor := q.Get("cursor")
	for range maxPages {
		list, next, err := p.API.Deliveries(ctx, v.Owner(), cursor, deliveriesOnPage)
		if err != nil {
			return page.Failed(v, r, err)
		}
		for i := range list {
			if !body.Failing || !list[i].Done {
				body.Rows = append(body.Rows, deliveryRow{list[i], urlOf(hooks, list[i].Target)})
			}
		}
		if body.Next, cursor = next, next; next == "" || len(body.Rows) >= deliveriesOnPage || !body.Failing {
			break
		}
	}
	return page.Answer{Template: "portal-deliveries", Body: body}
}

func urlOf(hooks []client.Webhook, id string) string {
	for i := range hooks {
		if hooks[i].ID == id {
			return hooks[i].URL
		}
	}
	return ""
}

// deliveryBody is one delivery, with what is told.
type deliveryBody struct {
	base
	Row     deliveryRow
	Event   client.Event
	Known   bool   // the event can be shown
	Content string // what an endpoint is sent
	Number  string
}

// State is how the delivery stands.
func (b *deliveryBody) State() string { return b.Row.State() }

// Notice reports whether it is one of the gateway.
func (b *deliveryBody) Notice() bool { return b.Row.Notice() }

// Path is the page of what it is about; "": there is none.
func (b *deliveryBody) Path() string {
	m := b.Move(b.Event)
	return m.Path
}

func (p *portal) showDelivery(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	body := &deliveryBody{base: b, Number: v.Fresh()}
	var err error
	if body.Row.Delivery, err = p.API.Delivery(ctx, v.Owner(), r.PathValue("id")); err != nil {
		return page.Failed(v, r, err)
	}
	hooks, err := p.API.Webhooks(ctx, v.Owner())
	if err != nil {
		return page.Failed(v, r, err)
	}
	body.Row.URL = urlOf(hooks, body.Row.Target)
	body.Event, err = p.API.Event(ctx, body.Row.Event)
	switch {
	case err == nil:
		body.Known = true
		if body.Content, err = contentOf(&body.Event); err != nil {
			return page.Failed(v, r, err)
		}
	case refusal(err) == nil:
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "portal-delivery", Body: body}
}

// contentOf is what endpoints are sent of an event, written for people: what does not apply is left out, as it is when it is sent.
func contentOf(e *client.Event) (string, error) {
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return "", err
	}
	var kept []string
	for row := range strings.Lines(string(text)) {
		_, value, _ := strings.Cut(strings.TrimRight(row, ",\n"), ": ")
		if (value == `""` || value == "0" || value == `"0001-01-01T00:00:00Z"`) && !strings.Contains(row, `"amount"`) {
			continue
		}
		kept = append(kept, row)
	}
	return lastComma.ReplaceAllString(strings.Join(kept, ""), "$1"), nil
}

// lastComma is what stays behind the last member of an object when those after it are left out.
var lastComma = regexp.MustCompile(`,(\n *\})`)

func (p *portal) postRedeliver(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	id := r.PathValue("id")
	back := b.DeliveryPath(id)
	if _, err := p.API.Redeliver(numbered(ctx, r), v.Owner(), id); err != nil {
		return p.orRefused(v, r, b, back, err)
	}
	return done(v, back, "redeliver")
}

// orRefused is the answer to a form that was not done: why, on a page of its own.
func (p *portal) orRefused(v *page.View, r *http.Request, b base, back string, err error) page.Answer {
	e := refusal(err)
	if e == nil || e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden {
		return p.failed(v, r, back, err)
	}
	return page.Answer{Status: http.StatusUnprocessableEntity, Template: "portal-refused", Err: err, Body: &refused{b, page.Refused(v, err), back}}
}
