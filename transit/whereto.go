package transit

import (
	"bytes"
	"slices"

	"holdfast"
	"holdfast/ledger"
)

// Origin is a shard where a slot has been, and the index of the entry there that shut it. A replica of the shard that has applied
// that entry knows every id that the shard will ever know of the slot. Index 0 stands for a shard where owners are now.
type Origin struct {
	Shard holdfast.ShardID
	Index uint64
}

// Directory is the shard map, and where every slot has been before, oldest first.
type Directory interface {
	ShardOf(o holdfast.Owner) holdfast.ShardID
	Origins(slot holdfast.Slot) []Origin
}

// Lookup tells what a shard remembers under an id, asked of a replica that has applied the entry of the origin at least, or, for
// index 0, everything that was decided before the question. ok is false when that cannot be told just now.
type Lookup func(o Origin, id holdfast.ID) (stored *holdfast.Txn, found, ok bool)

// Route reads a caller's transaction as [Make] does, after asking the places where its owners have been before: what one of them
// remembers is asked for again there, and nowhere else. ok is false when that cannot be told just now.
func Route(t *holdfast.Txn, d Directory, holdOf HoldOf, lookup Lookup) (p Payment, code holdfast.Code, field string, ok bool) {
	for _, o := range before(t, d, holdOf) {
		stored, found, ok := lookup(o, t.ID)
		if !ok {
			return p, holdfast.CodeOK, "", false
		}
		if found {
			p, err := Again(stored, t, o.Shard, holdOf)
			return p, holdfast.CodeOK, "", err == nil
		}
	}
	p, code, field = Make(t, d.ShardOf, holdOf)
	return p, code, field, true
}

// Taken looks at a transaction that its home has refused because its id is taken: what stands there may be the same payment in
// another form, from before its owners came to be where they are. Then again is true, and it is to be asked for in that form.
// ok is false when that cannot be told just now: then the refusal may not be believed yet.
func Taken(t *holdfast.Txn, home holdfast.ShardID, refused *holdfast.Outcome, holdOf HoldOf, lookup Lookup) (p Payment, again, ok bool) {
	if refused.Code != holdfast.CodeIDTaken {
		return p, false, true
	}
	stored, found, ok := lookup(Origin{Shard: home, Index: refused.Index}, t.ID)
	if !ok || !found {
		return p, false, ok
	}
	p, err := Again(stored, t, home, holdOf)
	return p, err == nil && p.Txn != t, err == nil
}

// Land says where a payment lands now, after asking the places where its payees have been before: what one of them remembers
// under the id of the land counts, whatever it is. whole is false when it can only be refused; ok when that cannot be told.
func Land(p *Payment, d Directory, lookup Lookup) (to holdfast.ShardID, whole, ok bool) {
	for _, o := range p.LandedBefore(d) {
		q := p.At(o.Shard)
		stored, found, ok := lookup(o, q.LandID())
		if !ok || found {
			return o.Shard, !ok || !q.isRefusal(stored), ok
		}
	}
	to, whole = p.Whereto(d)
	return to, whole, true
}

// FindHeld looks for a hold where look finds it: a record of the shard where the hold is counts before everything else. One that
// names another shard as its home says where the hold has gone.
func FindHeld(shards []holdfast.ShardID, look func(at holdfast.ShardID) (Held, bool)) (held Held, found bool) {
	for _, at := range shards {
		h, there := look(at)
		switch {
		case !there || h.Home != at:
		case h.Vow:
			return h, true
		case !found:
			held, found = h, true
		}
	}
	return held, found
}

// neverKey is a record that nobody writes.
const neverKey = Topic + "/never"

// Refusal is what the shard of its first payee is asked for when a payment cannot land any more, because its payees have come to
// be in several shards since it departed. It is refused, whatever the state of that shard, and remembered under the id of the
// land, so that neither can ever happen behind the other. It touches the slot of the first payee, as the land would, and no other.
func (p *Payment) Refusal() holdfast.Txn {
	t := holdfast.Txn{ID: p.LandID(), Preconditions: []holdfast.Precondition{{Key: neverKey, Version: 1}}}
	for i := range p.legs {
		l := &p.legs[i]
		if !l.class.landing() {
			continue
		}
		payee := l.credit
		if l.class == far {
			payee = l.debit
		}
		t.Accounts = []holdfast.AccountChange{{Op: holdfast.ThawAccount, ID: payee}} // which never happens
		break
	}
	return t
}

