package checkout

import (
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"holdfast"
	"holdfast/pay"
)

// state is what a page shows. The script compares it with what it is told.
type state string

const (
	waiting     state = "waiting"
	asking      state = "asking" // waiting, for the answer to a payment; in addresses it is "since"
	paid        state = "paid"
	refunded    state = "refunded"
	closed      state = "closed"
	expired     state = "expired"
	unknown     state = "unknown"     // no such token
	unavailable state = "unavailable" // the trade cannot be read just now
	foreign     state = "foreign"     // a form that no page of ours has sent
)

// stateOf is the state of a trade for the one who pays it.
func stateOf(t *pay.Trade, now holdfast.Time) state {
	switch {
	case t.Status == pay.StatusSuccess || t.Status == pay.StatusFinished:
		return paid
	case t.Status == pay.StatusClosed && t.Payer != 0:
		return refunded
	case t.Status == pay.StatusClosed:
		return closed
	case now >= t.Until:
		return expired
	}
	return waiting
}

// view is what the template is given.
type view struct {
	Lang       language
	Token      string
	State      state
	Problem    string // name of the problem with what was typed; "": none
	Trade      pay.Trade
	Seller     string
	Return     string
	Quit       string
	QR         drawing
	Address    string  // in the QR code
	SignsIn    bool    // customers can sign in
	Wallet     *Wallet // of whoever has; nil: nobody's
	WalletDark bool    // somebody has, and whose wallet it is cannot be read just now
	Watch      bool    // the payment is made elsewhere: no form
	Still      bool    // do not load again by yourself
	Before     bool    // it was paid by somebody else before
	Stay       bool    // do not leave by yourself
	LeaveIn    int     // seconds until a paid page goes on
	since      time.Time
	session    string
	chosen     bool // the language is in the address
	now        holdfast.Time
	zone       *time.Location
}

// view reads the address of a page.
func (p *pages) view(r *http.Request) *view {
	q := r.URL.Query()
	v := &view{
		Token: path.Base(r.URL.Path), now: holdfast.TimeOf(p.Now()), zone: platformZone,
		Watch: q.Has("watch"), Still: q.Has("still"), Before: q.Has("before"), Stay: q.Has("stay"),
		LeaveIn: int(p.Linger / time.Second), session: sessionOf(r),
	}
	v.Lang, v.chosen = choose(q.Get("lang"), keptLanguage(r), r.Header.Get("Accept-Language"))
	v.Address = p.Public + "/q/" + url.PathEscape(v.Token)
	if n, err := strconv.ParseInt(q.Get("since"), 10, 64); err == nil {
		if since := time.Unix(n, 0); v.now.Std().Sub(since).Abs() < waitsAtMost {
			v.since = since
		}
	}
	return v
}

// keptLanguage is what somebody has chosen on another page of ours.
func keptLanguage(r *http.Request) string {
	c, err := r.Cookie("holdfast_lang")
	if err != nil {
		return ""
	}
	return c.Value
}

const (
	lateAfter   = time.Minute      // without an answer the form is offered again
	waitsAtMost = 30 * time.Minute // a page that has waited for so long is one that waits for a payment
)

// Waited is how long the answer to a payment has been waited for.
func (v *view) waited() time.Duration { return max(0, v.now.Std().Sub(v.since)) }

// Asking: a payment was sent, and there is no answer.
func (v *view) Asking() bool { return v.State == waiting && !v.since.IsZero() }

// Late: there has been none for so long that another payment is offered.
func (v *view) Late() bool { return v.Asking() && v.waited() >= lateAfter }

// LateIn is in how many seconds it will be so; 0: never.
func (v *view) LateIn() int {
	if !v.Asking() || v.Late() {
		return 0
	}
	return int((lateAfter-v.waited())/time.Second) + 1
}

// Form: a code can be typed.
func (v *view) Form() bool {
	return v.State == waiting && (v.Problem != "" || v.Late() || !v.Asking() && !v.Watch)
}

// Refresh is after how many seconds a page without scripts loads itself again; 0: never, because somebody may be typing, or nothing changes.
func (v *view) Refresh() int {
	switch {
	case v.Still || v.Form():
		return 0
	case v.State == unavailable || v.State == waiting && v.Watch:
		return 5
	case v.Asking():
		return 3
	}
	return 0
}

// Heading names the page.
func (v *view) Heading() (string, error) {
	switch {
	case v.Asking():
		return v.T("title-asking")
	case v.State == waiting && !v.Form():
		return v.T("title-watching")
	}
	return v.T("title-" + string(v.State))
}

