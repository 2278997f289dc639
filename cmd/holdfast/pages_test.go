package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"holdfast"
	"holdfast/client"
	"holdfast/drill"
	"holdfast/page/pagetest"
)

// town is a fleet of real sites with cables, a shop, and people who sign in.
type town struct {
	t        *testing.T
	fleet    *drill.Bare
	api      *client.Client // as an operator's program
	merchant holdfast.Owner
	people   map[string]townsman // by who they are: "customer", "merchant", "operator"
	pictures string              // folder; "": none are kept
}

type townsman struct {
	as, login, password string
	owner               holdfast.Owner
}

const (
	townRoundTrip = 6 * time.Millisecond
	townMoney     = 100_000 // what the customer has, in fen
)

// newTown starts three sites with two carriers, and registers everybody.
func newTown(ctx context.Context, t *testing.T) *town {
	t.Helper()
	program, err := exec.LookPath("holdfast")
	if err != nil {
		t.Fatal(err)
	}
	v := &town{t: t, people: map[string]townsman{}, pictures: os.Getenv("HOLDFAST_PICTURES")}
	v.fleet, err = drill.StartBare(ctx, program, t.TempDir(), drill.BareOptions{Sites: 3, Shards: 3, RTT: townRoundTrip, Carriers: 2, Payments: true})
	v.must(err)
	t.Cleanup(func() { v.must(v.fleet.Close()) })
	v.must(v.fleet.Settle(ctx))
	v.api, err = client.New(client.Config{Sites: v.fleet.URLs(0), Key: v.fleet.Key()})
	v.must(err)
	t.Cleanup(v.api.Close)
	v.openShop(ctx)
	v.welcome(ctx)
	return v
}

func (v *town) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

func (v *town) openShop(ctx context.Context) {
	var err error
	v.merchant, err = v.api.IssueOwner(ctx)
	v.must(err)
	_, err = v.api.RegisterMerchant(ctx, client.NewMerchant{
		ID: v.merchant, Name: "West Lake Tea", Zone: "Asia/Shanghai", Assets: []holdfast.Asset{yuan}, Fee: client.Fee{BasisPoints: 60},
	})
	v.must(err)
	_, err = v.api.PutShop(ctx, v.merchant, client.Shop{ID: "lakeside", Name: "West Lake Tea, lakeside", Tills: []string{"till-1"}})
	v.must(err)
}

// welcome registers a customer with money, somebody who manages the shop, and an operator: all accept their invitations.
func (v *town) welcome(ctx context.Context) {
	owner, err := v.api.IssueOwner(ctx)
	v.must(err)
	_, err = v.api.RegisterCustomer(ctx, client.NewCustomer{ID: owner, Aliases: []string{sandboxAliases[0]}, Assets: []holdfast.Asset{yuan}})
	v.must(err)
	v.fund(ctx, owner)
	p, err := v.api.AddPerson(ctx, v.merchant, client.NewPerson{Login: "lina@tea.example", Name: "Li Na", Right: "manage"})
	v.must(err)
	_, err = v.api.AddOperator(ctx, "wei", "operator")
	v.must(err)
	for _, who := range []struct {
		townsman
		invite func() (string, time.Time, error)
	}{
		{townsman{"customer", sandboxAliases[0], "", owner}, func() (string, time.Time, error) { return v.api.InviteCustomer(ctx, owner) }},
		{townsman{"merchant", "lina@tea.example", "", v.merchant}, func() (string, time.Time, error) { return v.api.InvitePerson(ctx, v.merchant, p.ID) }},
		{townsman{"operator", "wei", "", 0}, func() (string, time.Time, error) { return v.api.InviteOperator(ctx, "wei") }},
	} {
		invitation, _, err := who.invite()
		v.must(err)
		who.password = "stone bridge over " + who.as
		_, err = v.api.AcceptInvitation(ctx, client.Acceptance{Invitation: invitation, Password: who.password})
		v.must(err)
		v.people[who.as] = who.townsman
	}
}

