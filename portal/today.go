package portal

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// tally is what a day of a merchant has come to so far. It is counted from the events, each of which is read once: whoever looks reads on where the last
// one has stopped, with a key of their own.
type tally struct {
	mu     sync.Mutex
	day    string
	cursor string // guarded by mu, as all below
	behind bool   // there is more than has been read
	sums   map[holdfast.Asset]*daySum
	latest []client.Event // oldest first, at most maxLatest
}

const (
	eventPage = 1000 // the most that the API gives
	maxPages  = 5    // that one look reads: a busy day is counted by several
	maxLatest = 30
	onToday   = 12 // of the latest, on the page
)

// daySum is what a day has come to in one currency, counted as a settlement does.
type daySum struct {
	Asset    holdfast.Asset
	Payments int
	Paid     holdfast.Amount
	Fees     holdfast.Amount
	Refunds  int
	Refunded holdfast.Amount
	Other    holdfast.Amount
	Net      holdfast.Amount
}

// add counts an event, as package pay counts the rows of a day: what moved on the balance for settlement, and the fee of it.
func (s *daySum) add(e *client.Event) {
	gross := e.Data.Effect + e.Data.Fee
	switch {
	case gross == 0:
	case e.Type == "trade.paid" || e.Type == "escrow.released":
		s.Payments++
		s.Paid += gross
	case e.Type == "refund.done":
		s.Refunds++
		s.Refunded -= gross
	default:
		s.Other += gross
	}
	s.Fees += e.Data.Fee
	s.Net += e.Data.Effect
}

// counted are the kinds that are rows of a day; the others move none of the merchant's money.
func counted(e *client.Event) bool {
	switch e.Type {
	case "authorisation.frozen", "authorisation.unfrozen", "split.missed", "trade.not_paid", "settlement.done":
		return false
	}
	return e.Data.Asset.Valid()
}

func (t *tally) take(list []client.Event) {
	for i := range list {
		e := &list[i]
		if counted(e) {
			s := t.sums[e.Data.Asset]
			if s == nil {
				s = &daySum{Asset: e.Data.Asset}
				t.sums[e.Data.Asset] = s
			}
			s.add(e)
		}
		t.latest = append(t.latest, *e)
	}
	if n := len(t.latest) - maxLatest; n > 0 {
		t.latest = slices.Delete(t.latest, 0, n)
	}
}

// dayBegins is the first moment of the day that it is at a time.
func dayBegins(at time.Time, loc *time.Location) time.Time {
	at = at.In(loc)
	return time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, loc)
}

// tally reads what has happened since somebody looked last.
func (p *portal) tally(ctx context.Context, v *page.View, b *base) (sums []daySum, latest []client.Event, behind bool, err error) {
	o := v.Owner()
	p.mu.Lock()
	t := p.tallies[o]
	if t == nil {
		if len(p.tallies) >= maxMerchants {
			clear(p.tallies)
		}
		t = &tally{}
		p.tallies[o] = t
	}
	p.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if day := b.Day(v.Now); day != t.day {
		t.day, t.cursor, t.sums, t.latest = day, "", map[holdfast.Asset]*daySum{}, nil
	}
	t.behind = true
	for range maxPages {
		list, next, err := p.eventsFrom(ctx, o, dayBegins(v.Now, b.loc), t.cursor)
		if err != nil {
			return nil, nil, false, err
		}
		t.take(list)
		if t.cursor = next; len(list) < eventPage {
			t.behind = false
			break
		}
	}
	for _, s := range t.sums {
		sums = append(sums, *s)
	}
	slices.SortFunc(sums, func(a, b daySum) int { return cmpText(a.Asset.String(), b.Asset.String()) })
	latest = slices.Clone(t.latest)
	slices.Reverse(latest)
	return sums, latest, t.behind, nil
}

// eventsFrom reads a page of events: behind a cursor, or since a moment.
func (p *portal) eventsFrom(ctx context.Context, o holdfast.Owner, since time.Time, cursor string) ([]client.Event, string, error) {
	if cursor == "" {
		return p.API.EventsSince(ctx, o, since, eventPage)
	}
	return p.API.Events(ctx, o, cursor, eventPage)
}

// todayBody is the first page.
type todayBody struct {
	base
	Name    string
	Blocked bool
	Now     todayNow
	Last    []client.Settlement // what was settled last, by currency
	Failing []client.Delivery
	More    bool // there are more deliveries than were looked at
	Close   time.Time
}