// Status says how the payment stands.
func (v *view) Status() (string, error) {
	key := string(v.State)
	switch {
	case v.Late():
		key = "late"
	case v.Asking():
		key = "asking"
	case v.State == waiting && !v.Form():
		key = "watching"
	case v.State == paid && v.Before:
		key = "paid-before"
	case v.State == paid && v.Trade.Mode == pay.Protected && v.Trade.Kept > 0:
		key = "paid-protected"
	}
	return v.T(key)
}

// Said says the problem, and AtField whether it is with the code.
func (v *view) Said() string  { return explain(v.Lang, v.Problem) }
func (v *view) AtField() bool { return atField[v.Problem] }

// T is a text in the language of the page.
func (v *view) T(key string) (string, error) { return word(v.Lang, key) }

// Known: there is a trade to show.
func (v *view) Known() bool {
	return v.State != unknown && v.State != unavailable && v.State != foreign
}

// Amount is the amount with its currency.
func (v *view) Amount() string { return money(v.Trade.Amount, v.Trade.Asset) }

// Left is how long there is to pay, in words without seconds: without scripts they would stand still.
func (v *view) Left() (string, error) {
	left := time.Duration(max(0, v.Trade.Until-v.now))
	d, h, m := left/(24*time.Hour), left/time.Hour%24, left/time.Minute%60
	var parts []string
	for _, p := range []struct {
		n    time.Duration
		unit string
	}{{d, "unit-d"}, {h, "unit-h"}, {m, "unit-min"}} {
		if p.n > 0 && (p.unit != "unit-min" || d == 0) {
			parts = append(parts, strconv.Itoa(int(p.n))+words[p.unit].in(v.Lang))
		}
	}
	if len(parts) == 0 {
		return v.T("less-than-a-min")
	}
	return strings.Join(parts, " "), nil
}

// LeftSeconds is the same in seconds.
func (v *view) LeftSeconds() int {
	return int(max(0, v.Trade.Until-v.now) / holdfast.Time(time.Second))
}

// Units are the names of days, hours, minutes and seconds, for the script.
func (v *view) Units() string {
	return words["unit-d"].in(v.Lang) + "|" + words["unit-h"].in(v.Lang) + "|" + words["unit-min"].in(v.Lang) + "|" + words["unit-s"].in(v.Lang)
}

// Time is a time where the merchant is, and Stamp the same for machines.
func (v *view) Time(t holdfast.Time) string {
	return t.Std().In(v.zone).Format("2006-01-02 15:04 GMT-07:00")
}
func (v *view) Stamp(t holdfast.Time) string { return t.Std().Format(time.RFC3339) }

// Link is the page itself, in the same language.
func (v *view) Link() string { return v.link() }

// LinkSince is the page that waits for the answer to a payment, from now on.
func (v *view) LinkSince() string {
	return v.link("since", strconv.FormatInt(v.now.Std().Unix(), 10))
}

// LinkHere is the page as it is, but for a problem, which a second look may not show.
func (v *view) LinkHere() string { return v.link(v.mode()...) }

// LinkWatch is the page for somebody who pays elsewhere.
func (v *view) LinkWatch() string { return v.link("watch", "1") }

// LinkStill is the page as it is, without loading itself again.
func (v *view) LinkStill() string { return v.link(append(v.mode(), "still", "1")...) }

// LinkStay is the paid page that does not leave.
func (v *view) LinkStay() string { return v.link(append(v.mode(), "stay", "1")...) }

// LinkPoll is where the script asks for the state.
func (v *view) LinkPoll() string { return "../cashier/state/" + url.PathEscape(v.Token) }

func (v *view) mode() (query []string) {
	if !v.since.IsZero() {
		query = append(query, "since", strconv.FormatInt(v.since.Unix(), 10))
	}
	if v.Watch {
		query = append(query, "watch", "1")
	}
	if v.Before {
		query = append(query, "before", "1")
	}
	return query
}

// link is relative, so that it is right behind any prefix and from both kinds of address.
func (v *view) link(query ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	if v.chosen {
		q.Set("lang", string(v.Lang))
	}
	address := "../cashier/" + url.PathEscape(v.Token)
	if len(q) > 0 {
		address += "?" + q.Encode()
	}
	return address
}

// Choice is a language that the page can be read in.
type choice struct {
	Lang    language
	Name    string
	Link    string
	Current bool
}

// Languages are all of them.
func (v *view) Languages() (list []choice) {
	for _, c := range []choice{{Lang: chinese, Name: "中文"}, {Lang: english, Name: "English"}} {
		w := *v
		w.Lang, w.chosen = c.Lang, true
		c.Link, c.Current = w.LinkHere(), c.Lang == v.Lang
		list = append(list, c)
	}
	return list
}

// money writes an amount with its currency: "CNY 1,234.50".
func money(a holdfast.Amount, asset holdfast.Asset) string {
	return asset.String() + " " + holdfast.FormatMinor(a, asset)
}
