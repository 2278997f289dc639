package portal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"

	"holdfast/client"
	"holdfast/page"
)

func (p *portal) appRoutes(*page.Shell) {
	p.page("GET /portal/apps", look, p.listApps)
	p.page("GET /portal/apps/{app}", look, p.showApp)
	p.page("GET /portal/apps/{app}/platform-key.pem", look, p.platformKey)
	p.page("POST /portal/apps/{app}/key", manage, p.postKey)
	p.page("POST /portal/apps/{app}/notify", manage, p.postNotify)
	p.page("POST /portal/apps/{app}/disable", manage, p.postDisable)
	p.page("GET /portal/apps/{app}/signature", look, p.showSignature)
	p.page("POST /portal/apps/{app}/signature", look, p.postSignature)
}

type appsBody struct {
	base
	Apps []client.App
}

// AppPath is the page of an app.
func (b base) AppPath(id string) string { return appPath(id) }

func appPath(id string) string { return "/portal/apps/" + url.PathEscape(id) }

func (p *portal) listApps(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	apps, err := p.API.Apps(ctx, v.Owner())
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "portal-apps", Body: &appsBody{b, apps}}
}

// appBody is one app.
type appBody struct {
	base
	App     client.App
	Gateway string
	Print   string // of the merchant's key
	Key     string // that was pasted, when something is wrong with it and it may be shown
	Notify  string
	Field   string // at fault: key, notify
	Problem string
}

func (p *portal) appBody(ctx context.Context, v *page.View, r *http.Request, b base) (*appBody, error) {
	app, err := p.API.App(ctx, v.Owner(), r.PathValue("app"))
	if err != nil {
		return nil, err
	}
	return &appBody{base: b, App: app, Gateway: p.here(r) + "/gateway.do", Print: fingerprint(app.PublicKey), Notify: app.Notify}, nil
}

