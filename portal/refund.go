package portal

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// refundBody is the form of a refund, and what is wrong with it.
type refundBody struct {
	base
	Trade   tradeNow
	Number  string // of the request: sent twice, it is done once
	Amount  string // as it was typed
	Reason  string
	Field   string // at fault
	Problem string // in words; "": none
}

const maxReason = 256 // bytes, as the API takes

func (p *portal) showRefund(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	n, err := p.tradeNow(ctx, v, b, r.PathValue("no"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	if n.Status != "TRADE_SUCCESS" {
		return page.Answer{Status: http.StatusConflict, Template: "portal-refused", Body: &refused{b, v.T("no-refund-" + n.State()), tradePath(n.OutTradeNo)}}
	}
	whole := strings.ReplaceAll(v.Minor(n.Rest(), n.Asset), ",", "")
	return page.Answer{Template: "portal-refund", Body: &refundBody{base: b, Trade: n, Number: v.Fresh(), Amount: whole}}
}

// postRefund shows what a refund will do, and with the field sure does it.
func (p *portal) postRefund(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	n, err := p.tradeNow(ctx, v, b, r.PathValue("no"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	body := &refundBody{base: b, Trade: n, Number: r.PostFormValue("number"), Amount: r.PostFormValue("amount"), Reason: strings.TrimSpace(r.PostFormValue("reason"))}
	amount, err := holdfast.ParseMinor(body.Amount, n.Asset)
	switch {
	case err != nil || amount < 1:
		body.Field, body.Problem = "amount", v.Tf("bad-refund-amount", v.Amount(n.Rest(), n.Asset))
	case amount > n.Rest() && !sure(r): // once it is sent the API says whether this number has been done before
		body.Field, body.Problem = "amount", v.Tf("refund-too-much", v.Amount(n.Rest(), n.Asset))
	case len(body.Reason) > maxReason:
		body.Field, body.Problem = "reason", v.T("bad-reason")
	case !goodNumber(body.Number):
		body.Number, body.Problem = v.Fresh(), v.T("bad-form")
	}
	if body.Problem != "" {
		return page.Answer{Status: http.StatusUnprocessableEntity, Template: "portal-refund", Body: body}
	}
	if !sure(r) {
		return ask(v, r, confirm{
			base: b, Title: v.T("ask-refund"), Lead: v.T("ask-refund-lead"), Warn: v.T("money-moves"), Button: v.Tf("do-refund", v.Amount(amount, n.Asset)), Back: tradePath(n.OutTradeNo),
			Lines: append(n.lines(v), line{v.T("goes-back"), v.Amount(amount, n.Asset)}, line{v.T("buyer"), b.Masked(n.Payer)},
				line{v.T("left-then"), v.Amount(n.Rest()-amount, n.Asset)}, line{v.T("reason"), body.Reason}),
		})
	}
	_, err = p.API.Refund(ctx, client.NewRefund{Merchant: v.Owner(), OutTradeNo: n.OutTradeNo, OutRequestNo: body.Number, Amount: amount, Reason: body.Reason})
	if err != nil && refusal(err) == nil {
		return page.Answer{Redirect: v.Link(refundPath(n.OutTradeNo, body.Number), "amount", body.Amount), Err: err}
	}
	return p.tried(v, r, b, "refund", err)
}

func goodNumber(n string) bool {
	return n != "" && len(n) <= 64 && strings.Trim(n, numberLetters) == ""
}

func refundPath(no, number string) string {
	return tradePath(no) + "/refunds/" + url.PathEscape(number)
}

// watchBody is a refund of which nobody knew what has become when it was asked for.
type watchBody struct {
	base
	No, Number string
	Amount     string // to ask for again
	State      string // done, unknown, not-done
	Refund     client.Refund
}

// Live is where the page hears what has become of it.
func (b watchBody) Live() string {
	return refundPath(b.No, b.Number) + "/live?amount=" + url.QueryEscape(b.Amount)
}

// Address is the page itself.
func (b watchBody) Address() string {
	return refundPath(b.No, b.Number) + "?amount=" + url.QueryEscape(b.Amount)
}

// watch reads what has become of a refund.
func (p *portal) watch(ctx context.Context, v *page.View, b base, no, number, amount string) (*watchBody, error) {
	body := &watchBody{base: b, No: no, Number: number, Amount: amount}
	var err error
	body.Refund, err = p.API.RefundOf(ctx, v.Owner(), no, number)
	e := refusal(err)
	switch {
	case err == nil:
		body.State = "done"
	case e != nil && e.Status == http.StatusNotFound:
		body.State = "not-done"
	case e != nil && e.Status != http.StatusConflict:
		return nil, err
	default:
		body.State = "unknown"
	}
	return body, nil
}

func (p *portal) watchRefund(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	body, err := p.watch(ctx, v, b, r.PathValue("no"), r.PathValue("number"), r.URL.Query().Get("amount"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "portal-watch", Body: body}
}

func (p *portal) tellRefund(ctx context.Context, v *page.View) (string, any, error) {
	b, err := p.base(ctx, v)
	if err != nil {
		return "", nil, err
	}
	parts := strings.Split(strings.TrimPrefix(v.Path(), "/portal/trades/"), "/") // no, refunds, number, live
	if len(parts) != 4 {
		return "", nil, errNotOurs
	}
	no, err := url.PathUnescape(parts[0])
	number, bad := url.PathUnescape(parts[2])
	if err != nil || bad != nil {
		return "", nil, errNotOurs
	}
	address, err := url.Parse(v.Here())
	if err != nil {
		return "", nil, err
	}
	body, err := p.watch(ctx, v, b, no, number, address.Query().Get("amount"))
	return "portal-watch-now", body, err
}

var errNotOurs = errors.New("this is no address of the portal")
