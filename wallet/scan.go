package wallet

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// scanPage asks for what the QR code of a shop says.
type scanPage struct {
	Link string
	problem
}

// tradePage is what a shop wants to be paid.
type tradePage struct {
	Token   string
	Shop    string
	Subject string
	Body    string
	Sum     string
	Has     string // what can be spent in that currency; "": there is no such wallet
	Short   bool   // it is less
	Escrow  bool   // the platform keeps the money until the buyer confirms
	Until   time.Time
	Closed  bool
	problem
}

func (w *wallet) showScan(_ context.Context, _ *page.View, _ *http.Request) page.Answer {
	return page.Answer{Template: "scan", Body: scanPage{}}
}

// readScan goes on to what a link says that was typed, pasted or seen by a camera.
func (w *wallet) readScan(_ context.Context, v *page.View, r *http.Request) page.Answer {
	if bad, ok := posted(r); !ok {
		return bad
	}
	link := text(r, "link")
	token := tokenOf(link)
	if token == "" {
		return wrong(page.Answer{Template: "scan", Body: scanPage{Link: link, problem: problem{v.T("problem-link"), "link"}}})
	}
	return page.Answer{Redirect: "/wallet/scan/" + token}
}

const maxToken = 64

// tokenOf is the token of the QR code of a shop: what stands behind the last slash of its address, or all of the text; "": it is none.
func tokenOf(link string) string {
	if u, err := url.Parse(link); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		at := strings.LastIndex(u.Path, "/q/")
		if at < 0 {
			return ""
		}
		link = u.Path[at+len("/q/"):]
	}
	if len(link) < 8 || len(link) > maxToken || strings.Trim(link, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
		return ""
	}
	return link
}

func (w *wallet) showTrade(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	t, err := w.API.OpenCode(ctx, r.PathValue("token"))
	if err != nil {
		return w.noTrade(v, r, err)
	}
	if t.Payer == v.Owner() {
		return page.Answer{Redirect: paidLink(v, t.Merchant, t.OutTradeNo)}
	}
	return w.tradePage(ctx, v, r, &t, problem{})
}

// noTrade is the page for a code that leads nowhere.
func (w *wallet) noTrade(v *page.View, r *http.Request, err error) page.Answer {
	if e := apiError(err); e == nil || e.Status >= http.StatusInternalServerError || e.Status == http.StatusUnauthorized {
		return page.Failed(v, r, err)
	}
	a := wrong(page.Answer{Template: "scan", Body: scanPage{problem: problem{page.Refused(v, err), "link"}}})
	a.Err = err
	return a
}

func (w *wallet) tradePage(ctx context.Context, v *page.View, r *http.Request, t *client.OpenedTrade, p problem) page.Answer {
	b := tradePage{
		Token: r.PathValue("token"), Shop: t.MerchantName, Subject: t.Subject, Body: t.Body, Sum: sum(t.Amount, t.Asset), Escrow: t.Mode == "escrow", Until: t.PayUntil,
		Closed: t.Status != "WAIT_BUYER_PAY", problem: p,
	}
	m, err := w.API.Wallet(ctx, v.Owner(), t.Asset)
	switch {
	case err == nil:
		b.Has, b.Short = sum(m.Available, m.Asset), m.Available < t.Amount
	case code(err) != "wallet-missing":
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "trade", Body: b}
}

func paidLink(v *page.View, merchant holdfast.Owner, trade string) string {
	return v.Link("/wallet/paid", "merchant", merchant.String(), "trade", trade)
}

// payTrade pays what the code says. One tap is the point: the page before has said what will happen.
func (w *wallet) payTrade(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	token := r.PathValue("token")
	t, err := w.API.OpenCode(ctx, token)
	if err != nil {
		return w.noTrade(v, r, err)
	}
	if _, err := w.API.PayTrade(ctx, t.Merchant, t.OutTradeNo, v.Owner()); err != nil {
		ask := again{
			Action: "/wallet/scan/" + token, Live: v.Link("/wallet/asking/paid", "merchant", t.Merchant.String(), "trade", t.OutTradeNo),
		}
		return refused(v, r, err, ask, func(p problem) page.Answer { return w.tradePage(ctx, v, r, &t, p) })
	}
	return page.Answer{Redirect: paidLink(v, t.Merchant, t.OutTradeNo)}
}

// paidPage is a payment that was made.
type paidPage struct {
	Sum, Shop, Subject string
	Paid               time.Time
	Escrow             bool
	Receipt            string // address; "": it is not among the last
}

func (w *wallet) showPaid(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q := r.URL.Query()
	merchant, err := holdfast.ParseOwner(q.Get("merchant"))
	if err != nil {
		return page.NotFound("")
	}
	t, err := w.API.Trade(ctx, merchant, q.Get("trade"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	if t.Payer != v.Owner() {
		return page.NotFound("")
	}
	list, _, err := w.API.Receipts(ctx, v.Owner(), "", statementLines)
	if err != nil {
		return page.Failed(v, r, err)
	}
	b := paidPage{Sum: sum(t.Amount, t.Asset), Subject: t.Subject, Paid: t.Paid, Escrow: t.Mode == "escrow"}
	for i := range list {
		if list[i].Other == merchant && list[i].Number == t.OutTradeNo && (list[i].Kind == "paid" || list[i].Kind == "paid-frozen") {
			b.Receipt = "/wallet/receipts/" + list[i].Receipt
		}
	}
	w.learnNames(ctx, v, []client.Receipt{{Other: merchant}})
	b.Shop = w.nameOf(v, merchant)
	return page.Answer{Template: "paid", Body: b}
}

// hasPaid reports whether a trade is paid by the customer. A trade that nobody has paid is none of theirs, and the API says no more of it.
func (w *wallet) hasPaid(ctx context.Context, v *page.View, merchant, trade string) (bool, error) {
	m, err := holdfast.ParseOwner(merchant)
	if err != nil {
		return false, nil
	}
	t, err := w.API.Trade(ctx, m, trade)
	return err == nil && t.Payer == v.Owner() && !t.Paid.IsZero(), err
}
