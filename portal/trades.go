package portal

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

func (p *portal) tradeRoutes(s *page.Shell) {
	p.page("GET /portal/trades", look, p.listTrades)
	p.page("GET /portal/trades/{no}", look, p.showTrade)
	s.Live("GET /portal/trades/{no}/live", "trade", time.Second, p.tellTrade)
	p.page("GET /portal/trades/{no}/refund", work, p.showRefund)
	p.page("POST /portal/trades/{no}/refund", work, p.postRefund)
	p.page("GET /portal/trades/{no}/refunds/{number}", look, p.watchRefund)
	s.Live("GET /portal/trades/{no}/refunds/{number}/live", "refund", time.Second, p.tellRefund)
	p.page("POST /portal/trades/{no}/close", work, p.postClose)
	p.page("POST /portal/trades/{no}/cancel", work, p.postCancel)
	p.page("POST /portal/trades/{no}/ship", work, p.postShip)
	p.page("POST /portal/trades/{no}/split", work, p.postSplit)
}

const (
	tradesOnPage = 50
	refundsOnOne = 200
)

// tradePath is the page of a trade.
func tradePath(no string) string { return "/portal/trades/" + url.PathEscape(no) }

// tradesBody is the list of trades: what has happened on a day, in the order of time; or all, by number.
type tradesBody struct {
	base
	Query   string
	Missing bool // nothing has the number that was asked for
	ByNo    bool

	Day, Since, Kind string
	Kinds            []string
	Events           []client.Event
	Trades           []client.Trade
	Next             string
	Today            bool
}

// eventKinds are what the list of a day can be narrowed to: the beginning of the types.
var eventKinds = []string{"trade.paid", "refund.", "trade.", "escrow.", "split."}

func (p *portal) listTrades(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	q := r.URL.Query()
	body := &tradesBody{base: b, Query: strings.TrimSpace(q.Get("q")), Kinds: eventKinds, ByNo: q.Get("by") == "number"}
	if body.Query != "" {
		return p.findTrade(ctx, v, r, body)
	}
	if body.ByNo {
		return p.tradesByNumber(ctx, v, r, body, q.Get("cursor"), "")
	}
	return p.tradesOfDay(ctx, v, r, body, q)
}

// findTrade finds a trade by one of its numbers, or the trades whose number begins so.
func (p *portal) findTrade(ctx context.Context, v *page.View, r *http.Request, body *tradesBody) page.Answer {
	body.ByNo = true
	if len(body.Query) > 64 || strings.Trim(body.Query, numberLetters) != "" {
		body.Missing = true
		return page.Answer{Status: http.StatusNotFound, Template: "portal-trades", Body: body}
	}
	if len(body.Query) == 28 && strings.Trim(body.Query, "0123456789") == "" {
		if t, err := p.API.FindTrade(ctx, body.Query); err == nil {
			return page.Answer{Redirect: tradePath(t.OutTradeNo)}
		} else if refusal(err) == nil {
			return page.Failed(v, r, err)
		}
	}
	t, err := p.API.Trade(ctx, v.Owner(), body.Query)
	if err == nil {
		return page.Answer{Redirect: tradePath(t.OutTradeNo)}
	}
	if refusal(err) == nil {
		return page.Failed(v, r, err)
	}
	body.Missing = true
	return p.tradesByNumber(ctx, v, r, body, body.Query, body.Query)
}

// numberLetters are the characters that a number of a merchant may have.
const numberLetters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._:-"

func (p *portal) tradesByNumber(ctx context.Context, v *page.View, r *http.Request, body *tradesBody, cursor, prefix string) page.Answer {
	list, next, err := p.API.Trades(ctx, v.Owner(), cursor, tradesOnPage)
	if err != nil {
		return page.Failed(v, r, err)
	}
	body.Trades, body.Next = list, next
	if prefix != "" {
		end := slices.IndexFunc(list, func(t client.Trade) bool { return !strings.HasPrefix(t.OutTradeNo, prefix) })
		if end >= 0 {
			body.Trades, body.Next = list[:end], ""
		}
	}
	status := http.StatusOK
	if body.Missing && len(body.Trades) == 0 {
		status = http.StatusNotFound
	}
	return page.Answer{Status: status, Template: "portal-trades", Body: body}
}