// fund gives a customer money, from an account of the test.
func (v *town) fund(ctx context.Context, to holdfast.Owner) {
	mint, err := v.api.IssueOwner(ctx)
	v.must(err)
	from := holdfast.AccountID{Owner: mint, Purpose: holdfast.MustPurpose("bank"), Asset: yuan}
	_, err = v.api.OpenAccount(ctx, holdfast.AccountChange{ID: from, Op: holdfast.OpenAccount, Limit: holdfast.LimitNone})
	v.must(err)
	out, err := v.api.Pay(ctx, holdfast.Transfer{
		Kind: holdfast.Immediate, Debit: from, Credit: holdfast.AccountID{Owner: to, Purpose: holdfast.MustPurpose("wallet"), Asset: yuan}, Amount: townMoney,
	})
	if v.must(err); out.Status != holdfast.Done {
		v.t.Fatal(out)
	}
}

// trade makes a trade with a page, at a site, and returns the address of the page there.
func (v *town) trade(ctx context.Context, number string, amount holdfast.Amount) (address string) {
	made, err := v.api.CreateTrade(ctx, client.NewTrade{
		Merchant: v.merchant, OutTradeNo: number, Amount: amount, Asset: yuan, Subject: "Longjing tea 龙井茶", Shop: "lakeside", QR: true,
	})
	v.must(err)
	return v.site(0) + "/q/" + made.Token
}

func (v *town) site(n int) string { return v.fleet.URLs(0)[n] }

// signIn signs somebody in, who then is where they wanted to be.
func (v *town) signIn(tab *pagetest.Tab, who, to string) {
	p := v.people[who]
	tab.Do(pagetest.Go(v.site(0)+to), pagetest.Shown("form", ""), pagetest.Type("#login", p.login), pagetest.Type("#password", p.password+"\r"))
}

// walk is how one of the two walks through the pages looks at them.
type walk struct {
	lang  string
	width int
	dark  bool
	words map[string]string // what is to be seen, in that language
}

var walks = []walk{
	{"en", 1440, false, map[string]string{
		"find": "Search", "till": "What for", "wallet": "Available", "paid": "Paid", "safe": "Yes, it is safe", "refund": "refund", "held": "Every site has it", "cut": "✕ cut", "lost": "does not answer any more",
	}},
	{"zh-CN", 390, true, map[string]string{
		"find": "查找", "till": "商品", "wallet": "可用余额", "paid": "付款成功", "safe": "安全，不会丢失", "refund": "退款", "held": "每个站点都有", "cut": "✕ 中断", "lost": "不再应答",
	}},
}

// TestPages walks through the pages of a real fleet as people do: a customer, somebody in the shop and an operator, each at a browser of their own; in
// English at a desk and in Chinese on phones, and each page at the other width too; while a carrier is cut, and in the end the site dies that all of
// them are at. HOLDFAST_PICTURES, a folder, keeps pictures of what they see.
func TestPages(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	chrome := pagetest.Browser(t)
	v := newTown(ctx, t)
	for i, w := range walks {
		w.along(ctx, v, chrome, fmt.Sprintf("ORDER-%d", i+1))
	}
	v.loseASite(ctx, chrome)
}

