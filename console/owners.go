package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// ownerBody is a customer or a merchant, with what the person who looks may see.
type ownerBody struct {
	ID       string
	Customer *client.Customer
	Wallets  []walletRow
	Receipts []client.Receipt
	Merchant *client.Merchant
	Balances []client.MerchantBalance
	Apps     []client.App
	Shops    []client.Shop
	People   []client.Person
	Keys     []client.MerchantKey
	Hooks    []client.Webhook
	Trades   []client.Trade
	Settled  []client.Settlement
	Accounts []client.KeptAccount // at banks

	Next    map[string]string // cursors of lists that go on, by name
	Hidden  []string          // keys of words: what the person may not see
	Unread  []string          // what could not be read just now
	Teller  bool
	Manager bool // an operator
}

// walletRow is a wallet with its money.
type walletRow struct {
	client.WalletState
	Money   client.Wallet
	Known   bool
	Account string
}

const (
	ownerRows = 25
	walletsIn = 32 // wallets of which the money is asked for
)

// parts collects what is asked for at once, and what of it is not to be had.
type parts struct {
	mu     sync.Mutex // guards b
	work   sync.WaitGroup
	body   *ownerBody
	hidden map[string]bool
	unread map[string]bool
}

// ask asks for a part; name is the key of its word. put is called with nobody else beside it.
func ask[T any](x *parts, name string, get func() (T, error), put func(T)) {
	x.work.Go(func() {
		v, err := get()
		x.mu.Lock()
		defer x.mu.Unlock()
		e, ok := errors.AsType[*client.Error](err)
		switch {
		case err == nil:
			put(v)
		case ok && e.Status == http.StatusForbidden:
			x.hidden[name] = true
		case absent(err):
		default:
			x.unread[name] = true
		}
	})
}

// paged is a list with its cursor.
type paged[T any] struct {
	list []T
	next string
}

func pageOf[T any](list []T, next string, err error) (paged[T], error) {
	return paged[T]{list, next}, err
}

func (p *pages) showOwner(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	owner, err := ownerIn(r, "id")
	if err != nil {
		return page.NotFound(err.Error())
	}
	b := &ownerBody{ID: owner.String(), Next: map[string]string{}, Teller: may(v, asTeller), Manager: may(v, asOperator)}
	var customer client.Customer
	var merchant client.Merchant
	var notCustomer, notMerchant error
	var work sync.WaitGroup
	work.Go(func() { customer, notCustomer = p.API.Customer(ctx, owner) })
	work.Go(func() { merchant, notMerchant = p.API.Merchant(ctx, owner) })
	work.Wait()
	if notCustomer != nil && notMerchant != nil {
		switch {
		case !absent(notCustomer):
			return page.Failed(v, r, notCustomer)
		case !absent(notMerchant):
			return page.Failed(v, r, notMerchant)
		}
		return page.Answer{Status: http.StatusNotFound, Template: "no-owner", Body: b.ID, Title: v.T("kind-owner") + " " + b.ID}
	}
	x := &parts{body: b, hidden: map[string]bool{}, unread: map[string]bool{}}
	q := r.URL.Query()
	if notCustomer == nil {
		b.Customer = &customer
		p.askCustomer(ctx, x, owner, q)
	}
	if notMerchant == nil {
		b.Merchant = &merchant
		p.askMerchant(ctx, x, owner, q)
	}
	x.work.Wait()
	p.askBalances(ctx, x, owner)
	for name := range x.hidden {
		b.Hidden = append(b.Hidden, name)
	}
	for name := range x.unread {
		b.Unread = append(b.Unread, name)
	}
	slices.Sort(b.Hidden)
	slices.Sort(b.Unread)
	kind := "customer"
	if b.Merchant != nil {
		kind = "merchant"
	}
	return page.Answer{Template: "owner", Body: b, Title: v.T(kind) + " " + b.ID}
}

