package portal

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"holdfast/client"
	"holdfast/page"
)

func (p *portal) webhookRoutes(*page.Shell) {
	p.page("GET /portal/webhooks", look, p.listWebhooks)
	p.page("POST /portal/webhooks", manage, p.postWebhook)
	p.page("POST /portal/webhooks/{id}/types", manage, p.postTypes)
	p.page("POST /portal/webhooks/{id}/pause", manage, p.pauseWebhook(true))
	p.page("POST /portal/webhooks/{id}/resume", manage, p.pauseWebhook(false))
	p.page("POST /portal/webhooks/{id}/rotate", manage, p.postRotate)
	p.page("POST /portal/webhooks/{id}/remove", manage, p.removeWebhook)
}

// eventTypes are the types of events that there are today, in the order in which the page lists them.
var eventTypes = []string{
	"trade.paid", "trade.closed", "trade.not_paid", "refund.done", "escrow.shipped", "escrow.released", "escrow.disputed", "split.done", "split.finished", "split.returned",
	"split.missed", "authorisation.frozen", "authorisation.unfrozen", "settlement.done", "payout.paid", "payout.returned", "transfer.done",
}

// webhooksBody is who is told of what happens.
type webhooksBody struct {
	base
	List    []client.Webhook
	Types   []string
	Number  string
	Address string
	Chosen  []string
	Problem string
}

// Has reports whether an endpoint, or the new one, is told of a type.
func (b *webhooksBody) Has(list []string, kind string) bool { return slices.Contains(list, kind) }

func (p *portal) webhooksBody(ctx context.Context, v *page.View, b base) (*webhooksBody, error) {
	list, err := p.API.Webhooks(ctx, v.Owner())
	return &webhooksBody{base: b, List: list, Types: eventTypes, Number: v.Fresh()}, err
}

func (p *portal) listWebhooks(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	body, err := p.webhooksBody(ctx, v, b)
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "portal-webhooks", Body: body}
}

// secretBody shows a secret once.
type secretBody struct {
	base
	Title, Lead string
	Label       string
	Secret      string
	Lines       []line
	Back        string
}

func secret(v *page.View, b base, what, label, text, back string, lines ...line) page.Answer {
	return page.Answer{Template: "portal-secret", Title: v.T("secret-" + what), Body: &secretBody{b, v.T("secret-" + what), v.T("secret-" + what + "-lead"), v.T(label), text, lines, back}}
}

func (p *portal) postWebhook(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	address, types := strings.TrimSpace(r.PostFormValue("url")), chosen(r)
	u, err := url.Parse(address)
	problem := ""
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		problem = v.T("bad-url")
	}
	if problem == "" {
		w, text, err := p.API.CreateWebhook(numbered(ctx, r), v.Owner(), address, types...)
		if err == nil {
			return secret(v, b, "webhook", "webhook-secret", text, "/portal/webhooks", line{v.T("address"), w.URL})
		}
		e := refusal(err)
		if e == nil || e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized {
			return p.failed(v, r, "/portal/webhooks", err)
		}
		if problem = page.Refused(v, err); e.Field == "url" {
			problem = v.T("bad-address") + " " + e.Detail
		}
	}
	body, err := p.webhooksBody(ctx, v, b)
	if err != nil {
		return page.Failed(v, r, err)
	}
	body.Address, body.Chosen, body.Problem = address, types, problem
	return page.Answer{Status: http.StatusUnprocessableEntity, Template: "portal-webhooks", Body: body}
}

// chosen are the types that were ticked; none: all.
func chosen(r *http.Request) []string {
	list := []string{}
	for _, kind := range r.PostForm["type"] {
		if slices.Contains(eventTypes, kind) {
			list = append(list, kind)
		}
	}
	return list
}

func (p *portal) changeWebhook(ctx context.Context, v *page.View, r *http.Request, b base, change client.WebhookChange) page.Answer {
	if _, err := p.API.ChangeWebhook(ctx, v.Owner(), r.PathValue("id"), change); err != nil {
		return p.orRefused(v, r, b, "/portal/webhooks", err)
	}
	return done(v, "/portal/webhooks", "changed")
}

func (p *portal) postTypes(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	types := chosen(r)
	return p.changeWebhook(ctx, v, r, b, client.WebhookChange{Types: &types})
}

func (p *portal) pauseWebhook(off bool) func(context.Context, *page.View, *http.Request, base) page.Answer {
	return func(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
		return p.changeWebhook(ctx, v, r, b, client.WebhookChange{Disabled: &off})
	}
}

// webhookLines says which endpoint it is about.
func (p *portal) webhookLines(ctx context.Context, v *page.View, id string) ([]line, error) {
	w, err := p.API.Webhook(ctx, v.Owner(), id)
	return []line{{v.T("address"), w.URL}}, err
}

func (p *portal) postRotate(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	id := r.PathValue("id")
	lines, err := p.webhookLines(ctx, v, id)
	if err != nil {
		return p.orRefused(v, r, b, "/portal/webhooks", err)
	}
	if !sure(r) {
		return ask(v, r, confirm{base: b, Title: v.T("ask-rotate"), Lead: v.T("ask-rotate-lead"), Lines: lines, Button: v.T("do-rotate"), Back: "/portal/webhooks"})
	}
	text, err := p.API.RotateWebhookSecret(numbered(ctx, r), v.Owner(), id)
	if err != nil {
		return p.orRefused(v, r, b, "/portal/webhooks", err)
	}
	return secret(v, b, "rotated", "webhook-secret", text, "/portal/webhooks", lines...)
}

func (p *portal) removeWebhook(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	id := r.PathValue("id")
	if !sure(r) {
		lines, err := p.webhookLines(ctx, v, id)
		if err != nil {
			return p.orRefused(v, r, b, "/portal/webhooks", err)
		}
		return ask(v, r, confirm{base: b, Title: v.T("ask-webhook-remove"), Lead: v.T("ask-webhook-remove-lead"), Lines: lines, Button: v.T("remove"), Back: "/portal/webhooks"})
	}
	if err := p.API.RemoveWebhook(numbered(ctx, r), v.Owner(), id); err != nil {
		return p.orRefused(v, r, b, "/portal/webhooks", err)
	}
	return done(v, "/portal/webhooks", "removed")
}
