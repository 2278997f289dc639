package main

import (
	"context"
	"os/exec"
	"testing"
	"time"

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
	v := &town{t: t, people: map[string]townsman{}}
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

// TestPages walks through the pages of a real fleet as people do: a customer on a phone, somebody in the shop, an operator; in both languages; while a
// cable is cut, and a site dies.
func TestPages(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	chrome := pagetest.Browser(t)
	v := newTown(ctx, t)
	op := chrome.Tab(t, pagetest.Look{Lang: "en", Width: 1440, Own: true})
	v.signIn(op, "operator", "/console")
	op.Do(pagetest.Shown("#fleet", "hangzhou"), op.Sound("town-fleet"))
	v.must(v.fleet.CutCarrier(1))
	op.Do(pagetest.Shown("#fleet", "✕ cut"), op.Sound("town-fleet-cut"))
	v.must(v.fleet.Heal())
	op.Do(pagetest.Shown("#fleet", "hangzhou"))
}
