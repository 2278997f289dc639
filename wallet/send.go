package wallet

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// sendForm is what somebody wants to send.
type sendForm struct {
	Purses   []purse
	Currency string
	To       string // a phone number, an e-mail address, or the number of a customer
	Amount   string // as it was typed
	Note     string
	problem

	number string
	asset  holdfast.Asset
	amount holdfast.Amount
}

// sendConfirm is what will happen.
type sendConfirm struct {
	sendForm
	Number string
	Minor  string // the amount in minor units, as it is sent
	Sum    string
	Left   string // what can be spent afterwards
	Short  bool   // it is not enough
}

func (w *wallet) showSend(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	list, err := w.purses(ctx, v)
	if err != nil {
		return page.Failed(v, r, err)
	}
	p, _ := assetIn(list, "")
	return page.Answer{Template: "send", Body: sendForm{Purses: list, Currency: p.Code()}}
}

// readSend reads what somebody wants to send; an answer when that cannot be.
func (w *wallet) readSend(ctx context.Context, v *page.View, r *http.Request) (f sendForm, p purse, bad page.Answer, ok bool) {
	if bad, ok = posted(r); !ok {
		return f, p, bad, false
	}
	list, err := w.purses(ctx, v)
	if err != nil {
		return f, p, page.Failed(v, r, err), false
	}
	f = sendForm{Purses: list, Currency: text(r, "currency"), To: text(r, "to"), Amount: text(r, "amount"), Note: text(r, "note"), number: text(r, "number")}
	p, known := assetIn(list, f.Currency)
	f.Currency, f.asset = p.Code(), p.Asset
	switch {
	case !known:
		f.problem = problem{v.T("problem-currency"), "currency"}
	case f.To == "":
		f.problem = problem{v.T("problem-to"), "to"}
	case r.PostForm.Has("minor"):
		n, err := strconv.ParseInt(text(r, "minor"), 10, 64)
		if f.amount = holdfast.Amount(n); err != nil || n <= 0 {
			f.problem = problem{v.T("problem-amount"), "amount"}
		}
	default:
		if f.amount, err = holdfast.ParseMinor(f.Amount, p.Asset); err != nil || f.amount <= 0 {
			f.problem = problem{v.T("problem-amount"), "amount"}
		}
	}
	if f.Text != "" {
		return f, p, wrong(page.Answer{Template: "send", Body: f}), false
	}
	return f, p, bad, true
}

// confirmSend shows what will happen, or the form again.
func (w *wallet) confirmSend(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	f, p, bad, ok := w.readSend(ctx, v, r)
	switch {
	case !ok:
		return bad
	case r.PostForm.Has("edit"):
		return page.Answer{Template: "send", Body: f}
	}
	b := sendConfirm{sendForm: f, Number: v.Fresh(), Minor: strconv.FormatInt(int64(f.amount), 10), Sum: sum(f.amount, p.Asset), Short: f.amount > p.Wallet.Available}
	if !b.Short {
		b.Left = sum(p.Wallet.Available-f.amount, p.Asset)
	}
	return page.Answer{Template: "send-confirm", Body: b}
}

func (w *wallet) send(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	f, _, bad, ok := w.readSend(ctx, v, r)
	if !ok {
		return bad
	}
	s := client.Send{From: v.Owner(), Number: f.number, Asset: f.asset, Amount: f.amount, Text: f.Note}
	if s.Number == "" {
		s.Number = v.Fresh()
	}
	if o, err := holdfast.ParseOwner(f.To); err == nil {
		s.To = o
	} else {
		s.ToAlias = f.To
	}
	sent, err := w.API.Send(ctx, s)
	if err != nil {
		ask := again{
			Action: "/wallet/send/confirm", Live: v.Link("/wallet/asking/sent", "number", s.Number),
			Hidden: []field{{"number", s.Number}, {"currency", f.Currency}, {"to", f.To}, {"amount", f.Amount}, {"minor", strconv.FormatInt(int64(f.amount), 10)}, {"note", f.Note}},
		}
		return refused(v, r, err, ask, func(p problem) page.Answer {
			if p.Field == "to_alias" || p.Field == "alias" {
				p.Field = "to"
			}
			f.problem = p
			return page.Answer{Template: "send", Body: f}
		})
	}
	return page.Answer{Redirect: v.Link("/wallet/sent", "number", sent.Number)}
}

// sentPage is a transfer that was made.
type sentPage struct {
	Sum, To, Note, Number string
	Time                  time.Time
}

func (w *wallet) showSent(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	s, err := w.API.Sent(ctx, v.Owner(), r.URL.Query().Get("number"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	w.learnNames(ctx, v, []client.Receipt{{Other: s.To}})
	return page.Answer{Template: "sent", Body: sentPage{sum(s.Amount, s.Asset), w.nameOf(v, s.To), s.Text, s.Number, s.Time}}
}
