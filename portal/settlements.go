package portal

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

func (p *portal) moneyRoutes(*page.Shell) {
	p.page("GET /portal/settlements", look, p.listSettlements)
	p.page("GET /portal/settlements/{day}", look, p.showSettlement)
	p.page("GET /portal/settlements/{day}/statement.csv", look, p.statement)
	p.page("GET /portal/bank", look, p.showBank)
	p.page("POST /portal/bank", manage, p.postBank)
	p.page("POST /portal/bank/{name}/remove", manage, p.postBankRemove)
}

// settledDays is how many days a page of settlements goes back.
const settledDays = 31

// settledBefore reads what the days before a day came to, the latest first, and the day to go on before; "": nothing is known to be before.
func (p *portal) settledBefore(ctx context.Context, o holdfast.Owner, day string) (list []client.Settlement, before string, err error) {
	end, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return nil, "", err
	}
	from := end.AddDate(0, 0, -settledDays).Format(time.DateOnly)
	all, next, err := p.API.SettlementsFrom(ctx, o, from, 1000)
	for err == nil {
		for i := range all {
			if all[i].Day < day {
				list = append(list, all[i])
			}
		}
		if next == "" || len(all) == 0 || all[len(all)-1].Day >= day {
			break
		}
		all, next, err = p.API.Settlements(ctx, o, next, 1000)
	}
	slices.SortStableFunc(list, func(a, b client.Settlement) int { return cmpText(b.Day, a.Day) })
	return list, from, err
}

type settlementsBody struct {
	base
	List   []client.Settlement
	Before string // to go on with
	Later  bool   // this is not the first page
	Today  string
}

func (p *portal) listSettlements(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	tomorrow := b.Day(dayBegins(v.Now, b.loc).AddDate(0, 0, 1))
	body := settlementsBody{base: b, Today: b.Day(v.Now)}
	before := r.URL.Query().Get("before")
	if _, err := time.Parse(time.DateOnly, before); err != nil || before > tomorrow {
		before = tomorrow
	}
	body.Later = before != tomorrow
	m, err := p.API.Merchant(ctx, v.Owner())
	if err != nil {
		return page.Failed(v, r, err)
	}
	if body.List, body.Before, err = p.settledBefore(ctx, v.Owner(), before); err != nil {
		return page.Failed(v, r, err)
	}
	if body.Before <= b.Day(m.Registered) {
		body.Before = ""
	}
	return page.Answer{Template: "portal-settlements", Body: &body}
}

// settlementBody is one day.
type settlementBody struct {
	base
	Date  string
	Today bool
	Rows  []settledRow
}

type settledRow struct {
	client.Settlement
	Payout *client.Payout // nil: nothing was paid out, or nobody can say just now
}

// Fee is what the platform took, as an amount that goes away.
func (s settledRow) Fee() holdfast.Amount { return -s.Fees }

func (p *portal) showSettlement(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	day := r.PathValue("day")
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return page.NotFound("")
	}
	list, err := p.API.Settlement(ctx, v.Owner(), day)
	if err != nil {
		return page.Failed(v, r, err)
	}
	body := settlementBody{base: b, Date: day, Today: day == b.Day(v.Now)}
	for i := range list {
		row := settledRow{Settlement: list[i]}
		if row.Order != "" {
			if o, err := p.API.Payout(ctx, v.Owner(), row.Order); err == nil {
				row.Payout = &o
			}
		}
		body.Rows = append(body.Rows, row)
	}
	return page.Answer{Template: "portal-settlement", Title: v.T("settlement-of") + " " + day, Body: &body}
}

func (p *portal) statement(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	day := r.PathValue("day")
	if _, err := time.Parse(time.DateOnly, day); err != nil || day > b.Day(v.Now) {
		return page.NotFound("")
	}
	file, err := p.API.StatementFile(ctx, v.Owner(), day)
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{File: &page.File{Type: "text/csv; charset=utf-8", Name: "statement-" + v.Owner().String() + "-" + day + ".csv", Content: file}}
}

// bankBody is where the money goes, and what the platform takes.
type bankBody struct {
	base
	Merchant client.Merchant
	Percent  string
	Balances []client.MerchantBalance
	Accounts []client.KeptAccount
	Problem  string
	Form     client.BankAccount
	Name     string
}

const mainAccount = "main" // the name of the account that is paid to when the merchant has none of another name

// PaidTo is the name of the account that settlements go to.
func (b *bankBody) PaidTo() string {
	if b.Merchant.Payee != "" {
		return b.Merchant.Payee
	}
	return mainAccount
}

func (p *portal) bankBody(ctx context.Context, v *page.View, b base) (*bankBody, error) {
	body := &bankBody{base: b, Name: mainAccount}
	var err error
	if body.Merchant, err = p.API.Merchant(ctx, v.Owner()); err != nil {
		return nil, err
	}
	body.Percent = percent(body.Merchant.Fee.BasisPoints)
	body.Name = body.PaidTo()
	if body.Accounts, err = p.API.BankAccounts(ctx, client.OfMerchant, v.Owner()); err != nil {
		return nil, err
	}
	list, _, err := p.settledBefore(ctx, v.Owner(), b.Day(dayBegins(v.Now, b.loc).AddDate(0, 0, 1)))
	if err != nil {
		return nil, err
	}
	assets := []holdfast.Asset{yuan}
	for i := range list {
		assets = append(assets, list[i].Asset)
	}
	body.Balances, err = p.balances(ctx, v.Owner(), assets)
	return body, err
}

// percent writes basis points as people do: 60 is "0.6".
func percent(points uint32) string {
	text := holdfast.FormatMinor(holdfast.Amount(points), yuan)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

func (p *portal) showBank(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	body, err := p.bankBody(ctx, v, b)
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "portal-bank", Body: body}
}

func (p *portal) postBank(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	a := client.BankAccount{Number: strings.Join(strings.Fields(r.PostFormValue("account")), ""), Holder: strings.TrimSpace(r.PostFormValue("holder"))}
	name := strings.TrimSpace(r.PostFormValue("name"))
	_, err := p.API.PutBankAccount(numbered(ctx, r), client.OfMerchant, v.Owner(), name, a)
	if err == nil {
		return done(v, "/portal/bank", "bank")
	}
	if e := refusal(err); e == nil || e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized {
		return p.failed(v, r, "/portal/bank", err)
	}
	body, bad := p.bankBody(ctx, v, b)
	if bad != nil {
		return page.Failed(v, r, bad)
	}
	body.Problem, body.Form.Holder, body.Name = page.Refused(v, err), a.Holder, name
	if e := refusal(err); e.Code == "field-invalid" {
		body.Problem = v.T("bad-bank-account")
	}
	return page.Answer{Status: http.StatusUnprocessableEntity, Template: "portal-bank", Body: body, Err: err}
}

func (p *portal) postBankRemove(ctx context.Context, v *page.View, r *http.Request, b base) page.Answer {
	name := r.PathValue("name")
	if !sure(r) {
		return ask(v, r, confirm{
			base: b, Title: v.T("ask-bank-remove"), Lead: v.T("ask-bank-remove-lead"), Lines: []line{{v.T("account-name"), name}}, Button: v.T("remove"), Back: "/portal/bank",
		})
	}
	if _, err := p.API.RemoveBankAccount(numbered(ctx, r), client.OfMerchant, v.Owner(), name); err != nil {
		return p.failed(v, r, "/portal/bank", err)
	}
	return done(v, "/portal/bank", "removed")
}
