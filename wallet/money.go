package wallet

import (
	"cmp"
	"context"
	"slices"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// symbols are how people write the currencies that they know by a sign; the code stands for others. A sign that is that of several currencies has the
// country with it.
var symbols = map[string]string{"CNY": "¥", "EUR": "€", "GBP": "£", "USD": "US$", "HKD": "HK$", "JPY": "JP¥", "SGD": "S$", "AUD": "A$"}

// sum is an amount as it is written: ¥1,234.50.
func sum(n holdfast.Amount, asset holdfast.Asset) string {
	sign := ""
	if n < 0 && n != -n { // the least amount has no positive one
		sign, n = "−", -n
	}
	symbol, known := symbols[asset.String()]
	if !known {
		symbol = asset.String() + " "
	}
	return sign + symbol + holdfast.FormatMinor(n, asset)
}

// signed is an amount with what it does to the wallet: −¥12.30, +¥5.00.
func signed(n holdfast.Amount, asset holdfast.Asset) string {
	if n > 0 {
		return "+" + sum(n, asset)
	}
	return sum(n, asset)
}

// purse is the money of a customer in one currency.
type purse struct {
	client.Wallet
	Available, Frozen, Outgoing string // "": nothing
}

// Code is the code of the currency.
func (p purse) Code() string { return p.Asset.String() }

// purses reads all wallets, the one with the platform's own currency, or else the first, before the others.
func (w *wallet) purses(ctx context.Context, v *page.View) ([]purse, error) {
	states, err := w.API.Wallets(ctx, v.Owner())
	if err != nil {
		return nil, err
	}
	list := make([]purse, len(states))
	for i := range states {
		m, err := w.API.Wallet(ctx, v.Owner(), states[i].Asset)
		if err != nil {
			return nil, err
		}
		list[i] = purseOf(m)
	}
	slices.SortStableFunc(list, func(a, b purse) int { return -cmp.Compare(rank(a), rank(b)) })
	return list, nil
}

func rank(p purse) int {
	if p.Code() == "CNY" {
		return 1
	}
	return 0
}

func purseOf(m client.Wallet) purse {
	p := purse{Wallet: m, Available: sum(m.Available, m.Asset)}
	if m.Frozen != 0 {
		p.Frozen = sum(m.Frozen, m.Asset)
	}
	if m.Outgoing != 0 {
		p.Outgoing = sum(m.Outgoing, m.Asset)
	}
	return p
}

// assetIn is the currency that a form names, if it is one of a wallet; else that of the first one.
func assetIn(list []purse, text string) (p purse, ok bool) {
	for _, p := range list {
		if p.Code() == text {
			return p, true
		}
	}
	if len(list) == 0 {
		return p, false
	}
	return list[0], text == ""
}
