package wallet

import (
	"context"
	"net/http"
	"time"

	"holdfast/client"
	"holdfast/page"
)

const homeLines = 6 // receipts on the first page

// home is the first page: what there is, and what came and went last.
type home struct {
	Purses []purse
	Lines  []line
}

// line is a receipt as a list shows it.
type line struct {
	Link      string
	Kind      string // key of its word
	Who       string // "": a bank
	Text      string // what it was for
	Sum       string // with its sign
	Plain     string // without
	In        bool   // it came into the wallet
	Undecided bool
	Time      time.Time
}

func (w *wallet) lineOf(v *page.View, r *client.Receipt) line {
	l := line{
		Link: "/wallet/receipts/" + r.Receipt, Kind: "kind-" + r.Kind, Text: r.Text, Sum: signed(r.Amount, r.Asset), Plain: sum(max(r.Amount, -r.Amount), r.Asset), In: r.Amount > 0, Undecided: r.Undecided, Time: r.Time,
	}
	if r.Other != 0 {
		l.Who = w.nameOf(v, r.Other)
	}
	return l
}

func (w *wallet) lines(ctx context.Context, v *page.View, list []client.Receipt) []line {
	w.learnNames(ctx, v, list)
	out := make([]line, len(list))
	for i := range list {
		out[i] = w.lineOf(v, &list[i])
	}
	return out
}

func (w *wallet) home(ctx context.Context, v *page.View) (h home, err error) {
	if h.Purses, err = w.purses(ctx, v); err != nil {
		return h, err
	}
	list, _, err := w.API.Receipts(ctx, v.Owner(), "", homeLines)
	if err != nil {
		return h, err
	}
	h.Lines = w.lines(ctx, v, list)
	return h, nil
}

func (w *wallet) showHome(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	h, err := w.home(ctx, v)
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "wallet", Body: h}
}

func (w *wallet) tellHome(ctx context.Context, v *page.View) (string, any, error) {
	h, err := w.home(ctx, v)
	return "wallet-now", h, err
}