// tradesOfDay lists what has happened to trades on a day, in the order of time.
func (p *portal) tradesOfDay(ctx context.Context, v *page.View, r *http.Request, body *tradesBody, q url.Values) page.Answer {
	begin := dayBegins(v.Now, body.loc)
	if day, err := time.ParseInLocation(time.DateOnly, q.Get("day"), body.loc); err == nil {
		begin = day
	}
	body.Day, body.Today = begin.Format(time.DateOnly), begin.Equal(dayBegins(v.Now, body.loc))
	since := begin
	if at, err := time.ParseInLocation("2006-01-02 15:04", body.Day+" "+q.Get("since"), body.loc); err == nil {
		body.Since, since = q.Get("since"), at
	}
	if k := q.Get("kind"); slices.Contains(eventKinds, k) {
		body.Kind = k
	}
	cursor, end := q.Get("cursor"), begin.AddDate(0, 0, 1)
	for range maxPages {
		list, next, err := p.eventsFrom(ctx, v.Owner(), since, cursor)
		if err != nil {
			return page.Failed(v, r, err)
		}
		for i := range list {
			e := &list[i]
			if !e.Time.Before(end) {
				return page.Answer{Template: "portal-trades", Body: body}
			}
			if !ofTrades(e.Type) || !strings.HasPrefix(e.Type, body.Kind) {
				continue
			}
			if len(body.Events) == tradesOnPage {
				body.Next = body.Events[len(body.Events)-1].ID
				return page.Answer{Template: "portal-trades", Body: body}
			}
			body.Events = append(body.Events, *e)
		}
		if cursor = next; len(list) < eventPage {
			return page.Answer{Template: "portal-trades", Body: body}
		}
	}
	body.Next = cursor // there is more, and nothing of it has been shown yet
	return page.Answer{Template: "portal-trades", Body: body}
}

// ofTrades reports whether events of a type are about a trade.
func ofTrades(kind string) bool {
	for _, about := range []string{"trade.", "refund.", "escrow.", "split."} {
		if strings.HasPrefix(kind, about) && kind != "split.missed" {
			return true
		}
	}
	return false
}

// tradeBody is one trade.
type tradeBody struct {
	base
	Number    string // of the new request of a form
	Unknown   string // what was asked for and nobody knows whether it was done; "": nothing
	Now       tradeNow
	Rest      holdfast.Amount
	MayRefund bool
	MayClose  bool
	MayCancel bool
	MayShip   bool
	MaySplit  bool
	Problem   string
	Share     shareForm
	History   []client.Event
	Cut       bool // there may be more of it
}

// tradeNow is the part that is live.
type tradeNow struct {
	base
	client.Trade
	Refunds []client.Refund
	More    bool
	When    time.Time
}

// Rest is what can be given back.
func (t tradeNow) Rest() holdfast.Amount { return t.Amount - t.Refunded }

// Net is what the merchant has of it: what was paid, less what went back, to the platform and to others; of one under escrow only what was released.
func (t tradeNow) Net() holdfast.Amount {
	return t.Amount - t.Refunded - t.Shared - t.Held - (t.Fee - t.FeeReturned)
}

// State is the key of the word for the state.
func (t tradeNow) State() string { return stateOf(&t.Trade) }

// stateOf names the state of a trade, as people see it.
func stateOf(t *client.Trade) string {
	switch {
	case t.Status == "TRADE_CLOSED" && t.Payer != 0:
		return "refunded"
	case t.Status == "TRADE_CLOSED":
		return "closed"
	case t.Status == "WAIT_BUYER_PAY":
		return "waiting"
	case t.Protection == "disputed":
		return "disputed"
	case t.Protection == "held" || t.Protection == "shipped":
		return t.Protection
	case t.Refunded > 0:
		return "part-refunded"
	case t.Status == "TRADE_FINISHED":
		return "finished"
	}
	return "paid"
}

// StateOf is the key of the word for the state of a trade in a list.
func (b base) StateOf(t client.Trade) string { return stateOf(&t) }

// MoodOf is how the state of a trade looks: up, weak, down.
func (b base) MoodOf(t client.Trade) string {
	switch stateOf(&t) {
	case "paid", "finished":
		return "up"
	case "disputed":
		return "down"
	case "held", "shipped", "part-refunded":
		return "weak"
	}
	return ""
}

