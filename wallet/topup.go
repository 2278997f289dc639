package wallet

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// Bounds of the lists of what is on its way from and to a bank.
const (
	listReads = 200 // at once
	listPages = 5
	listShown = 20
)

// order is something on its way from or to a bank, as a list shows it.
type order struct {
	Link, Sum string
	State     string // key of its word
	Open      bool   // it has not ended
	Asked     time.Time
}

// latestOrders are those that have not ended and the last of the others, latest first.
func latestOrders(list []order) []order {
	slices.SortStableFunc(list, func(a, b order) int {
		if a.Open != b.Open {
			return map[bool]int{true: -1, false: 1}[a.Open]
		}
		return cmp.Compare(b.Asked.UnixNano(), a.Asked.UnixNano())
	})
	return list[:min(len(list), listShown)]
}

// topUpForm announces money from a bank.
type topUpForm struct {
	Purses   []purse
	Currency string
	Amount   string
	Number   string
	Orders   []order
	problem
}

func (w *wallet) topUpForm(ctx context.Context, v *page.View, f topUpForm) (page.Answer, error) {
	var err error
	if f.Purses == nil {
		if f.Purses, err = w.purses(ctx, v); err != nil {
			return page.Answer{}, err
		}
	}
	if f.Currency == "" {
		p, _ := assetIn(f.Purses, "")
		f.Currency = p.Code()
	}
	f.Number = cmp.Or(f.Number, v.Fresh())
	cursor := ""
	for range listPages {
		list, next, err := w.API.TopUps(ctx, v.Owner(), cursor, listReads)
		if err != nil {
			return page.Answer{}, err
		}
		for i := range list {
			t := &list[i]
			link := v.Link("/wallet/top-up/order", "number", t.Number)
			f.Orders = append(f.Orders, order{link, sum(t.Amount, t.Asset), "top-up-" + t.Status, t.Status == "waiting", t.Asked})
		}
		if cursor = next; next == "" {
			break
		}
	}
	f.Orders = latestOrders(f.Orders)
	return page.Answer{Template: "top-up", Body: f}, nil
}

func (w *wallet) showTopUp(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	a, err := w.topUpForm(ctx, v, topUpForm{})
	if err != nil {
		return page.Failed(v, r, err)
	}
	return a
}

func (w *wallet) topUp(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	if bad, ok := posted(r); !ok {
		return bad
	}
	list, err := w.purses(ctx, v)
	if err != nil {
		return page.Failed(v, r, err)
	}
	f := topUpForm{Purses: list, Currency: text(r, "currency"), Amount: text(r, "amount"), Number: text(r, "number")}
	anew := func(p problem) page.Answer {
		f.problem = p
		a, err := w.topUpForm(ctx, v, f)
		if err != nil {
			return page.Failed(v, r, err)
		}
		return a
	}
	p, known := assetIn(list, f.Currency)
	if !known {
		return wrong(anew(problem{v.T("problem-currency"), "currency"}))
	}
	f.Currency = p.Code()
	amount, err := holdfast.ParseMinor(f.Amount, p.Asset)
	if err != nil || amount <= 0 {
		return wrong(anew(problem{v.T("problem-amount"), "amount"}))
	}
	f.Number = cmp.Or(f.Number, v.Fresh())
	t, err := w.API.AnnounceTopUp(ctx, v.Owner(), client.Money{Number: f.Number, Asset: p.Asset, Amount: amount})
	if err != nil {
		ask := again{
			Action: "/wallet/top-up", Live: v.Link("/wallet/asking/top-up", "number", f.Number),
			Hidden: []field{{"number", f.Number}, {"currency", f.Currency}, {"amount", f.Amount}},
		}
		return refused(v, r, err, ask, anew)
	}
	return page.Answer{Redirect: v.Link("/wallet/top-up/order", "number", t.Number)}
}

// topUpOrder is how far a top-up is, and what to do so that it comes.
type topUpOrder struct {
	client.TopUp
	Sum  string
	Live string
}

func (w *wallet) topUpOrder(ctx context.Context, v *page.View, number string) (topUpOrder, error) {
	t, err := w.API.TopUp(ctx, v.Owner(), number)
	return topUpOrder{t, sum(t.Amount, t.Asset), v.Link("/wallet/top-up/live", "number", number)}, err
}

func (w *wallet) showTopUpOrder(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	o, err := w.topUpOrder(ctx, v, r.URL.Query().Get("number"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "top-up-order", Body: o}
}

func (w *wallet) tellTopUp(ctx context.Context, v *page.View) (string, any, error) {
	o, err := w.topUpOrder(ctx, v, query(v).Get("number"))
	return "top-up-now", o, err
}
