package pay

import (
	"context"
	"fmt"

	"holdfast"
)

// Difference is an account that does not hold what the documents say.
type Difference struct {
	Account   holdfast.AccountID
	Documents holdfast.Amount
	Ledger    holdfast.Amount
}

// String names the account and both numbers.
func (d Difference) String() string {
	return fmt.Sprintf("%s holds %d, and the documents say %d", d.Account, d.Ledger, d.Documents)
}

// each calls use with every record of a kind of an owner. One that is not decided yet is an error: what it says may be taken back.
func (c *Cashier) each(ctx context.Context, o holdfast.Owner, kind string, use func(r *holdfast.Record) error) error {
	prefix, after := keyOf(o, kind, ""), ""
	for {
		records, err := c.Books.Records(ctx, prefix, after, rowPage)
		if err != nil {
			return &Unavailable{Err: err}
		}
		for i := range records {
			if records[i].Pending != nil {
				return &Unavailable{Err: errUnderWay}
			}
			if err := use(&records[i]); err != nil {
				return &Unavailable{Err: err}
			}
			after = records[i].Key
		}
		if len(records) < rowPage {
			return nil
		}
	}
}

// AuditMerchant compares the accounts of a merchant in one currency with all his documents: what the platform keeps with the open trades, the
// fees with those taken, the settlement account with the rows of his statements less what was paid out. It is exact when nothing of the
// merchant is under way, and [Unavailable] when something is.
func (c *Cashier) AuditMerchant(ctx context.Context, o holdfast.Owner, asset holdfast.Asset) ([]Difference, error) {
	want := map[holdfast.Purpose]holdfast.Amount{Settlement: 0, Escrow: 0, Royalty: 0, Fees: 0, Outgoing: 0}
	err := c.each(ctx, o, kindTrade, func(r *holdfast.Record) error {
		var v Trade
		if err := unpack(r.Key, r.Body, &v); err != nil || v.Asset != asset {
			return err
		}
		want[Fees] += v.FeeTaken - v.FeeBack
		switch v.Mode {
		case Protected:
			want[Escrow] += v.Kept
		case Split:
			want[Royalty] += v.Kept
		}
		want[Royalty] += v.Shared
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := c.sharesPaid(ctx, o, asset, want); err != nil {
		return nil, err
	}
	err = c.each(ctx, o, kindEvent, func(r *holdfast.Record) error {
		e, err := ReadEvent(r)
		if err == nil && e.Asset == asset {
			want[Settlement] += e.Effect
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = c.each(ctx, o, kindPayout, func(r *holdfast.Record) error {
		var v Order
		if err := unpack(r.Key, r.Body, &v); err != nil || v.Asset != asset {
			return err
		}
		want[Settlement] -= v.Amount
		if v.Status < OrderDone {
			want[Outgoing] += v.Amount
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c.compare(ctx, o, asset, want)
}

// sharesPaid takes the shares that have been paid, or have come back, off what is set aside.
func (c *Cashier) sharesPaid(ctx context.Context, o holdfast.Owner, asset holdfast.Asset, want map[holdfast.Purpose]holdfast.Amount) error {
	return c.each(ctx, o, kindSplit, func(r *holdfast.Record) error {
		var v SplitAsk
		if err := unpack(r.Key, r.Body, &v); err != nil {
			return err
		}
		t, _, err := c.existing(ctx, o, v.OutTradeNo, 0)
		if err != nil || t.Asset != asset {
			return err
		}
		_, _, number, _ := cutKey(r.Key)
		for i := range v.Shares {
			had, err := c.load(ctx, keyOf(o, kindShare, number, fmt.Sprint(i)), &paidShare{})
			if err != nil {
				return err
			}
			if had > 0 {
				want[Royalty] -= v.Shares[i].Amount
			}
		}
		return nil
	})
}

// AuditCustomer compares what a customer cannot spend with his authorisations and withdrawals.
func (c *Cashier) AuditCustomer(ctx context.Context, o holdfast.Owner, asset holdfast.Asset) ([]Difference, error) {
	want := map[holdfast.Purpose]holdfast.Amount{Wallet: 0, Frozen: 0, Outgoing: 0}
	err := c.each(ctx, o, kindFreeze, func(r *holdfast.Record) error {
		var v freeze
		err := unpack(r.Key, r.Body, &v)
		if err == nil && v.Asset == asset {
			want[Frozen] += v.Rest
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = c.each(ctx, o, kindWithdraw, func(r *holdfast.Record) error {
		var v Order
		err := unpack(r.Key, r.Body, &v)
		if err == nil && v.Asset == asset && v.Status < OrderDone {
			want[Outgoing] += v.Amount
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = c.each(ctx, o, kindReceipt, func(r *holdfast.Record) error {
		var v Receipt
		err := unpack(r.Key, r.Body, &v)
		if err == nil && v.Asset == asset && v.Kind.moves() {
			want[Wallet] += v.Amount
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.compare(ctx, o, asset, want)
}

func (c *Cashier) compare(ctx context.Context, o holdfast.Owner, asset holdfast.Asset, want map[holdfast.Purpose]holdfast.Amount) (list []Difference, err error) {
	for purpose, amount := range want {
		a, _, err := c.Books.Account(ctx, account(o, purpose, asset))
		if err != nil {
			return nil, &Unavailable{Err: err}
		}
		if a.Balance() != amount || a.DebitsPending+a.CreditsPending != 0 {
			list = append(list, Difference{account(o, purpose, asset), amount, a.Balance()})
		}
	}
	return list, nil
}
