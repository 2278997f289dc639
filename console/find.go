package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// searchBody is what was found of what somebody has typed.
type searchBody struct {
	Query string
	Hits  []hit
	Asked bool

	Problem *refusal
}

// hit is something with that number.
type hit struct{ Kind, Name, Link string } // Kind: "kind-" + it is a key of words

// Forms are what can be looked for, each with an example.
func (searchBody) Forms() []fact {
	const merchant, customer = "2088000000020025", "2088000000010018"
	return []fact{
		{Name: "kind-trade", Value: merchant + " T-20261127-0001"},
		{Name: "trade-no", Value: "2026112722001400000000010018"},
		{Name: "kind-refund", Value: merchant + " T-20261127-0001 R-1"},
		{Name: "kind-payout", Value: customer + " W-1"},
		{Name: "kind-settlement", Value: merchant + " 2026-11-27"},
		{Name: "kind-owner", Value: customer},
		{Name: "aliases", Value: "+86 138 0000 0000"},
		{Name: "kind-account", Value: customer + ".wallet.CNY"},
		{Name: "kind-transfer", Value: "019ac5b0-7c1e-7cc3-98c4-dc0c0c07398f"},
	}
}

const (
	maxQuery      = 300
	tradeNoDigits = 28
	caseDigits    = 32
)

func (p *pages) showSearch(context.Context, *page.View, *http.Request) page.Answer {
	return page.Answer{Template: "search", Body: searchBody{}}
}

// search finds whatever has a number. It is a POST, so that no phone number stands in an address or a log. One hit is shown at once.
func (p *pages) search(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	sent, err := form(r)
	if err != nil {
		return page.FormFailed(err)
	}
	b := searchBody{Query: strings.TrimSpace(sent.Get("q")), Asked: true}
	if b.Query == "" {
		return p.showSearch(ctx, v, r)
	}
	if len(b.Query) > maxQuery {
		b.Query = ""
		return page.Answer{Status: http.StatusUnprocessableEntity, Template: "search", Body: b}
	}
	if b.Hits, err = p.find(ctx, b.Query); err != nil {
		why, status := sayable(v, err)
		if why == nil {
			return page.Failed(v, r, err)
		}
		b.Problem, b.Asked = why, false
		return page.Answer{Status: status, Template: "search", Body: b, Err: err}
	}
	if len(b.Hits) == 1 {
		return page.Answer{Redirect: b.Hits[0].Link}
	}
	return page.Answer{Template: "search", Body: b}
}

// find tells by what somebody has typed what it can be, and asks for all of that.
func (p *pages) find(ctx context.Context, text string) ([]hit, error) {
	parts := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n/,，、　", r) })
	switch len(parts) {
	case 0:
		return nil, nil
	case 1:
		return p.findOne(ctx, parts[0])
	}
	owner, err := holdfast.ParseOwner(parts[0])
	switch {
	case err != nil && aliasLike(strings.Join(parts, "")): // a phone number as people write it
		return p.findAlias(ctx, strings.Join(parts, ""))
	case err != nil:
		return nil, nil
	case len(parts) == 2:
		return p.findNumber(ctx, owner, parts[1])
	case len(parts) == 3:
		return p.findRefund(ctx, owner, parts[1], parts[2])
	}
	return nil, nil
}

// findOne is for what has a number that says itself what it is.
func (p *pages) findOne(ctx context.Context, q string) (hits []hit, err error) {
	if id, err := holdfast.ParseAccountID(q); err == nil {
		return []hit{{"account", q, "/console/accounts/" + id.String()}}, nil
	}
	if owner, err := holdfast.ParseOwner(q); err == nil {
		return []hit{{"owner", q, "/console/owners/" + owner.String()}}, nil
	}
	if len(q) == tradeNoDigits && digitsOnly(q) {
		return p.findTrade(ctx, q)
	}
	if id, err := holdfast.ParseID(q); err == nil {
		hits, err = p.findID(ctx, id)
		if err != nil {
			return nil, err
		}
	}
	if len(q) == caseDigits && len(hits) == 0 {
		if c, err := p.API.Case(ctx, q); err == nil {
			return []hit{{"case", c.ID, "/console/money/cases/" + url.PathEscape(c.ID)}}, nil
		} else if !absent(err) {
			return nil, err
		}
	}
	if len(hits) == 0 && aliasLike(q) {
		return p.findAlias(ctx, q)
	}
	return hits, nil
}

func digitsOnly(text string) bool { return strings.Trim(text, "0123456789") == "" }

// aliasLike reports whether a text may be a phone number or an e-mail address.
func aliasLike(q string) bool {
	digits := strings.NewReplacer("+", "", "-", "", "(", "", ")", "").Replace(q)
	return strings.Contains(q, "@") || len(digits) >= 6 && len(digits) <= 15 && digitsOnly(digits) // ITU-T E.164
}