func (p *portal) tradeNow(ctx context.Context, v *page.View, b base, no string) (n tradeNow, err error) {
	n = tradeNow{base: b, When: v.Now}
	if n.Trade, err = p.API.Trade(ctx, v.Owner(), no); err != nil || n.Payer == 0 {
		return n, err
	}
	list, next, err := p.API.Refunds(ctx, v.Owner(), no, "", refundsOnOne)
	if err != nil {
		return n, err
	}
	slices.SortStableFunc(list, func(a, b client.Refund) int { return a.Time.Compare(b.Time) })
	n.Refunds, n.More = list, next != ""
	return n, nil
}

func (p *portal) showTrade(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	body, bad := p.tradeBody(ctx, v, r, b)
	if body == nil {
		return bad
	}
	body.Unknown = r.URL.Query().Get("unknown")
	return page.Answer{Template: "portal-trade", Title: v.T("trade") + " " + body.Now.OutTradeNo, Body: body}
}

func (p *portal) tradeBody(ctx context.Context, v *page.View, r *http.Request, b base) (*tradeBody, page.Answer) {
	n, err := p.tradeNow(ctx, v, b, r.PathValue("no"))
	if err != nil {
		return nil, page.Failed(v, r, err)
	}
	paid := n.Status == "TRADE_SUCCESS"
	history, cut, err := p.history(ctx, v, &n.Trade)
	if err != nil {
		return nil, page.Failed(v, r, err)
	}
	return &tradeBody{
		base: b, History: history, Cut: cut, Number: v.Fresh(), Now: n, Rest: n.Rest(),
		MayRefund: b.Work && paid && n.Rest() > 0 && n.Protection != "disputed",
		MayClose:  b.Work && n.Status == "WAIT_BUYER_PAY",
		MayCancel: b.Work && (paid && n.Rest() > 0 && n.Protection != "disputed" || n.Status == "WAIT_BUYER_PAY"),
		MayShip:   b.Work && n.Protection == "held",
		MaySplit:  b.Work && paid && n.Mode == "split" && n.Held > 0,
	}, page.Answer{}
}

// history is what has happened to a trade: of the events since it was made, so many as one look reads.
func (p *portal) history(ctx context.Context, v *page.View, t *client.Trade) (list []client.Event, cut bool, err error) {
	if t.Created.IsZero() {
		return nil, false, nil
	}
	all, _, err := p.API.EventsSince(ctx, v.Owner(), t.Created, eventPage)
	for i := range all {
		if all[i].Data.OutTradeNo == t.OutTradeNo && ofTrades(all[i].Type) {
			list = append(list, all[i])
		}
	}
	return list, len(all) == eventPage, err
}

func (p *portal) tellTrade(ctx context.Context, v *page.View) (string, any, error) {
	b, err := p.base(ctx, v)
	if err != nil {
		return "", nil, err
	}
	no, err := url.PathUnescape(strings.TrimSuffix(strings.TrimPrefix(v.Path(), "/portal/trades/"), "/live"))
	if err != nil {
		return "", nil, err
	}
	n, err := p.tradeNow(ctx, v, b, no)
	return "portal-trade-now", &n, err
}

// lines of a trade that confirm pages show.
func (n *tradeNow) lines(v *page.View) []line {
	return []line{
		{v.T("trade"), n.OutTradeNo},
		{v.T("subject"), n.Subject},
		{v.T("amount"), v.Amount(n.Amount, n.Asset)},
		{v.T("state"), v.T("state-" + n.State())},
	}
}

// act carries out what was confirmed, or asks for it to be confirmed.
func (p *portal) act(ctx context.Context, v *page.View, r *http.Request, b base, what string, more func(n *tradeNow, c *confirm), do func(ctx context.Context, no string) error) page.Answer {
	no := r.PathValue("no")
	if !sure(r) {
		n, err := p.tradeNow(ctx, v, b, no)
		if err != nil {
			return page.Failed(v, r, err)
		}
		c := confirm{base: b, Title: v.T("ask-" + what), Lead: v.T("ask-" + what + "-lead"), Lines: n.lines(v), Button: v.T("do-" + what), Back: tradePath(no)}
		if more != nil {
			more(&n, &c)
		}
		return ask(v, r, c)
	}
	return p.tried(v, r, b, what, do(numbered(ctx, r), no))
}

