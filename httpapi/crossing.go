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
	held     holdfast.ID // the hold that it ends, as it stands in the books of its shard
}

// complete takes accounts and amount that a post or a void left to its hold from there.
func (m *movement) complete(v *shard.View) error {
	t := &m.transfer
	if t.Hold.IsZero() || t.Debit != (holdfast.AccountID{}) && t.Credit != (holdfast.AccountID{}) && t.Amount != 0 {
		return nil
	}
	h, _, found, err := findHold(v, m.held)
	if err != nil || !found {
		return err
	}
	t.Debit, t.Credit = h.Debit, h.Credit
	if t.Kind == holdfast.Post && t.Amount == 0 {
		t.Amount = h.Amount
	}
	return nil
}

// movementIn reads leg n of a transaction of a shard.
func (a *api) movementIn(ctx context.Context, v *shard.View, t *holdfast.Txn, n holdfast.Leg) (movement, error) {
	as := movement{t.ID, n, t.Transfers[n], t.Transfers[n].Hold}
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

// findTransfers looks for the transfers of a caller's id in one shard. One that crosses is found where it landed, or, of a payment whose
// other legs do, at home when it is settled. There may be one that landed beside one of the shard's own, when an id was used twice.
func findTransfers(v *shard.View, id holdfast.ID) (list []shard.FoundTransfer, err error) {
	for _, as := range []holdfast.ID{id, id.Shadow()} {
		f, found, err := v.Transfer(as)
		if err != nil {
			return nil, err
		}
		if found && (as == id || f.Txn.ID.IsShadow() || atHome(&f)) {
			list = append(list, f)
		}
	}
	return list, nil
}

// atHome reports a transfer that stays at home: a part of a payment that crosses and was settled, or a hold that crosses.
func atHome(f *shard.FoundTransfer) bool {
	_, _, leaves := f.Transfer.Credit.InTransit()
	if !leaves {
		return f.Hold == ledger.HoldPosted
	}
	return !slices.ContainsFunc(f.Txn.Messages, func(m holdfast.Message) bool { return m.Topic == transit.Topic })
}

// findHold looks for a hold by its id in the books of a shard, and shows it as its caller knows it.
func findHold(v *shard.View, as holdfast.ID) (h ledger.OpenHold, state ledger.HoldState, found bool, err error) {
	id, held, written, err := writtenOf(v, as)
	if err != nil {
		return h, state, false, err
	}
	if h, state, found, err = v.Hold(as); found && written && err == nil {
		h.ID, h.Credit = id, held.Payee
	}
	return h, state, found, err
}

// writtenOf is the id by which its caller knows a hold of a shard's books, and the record that speaks of it, if there is one: while the
// hold is here it names the hold, afterwards where that has gone.
func writtenOf(v *shard.View, as holdfast.ID) (id holdfast.ID, held transit.Held, found bool, err error) {
	if id, err = site.CallersHold(v, as); err != nil {
		return id, held, false, err
	}
	list, err := transit.ReadHolds(id, v.Record)
	if err != nil {
		return id, held, false, err
	}
	for i := range list {
		if list[i].ID(id) == as {
			return id, list[i].Held, true, nil
		}
	}
	if len(list) == 0 || as == id { // a hold of this shard alone has none, whatever its namesakes have
		return id, held, false, nil
	}
	h, _, there, err := v.Hold(as)
	for i := range list {
		if there && list[i].Debit == h.Debit && list[i].Amount == h.Amount {
			return id, list[i].Held, true, err
		}
	}
	return id, held, false, err
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
