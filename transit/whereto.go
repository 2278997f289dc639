package transit

import (
	"bytes"
	"slices"

	"holdfast"
	"holdfast/ledger"
)

// Origin is a shard where a slot has been, and the index of the entry there that shut it. A replica of the shard that has applied
// that entry knows every id that the shard will ever know of the slot.
type Origin struct {
	Shard holdfast.ShardID
	Index uint64
}

// Directory is the shard map, and where every slot has been before, oldest first.
type Directory interface {
	ShardOf(o holdfast.Owner) holdfast.ShardID
	Origins(slot holdfast.Slot) []Origin
}

// neverKey is a record that nobody writes.
const neverKey = Topic + "/never"

// Refusal is what the shard of its first payee is asked for when a payment cannot land any more, because its payees have come to
// be in several shards since it departed. It is refused, whatever the state of that shard, and remembered under the id of the
// land, so that neither can ever happen behind the other. It touches the slot of the first payee as the land would.
func (p *Payment) Refusal() holdfast.Txn {
	for i := range p.legs {
		if p.legs[i].class.landing() {
			return holdfast.Txn{
				ID: p.LandID(), Preconditions: []holdfast.Precondition{{Key: neverKey, Version: 1}},
				Transfers: []holdfast.Transfer{p.landing(i)},
			}
		}
	}
	return holdfast.Txn{ID: p.LandID()} // nothing of it lands
}

// payees are the owners of the accounts that the land touches, in order.
func (p *Payment) payees() (list []holdfast.Owner) {
	for i := range p.legs {
		switch l := &p.legs[i]; l.class {
		case cross, claim:
			list = append(list, l.credit.Owner)
		case far:
			list = append(list, l.debit.Owner, l.credit.Owner)
		}
	}
	return list
}

// Whereto is the shard of the payees. whole is false when they are in several: then it is that of the first.
func (p *Payment) Whereto(d Directory) (to holdfast.ShardID, whole bool) {
	payees := p.payees()
	to = d.ShardOf(payees[0])
	return to, !slices.ContainsFunc(payees, func(o holdfast.Owner) bool { return d.ShardOf(o) != to })
}

// LandedBefore are the places where the land may have been decided before the payees came to where they are.
func (p *Payment) LandedBefore(d Directory) (list []Origin) {
	for _, o := range p.payees() {
		list = append(list, d.Origins(o.Slot())...)
	}
	return list
}

// Places are the shards where it may have landed.
func (p *Payment) Places(d Directory) []holdfast.ShardID {
	list := []holdfast.ShardID{p.Away}
	add := func(at holdfast.ShardID) {
		if !slices.Contains(list, at) {
			list = append(list, at)
		}
	}
	for _, o := range p.LandedBefore(d) {
		add(o.Shard)
	}
	to, _ := p.Whereto(d)
	add(to)
	return list
}

// Before are the places where a caller's transaction may have been decided before the owners of its accounts came to where they
// are.
func Before(t *holdfast.Txn, d Directory) (list []Origin) {
	add := func(o holdfast.Owner) {
		if o != 0 {
			list = append(list, d.Origins(o.Slot())...)
		}
	}
	for i := range t.Accounts {
		add(t.Accounts[i].ID.Owner)
	}
	for i := range t.Transfers {
		add(t.Transfers[i].Debit.Owner)
		add(t.Transfers[i].Credit.Owner)
	}
	return list
}

// Again is the payment behind a transaction that a shard remembers under the id of t, to be asked for again there. Of a different
// one that is t itself, for the shard to say what differs.
func Again(stored, t *holdfast.Txn, at holdfast.ShardID) (Payment, error) {
	p, err := Original(stored)
	if err != nil {
		return p, err
	}
	p.Home = at
	same := sameAsk
	if p.Txn != stored && !p.Crosses() {
		same = sameAskAboutHolds
	}
	switch {
	case !same(p.Txn, t):
		return Payment{Home: at, Txn: t}, nil
	case !p.Crosses():
		return Payment{Home: at, Txn: stored}, nil
	}
	return p, nil
}

// sameAsk compares what a caller asked for with what he asks for now.
func sameAsk(first, t *holdfast.Txn) bool {
	return bytes.Equal(ledger.AppendTxn(nil, first), ledger.AppendTxn(nil, t))
}

// sameAskAboutHolds compares what was made out of a log: what a caller said needlessly of a hold's accounts, and whether a post
// was for the whole, is not there any more.
func sameAskAboutHolds(first, t *holdfast.Txn) bool {
	u, v := collected(first), *t
	v.Transfers = slices.Clone(t.Transfers)
	for i := range v.Transfers {
		if l := &v.Transfers[i]; !l.Hold.IsZero() && i < len(u.Transfers) && u.Transfers[i].Hold == l.Hold {
			l.Debit, l.Credit, l.Amount = u.Transfers[i].Debit, u.Transfers[i].Credit, u.Transfers[i].Amount
		}
	}
	if len(v.Transfers) == 1 && v.Transfers[0].ID.IsZero() && len(u.Transfers) == 1 && u.Transfers[0].ID == first.ID {
		u.Transfers[0].ID = holdfast.ID{}
	}
	return sameAsk(&u, &v)
}

// collected puts a release and the transfer that follows it together to the post that they stand for.
func collected(t *holdfast.Txn) holdfast.Txn {
	u := *t
	u.Transfers = nil
	for i := 0; i < len(t.Transfers); i++ {
		l := t.Transfers[i]
		if l.Kind == holdfast.Void && i+1 < len(t.Transfers) && l.ID == own("release", t.Transfers[i+1].ID) {
			i++
			post := t.Transfers[i]
			post.Kind, post.Hold = holdfast.Post, l.Hold
			l = post
		}
		u.Transfers = append(u.Transfers, l)
	}
	return u
}
