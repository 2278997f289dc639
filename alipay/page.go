package alipay

import (
	"crypto/rsa"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"holdfast"
)

// errorPage is what the buyer sees when a link cannot be opened. It sends him nowhere: a link that is wrong may have been made by anybody.
var errorPage = template.Must(template.New("error").Parse(`<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>无法付款 · Payment not possible</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:36rem;padding:0 1rem;color:#222}code{background:#eee;padding:.1em .3em}small{color:#666}</style></head>
<body><h1>无法付款 · Payment not possible</h1><p>{{.Text}}</p><p><code>{{.Sub}}</code></p>
<p>没有扣款，请返回商家重试。Nothing was taken from you: go back to the shop and try again.</p><p><small>{{.Trace}}</small></p></body></html>
`))

var unknownPage = template.Must(template.New("unknown").Parse(`<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>请稍后重试 · Try again</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:36rem;padding:0 1rem;color:#222}code{background:#eee;padding:.1em .3em}small{color:#666}</style></head>
<body><h1>请稍后重试 · Try again</h1><p>{{.Text}}</p><p><code>{{.Sub}}</code></p>
<p>请刷新本页。Load this page again: the same order is opened, and none is paid twice.</p><p><small>{{.Trace}}</small></p></body></html>
`))

// sendPage answers a browser: on to the cashier, or a page for a human. Never JSON, and never to return_url on an error.
func (c *call) sendPage(w http.ResponseWriter, res result, err error) Event {
	h := w.Header()
	h.Set("Trace_id", c.trace)
	h.Set("Referrer-Policy", "no-referrer")
	if err == nil {
		h.Set("Location", res.redirect)
		status := http.StatusFound
		if c.r.Method == http.MethodPost {
			status = http.StatusSeeOther // the cashier is fetched, the form not sent again
		}
		w.WriteHeader(status)
		return Event{Code: codeSuccess}
	}
	fail := failureOf(err)
	h.Set("Content-Type", "text/html;charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	page := errorPage
	if fail.code == codeUnknown {
		page = unknownPage
	}
	_ = page.Execute(w, struct{ Text, Sub, Trace string }{fail.text, fail.subCode, c.trace})
	return Event{Code: fail.code, Sub: fail.subCode}
}

// checkReturnURL: where the browser goes back to. A parameter called method would be taken for ours.
func checkReturnURL(address string) error {
	if len(address) > 256 || !absolute(address) {
		return refuseText("isv.invalid-parameter", "参数无效 (return_url has to be an absolute http or https address of at most 256 characters)")
	}
	u, err := url.Parse(address)
	if err != nil {
		return refuse("isv.invalid-parameter")
	}
	own, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return refuseText("isv.invalid-parameter", "参数无效 (the query of return_url cannot be read)")
	}
	if own.Has("method") {
		return refuse("isv.suspected-attack")
	}
	return nil
}

// Return is what a browser carries back to the merchant when its trade is paid. It is for display: he relies on notice or query.
type Return struct {
	Entry               Entry // Page or Wap
	AppID, AuthAppID    string
	Seller              holdfast.Owner
	TradeNo, OutTradeNo string
	Total               holdfast.Amount
	At                  time.Time
}

// ReturnURL is the return_url with the signed parameters of a paid trade added to its query. Those of the merchant's own that have
// a name of ours give way. The address must be one that was taken with the request.
func ReturnURL(key *rsa.PrivateKey, kind SignType, address string, r Return) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	method := "alipay.trade.page.pay.return"
	if r.Entry == Wap {
		method = "alipay.trade.wap.pay.return"
	}
	p, err := signNotice(key, kind, params{
		{"charset", "utf-8"},
		{"out_trade_no", r.OutTradeNo},
		{"method", method},
		{"total_amount", Yuan(r.Total)},
		{"trade_no", r.TradeNo},
		{"auth_app_id", r.AuthAppID},
		{"version", "1.0"},
		{"app_id", r.AppID},
		{"sign_type", string(kind)},
		{"seller_id", r.Seller.String()},
		{"timestamp", clockText(r.At)},
	})
	if err != nil {
		return "", err
	}
	own := ""
	for part := range strings.SplitSeq(u.RawQuery, "&") {
		name, _, _ := strings.Cut(part, "=")
		if name, err = url.QueryUnescape(name); err == nil && name != "" && !p.has(name) {
			own += part + "&"
		}
	}
	u.RawQuery = own + p.form()
	return u.String(), nil
}