func (p *pages) askCustomer(ctx context.Context, x *parts, owner holdfast.Owner, q url.Values) {
	b := x.body
	ask(x, "wallets", func() ([]walletRow, error) { return p.wallets(ctx, owner) }, func(list []walletRow) { b.Wallets = list })
	ask(x, "receipts", func() (paged[client.Receipt], error) {
		return pageOf(p.API.Receipts(ctx, owner, q.Get("receipts"), ownerRows))
	}, func(l paged[client.Receipt]) { b.Receipts, b.Next["receipts"] = l.list, l.next })
	ask(x, "bank-accounts", func() ([]client.KeptAccount, error) { return p.API.BankAccounts(ctx, client.OfCustomer, owner) },
		func(list []client.KeptAccount) { b.Accounts = append(b.Accounts, list...) })
}

// wallets reads the wallets of a customer with their money.
func (p *pages) wallets(ctx context.Context, owner holdfast.Owner) ([]walletRow, error) {
	list, err := p.API.Wallets(ctx, owner)
	if err != nil {
		return nil, err
	}
	rows := make([]walletRow, len(list))
	var work sync.WaitGroup
	for i := range list {
		rows[i] = walletRow{WalletState: list[i], Account: fmt.Sprintf("%s.wallet.%s", owner, list[i].Asset)}
		if i < walletsIn {
			work.Go(func() {
				money, err := p.API.Wallet(ctx, owner, list[i].Asset)
				rows[i].Money, rows[i].Known = money, err == nil
			})
		}
	}
	work.Wait()
	return rows, nil
}

func (p *pages) askMerchant(ctx context.Context, x *parts, owner holdfast.Owner, q url.Values) {
	b := x.body
	ask(x, "trades", func() (paged[client.Trade], error) {
		return pageOf(p.API.Trades(ctx, owner, q.Get("trades"), ownerRows))
	}, func(l paged[client.Trade]) { b.Trades, b.Next["trades"] = l.list, l.next })
	ask(x, "settlements", func() (paged[client.Settlement], error) {
		return pageOf(p.API.Settlements(ctx, owner, q.Get("settlements"), ownerRows))
	}, func(l paged[client.Settlement]) { b.Settled, b.Next["settlements"] = l.list, l.next })
	ask(x, "shops", func() (paged[client.Shop], error) {
		return pageOf(p.API.Shops(ctx, owner, q.Get("shops"), ownerRows))
	}, func(l paged[client.Shop]) { b.Shops, b.Next["shops"] = l.list, l.next })
	ask(x, "apps", func() ([]client.App, error) { return p.API.Apps(ctx, owner) }, func(l []client.App) { b.Apps = l })
	ask(x, "people", func() ([]client.Person, error) { return p.API.People(ctx, owner) }, func(l []client.Person) { b.People = l })
	ask(x, "keys", func() ([]client.MerchantKey, error) { return p.API.MerchantKeys(ctx, owner) }, func(l []client.MerchantKey) { b.Keys = l })
	ask(x, "webhooks", func() ([]client.Webhook, error) { return p.API.Webhooks(ctx, owner) }, func(l []client.Webhook) { b.Hooks = l })
	ask(x, "bank-accounts", func() ([]client.KeptAccount, error) { return p.API.BankAccounts(ctx, client.OfMerchant, owner) },
		func(l []client.KeptAccount) { b.Accounts = append(b.Accounts, l...) })
}

// askBalances reads the money of a merchant in the currencies that are seen of him, and in yuan.
func (p *pages) askBalances(ctx context.Context, x *parts, owner holdfast.Owner) {
	b := x.body
	if b.Merchant == nil {
		return
	}
	assets := []holdfast.Asset{holdfast.MustAsset("CNY")}
	for i := range b.Trades {
		assets = append(assets, b.Trades[i].Asset)
	}
	for i := range b.Settled {
		assets = append(assets, b.Settled[i].Asset)
	}
	slices.Sort(assets)
	for _, a := range slices.Compact(assets) {
		ask(x, "balances", func() (client.MerchantBalance, error) {
			m, err := p.API.MerchantBalance(ctx, owner, a)
			if asRefused(err) {
				err = &client.Error{Status: http.StatusNotFound} // he does not take it
			}
			return m, err
		}, func(m client.MerchantBalance) { b.Balances = append(b.Balances, m) })
	}
	x.work.Wait()
	slices.SortFunc(b.Balances, func(a, c client.MerchantBalance) int { return cmp.Compare(a.Asset.String(), c.Asset.String()) })
}

