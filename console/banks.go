package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// banksBody is the work with the banks: how each is doing, and what waits for somebody.
type banksBody struct {
	Banks    []bankRow
	Off      bool // the fleet does no payments
	Cases    []client.Case
	Doubtful []client.Payout
	Deposits []client.Deposit
	Next     map[string]string
	Hidden   map[string]bool
	Unread   map[string]bool
	Manager  bool
}

type bankRow struct {
	client.Bank
	State   string
	Assets  string
	Silent  string // for how long it has not answered
	Unknown string // for how long nobody has known what became of the oldest order
}

const moneyRows = 50

func (p *pages) showBanks(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	b := &banksBody{Next: map[string]string{}, Hidden: map[string]bool{}, Unread: map[string]bool{}, Manager: may(v, asOperator)}
	banks, err := p.API.Banks(ctx)
	if absent(err) {
		b.Off = true
		return page.Answer{Template: "banks", Body: b}
	}
	if err != nil {
		return page.Failed(v, r, err)
	}
	for i := range banks {
		b.Banks = append(b.Banks, bankRowOf(&banks[i], v))
	}
	q := r.URL.Query()
	x := &parts{body: &ownerBody{}, hidden: b.Hidden, unread: b.Unread}
	ask(x, "cases", func() (paged[client.Case], error) { return pageOf(p.API.Cases(ctx, q.Get("cases"), moneyRows)) },
		func(l paged[client.Case]) { b.Cases, b.Next["cases"] = l.list, l.next })
	ask(x, "doubtful", func() (paged[client.Payout], error) {
		return pageOf(p.API.Doubtful(ctx, q.Get("doubtful"), moneyRows))
	}, func(l paged[client.Payout]) { b.Doubtful, b.Next["doubtful"] = l.list, l.next })
	ask(x, "deposits", func() (paged[client.Deposit], error) {
		return pageOf(p.API.Deposits(ctx, q.Get("deposits"), moneyRows))
	}, func(l paged[client.Deposit]) { b.Deposits, b.Next["deposits"] = l.list, l.next })
	x.work.Wait()
	return page.Answer{Template: "banks", Body: b}
}

func bankRowOf(b *client.Bank, v *page.View) bankRow {
	row := bankRow{Bank: *b, State: stateUp}
	var assets []string
	for _, a := range b.Assets {
		assets = append(assets, a.String())
	}
	row.Assets = strings.Join(assets, ", ")
	switch {
	case b.Doubtful > 0:
		row.State = stateDown
	case b.Said.IsZero():
		row.State = stateUnknown
	case b.Down:
		row.State = stateWeak
	}
	if b.Down {
		row.Silent = lasting(v, v.Now.Sub(b.DownSince))
	}
	if b.Unknown > 0 {
		row.Unknown = lasting(v, v.Now.Sub(b.UnknownSince))
	}
	return row
}

// lasting writes how long something lasts, as short as it is clear: 90 s, 12 min, 3 h, 2 d.
func lasting(v *page.View, d time.Duration) string {
	n, unit := d/(24*time.Hour), "unit-d"
	switch {
	case d < 100*time.Second:
		n, unit = d/time.Second, "unit-s"
	case d < 100*time.Minute:
		n, unit = d/time.Minute, "unit-min"
	case d < 48*time.Hour:
		n, unit = d/time.Hour, "unit-h"
	}
	return fmt.Sprintf("%d %s", n, v.T(unit))
}

// showCase is a difference between a bank's book and the ledger.
func (p *pages) showCase(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	return p.caseForm(ctx, v, r, "", nil, http.StatusOK)
}

// caseBody is a difference, with the forms to say something about it.
type caseBody struct {
	client.Case
	Text    string
	Problem *refusal
	May     bool
}