// here is the address of this site as browsers reach it.
func (p *portal) here(r *http.Request) string {
	for _, place := range p.Places() {
		if place.Self {
			return place.URL
		}
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// fingerprint is the SHA-256 of a key's DER, as people compare it: its first sixteen bytes in groups.
func fingerprint(key string) string {
	block, _ := pem.Decode([]byte(key))
	if block == nil {
		return ""
	}
	sum := sha256.Sum256(block.Bytes)
	text := hex.EncodeToString(sum[:16])
	var groups []string
	for i := 0; i < len(text); i += 4 {
		groups = append(groups, text[i:i+4])
	}
	return strings.Join(groups, " ")
}

func (p *portal) showApp(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	body, err := p.appBody(ctx, v, r, b)
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "portal-app", Title: v.T("app") + " " + body.App.ID, Body: body}
}

func (p *portal) platformKey(ctx context.Context, v *page.View, r *http.Request, _ base) page.Answer {
	app, err := p.API.App(ctx, v.Owner(), r.PathValue("app"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	if app.PlatformPublicKey == "" {
		return page.NotFound("")
	}
	return page.Answer{File: &page.File{Type: "application/x-pem-file", Name: "platform-key-" + app.ID + ".pem", Content: []byte(app.PlatformPublicKey)}}
}

// appProblem shows the page of an app again, with what is wrong with a form of it.
func (p *portal) appProblem(body *appBody, v *page.View, field, problem string) page.Answer {
	body.Field, body.Problem = field, problem
	return page.Answer{Status: http.StatusUnprocessableEntity, Template: "portal-app", Title: v.T("app") + " " + body.App.ID, Body: body}
}

func (p *portal) postKey(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	body, err := p.appBody(ctx, v, r, b)
	if err != nil {
		return page.Failed(v, r, err)
	}
	pasted := r.PostFormValue("key")
	plain, bad := readPasted(pasted)
	if bad != "" {
		if !private(bad) {
			body.Key = pasted
		}
		return p.appProblem(body, v, "key", v.T(bad))
	}
	if !sure(r) {
		r.PostForm.Set("key", plain)
		return ask(v, r, confirm{
			base: b, Title: v.T("ask-key"), Lead: v.T("ask-key-lead"), Button: v.T("do-key"), Back: appPath(body.App.ID),
			Lines: []line{{v.T("app"), body.App.ID}, {v.T("key-now"), body.Print}, {v.T("key-then"), fingerprint(plain)}},
		})
	}
	if _, err := p.API.PutApp(numbered(ctx, r), v.Owner(), client.AppChange{Number: body.App.Number, PublicKey: plain}); err != nil {
		return p.orRefused(v, r, b, appPath(body.App.ID), err)
	}
	return done(v, appPath(body.App.ID), "key")
}

func (p *portal) postNotify(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	body, err := p.appBody(ctx, v, r, b)
	if err != nil {
		return page.Failed(v, r, err)
	}
	body.Notify = strings.TrimSpace(r.PostFormValue("notify"))
	u, err := url.Parse(body.Notify)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return p.appProblem(body, v, "notify", v.T("bad-url"))
	}
	_, err = p.API.PutApp(numbered(ctx, r), v.Owner(), client.AppChange{Number: body.App.Number, Notify: body.Notify})
	if e := refusal(err); e != nil && e.Field == "notify" {
		return p.appProblem(body, v, "notify", v.T("bad-address")+" "+e.Detail)
	}
	if err != nil {
		return p.orRefused(v, r, b, appPath(body.App.ID), err)
	}
	return done(v, appPath(body.App.ID), "notify")
}

func (p *portal) postDisable(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	id := r.PathValue("app")
	if !sure(r) {
		return ask(v, r, confirm{base: b, Title: v.T("ask-disable"), Lead: v.T("ask-disable-lead"), Lines: []line{{v.T("app"), id}}, Button: v.T("do-disable"), Back: appPath(id)})
	}
	if _, err := p.API.DisableApp(numbered(ctx, r), v.Owner(), id, true); err != nil {
		return p.orRefused(v, r, b, appPath(id), err)
	}
	return done(v, appPath(id), "disable")
}

// signatureBody is the box in which a signature is tried.
type signatureBody struct {
	base
	App       string
	Text      string
	Signature string
	SignType  string
	Result    *client.SignatureCheck
	Problem   string
}

// Worst is what is most likely wrong; "": nothing.
func (b *signatureBody) Worst() string {
	if b.Result == nil || len(b.Result.Findings) == 0 {
		return ""
	}
	return b.Result.Findings[0].Code
}

func (p *portal) showSignature(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	app, err := p.API.App(ctx, v.Owner(), r.PathValue("app"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "portal-signature", Body: &signatureBody{base: b, App: app.ID}}
}

func (p *portal) postSignature(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	body := &signatureBody{
		base: b, App: r.PathValue("app"), Text: strings.ReplaceAll(r.PostFormValue("text"), "\r\n", "\n"), Signature: r.PostFormValue("signature"), SignType: r.PostFormValue("sign_type"),
	}
	answer := page.Answer{Template: "portal-signature", Body: body}
	if looksPrivate(body.Text) || looksPrivate(body.Signature) {
		body.Text, body.Signature, body.Problem = "", "", v.T("key-private")
		answer.Status = http.StatusUnprocessableEntity
		return answer
	}
	if strings.TrimSpace(body.Text) == "" {
		body.Problem, answer.Status = v.T("bad-signed"), http.StatusUnprocessableEntity
		return answer
	}
	result, err := p.API.CheckSignature(ctx, v.Owner(), body.App, body.Text, body.Signature, body.SignType)
	switch e := refusal(err); {
	case err == nil:
		body.Result = &result
	case e != nil && e.Status == http.StatusBadRequest:
		body.Problem, answer.Status, answer.Err = page.Refused(v, err), http.StatusUnprocessableEntity, err
	default:
		return page.Failed(v, r, err)
	}
	return answer
}