// ownerAct is something that is done to an owner after a question.
type ownerAct struct {
	ask  string // of the question, and "done-" + done what is said afterwards
	done string
	role string
	do   func(ctx context.Context, api *client.Client, owner holdfast.Owner, q url.Values) error
	// fields are those that the address has to have.
	fields []string
}

var ownerActs = map[string]ownerAct{
	"block-wallet":   {"block-wallet", "wallet-blocked", asOperator, blockWallet(true), []string{"asset"}},
	"unblock-wallet": {"unblock-wallet", "wallet-unblocked", asOperator, blockWallet(false), []string{"asset"}},
	"block":          {"block-merchant", "merchant-blocked", asOperator, blockMerchant(true), nil},
	"unblock":        {"unblock-merchant", "merchant-unblocked", asOperator, blockMerchant(false), nil},
	"end-sessions": {"end-sessions", "sessions-ended", asTeller, func(ctx context.Context, api *client.Client, owner holdfast.Owner, q url.Values) error {
		if person := q.Get("person"); person != "" {
			return api.SignOutPerson(ctx, owner, person)
		}
		return api.SignOutCustomer(ctx, owner)
	}, nil},
}

func blockWallet(blocked bool) func(context.Context, *client.Client, holdfast.Owner, url.Values) error {
	return func(ctx context.Context, api *client.Client, owner holdfast.Owner, q url.Values) error {
		asset, err := holdfast.ParseAsset(q.Get("asset"))
		if err != nil {
			return &client.Error{Status: http.StatusUnprocessableEntity, Code: "asset-invalid", Detail: err.Error()}
		}
		_, err = api.BlockWallet(ctx, owner, asset, blocked)
		return err
	}
}

func blockMerchant(blocked bool) func(context.Context, *client.Client, holdfast.Owner, url.Values) error {
	return func(ctx context.Context, api *client.Client, owner holdfast.Owner, _ url.Values) error {
		_, err := api.BlockMerchant(ctx, owner, blocked)
		return err
	}
}

// askOwner asks whether something is to be done to an owner.
func (p *pages) askOwner(_ context.Context, v *page.View, r *http.Request) page.Answer {
	owner, err := ownerIn(r, "id")
	act, ok := ownerActs[r.PathValue("act")]
	if err != nil || !ok {
		return page.NotFound("")
	}
	return ownerQuestion(v, owner, act, r.URL.Query(), nil, http.StatusOK)
}

func ownerQuestion(v *page.View, owner holdfast.Owner, act ownerAct, q url.Values, why *refusal, status int) page.Answer {
	b := question{Ask: act.ask, Back: ownerPath(owner), May: may(v, act.role), Problem: why}
	b.Facts = []fact{{Name: "kind-owner", Value: owner.String(), Code: true}}
	for _, name := range []string{"asset", "person"} {
		if text := q.Get(name); text != "" && len(text) <= 64 {
			b.Fields = append(b.Fields, field{name, text})
			b.Facts = append(b.Facts, fact{Name: name, Value: text, Code: true})
		}
	}
	for _, name := range act.fields {
		if q.Get(name) == "" {
			return page.NotFound("")
		}
	}
	return b.answer(v, status)
}

// actOnOwner does it.
func (p *pages) actOnOwner(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q, err := form(r)
	if err != nil {
		return page.FormFailed(err)
	}
	owner, err := ownerIn(r, "id")
	act, ok := ownerActs[r.PathValue("act")]
	if err != nil || !ok {
		return page.NotFound("")
	}
	if err := act.do(ctx, p.API, owner, q); err != nil {
		why, status := notDone(v, err)
		if why == nil {
			return page.Failed(v, r, err)
		}
		a := ownerQuestion(v, owner, act, q, why, status)
		a.Err = err
		return a
	}
	return page.Answer{Redirect: v.Link(ownerPath(owner), "done", act.done)}
}

// limitsBody is the form of the limits of a wallet.
type limitsBody struct {
	Owner   holdfast.Owner
	Wallet  client.WalletState
	Text    map[string]string // what is in the form, by field
	Problem *refusal
	May     bool
}

var limitFields = []string{"payment", "day", "month"}