func (p *Payment) isRefusal(t *holdfast.Txn) bool {
	refusal := p.Refusal()
	return bytes.Equal(ledger.AppendTxn(nil, &refusal), ledger.AppendTxn(nil, t))
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
	if plantedOriginsForgotten() {
		return nil
	}
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

// before are the places where a caller's transaction may have been decided before the owners of its accounts came to where they
// are. One with several transfers may have had another home among the shards where its owners still are: which of them is the
// home depends on where all of them are.
func before(t *holdfast.Txn, d Directory, holdOf HoldOf) (list []Origin) {
	owners := owners(t, holdOf)
	for _, o := range owners {
		if !plantedOriginsForgotten() {
			list = append(list, d.Origins(o.Slot())...)
		}
	}
	if len(list) == 0 || len(t.Transfers) < 2 {
		return list
	}
	for _, o := range owners {
		if now := (Origin{Shard: d.ShardOf(o)}); !slices.Contains(list, now) {
			list = append(list, now)
		}
	}
	return list
}

// owners are those of all accounts that a caller's transaction names, and of the holds that it ends.
func owners(t *holdfast.Txn, holdOf HoldOf) (list []holdfast.Owner) {
	add := func(o holdfast.Owner) {
		if o != 0 && !slices.Contains(list, o) {
			list = append(list, o)
		}
	}
	for i := range t.Accounts {
		add(t.Accounts[i].ID.Owner)
	}
	for i := range t.Transfers {
		l := &t.Transfers[i]
		add(l.Debit.Owner)
		add(l.Credit.Owner)
		if l.Hold.IsZero() {
			continue
		}
		if held, found := holdOf(l.Hold); found {
			add(held.Debit.Owner)
			add(held.Payee.Owner)
		}
	}
	return list
}

// Again is the payment behind a transaction that a shard remembers under the id of t, to be asked for again there. Of a different
// one that is t itself, for the shard to say what differs.
func Again(stored, t *holdfast.Txn, at holdfast.ShardID, holdOf HoldOf) (Payment, error) {
	p, err := Original(stored)
	if err != nil {
		return p, err
	}
	p.Home = at
	same := sameAsk
	if p.Txn != stored && !p.Crosses() {
		same = func(first, t *holdfast.Txn) bool { return sameAskAboutHolds(first, t, holdOf) }
	}
	switch {
	case !same(p.Txn, t):
		return Payment{Home: at, Txn: t}, nil
	case !p.Crosses():
		return Payment{Home: at, Txn: stored}, nil
	}
	p.stored = stored
	return p, nil
}

// sameAsk compares what a caller asked for with what he asks for now.
func sameAsk(first, t *holdfast.Txn) bool {
	return bytes.Equal(ledger.AppendTxn(nil, first), ledger.AppendTxn(nil, t))
}

// sameAskAboutHolds compares what was made out of a log: what a caller said needlessly of a hold's accounts, and whether a post
// was for the whole, is not there any more.
func sameAskAboutHolds(first, t *holdfast.Txn, holdOf HoldOf) bool {
	u, v := collected(first), *t
	v.Transfers = slices.Clone(t.Transfers)
	for i := range min(len(u.Transfers), len(v.Transfers)) {
		l, was := &v.Transfers[i], &u.Transfers[i]
		if l.Hold.IsZero() {
			continue
		}
		if held, found := holdOf(l.Hold); found && held.As == was.Hold {
			was.Hold = l.Hold // it has moved, and never does again once it has ended
		}
		if was.Hold == l.Hold {
			l.Debit, l.Credit, l.Amount = was.Debit, was.Credit, was.Amount
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

// Payers are the owners of the accounts on which the depart of a payment has holds until it is settled.
func (p *Payment) Payers() (list []holdfast.Owner) {
	for i := range p.legs {
		switch l := &p.legs[i]; l.class {
		case cross, claim:
			list = append(list, l.debit.Owner)
		case local, collect:
			list = append(list, l.debit.Owner, l.credit.Owner)
		}
	}
	return list
}
