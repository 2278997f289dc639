package httpapi

import (
	"context"
	"net/http"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

func (a *api) walletRoutes(r *router) {
	add[openWalletIn, jsonOut[walletBody]](r, operation{
		name: "open-wallet", method: post, path: "/v1/customers/{id}/wallets", tag: tagCustomers, summary: "Open a wallet in one more currency",
		text: "One that is open stays as it is, limits included.", action: guard.ManageCustomers, handle: a.atTill(postWallet),
	})
	add[readCustomerIn, jsonOut[walletsBody]](r, operation{
		name: "list-wallets", method: get, path: "/v1/customers/{id}/wallets", tag: tagCustomers, summary: "List the wallets of a customer, with limits and what counts against them",
		action: guard.ReadMoney, buyers: true, handle: a.atTill(getWallets),
	})
	add[readWalletIn, jsonOut[walletBody]](r, operation{
		name: "read-wallet", method: get, path: "/v1/customers/{id}/wallets/{asset}", tag: tagCustomers, summary: "Read the money of a wallet, its limits and what counts against them",
		text:   "Each of the three amounts of money is as it stands when it is read.",
		action: guard.ReadMoney, buyers: true, handle: a.atTill(getWallet),
	})
	add[walletLimitsIn, jsonOut[WalletStateBody]](r, operation{
		name: "set-limits", method: post, path: "/v1/customers/{id}/wallets/{asset}/limits", tag: tagCustomers, summary: "Set the limits of a wallet; they count from the next payment on",
		text: "What is left out is no limit. What was spent of the day and month stays.", action: guard.ManageCustomers, handle: a.atTill(postLimits),
	})
	for _, v := range []struct {
		blocked             bool
		name, path, summary string
	}{
		{true, "block-wallet", "/v1/customers/{id}/wallets/{asset}/block", "Let nothing be paid from a wallet; money can still come in"},
		{false, "unblock-wallet", "/v1/customers/{id}/wallets/{asset}/unblock", "Let a wallet pay again"},
	} {
		add[blockWalletIn, jsonOut[WalletStateBody]](r, operation{
			name: v.name, method: post, path: v.path, tag: tagCustomers, summary: v.summary,
			text: againDone, action: guard.RestrictPayments, handle: a.atTill(blockWallet(v.blocked)),
		})
	}
}

// PathWallet documents a path that names a wallet.
type PathWallet struct {
	PathOwner
	Asset string `path:"asset" doc:"Currency" example:"CNY"`
}

type openWalletIn struct {
	NumberIn
	PathOwner
	Body openWalletBody
}

type openWalletBody struct {
	Asset  string      `json:"asset" example:"CNY"`
	Limits *LimitsBody `json:"limits,omitempty" doc:"None if left out"`
}

var openWalletMembers = []string{"asset", "limits"}

type readWalletIn struct {
	PathWallet
	DeadlineIn
}

type walletLimitsIn struct {
	NumberIn
	PathWallet
	Body LimitsBody
}

type blockWalletIn struct {
	NumberIn
	PathWallet
}

// WalletStateBody is what the record of a wallet says.
type WalletStateBody struct {
	Asset      string     `json:"asset" example:"CNY"`
	Blocked    bool       `json:"blocked" doc:"It can pay nothing"`
	Limits     LimitsBody `json:"limits"`
	SpentDay   int64      `json:"spent_day" doc:"Of this calendar day, in minor units. What is refunded does not come back"`
	SpentMonth int64      `json:"spent_month"`
}

type walletsBody struct {
	Wallets []WalletStateBody `json:"wallets" doc:"In the order of their currencies"`
}

type walletBody struct {
	WalletStateBody
	Available int64 `json:"available" doc:"Can be spent, in minor units"`
	Frozen    int64 `json:"frozen" doc:"Pre-authorised"`
	Outgoing  int64 `json:"outgoing" doc:"On its way to a bank that has not answered yet"`
}

func walletStateBodyOf(w *pay.WalletState) WalletStateBody {
	return WalletStateBody{assetText(w.Asset), w.Blocked, limitsBodyOf(w.Limits), int64(w.SpentDay), int64(w.SpentMon)}
}

// wallet is the wallet that the path names.
func (x *exchange) wallet() (o holdfast.Owner, asset holdfast.Asset, err error) {
	if o, err = x.pathMine("id"); err != nil {
		return o, asset, err
	}
	asset, err = x.pathAsset("asset")
	return o, asset, err
}

func postWallet(ctx context.Context, t *till) error {
	o, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	var asset holdfast.Asset
	var limits pay.Limits
	err = t.x.object(openWalletMembers, func(s *scanner, name string) {
		switch name {
		case "asset":
			asset = s.asset()
		case "limits":
			limits = s.limits()
		}
	})
	switch {
	case err != nil:
		return err
	case asset == 0:
		return edgeMalformed.field("asset", "name the currency of the wallet, for example CNY")
	}
	if err := t.did(t.OpenWallet(ctx, o, asset, limits, t.at)); err != nil {
		return err
	}
	return t.sendWallet(ctx, o, asset)
}

// sendWallet answers with a wallet and its money.
func (t *till) sendWallet(ctx context.Context, o holdfast.Owner, asset holdfast.Asset) error {
	w, err := t.WalletNow(ctx, o, asset, t.at)
	if err != nil {
		return err
	}
	b, err := t.Balance(ctx, o, asset)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, walletBody{walletStateBodyOf(&w), int64(b.Available), int64(b.Frozen), int64(b.Outgoing)})
}

func getWallets(ctx context.Context, t *till) error {
	o, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	if _, err := t.Customer(ctx, o); err != nil {
		return err
	}
	list, err := t.Wallets(ctx, o, t.at)
	if err != nil {
		return err
	}
	b := walletsBody{Wallets: make([]WalletStateBody, len(list))}
	for i := range list {
		b.Wallets[i] = walletStateBodyOf(&list[i])
	}
	return t.x.sendJSON(http.StatusOK, b)
}

func getWallet(ctx context.Context, t *till) error {
	o, asset, err := t.x.wallet()
	if err != nil {
		return err
	}
	return t.sendWallet(ctx, o, asset)
}

func postLimits(ctx context.Context, t *till) error {
	o, asset, err := t.x.wallet()
	if err != nil {
		return err
	}
	var limits pay.Limits
	if err := t.x.object(limitsMembers, func(s *scanner, name string) { s.limitsMember(name, &limits) }); err != nil {
		return err
	}
	if err := t.did(t.SetLimits(ctx, o, asset, limits, t.at)); err != nil {
		return err
	}
	return t.sendWalletState(ctx, o, asset)
}

func (t *till) sendWalletState(ctx context.Context, o holdfast.Owner, asset holdfast.Asset) error {
	w, err := t.WalletNow(ctx, o, asset, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, walletStateBodyOf(&w))
}

func blockWallet(blocked bool) func(context.Context, *till) error {
	return func(ctx context.Context, t *till) error {
		o, asset, err := t.x.wallet()
		if err != nil {
			return err
		}
		if err := t.x.emptyBody(); err != nil {
			return err
		}
		if err := t.did(t.SetBlocked(ctx, o, asset, blocked, t.at)); err != nil {
			return err
		}
		return t.sendWalletState(ctx, o, asset)
	}
}