func (p *pages) askLimits(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	return p.limitsForm(ctx, v, r, nil, nil, http.StatusOK)
}

func (p *pages) limitsForm(ctx context.Context, v *page.View, r *http.Request, text map[string]string, why *refusal, status int) page.Answer {
	owner, err := ownerIn(r, "id")
	if err != nil {
		return page.NotFound(err.Error())
	}
	asset, err := holdfast.ParseAsset(r.PathValue("asset"))
	if err != nil {
		return page.NotFound(err.Error())
	}
	w, err := p.API.Wallet(ctx, owner, asset)
	if err != nil {
		return page.Failed(v, r, err)
	}
	if text == nil {
		text = map[string]string{}
		for i, n := range []holdfast.Amount{w.Limits.Payment, w.Limits.Day, w.Limits.Month} {
			if n != 0 {
				text[limitFields[i]] = holdfast.FormatMinor(n, asset)
			}
		}
	}
	return page.Answer{Status: status, Template: "limits", Body: limitsBody{owner, w.WalletState, text, why, may(v, asTeller)}}
}

func (p *pages) setLimits(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q, err := form(r)
	if err != nil {
		return page.FormFailed(err)
	}
	owner, err := ownerIn(r, "id")
	if err != nil {
		return page.NotFound(err.Error())
	}
	asset, err := holdfast.ParseAsset(r.PathValue("asset"))
	if err != nil {
		return page.NotFound(err.Error())
	}
	text, amounts := map[string]string{}, [3]holdfast.Amount{}
	for i, name := range limitFields {
		if text[name] = q.Get(name); text[name] == "" {
			continue
		}
		if amounts[i], err = holdfast.ParseMinor(text[name], asset); err != nil {
			return p.limitsForm(ctx, v, r, text, &refusal{Text: v.Tf("limit-wrong", v.T("limit-"+name))}, http.StatusUnprocessableEntity)
		}
	}
	if _, err := p.API.SetLimits(ctx, owner, asset, client.Limits{Payment: amounts[0], Day: amounts[1], Month: amounts[2]}); err != nil {
		why, status := notDone(v, err)
		if why == nil {
			return page.Failed(v, r, err)
		}
		a := p.limitsForm(ctx, v, r, text, why, status)
		a.Err = err
		return a
	}
	return page.Answer{Redirect: v.Link(ownerPath(owner), "done", "limits-set")}
}

// invitedBody is an invitation, which is shown once: it is stored nowhere.
type invitedBody struct {
	Who   string
	Token string
	Until time.Time
	Back  string
}

// inviteOwner invites a customer, or a person of a merchant. The answer is the page itself: an invitation has to stand in no address.
func (p *pages) inviteOwner(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q, err := form(r)
	if err != nil {
		return page.FormFailed(err)
	}
	owner, err := ownerIn(r, "id")
	if err != nil {
		return page.NotFound(err.Error())
	}
	who := owner.String()
	person := q.Get("person")
	var token string
	var until time.Time
	if person != "" {
		who += " · " + person
		token, until, err = p.API.InvitePerson(ctx, owner, person)
	} else {
		token, until, err = p.API.InviteCustomer(ctx, owner)
	}
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "invited", Body: invitedBody{who, token, until, ownerPath(owner)}}
}

// TradePath is where a trade is shown.
func (*ownerBody) TradePath(t client.Trade) string { return tradePath(t.Merchant, t.OutTradeNo) }

// ReceiptPath is where what a line of a statement is about is shown; "": nowhere.
func (b *ownerBody) ReceiptPath(r client.Receipt) string {
	number := url.PathEscape(r.Number)
	switch r.Kind {
	case "paid", "refunded", "paid-frozen", "not-paid":
		if r.Other != 0 {
			return tradePath(r.Other, r.Number)
		}
	case "sent":
		return "/console/sent/" + b.ID + "/" + number
	case "received":
		return "/console/sent/" + r.Other.String() + "/" + number
	case "topped-up":
		return "/console/top-ups/" + b.ID + "/" + number
	case "withdrawn", "withdrawal-returned":
		return "/console/payouts/" + b.ID + "/" + number
	}
	return ""
}
