package portal

import (
	"context"
	"html/template"
	"net/http"
	"strings"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
	"holdfast/scancode"
)

func (p *portal) tillRoutes(s *page.Shell) {
	p.page("GET /portal/till", work, p.showTill)
	p.page("POST /portal/till", work, p.postTill)
	s.Live("GET /portal/till/{no}/live", "till", time.Second, p.tellTill)
}

// tillBody is the till: what the customer owes, and his code; or, for a customer who scans, ours.
type tillBody struct {
	base
	Number           string // of the trade: the same form sent twice is one payment
	Amount, Asset    string
	Subject, Code    string
	Place            string // shop and till, "" or "shop/till"
	Assets           []string
	Places           []place
	Problem, AtField string        // why not, and the field at fault
	Trade            *client.Trade // what has been made
	QR               template.HTML // the picture that a customer scans
	Address          template.URL  // what it says
}

// place is a till of a shop, or a shop.
type place struct{ Value, Name string }

// usualAsset is what a till begins with.
const usualAsset = "CNY"

func (p *portal) showTill(ctx context.Context, v *page.View, _ *http.Request, b base) page.Answer {
	return page.Answer{Template: "portal-till", Body: p.till(ctx, v, b, "")}
}

// till is an empty till. Shops that cannot be read are left out: one can pay without them.
func (p *portal) till(ctx context.Context, v *page.View, b base, place string) *tillBody {
	body := &tillBody{base: b, Number: "till-" + strings.ReplaceAll(v.Fresh(), "-", ""), Asset: usualAsset, Place: place}
	body.furnish(ctx, p, v)
	return body
}

func (body *tillBody) furnish(ctx context.Context, p *portal, v *page.View) {
	shops, _, err := p.API.Shops(ctx, v.Owner(), "", tradesOnPage)
	if err != nil {
		return
	}
	for _, s := range shops {
		name := s.Name
		if name == "" {
			name = s.ID
		}
		if len(s.Tills) == 0 {
			body.Places = append(body.Places, place{s.ID, name})
		}
		for _, t := range s.Tills {
			body.Places = append(body.Places, place{s.ID + "/" + t, name + ", " + t})
		}
	}
}

// postTill makes the trade that the form describes: paid by the customer's code, or to be paid by who scans ours.
func (p *portal) postTill(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	f := r.PostForm
	body := &tillBody{
		base: b, Number: f.Get("number"), Amount: f.Get("amount"), Asset: f.Get("asset"), Subject: strings.TrimSpace(f.Get("subject")),
		Code: strings.Map(onlyDigits, f.Get("code")), Place: f.Get("place"),
	}
	n, problem, field := body.trade(v)
	if problem != "" {
		body.furnish(ctx, p, v)
		body.Problem, body.AtField = v.T(problem), field
		return page.Answer{Status: http.StatusUnprocessableEntity, Template: "portal-till", Body: body}
	}
	made, err := p.API.CreateTrade(ctx, n)
	switch {
	case err == nil:
		return p.rung(ctx, v, body, &made)
	case refusal(err) == nil:
		return p.failed(v, r, "/portal/till", err)
	}
	body.furnish(ctx, p, v)
	body.Problem, body.AtField = page.Refused(v, err), tillField(refusal(err))
	// A trade that was made and not paid stands: the next try needs a number of its own, as the amount may be another one.
	body.Number = "till-" + strings.ReplaceAll(v.Fresh(), "-", "")
	return page.Answer{Status: http.StatusUnprocessableEntity, Template: "portal-till", Body: body, Err: err}
}

// onlyDigits keeps the digits of a code: scanners and people add spaces.
func onlyDigits(r rune) rune {
	switch {
	case r >= '0' && r <= '9':
		return r
	case r >= '０' && r <= '９':
		return r - '０' + '0'
	}
	return -1
}

// codeDigits is how long the payment code of a customer is.
const codeDigits = 18

// trade reads the form; problem is the key of a word.
func (body *tillBody) trade(v *page.View) (n client.NewTrade, problem, field string) {
	asset, err := holdfast.ParseAsset(body.Asset)
	if err != nil {
		return n, "till-asset", "asset"
	}
	amount, err := holdfast.ParseMinor(body.Amount, asset)
	if err != nil || amount == 0 {
		return n, "till-amount-wrong", "amount"
	}
	if body.Code != "" && len(body.Code) != codeDigits {
		return n, "till-code-wrong", "code"
	}
	if !strings.HasPrefix(body.Number, "till-") || len(body.Number) > 64 || strings.Trim(body.Number, numberLetters) != "" {
		return n, "till-again", ""
	}
	n = client.NewTrade{
		Merchant: v.Owner(), OutTradeNo: body.Number, Amount: amount, Asset: asset, Subject: body.Subject, PaymentCode: body.Code, QR: body.Code == "",
	}
	if n.Subject == "" {
		n.Subject = v.T("till-subject-usual")
	}
	n.Shop, n.Till, _ = strings.Cut(body.Place, "/")
	return n, "", ""
}

// tillField is the field of the form that a refusal is about.
func tillField(e *client.Error) string {
	switch {
	case e.Field == "payment_code" || strings.HasPrefix(e.Code, "code-"):
		return "code"
	case e.Field == "amount" || e.Field == "subject":
		return e.Field
	}
	return ""
}

// rung is the page of a trade that has been made at the till: paid, or with the picture to scan.
func (p *portal) rung(ctx context.Context, v *page.View, body *tillBody, made *client.MadeTrade) page.Answer {
	if body.Code != "" {
		to := p.till(ctx, v, body.base, body.Place)
		to.Trade = &made.Trade
		return page.Answer{Template: "portal-till", Body: to}
	}
	body.Trade = &made.Trade
	if made.QR == "" {
		body.furnish(ctx, p, v)
		body.Trade, body.Problem = nil, v.T("till-no-pages")
		return page.Answer{Status: http.StatusUnprocessableEntity, Template: "portal-till", Body: body}
	}
	qr, err := scancode.QR(made.QR)
	if err != nil {
		return page.Failed(v, nil, err)
	}
	body.QR = template.HTML(qr.SVG())    //nolint:gosec // drawn by us
	body.Address = template.URL(made.QR) //nolint:gosec // of our own page
	return page.Answer{Template: "portal-till-qr", Body: body}
}

// tellTill is how a trade of the till stands.
func (p *portal) tellTill(ctx context.Context, v *page.View) (string, any, error) {
	no := strings.TrimSuffix(strings.TrimPrefix(v.Path(), "/portal/till/"), "/live")
	t, err := p.API.Trade(ctx, v.Owner(), no)
	return "portal-till-now", &t, err
}