// tried is the answer to a form about a trade that was carried out, was refused, or of which nobody knows.
func (p *portal) tried(v *page.View, r *http.Request, b base, what string, err error) page.Answer {
	back := tradePath(r.PathValue("no"))
	switch e := refusal(err); {
	case err == nil:
		return done(v, back, what)
	case e != nil && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden):
		return page.Failed(v, r, err)
	case e != nil:
		return page.Answer{Status: http.StatusUnprocessableEntity, Template: "portal-refused", Err: err, Body: &refused{b, page.Refused(v, err), back}}
	}
	return p.failed(v, r, back, err)
}

// refused is a page that says why something was not done.
type refused struct {
	base
	Why  string
	Back string
}

func (p *portal) postClose(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	return p.act(ctx, v, r, b, "close", nil, func(ctx context.Context, no string) error {
		_, err := p.API.CloseTrade(ctx, v.Owner(), no)
		return err
	})
}

func (p *portal) postCancel(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	more := func(n *tradeNow, c *confirm) {
		if n.Payer != 0 {
			c.Lines = append(c.Lines, line{v.T("goes-back"), v.Amount(n.Rest(), n.Asset)}, line{v.T("buyer"), b.Masked(n.Payer)})
			c.Warn = v.T("money-moves")
		}
	}
	return p.act(ctx, v, r, b, "cancel", more, func(ctx context.Context, no string) error {
		_, err := p.API.CancelTrade(ctx, v.Owner(), no)
		return err
	})
}

// shipDays are how long a buyer may have to confirm.
var shipDays = map[string]time.Duration{"3": 3 * 24 * time.Hour, "7": 7 * 24 * time.Hour, "14": 14 * 24 * time.Hour, "30": 30 * 24 * time.Hour}

func (p *portal) postShip(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	days := r.PostFormValue("days")
	within, ok := shipDays[days]
	if !ok {
		return page.Answer{Status: http.StatusUnprocessableEntity, Template: "portal-refused", Body: &refused{b, v.T("bad-days"), tradePath(r.PathValue("no"))}}
	}
	more := func(_ *tradeNow, c *confirm) {
		c.Lines = append(c.Lines, line{v.T("confirm-within"), v.Tf("n-days", days)})
	}
	return p.act(ctx, v, r, b, "ship", more, func(ctx context.Context, no string) error {
		_, err := p.API.Ship(ctx, v.Owner(), no, within)
		return err
	})
}

// shareForm is a share that is to be given.
type shareForm struct {
	To, Amount, Text string
	Finish           bool
}

func (p *portal) postSplit(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	f := shareForm{strings.TrimSpace(r.PostFormValue("to")), r.PostFormValue("amount"), strings.TrimSpace(r.PostFormValue("text")), r.PostFormValue("finish") != ""}
	body, bad := p.tradeBody(ctx, v, r, b)
	if body == nil {
		return bad
	}
	ask := client.NewSplit{Merchant: v.Owner(), OutTradeNo: body.Now.OutTradeNo, OutRequestNo: r.PostFormValue("number"), Finish: f.Finish}
	problem := func(key string) page.Answer {
		body.Problem, body.Share = v.T(key), f
		return page.Answer{Status: http.StatusUnprocessableEntity, Template: "portal-trade", Title: v.T("trade") + " " + body.Now.OutTradeNo, Body: body}
	}
	if f.To != "" || f.Amount != "" {
		to, err := holdfast.ParseOwner(f.To)
		if err != nil {
			return problem("bad-owner")
		}
		amount, err := holdfast.ParseMinor(f.Amount, body.Now.Asset)
		if err != nil || amount < 1 {
			return problem("bad-amount")
		}
		if amount > body.Now.Held && !sure(r) { // once it is sent the API says whether this number has been done before
			return problem("code-split-exceeds-rest")
		}
		ask.Shares = []client.Share{{To: to, Amount: amount, Text: f.Text}}
	} else if !f.Finish {
		return problem("bad-owner")
	}
	more := func(n *tradeNow, c *confirm) {
		c.Warn = v.T("money-moves")
		for _, s := range ask.Shares {
			c.Lines = append(c.Lines, line{v.T("share-to"), s.To.String()}, line{v.T("share-amount"), v.Amount(s.Amount, n.Asset)}, line{v.T("left-then"), v.Amount(n.Held-s.Amount, n.Asset)})
		}
		if f.Finish {
			c.Lines = append(c.Lines, line{v.T("finish"), v.T("finish-lead")})
		}
	}
	return p.act(ctx, v, r, b, "split", more, func(ctx context.Context, _ string) error {
		_, err := p.API.Split(ctx, ask)
		return err
	})
}
