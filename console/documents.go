package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// docBody is a business document: a trade, a withdrawal, what somebody has sent. From it one comes to the transfers, and by them to the log.
type docBody struct {
	Kind      string // "kind-" + it is a key of words
	Number    string
	Status    string // key of words
	State     string // up, weak, down
	Said      string // as the API names the status
	Facts     []fact
	Refunds   []client.Refund
	More      bool // there are more refunds
	Asset     holdfast.Asset
	Transfers []movedRow
	Account   string // on whose statement the money is as well
	Unread    bool   // the transfers could not be read
	Actions   []action
	Undecided bool // it is under way: nobody knows yet what comes of it
}

// action is a link to a page that does something.
type action struct{ Path, Word string }

// doc is the answer of a document whose transfers are those of a record.
func (p *pages) doc(ctx context.Context, v *page.View, b *docBody, record string) page.Answer {
	if record != "" {
		list, err := p.API.TransfersOf(ctx, record)
		if b.Unread = err != nil; err == nil {
			b.Transfers = movedRows(list)
		}
	}
	return page.Answer{Template: "document", Body: b, Title: v.T("kind-"+b.Kind) + " " + b.Number}
}

// owner reads the owner in an address.
func ownerIn(r *http.Request, name string) (holdfast.Owner, error) {
	return holdfast.ParseOwner(r.PathValue(name))
}

func (b *docBody) fact(name, value string) {
	if value != "" {
		b.Facts = append(b.Facts, fact{Name: name, Value: value})
	}
}

func (b *docBody) code(name, value, link string) {
	if value != "" {
		b.Facts = append(b.Facts, fact{Name: name, Value: value, Link: link, Code: true})
	}
}

func (b *docBody) owner(name string, o holdfast.Owner) {
	if o != 0 {
		b.code(name, o.String(), ownerPath(o))
	}
}

func (b *docBody) money(name string, n holdfast.Amount, asset holdfast.Asset) {
	if n != 0 {
		b.Facts = append(b.Facts, fact{Name: name, Value: amount(n, asset)})
	}
}

func (b *docBody) time(v *page.View, name string, t time.Time) {
	if !t.IsZero() {
		b.fact(name, v.Time(t)+" "+v.T("utc"))
	}
}

// words are those that somebody outside has written: they are shown, and in no language that we know.
func (b *docBody) words(name, text string) {
	if text != "" {
		b.Facts = append(b.Facts, fact{Name: name, Value: text, Alien: true})
	}
}

// statusStates say how a status looks; others are under way.
var statusStates = map[string]string{
	"TRADE_SUCCESS": stateUp, "TRADE_FINISHED": stateUp, "TRADE_CLOSED": stateUnknown, "WAIT_BUYER_PAY": stateWeak,
	"done": stateUp, "returned": stateUnknown, "expired": stateUnknown, "waiting": stateWeak, "sent": stateWeak,
	"INIT": stateWeak, "AUTHORIZED": stateUp, "FINISH": stateUp, "CLOSED": stateUnknown,
}

func (b *docBody) status(text string) {
	b.Said, b.Status, b.State = text, "status-"+text, statusStates[text]
}

