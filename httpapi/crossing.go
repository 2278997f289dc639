package httpapi

import (
	"context"
	"slices"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/site"
	"holdfast/transit"
)

// What stands in the logs of two shards is shown as the one payment that its caller asked for: under his ids, from payer to
// payee. The accounts in between are seen in the audit, and by those who ask for them.

// movement is a transfer of the journal in the terms of its caller.
type movement struct {
	txn      holdfast.ID
	leg      holdfast.Leg
	transfer holdfast.Transfer
}

// movementIn reads leg n of a transaction of a shard.
func (a *api) movementIn(ctx context.Context, v *shard.View, t *holdfast.Txn, n holdfast.Leg) (movement, error) {
	as := movement{t.ID, n, t.Transfers[n]}
	as.transfer.ID = t.TransferID(int(n))
	switch {
	case t.ID.IsShadow():
		return a.landed(ctx, t, as)
	case t.ID.Reserved() && as.transfer.Hold.IsShadow():
		return settled(v, as)
	}
	p, err := transit.Original(t)
	if err != nil || p.Txn == t {
		return as, err
	}
	if leg := p.HomeLeg(n); leg != holdfast.NoLeg {
		as.leg, as.transfer = leg, p.Shown(leg)
	}
	if !as.transfer.Hold.IsZero() {
		as.transfer.Hold, err = site.CallersHold(v, as.transfer.Hold)
	}
	return as, err
}

// landed shows the leg of a land: who paid stands at home, as far as this site knows it.
func (a *api) landed(ctx context.Context, t *holdfast.Txn, as movement) (movement, error) {
	as.txn, as.transfer.ID = t.ID.Unshadow(), as.transfer.ID.Unshadow()
	for i := range t.Transfers {
		_, home, ok := t.Transfers[i].Debit.InTransit()
		if !ok {
			continue
		}
		return as, a.site.Read(ctx, home, shard.Stale, func(v *shard.View) error {
			f, found, err := v.Txn(as.txn)
			if err != nil || !found {
				return err
			}
			p, err := transit.Original(f.Txn)
			if leg := p.AwayLeg(as.leg); err == nil && p.Crosses() && leg != holdfast.NoLeg {
				as.leg, as.transfer = leg, p.Shown(leg)
			}
			return err
		})
	}
	return as, nil
}

// settled shows the end of what was held for a payment to another shard: its payee is that of the payment.
func settled(v *shard.View, as movement) (movement, error) {
	f, found, err := v.Transfer(as.transfer.Hold)
	if err != nil || !found {
		return as, err
	}
	p, err := transit.Original(f.Txn)
	if err != nil {
		return as, err
	}
	as.transfer.Hold = as.transfer.Hold.Unshadow()
	if leg := p.HomeLeg(f.Leg); leg != holdfast.NoLeg {
		of := p.Shown(leg)
		as.transfer.Debit, as.transfer.Credit, as.transfer.Amount = of.Debit, of.Credit, of.Amount
	}
	return as, nil
}

// findTransfer looks for a transfer by the caller's id. One that crosses is found where it landed, or, of a payment whose other
// legs do, at home when it is settled.
func findTransfer(v *shard.View, id holdfast.ID) (f shard.FoundTransfer, found bool, err error) {
	if f, found, err = v.Transfer(id); found || err != nil {
		return f, found, err
	}
	f, found, err = v.Transfer(id.Shadow())
	if err != nil || !found || !f.Txn.ID.IsShadow() && !atHome(&f) {
		return shard.FoundTransfer{}, false, err
	}
	return f, true, nil
}

// atHome reports a transfer that stays at home: a part of a payment that crosses and was settled, or a hold that crosses.
func atHome(f *shard.FoundTransfer) bool {
	_, _, leaves := f.Transfer.Credit.InTransit()
	if !leaves {
		return f.Hold == ledger.HoldPosted
	}
	return !slices.ContainsFunc(f.Txn.Messages, func(m holdfast.Message) bool { return m.Topic == transit.Topic })
}

// findHold looks in one shard for a hold, by the caller's id or that in its books, and shows it as its caller knows it.
func findHold(v *shard.View, as holdfast.ID) (h ledger.OpenHold, state ledger.HoldState, found bool, err error) {
	id, err := site.CallersHold(v, as)
	if err != nil {
		return h, state, false, err
	}
	r, crosses, err := v.Record(transit.HeldKey(id))
	if err != nil || !crosses {
		h, state, found, err = v.Hold(as)
		return h, state, found, err
	}
	held, err := transit.ReadHeld(r.Body)
	if err != nil {
		return h, state, false, err
	}
	if as == id {
		as = held.ID(id)
	}
	if h, state, found, err = v.Hold(as); !found && err == nil {
		h, state, found, err = v.Hold(id) // where it began, before it moved
	}
	if found {
		h.ID, h.Credit = id, held.Payee
	}
	return h, state, found, err
}

// decidedIn is a transaction in the terms of its caller, and what became of it. Of one that crosses both shards are asked.
func (a *api) decidedIn(ctx context.Context, f shard.Found, mode shard.ReadMode) (*holdfast.Txn, holdfast.Outcome, error) {
	p, err := transit.Original(f.Txn)
	if err != nil || p.Txn == f.Txn {
		return f.Txn, f.Outcome, err
	}
	if !p.Crosses() || f.Outcome.Status != holdfast.Done {
		return p.Txn, p.Departed(f.Outcome), nil
	}
	land, err := a.site.Landed(ctx, &p, mode)
	return p.Txn, p.Outcome(f.Outcome, land), err
}
