package portal

import (
	"context"
	"net/http"
	"strings"

	"holdfast/client"
	"holdfast/page"
)

func (p *portal) keyRoutes(*page.Shell) {
	p.page("GET /portal/keys", manage, p.listKeys)
	p.page("POST /portal/keys", manage, p.postNewKey)
	p.page("POST /portal/keys/{key}/revoke", manage, p.postRevoke)
}

// keysBody are the API keys of the merchant.
type keysBody struct {
	base
	Keys    []client.MerchantKey
	Number  string
	Name    string
	Problem string
}

func (p *portal) keysPage(ctx context.Context, v *page.View, r *http.Request, b base, name, problem string) page.Answer {
	list, err := p.API.MerchantKeys(ctx, v.Owner())
	if err != nil {
		return page.Failed(v, r, err)
	}
	a := page.Answer{Template: "portal-keys", Body: &keysBody{b, list, v.Fresh(), name, problem}}
	if problem != "" {
		a.Status = http.StatusUnprocessableEntity
	}
	return a
}

func (p *portal) listKeys(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	return p.keysPage(ctx, v, r, b, "", "")
}

func (p *portal) postNewKey(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	name := strings.TrimSpace(r.PostFormValue("name"))
	if name == "" || len(name) > 128 {
		return p.keysPage(ctx, v, r, b, name, v.T("bad-key-name"))
	}
	k, text, err := p.API.IssueMerchantKey(numbered(ctx, r), v.Owner(), name)
	if e := refusal(err); e != nil && e.Status != http.StatusForbidden && e.Status != http.StatusUnauthorized {
		return p.keysPage(ctx, v, r, b, name, page.Refused(v, err))
	}
	if err != nil {
		return p.failed(v, r, "/portal/keys", err)
	}
	return secret(v, b, "key", "api-key", text, "/portal/keys", line{v.T("key-name"), k.Name}, line{v.T("key-id"), k.ID})
}

func (p *portal) postRevoke(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	id := r.PathValue("key")
	if !sure(r) {
		lines := []line{{v.T("key-id"), id}}
		list, err := p.API.MerchantKeys(ctx, v.Owner())
		if err != nil {
			return page.Failed(v, r, err)
		}
		for _, k := range list {
			if k.ID == id {
				lines = append(lines, line{v.T("key-name"), k.Name})
			}
		}
		return ask(v, r, confirm{base: b, Title: v.T("ask-revoke"), Lead: v.T("ask-revoke-lead"), Lines: lines, Button: v.T("do-revoke"), Back: "/portal/keys"})
	}
	if err := p.API.RevokeMerchantKey(numbered(ctx, r), v.Owner(), id); err != nil {
		return p.orRefused(v, r, b, "/portal/keys", err)
	}
	return done(v, "/portal/keys", "revoke")
}