func (p *pages) showTrade(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	merchant, err := ownerIn(r, "merchant")
	if err != nil {
		return page.NotFound(err.Error())
	}
	t, err := p.API.Trade(ctx, merchant, r.PathValue("number"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	b := docBody{Kind: "trade", Number: t.OutTradeNo, Asset: t.Asset}
	b.status(t.Status)
	b.Facts = append(b.Facts, fact{Name: "amount", Value: amount(t.Amount, t.Asset), Big: true})
	b.words("subject", t.Subject)
	b.owner("merchant", t.Merchant)
	b.code("trade-no", t.TradeNo, "")
	b.owner("payer", t.Payer)
	if t.Payer == 0 {
		b.owner("buyer", t.Buyer)
	}
	b.time(v, "made", t.Created)
	b.time(v, "paid", t.Paid)
	if t.Paid.IsZero() {
		b.time(v, "pay-until", t.PayUntil)
	}
	b.time(v, "closed", t.Closed)
	b.money("fee", t.Fee, t.Asset)
	b.money("fee-returned", t.FeeReturned, t.Asset)
	b.money("refunded", t.Refunded, t.Asset)
	b.money("shared", t.Shared, t.Asset)
	b.money("held", t.Held, t.Asset)
	b.money("released", t.Released, t.Asset)
	if t.Protection != "" {
		b.fact("protection", v.T("protection-"+t.Protection))
	}
	b.time(v, "deadline", t.Deadline)
	b.words("shop", strings.Join(nonEmpty(t.Shop, t.Till, t.Clerk), " · "))
	b.code("app", t.App, "")
	if t.Authorisation != "" {
		b.code("kind-authorisation", t.Authorisation, "")
	}
	if t.Refunded != 0 {
		refunds, next, err := p.API.Refunds(ctx, merchant, t.OutTradeNo, "", linesOnPage)
		if err != nil {
			return page.Failed(v, r, err)
		}
		b.Refunds, b.More = refunds, next != ""
	}
	if t.Protection == "disputed" && may(v, asOperator) {
		b.Actions = append(b.Actions, action{tradePath(merchant, t.OutTradeNo) + "/decide", "act-decide-escrow"})
	}
	return p.doc(ctx, v, &b, client.TradeKey(merchant, t.OutTradeNo))
}

func walletOf(o holdfast.Owner, asset holdfast.Asset) string {
	return fmt.Sprintf("%s.wallet.%s", o, asset)
}

func nonEmpty(list ...string) (out []string) {
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// askDispute lets a dispute be decided: what of the held money the merchant gets.
func (p *pages) askDispute(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	return p.disputeQuestion(ctx, v, r, "", nil, http.StatusOK)
}

// disputeBody is the form of a decision, and then the question whether it is meant.
type disputeBody struct {
	Trade   client.Trade
	Text    string // the amount as it was typed
	Sure    bool   // it is read: now say so
	ToShop  holdfast.Amount
	ToBuyer holdfast.Amount
	Problem *refusal
	May     bool
	Path    string
}

func (p *pages) disputeQuestion(ctx context.Context, v *page.View, r *http.Request, text string, why *refusal, status int) page.Answer {
	merchant, err := ownerIn(r, "merchant")
	if err != nil {
		return page.NotFound(err.Error())
	}
	t, err := p.API.Trade(ctx, merchant, r.PathValue("number"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	b := disputeBody{Trade: t, Text: text, Problem: why, May: may(v, asOperator) && t.Protection == "disputed", Path: tradePath(merchant, t.OutTradeNo)}
	if !b.May && why == nil {
		b.Problem, status = &refusal{Text: v.T("dispute-none")}, http.StatusConflict
	}
	return page.Answer{Status: status, Template: "dispute", Body: b, Title: v.T("act-decide-escrow")}
}

func (p *pages) decideDispute(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q, err := form(r)
	if err != nil {
		return page.FormFailed(err)
	}
	merchant, err := ownerIn(r, "merchant")
	if err != nil {
		return page.NotFound(err.Error())
	}
	t, err := p.API.Trade(ctx, merchant, r.PathValue("number"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	text := q.Get("amount")
	n, err := holdfast.ParseMinor(text, t.Asset)
	if err != nil || n > t.Held && q.Get("sure") != "yes" { // what is sent again has been decided already: the API knows
		return p.disputeQuestion(ctx, v, r, text, &refusal{Text: v.Tf("dispute-amount", amount(t.Held, t.Asset))}, http.StatusUnprocessableEntity)
	}
	if q.Get("sure") != "yes" {
		return page.Answer{Template: "dispute", Title: v.T("act-decide-escrow"), Body: disputeBody{
			Trade: t, Text: text, Sure: true, ToShop: n, ToBuyer: t.Held - n, May: may(v, asOperator), Path: tradePath(merchant, t.OutTradeNo),
		}}
	}
	if _, err := p.API.DecideEscrow(ctx, merchant, t.OutTradeNo, n); err != nil {
		why, status := notDone(v, err)
		if why == nil {
			return page.Failed(v, r, err)
		}
		a := p.disputeQuestion(ctx, v, r, text, why, status)
		a.Err = err
		return a
	}
	return page.Answer{Redirect: v.Link(tradePath(merchant, t.OutTradeNo), "done", "decided")}
}

func (p *pages) showAuthorisation(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	merchant, err := ownerIn(r, "owner")
	if err != nil {
		return page.NotFound(err.Error())
	}
	a, err := p.API.Authorisation(ctx, merchant, r.PathValue("number"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	b := docBody{Kind: "authorisation", Number: a.OutOrderNo}
	b.status(a.Status)
	b.Facts = append(b.Facts, fact{Name: "amount", Value: amount(a.Amount, a.Asset), Big: true})
	b.words("subject", a.Title)
	b.money("frozen-rest", a.Rest, a.Asset)
	b.money("frozen-paid", a.Paid, a.Asset)
	b.owner("merchant", a.Merchant)
	b.owner("payer", a.Payer)
	b.code("auth-no", a.AuthNo, "")
	b.time(v, "made", a.Created)
	b.time(v, "pay-until", a.Until)
	b.time(v, "frozen-until", a.FrozenUntil)
	record := ""
	if a.Payer != 0 {
		record = client.FreezeKey(a.Payer, a.AuthNo)
	}
	return p.doc(ctx, v, &b, record)
}

func (p *pages) showTopUp(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	owner, err := ownerIn(r, "owner")
	if err != nil {
		return page.NotFound(err.Error())
	}
	t, err := p.API.TopUp(ctx, owner, r.PathValue("number"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	b := docBody{Kind: "top-up", Number: t.Number}
	b.status(t.Status)
	b.Facts = append(b.Facts, fact{Name: "amount", Value: amount(t.Amount, t.Asset), Big: true})
	b.owner("customer", t.Owner)
	b.code("reference", t.Reference, "")
	b.code("bank-calls", t.Bank, "")
	b.time(v, "asked", t.Asked)
	b.time(v, "since", t.Since)
	b.words("reason", t.Reason)
	b.Account = walletOf(owner, t.Asset)
	return p.doc(ctx, v, &b, client.TopUpKey(owner, t.Number))
}

func (p *pages) showSent(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	owner, err := ownerIn(r, "owner")
	if err != nil {
		return page.NotFound(err.Error())
	}
	number := r.PathValue("number")
	b := docBody{Kind: "sent", Number: number}
	s, err := p.API.Sent(ctx, owner, number)
	switch {
	case isCode(err, "outcome-unknown"):
		b.Undecided, b.Status, b.State = true, "status-under-way", stateWeak
		b.owner("from", owner)
	case err != nil:
		return page.Failed(v, r, err)
	default:
		b.status(s.Status)
		b.Facts = append(b.Facts, fact{Name: "amount", Value: amount(s.Amount, s.Asset), Big: true})
		b.owner("from", s.From)
		b.owner("to", s.To)
		b.time(v, "when", s.Time)
		b.words("text", s.Text)
		b.Account = walletOf(owner, s.Asset)
	}
	return p.doc(ctx, v, &b, client.SentKey(owner, number))
}

func (p *pages) showSettlement(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	owner, err := ownerIn(r, "owner")
	if err != nil {
		return page.NotFound(err.Error())
	}
	day := r.PathValue("day")
	list, err := p.API.Settlement(ctx, owner, day)
	if err != nil {
		return page.Failed(v, r, err)
	}
	if len(list) == 0 {
		return page.NotFound("")
	}
	b := docBody{Kind: "settlement", Number: day, Status: "status-done", State: stateUp}
	b.owner("merchant", owner)
	for i := range list {
		s := &list[i]
		b.Facts = append(b.Facts, fact{Name: "payout", Value: amount(s.Payout, s.Asset), Big: true})
		b.fact("payments", v.Tf("payments-said", s.Payments, amount(s.Paid, s.Asset)))
		b.fact("refunds", v.Tf("payments-said", s.Refunds, amount(s.Refunded, s.Asset)))
		b.money("fees", s.Fees, s.Asset)
		b.money("other", s.Other, s.Asset)
		b.money("net", s.Net, s.Asset)
		b.money("carried", s.Carried, s.Asset)
		b.time(v, "settled", s.Settled)
		if s.Order != "" {
			b.code("kind-payout", s.Order, "/console/payouts/"+owner.String()+"/"+url.PathEscape(s.Order))
		}
	}
	return p.doc(ctx, v, &b, "")
}