// along is a day in the shop: an order is paid by its link, tea by a code, the order is given back, and the operator looks where all that is kept.
func (w *walk) along(ctx context.Context, v *town, chrome *pagetest.Chrome, order string) {
	look := pagetest.Look{Lang: w.lang, Width: w.width, Dark: w.dark, Own: true}
	tab := func() *pagetest.Tab {
		x := chrome.Tab(v.t, look)
		x.Pictures = v.pictures
		return x
	}
	buyer, shop, op := tab(), tab(), tab()
	shot := func(tab *pagetest.Tab, name string) pagetest.Action {
		return func(ctx context.Context, t *chromedp.Target) (none chromedp.Void, err error) {
			v.t.Logf("%s %s: first view after %v", w.lang, name, tab.FirstView().Round(time.Millisecond))
			picture := func(width int) string { return fmt.Sprintf("town-%s-%d-%s", w.lang, width, name) }
			if none, err = tab.Fits(picture(w.width))(ctx, t); err != nil {
				return none, err
			}
			tab.Look(walkOther(w.width), w.dark)
			if none, err = tab.Fits(picture(walkOther(w.width)))(ctx, t); err != nil {
				return none, err
			}
			tab.Look(w.width, w.dark)
			return none, nil
		}
	}

	// By link: one tap brings the page, one pays.
	link := v.trade(ctx, order, 8800)
	v.signIn(buyer, "customer", "/wallet")
	buyer.Do(pagetest.Shown("main", w.words["wallet"]), shot(buyer, "wallet"),
		pagetest.Go(link), pagetest.Shown(".mine button", "88.00"), shot(buyer, "cashier"), pagetest.Click(".mine button"), pagetest.Shown("h1", w.words["paid"]), shot(buyer, "paid"))

	// By code, in two windows: the customer's shows it, and says by itself that it was paid.
	v.signIn(shop, "merchant", "/portal/till")
	buyer.Do(pagetest.Go(v.site(0)+"/wallet/code"), pagetest.Shown("#enable button", ""), pagetest.Click("#enable button"), pagetest.Shown("#digits", "28"), shot(buyer, "code"))
	code := pagetest.Eval[string](buyer, `document.getElementById("digits").textContent`)
	shop.Do(pagetest.Shown("main", w.words["till"]), pagetest.Type("#amount", "12.50"), pagetest.Type("#code", code+"\r"), pagetest.Shown(".till-paid", "12.50"), shot(shop, "till"))
	buyer.Do(pagetest.Shown("#paid", "12.50"), shot(buyer, "code-paid"))

	// Refund, as the merchant.
	shop.Do(pagetest.Go(v.site(0)+"/portal/trades/"+order), pagetest.Shown("#trade", "88.00"), shot(shop, "trade"), pagetest.Go(v.site(0)+"/portal/trades/"+order+"/refund"),
		pagetest.Set("#amount", "8.00"), pagetest.Type("#reason", "tea was cold\r"), pagetest.Shown("main", "8.00"), shot(shop, "refund"), pagetest.Click("main button[type=submit]"),
		pagetest.Shown("#trade", "8.00"), pagetest.Shown("#trade", "tea was cold"), pagetest.Go(v.site(0)+"/portal"), pagetest.Shown("main", "88.00"), shot(shop, "portal"))

	// Is my payment safe?
	buyer.Do(pagetest.Go(v.site(0)+"/wallet"), pagetest.Shown(".lines", "12.50"), pagetest.Click(".lines li:nth-child(2) a"), pagetest.Shown("main", w.words["safe"]), shot(buyer, "safe"))

	// Down to the entry of the log, and the fleet while a carrier is cut under it.
	v.signIn(op, "operator", "/console/search")
	op.Do(pagetest.Shown("main", w.words["find"]), pagetest.Type("#q", v.tradeNo(ctx, order)+"\r"), pagetest.Shown("main", "88.00"), shot(op, "operator-trade"),
		pagetest.Click(`main a[href^="/console/transfers/"]`), pagetest.Shown("main", w.words["held"]), shot(op, "log-entry"),
		pagetest.Go(v.site(0)+"/console"), pagetest.Shown("#fleet", "hangzhou"))
	v.must(v.fleet.CutCarrier(2))
	op.Do(pagetest.Shown("#fleet", w.words["cut"]), shot(op, "fleet-cut"))
	v.must(v.fleet.Heal())
}

// walkOther is the other one of the two widths at which every page is looked at.
func walkOther(width int) int {
	if width == 390 {
		return 1440
	}
	return 390
}

// tradeNo is the platform's number of a trade.
func (v *town) tradeNo(ctx context.Context, order string) string {
	t, err := v.api.Trade(ctx, v.merchant, order)
	v.must(err)
	return t.TradeNo
}

// loseASite kills the site that a customer is at: the page goes on at another, and pays there.
func (v *town) loseASite(ctx context.Context, chrome *pagetest.Chrome) {
	w := walks[1]
	buyer := chrome.Tab(v.t, pagetest.Look{Lang: w.lang, Width: w.width, Own: true})
	link := v.trade(ctx, "ORDER-AFTER", 1234)
	v.signIn(buyer, "customer", "/wallet")
	buyer.Do(pagetest.Shown("main", w.words["wallet"]))
	v.must(v.fleet.Kill(1))
	buyer.Do(pagetest.Shown("#notice", w.words["lost"]), pagetest.Shown("main", w.words["wallet"]), buyer.Sound("town-lost"))
	at := buyer.At()
	if !strings.HasPrefix(at, v.site(1)) && !strings.HasPrefix(at, v.site(2)) {
		v.t.Errorf("the browser is at %s", at)
	}
	there := strings.TrimSuffix(at, "/wallet")
	buyer.Do(pagetest.Go(strings.Replace(link, v.site(0), there, 1)), pagetest.Shown(".mine button", "12.34"), pagetest.Click(".mine button"), pagetest.Shown("h1", w.words["paid"]))
}