// todayNow is the part that is live.
type todayNow struct {
	base
	When     time.Time
	Sums     []daySum
	Balances []client.MerchantBalance
	Latest   []client.Event
	Behind   bool
}

func (p *portal) today(ctx context.Context, v *page.View, b base) (n todayNow, err error) {
	n = todayNow{base: b, When: v.Now}
	if n.Sums, n.Latest, n.Behind, err = p.tally(ctx, v, &b); err != nil {
		return n, err
	}
	n.Latest = n.Latest[:min(len(n.Latest), onToday)]
	assets := []holdfast.Asset{yuan}
	for i := range n.Sums {
		assets = append(assets, n.Sums[i].Asset)
	}
	n.Balances, err = p.balances(ctx, v.Owner(), assets)
	return n, err
}

// yuan is the currency that most merchants take.
var yuan = holdfast.MustAsset("CNY")

// balances reads the money of a merchant in the currencies that are his.
func (p *portal) balances(ctx context.Context, o holdfast.Owner, assets []holdfast.Asset) (list []client.MerchantBalance, err error) {
	slices.Sort(assets)
	for _, asset := range slices.Compact(assets) {
		b, err := p.API.MerchantBalance(ctx, o, asset)
		if e := refusal(err); e != nil && e.Code == "asset-invalid" {
			continue // he does not take it
		}
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

func (p *portal) showToday(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	m, err := p.API.Merchant(ctx, v.Owner())
	if err != nil {
		return page.Failed(v, r, err)
	}
	b, err := p.base(ctx, v)
	if err != nil {
		return page.Failed(v, r, err)
	}
	body := todayBody{base: b, Name: m.Name, Blocked: m.Blocked, Close: dayBegins(v.Now, b.loc).AddDate(0, 0, 1)}
	if body.Now, err = p.today(ctx, v, b); err != nil {
		return page.Failed(v, r, err)
	}
	list, _, err := p.settledBefore(ctx, v.Owner(), b.Day(v.Now.AddDate(0, 0, 1)))
	if err != nil {
		return page.Failed(v, r, err)
	}
	for i := range list {
		if list[i].Day == list[0].Day {
			body.Last = append(body.Last, list[i])
		}
	}
	deliveries, next, err := p.API.Deliveries(ctx, v.Owner(), "", 100)
	if err != nil {
		return page.Failed(v, r, err)
	}
	body.More = next != ""
	for i := range deliveries {
		if !deliveries[i].Done {
			body.Failing = append(body.Failing, deliveries[i])
		}
	}
	return page.Answer{Template: "portal-today", Body: &body}
}

func (p *portal) tellToday(ctx context.Context, v *page.View) (string, any, error) {
	b, err := p.base(ctx, v)
	if err != nil {
		return "", nil, err
	}
	n, err := p.today(ctx, v, b)
	return "portal-today-now", &n, err
}

// move is an event as a list shows it.
type move struct {
	Path, Name, Subject string
	Type                string
	Mood                string // of the tag: up, weak, down
	Sign                string
	Amount              holdfast.Amount
	Asset               holdfast.Asset
	Time                time.Time
	When                string
}

// Move is an event as a list shows it.
func (b base) Move(e client.Event) move {
	m := move{Name: e.Data.OutTradeNo, Subject: e.Data.Subject, Type: e.Type, Amount: e.Data.Amount, Asset: e.Data.Asset, Time: e.Time, When: b.At(e.Time)}
	if m.Name == "" {
		m.Name = e.Data.Number
	}
	if !slices.Contains(eventTypes, e.Type) {
		m.Type = "other" // one that this release does not know
	}
	switch {
	case ofTrades(e.Type):
		m.Path = tradePath(e.Data.OutTradeNo)
	case e.Type == "settlement.done":
		m.Path = "/portal/settlements/" + e.Data.Number
	}
	switch e.Type {
	case "trade.paid", "escrow.released", "payout.paid":
		m.Mood = "up"
	case "escrow.disputed", "payout.returned":
		m.Mood = "down"
	case "refund.done", "trade.not_paid", "split.returned", "split.missed":
		m.Mood = "weak"
	}
	switch e.Type {
	case "trade.paid":
		m.Sign = "+"
	case "refund.done", "split.done", "transfer.done":
		m.Sign = "−"
	}
	return m
}