func (p *pages) findAlias(ctx context.Context, alias string) ([]hit, error) {
	owner, err := p.API.FindAlias(ctx, alias)
	if absent(err) || asRefused(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []hit{{"owner", owner.String(), "/console/owners/" + owner.String()}}, nil
}

func (p *pages) findTrade(ctx context.Context, tradeNo string) ([]hit, error) {
	t, err := p.API.FindTrade(ctx, tradeNo)
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []hit{{"trade", tradeNo, tradePath(t.Merchant, t.OutTradeNo)}}, nil
}

// findID asks what has an id: it can be a transfer and its transaction at once, or the reference of several.
func (p *pages) findID(ctx context.Context, id holdfast.ID) (hits []hit, err error) {
	if _, err := p.API.Transfer(ctx, id); err == nil {
		hits = append(hits, hit{"transfer", id.String(), "/console/transfers/" + id.String()})
	} else if !absent(err) {
		return nil, err
	}
	if x, err := p.API.Txn(ctx, id); err == nil {
		if len(x.Transfers) != 1 || x.Transfers[0].ID != id { // else it is what the transfer shows already
			hits = append(hits, hit{"transaction", id.String(), "/console/transactions/" + id.String()})
		}
	} else if !absent(err) {
		return nil, err
	}
	list, _, err := p.API.TransfersByRefPage(ctx, holdfast.Ref(id), "", linesOnPage)
	if err != nil && !absent(err) {
		return nil, err
	}
	for i := range list {
		hits = append(hits, hit{"transfer", list[i].ID.String(), "/console/transfers/" + list[i].ID.String()})
	}
	return hits, nil
}

// findNumber asks what of an owner has a number: each kind has numbers of its own.
func (p *pages) findNumber(ctx context.Context, owner holdfast.Owner, number string) ([]hit, error) {
	path := func(kind string) string {
		return "/console/" + kind + "/" + owner.String() + "/" + url.PathEscape(number)
	}
	asks := []struct {
		kind, link string
		ask        func() error
	}{
		{"trade", tradePath(owner, number), func() error { _, err := p.API.Trade(ctx, owner, number); return err }},
		{"authorisation", path("authorisations"), func() error { _, err := p.API.Authorisation(ctx, owner, number); return err }},
		{"payout", path("payouts"), func() error { _, err := p.API.Payout(ctx, owner, number); return err }},
		{"top-up", path("top-ups"), func() error { _, err := p.API.TopUp(ctx, owner, number); return err }},
		{"sent", path("sent"), func() error { _, err := p.API.Sent(ctx, owner, number); return err }},
		{"settlement", path("settlements"), func() error {
			if _, err := time.Parse(time.DateOnly, number); err != nil {
				return errNothing
			}
			list, err := p.API.Settlement(ctx, owner, number)
			if err == nil && len(list) == 0 {
				return errNothing
			}
			return err
		}},
	}
	errs := make([]error, len(asks))
	var work sync.WaitGroup
	for i := range asks {
		work.Go(func() { errs[i] = asks[i].ask() })
	}
	work.Wait()
	var hits []hit
	for i, err := range errs {
		switch {
		case err == nil, isCode(err, "outcome-unknown"): // of one that is under way the page says so
			hits = append(hits, hit{asks[i].kind, number, asks[i].link})
		case errors.Is(err, errNothing), absent(err), asRefused(err):
		default:
			return nil, err
		}
	}
	return hits, nil
}

var errNothing = errors.New("there is nothing of that number")

func (p *pages) findRefund(ctx context.Context, merchant holdfast.Owner, trade, number string) ([]hit, error) {
	_, err := p.API.RefundOf(ctx, merchant, trade, number)
	if absent(err) || asRefused(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []hit{{"refund", number, tradePath(merchant, trade) + "#refund-" + url.PathEscape(number)}}, nil
}

func tradePath(merchant holdfast.Owner, outTradeNo string) string {
	return fmt.Sprintf("/console/trades/%s/%s", merchant, url.PathEscape(outTradeNo))
}

func ownerPath(o holdfast.Owner) string {
	if o == 0 {
		return ""
	}
	return "/console/owners/" + o.String()
}

// absent reports whether an error says that something is not there, or cannot be: payments are switched off.
func absent(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && (e.Status == http.StatusNotFound || e.Code == "payments-off")
}

// asRefused reports whether the API did not take what was asked for as a name of anything.
func asRefused(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && slices.Contains([]int{http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusConflict}, e.Status)
}

func isCode(err error, code string) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && e.Code == code
}

// movedRow is one movement of money of a document.
type movedRow struct {
	ID       string
	When     time.Time
	What     string // key of words
	Amount   string
	From, To string
	Shard    holdfast.ShardID
	Index    uint64
}

// codeWords are the keys of what transfers of payments are for, by their code, as pay has numbered them for ever.
var codeWords = map[uint32]string{
	1: "moved-pay", 2: "moved-refund", 3: "moved-release", 4: "moved-split", 5: "moved-freeze", 6: "moved-unfreeze",
	7: "moved-transfer", 8: "moved-top-up", 9: "moved-withdraw", 10: "moved-payout", 11: "moved-return",
}

func movedRows(list []client.Movement) []movedRow {
	rows := make([]movedRow, len(list))
	for i := range list {
		m := &list[i]
		rows[i] = movedRow{
			ID: m.ID.String(), When: m.Time, What: cmp.Or(codeWords[m.Code], "kind-transfer"), Amount: amount(m.Amount, m.Debit.Asset),
			From: m.Debit.String(), To: m.Credit.String(), Shard: m.Shard, Index: m.Index,
		}
	}
	slices.SortStableFunc(rows, func(a, b movedRow) int { return a.When.Compare(b.When) })
	return rows
}
