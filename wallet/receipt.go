package wallet

import (
	"context"
	"net/http"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// receiptPage is all of a receipt.
type receiptPage struct {
	client.Receipt
	line
	Trade  *tradeOf // of a payment; nil: there is none, or it cannot be read just now
	Order  string   // address of the withdrawal or top-up that it belongs to
	Safety safety
}

// tradeOf is the purchase behind a receipt, as it stands now.
type tradeOf struct {
	client.Trade
	Amount, Refunded, Held string // "": nothing
	Protection             string // key of its word; "": none
	CanConfirm, CanDispute bool
}

func (w *wallet) showReceipt(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	rec, err := w.API.Receipt(ctx, v.Owner(), r.PathValue("receipt"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	b := receiptPage{Receipt: rec, line: w.lines(ctx, v, []client.Receipt{rec})[0]}
	switch rec.Kind {
	case "paid", "refunded", "paid-frozen":
		if t, err := w.API.Trade(ctx, rec.Other, rec.Number); err == nil {
			b.Trade = tradeNow(&t)
		}
	case "topped-up":
		b.Order = v.Link("/wallet/top-up/order", "number", rec.Number)
	case "withdrawn", "withdrawal-returned":
		b.Order = v.Link("/wallet/withdraw/order", "number", rec.Number)
	}
	b.Safety = w.safetyOf(ctx, v, rec.Receipt)
	return page.Answer{Template: "receipt", Body: b, Title: v.T(b.line.Kind)}
}

func tradeNow(t *client.Trade) *tradeOf {
	b := &tradeOf{Trade: *t, Amount: sum(t.Amount, t.Asset)}
	if t.Refunded != 0 {
		b.Refunded = sum(t.Refunded, t.Asset)
	}
	if t.Mode == "escrow" && t.Held != 0 {
		b.Held = sum(t.Held, t.Asset)
	}
	if t.Protection != "" {
		b.Protection = "protection-" + t.Protection
	}
	b.CanConfirm = t.Protection == "held" || t.Protection == "shipped" || t.Protection == "disputed"
	b.CanDispute = t.Protection == "held" || t.Protection == "shipped"
	return b
}

// escrowPage asks whether what the platform holds is to go to the merchant, or to be stopped.
type escrowPage struct {
	Do                  string // confirm, dispute
	Merchant, Trade     string
	Receipt             string // to come back to
	Shop, Subject, Held string
	Deadline            time.Time
	problem
}

// escrowOf reads which purchase a page is about; an answer when there is none.
func (w *wallet) escrowOf(ctx context.Context, v *page.View, r *http.Request, get func(string) string) (b escrowPage, merchant holdfast.Owner, bad page.Answer, ok bool) {
	b = escrowPage{Do: get("do"), Merchant: get("merchant"), Trade: get("trade"), Receipt: get("receipt")}
	merchant, err := holdfast.ParseOwner(b.Merchant)
	if err != nil || b.Do != "confirm" && b.Do != "dispute" {
		return b, 0, page.NotFound(""), false
	}
	t, err := w.API.Trade(ctx, merchant, b.Trade)
	if err != nil {
		return b, 0, page.Failed(v, r, err), false
	}
	w.learnNames(ctx, v, []client.Receipt{{Other: merchant}})
	b.Shop, b.Subject, b.Held, b.Deadline = w.nameOf(v, merchant), t.Subject, sum(t.Held, t.Asset), t.Deadline
	return b, merchant, bad, true
}

func (w *wallet) showEscrow(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	b, _, bad, ok := w.escrowOf(ctx, v, r, r.URL.Query().Get)
	if !ok {
		return bad
	}
	return page.Answer{Template: "escrow", Body: b, Title: v.T("escrow-" + b.Do)}
}

func (w *wallet) doEscrow(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	if bad, ok := posted(r); !ok {
		return bad
	}
	b, merchant, bad, ok := w.escrowOf(ctx, v, r, func(name string) string { return text(r, name) })
	if !ok {
		return bad
	}
	do := w.API.ConfirmEscrow
	if b.Do == "dispute" {
		do = w.API.DisputeEscrow
	}
	if _, err := do(ctx, merchant, b.Trade, v.Owner()); err != nil {
		ask := again{Action: "/wallet/escrow", Hidden: []field{{"do", b.Do}, {"merchant", b.Merchant}, {"trade", b.Trade}, {"receipt", b.Receipt}}}
		return refused(v, r, err, ask, func(p problem) page.Answer {
			b.problem = p
			return page.Answer{Template: "escrow", Body: b, Title: v.T("escrow-" + b.Do)}
		})
	}
	if !receiptLike(b.Receipt) {
		return page.Answer{Redirect: v.Link("/wallet", "done", "escrow-"+b.Do)}
	}
	return page.Answer{Redirect: v.Link("/wallet/receipts/"+b.Receipt, "done", "escrow-"+b.Do)}
}

// receiptLike reports whether a text may be the name of a receipt: only such ones become part of an address.
func receiptLike(s string) bool {
	if len(s) != 33 {
		return false
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && c != '-' {
			return false
		}
	}
	return true
}