func (p *pages) caseForm(ctx context.Context, v *page.View, r *http.Request, text string, why *refusal, status int) page.Answer {
	c, err := p.API.Case(ctx, r.PathValue("case"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Status: status, Template: "case", Body: caseBody{c, text, why, may(v, asOperator)}}
}

// workCase explains or closes a difference.
func (p *pages) workCase(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q, err := form(r)
	if err != nil {
		return page.FormFailed(err)
	}
	id, why := r.PathValue("case"), strings.TrimSpace(q.Get("why"))
	if why == "" {
		return p.caseForm(ctx, v, r, "", &refusal{Text: v.T("case-why-missing")}, http.StatusUnprocessableEntity)
	}
	done := "case-explained"
	switch q.Get("do") {
	case "explain":
		_, err = p.API.ExplainCase(ctx, id, why)
	case "close":
		done = "case-closed"
		_, err = p.API.CloseCase(ctx, id, why)
	default:
		return page.FormFailed(nil)
	}
	if err != nil {
		no, status := notDone(v, err)
		if no == nil {
			return page.Failed(v, r, err)
		}
		a := p.caseForm(ctx, v, r, why, no, status)
		a.Err = err
		return a
	}
	return page.Answer{Redirect: v.Link("/console/money/cases/"+url.PathEscape(id), "done", done)}
}

// showPayout is a withdrawal, or what a settlement pays out.
func (p *pages) showPayout(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	o, err := p.payout(ctx, r)
	if err != nil {
		return page.Failed(v, r, err)
	}
	b := docBody{Kind: "payout", Number: o.Number}
	b.status(o.Status)
	b.Facts = append(b.Facts, fact{Name: "amount", Value: amount(o.Amount, o.Asset), Big: true})
	b.fact("kind", v.T("payout-"+o.Kind))
	b.owner("kind-owner", o.Owner)
	b.time(v, "asked", o.Asked)
	b.time(v, "since", o.Since)
	b.time(v, "attempted", o.Attempted)
	b.code("bank-calls", o.Bank, "")
	b.words("reason", o.Reason)
	for _, x := range []struct {
		is  bool
		key string
	}{{o.Accepted, "payout-accepted"}, {o.Recalled, "payout-recalled"}, {o.NeedsAccount, "payout-needs-account"}} {
		if x.is {
			b.fact("state", v.T(x.key))
		}
	}
	if e := o.Estimate; e != nil {
		b.fact("estimate", estimate(v, e))
	}
	if o.Doubtful {
		b.State, b.Status, b.Said = stateDown, "payout-doubtful", ""
		if may(v, asOperator) {
			b.Actions = append(b.Actions, action{payoutPath(&o) + "/decide", "act-decide-payout"})
		}
	}
	return p.doc(ctx, v, &b, client.PayoutKey(&o))
}

// estimate says when a bank will have taken an order.
func estimate(v *page.View, e *client.Estimate) string {
	text := v.Tf("estimate-ahead", e.Bank, e.Ahead)
	if e.Down {
		text += v.Tf("estimate-down", v.Time(e.DownSince))
	}
	if e.Soonest != nil {
		text += v.Tf("estimate-soonest", lasting(v, time.Duration(*e.Soonest)*time.Second))
	}
	if e.Likely != nil {
		text += v.Tf("estimate-likely", lasting(v, time.Duration(*e.Likely)*time.Second))
	}
	return text
}

func payoutPath(o *client.Payout) string {
	return "/console/payouts/" + o.Owner.String() + "/" + url.PathEscape(o.Number)
}

func (p *pages) payout(ctx context.Context, r *http.Request) (client.Payout, error) {
	owner, err := ownerIn(r, "owner")
	if err != nil {
		return client.Payout{}, &client.Error{Status: http.StatusNotFound, Detail: err.Error()}
	}
	return p.API.Payout(ctx, owner, r.PathValue("number"))
}

// decideBody is what somebody says of a doubtful payout, and then the question whether it is meant.
type decideBody struct {
	Payout  client.Payout
	Path    string
	Paid    string // "yes", "no"; "": not said yet
	Bank    string
	Why     string
	Sure    bool // it is all there: now say so
	Problem *refusal
	May     bool
}

func (p *pages) askPayout(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	return p.payoutForm(ctx, v, r, decideBody{}, http.StatusOK)
}

func (p *pages) payoutForm(ctx context.Context, v *page.View, r *http.Request, b decideBody, status int) page.Answer {
	o, err := p.payout(ctx, r)
	if err != nil {
		return page.Failed(v, r, err)
	}
	b.Payout, b.Path, b.May = o, payoutPath(&o), o.Doubtful && may(v, asOperator)
	if !o.Doubtful && b.Problem == nil {
		b.Problem, status = &refusal{Text: v.T("decide-none")}, http.StatusConflict
	}
	return page.Answer{Status: status, Template: "decide", Body: b, Title: v.T("act-decide-payout")}
}

// decidePayout says what has become of a doubtful payout, after the question whether it is meant: to say that one was not paid which was loses the
// money.
func (p *pages) decidePayout(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q, err := form(r)
	if err != nil {
		return page.FormFailed(err)
	}
	b := decideBody{Paid: q.Get("paid"), Bank: strings.TrimSpace(q.Get("bank")), Why: strings.TrimSpace(q.Get("why"))}
	switch {
	case b.Paid != "yes" && b.Paid != "no":
		b.Problem = &refusal{Text: v.T("decide-choose")}
	case b.Paid == "yes" && b.Bank == "":
		b.Problem = &refusal{Text: v.T("decide-bank-missing")}
	case b.Paid == "no" && b.Why == "":
		b.Problem = &refusal{Text: v.T("decide-why-missing")}
	}
	if b.Problem != nil {
		return p.payoutForm(ctx, v, r, b, http.StatusUnprocessableEntity)
	}
	if q.Get("sure") != "yes" {
		b.Sure = true
		return p.payoutForm(ctx, v, r, b, http.StatusOK)
	}
	owner, err := ownerIn(r, "owner")
	if err != nil {
		return page.NotFound(err.Error())
	}
	number := r.PathValue("number")
	if b.Paid == "yes" {
		_, err = p.API.PaidAfterAll(ctx, owner, number, b.Bank)
	} else {
		_, err = p.API.NeverPaid(ctx, owner, number, b.Why)
	}
	if err != nil {
		why, status := notDone(v, err)
		if why == nil {
			return page.Failed(v, r, err)
		}
		b.Problem = why
		a := p.payoutForm(ctx, v, r, b, status)
		a.Err = err
		return a
	}
	return page.Answer{Redirect: v.Link(payoutPath(&client.Payout{Owner: owner, Number: number}), "done", "decided")}
}

// depositBody is money that came without a name, and to whom it is to go.
type depositBody struct {
	Deposit client.Deposit
	Owner   string // as it was typed
	Sure    bool
	Problem *refusal
	May     bool
}

func (p *pages) askDeposit(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	return p.depositForm(ctx, v, r, depositBody{}, http.StatusOK)
}

func (p *pages) depositForm(ctx context.Context, v *page.View, r *http.Request, b depositBody, status int) page.Answer {
	d, err := p.deposit(ctx, r.PathValue("deposit"))
	if err != nil {
		return page.Failed(v, r, err)
	}
	b.Deposit, b.May = d, may(v, asOperator)
	return page.Answer{Status: status, Template: "deposit", Body: b}
}

// deposit finds a deposit on the list of those that nobody has got.
func (p *pages) deposit(ctx context.Context, id string) (client.Deposit, error) {
	const pages = 20
	cursor := ""
	for range pages {
		list, next, err := p.API.Deposits(ctx, cursor, client.MaxPage)
		if err != nil {
			return client.Deposit{}, err
		}
		if i := slices.IndexFunc(list, func(d client.Deposit) bool { return d.ID == id }); i >= 0 {
			return list[i], nil
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	return client.Deposit{}, &client.Error{Status: http.StatusNotFound, Detail: "It is not on the list of deposits without an owner: it may have been assigned already."}
}

// assignDeposit says whose a deposit is, after the question whether it is meant.
func (p *pages) assignDeposit(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q, err := form(r)
	if err != nil {
		return page.FormFailed(err)
	}
	b := depositBody{Owner: strings.TrimSpace(q.Get("owner"))}
	owner, err := holdfast.ParseOwner(b.Owner)
	if err != nil {
		b.Problem = &refusal{Text: v.T("owner-wrong")}
		return p.depositForm(ctx, v, r, b, http.StatusUnprocessableEntity)
	}
	if q.Get("sure") != "yes" {
		if _, err := p.API.Customer(ctx, owner); err != nil {
			why, status := sayable(v, err)
			if why == nil {
				return page.Failed(v, r, err)
			}
			b.Problem = why
			return p.depositForm(ctx, v, r, b, status)
		}
		b.Sure = true
		return p.depositForm(ctx, v, r, b, http.StatusOK)
	}
	if _, err := p.API.AssignDeposit(ctx, r.PathValue("deposit"), owner); err != nil {
		why, status := notDone(v, err)
		if why == nil {
			return page.Failed(v, r, err)
		}
		b.Problem = why
		a := p.depositForm(ctx, v, r, b, status)
		a.Err = err
		return a
	}
	return page.Answer{Redirect: v.Link("/console/money", "done", "assigned")}
}

// PayoutPath is where a payout is shown.
func (*banksBody) PayoutPath(o client.Payout) string { return payoutPath(&o) }
