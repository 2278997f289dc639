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

// Route reads a caller's transaction as [Make] does, after asking the places where its owners have been before, and those of all holds
// that it could mean: what one of them remembers is asked for again there, and nowhere else. ok is false when that cannot be told just
// now.
func Route(t *holdfast.Txn, d Directory, holdsOf HoldsOf, lookup Lookup) (p Payment, code holdfast.Code, field string, ok bool) {
	for _, o := range before(t, d, holdsOf) {
		stored, found, ok := lookup(o, t.ID)
		if !ok {
			return p, holdfast.CodeOK, "", false
		}
		if found {
			p, err := Again(stored, t, o.Shard, holdsOf)
			return p, holdfast.CodeOK, "", err == nil
		}
	}
	p, code, field = Make(t, d.ShardOf, holdsOf)
	return p, code, field, true
}

// Anywhere looks in all shards for a caller's transaction that fits into no two shards, now or as far as this map knows, and has records or
// preconditions of owners: where its owners were when it was asked for first it may have fitted, and only the shard that was its home then
// knows it. Others need no such look: their homes can be told from where their owners have been. ok is false when that cannot be told just
// now.
func Anywhere(
	t *holdfast.Txn, code holdfast.Code, shards []holdfast.ShardID, holdsOf HoldsOf, lookup Lookup,
) (p Payment, found, ok bool) {
	if code != holdfast.CodeShardMismatch || !OfOwners(t) {
		return p, false, true
	}
	for _, at := range shards {
		stored, found, ok := lookup(Origin{Shard: at}, t.ID)
		if !ok {
			return p, false, false
		}
		if found {
			p, err := Again(stored, t, at, holdsOf)
			return p, err == nil, err == nil
		}
	}
	return p, false, true
}

// OfOwners reports whether a transaction has records or preconditions of owners.
func OfOwners(t *holdfast.Txn) bool {
	return slices.ContainsFunc(t.Preconditions, func(p holdfast.Precondition) bool { return holdfast.OwnerOfKey(p.Key) != 0 }) ||
		slices.ContainsFunc(t.Records, func(c holdfast.RecordChange) bool { return holdfast.OwnerOfKey(c.Key) != 0 })
}

// Taken looks at a transaction that its home has refused because its id is taken: what stands there may be the same payment in
// another form, from before its owners came to be where they are. Then again is true, and it is to be asked for in that form.
// ok is false when that cannot be told just now: then the refusal may not be believed yet.
func Taken(t *holdfast.Txn, home holdfast.ShardID, refused *holdfast.Outcome, holdsOf HoldsOf, lookup Lookup) (p Payment, again, ok bool) {
	if refused.Code != holdfast.CodeIDTaken {
		return p, false, true
	}
	stored, found, ok := lookup(Origin{Shard: home, Index: refused.Index}, t.ID)
	if !ok || !found {
		return p, false, ok
	}
	p, err := Again(stored, t, home, holdsOf)
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

// FindHolds gathers the holds that go by one id, in the order of the shards. A record that names another shard as the home of its hold
// says where that has gone, and is left out.
func FindHolds(shards []holdfast.ShardID, look func(at holdfast.ShardID) []Held) (list []Held) {
	for _, at := range shards {
		for _, h := range look(at) {
			if h.Home == at {
				list = append(list, h)
			}
		}
	}
	return list
}

// fits reports whether a hold has the accounts that its end names.
func (h *Held) fits(end *holdfast.Transfer) bool {
	none := holdfast.AccountID{}
	return (end.Debit == none || end.Debit == h.Debit) && (end.Credit == none || end.Credit == h.Payee)
}

// Fits reports whether one of the holds has the accounts that the end of a hold names. Whoever has found none may not have seen all.
func Fits(list []Held, end *holdfast.Transfer) bool {
	return slices.ContainsFunc(list, func(h Held) bool { return h.fits(end) })
}

// Meant is the hold that an end of one means, among those that go by its id: the one with the accounts that it names, or any, for its
// shard to refuse, when none has them. missing is the account, "debit" or "credit", that it has to name as well, because holds of
// several fit. Ended ones count: what ends them was asked for once, and may come late. Of holds that are the same in both
// accounts one that is open is meant, so that each of them can be ended, and first one that has a record: it may be the same hold where
// it has moved to, seen before it has left.
func Meant(list []Held, end *holdfast.Transfer) (held Held, found bool, missing string) {
	for i := range list {
		h := &list[i]
		switch {
		case !h.fits(end):
		case !found:
			held, found = *h, true
		case h.Debit != held.Debit:
			return held, true, "debit"
		case h.Payee != held.Payee:
			missing = "credit"
		case held.Ended && !h.Ended, held.Ended == h.Ended && h.Vow && !held.Vow:
			held = *h
		}
	}
	if !found && len(list) > 0 {
		return list[0], true, ""
	}
	return held, found, missing
}

// neverKey is a record that nobody writes.
const neverKey = Topic + "/never"

// Refusal is what the shard of its first payee is asked for when a payment cannot land any more, because its payees have come to
// be in several shards since it departed. It is refused, whatever the state of that shard, and remembered under the id of the
// land, so that neither can ever happen behind the other. It touches the slot of the first payee, as the land would, and no other.
//
// What it is refused with tells it from the land: no land without records meets one that is missing, and none ever ends a hold.
func (p *Payment) Refusal() holdfast.Txn {
	t, payee := holdfast.Txn{ID: p.LandID()}, p.firstPayee()
	if p.with.lands() {
		t.Transfers = []holdfast.Transfer{{Kind: holdfast.Void, Hold: own("refusal", p.LandID()), Debit: payee}}
		return t
	}
	t.Preconditions = []holdfast.Precondition{{Key: neverKey, Version: 1}}
	t.Accounts = []holdfast.AccountChange{{Op: holdfast.ThawAccount, ID: payee}} // which never happens
	return t
}

// refusalCode is the code with which the Refusal is refused.
func (p *Payment) refusalCode() holdfast.Code {
	if p.with.lands() {
		return holdfast.CodeHoldMissing
	}
	return holdfast.CodeRecordMissing
}

// firstPayee is the account that the land touches first, but for those between the shards.
func (p *Payment) firstPayee() holdfast.AccountID {
	i := slices.IndexFunc(p.legs, func(l leg) bool { return l.class.landing() })
	if l := &p.legs[i]; l.class == far {
		return l.debit
	}
	return p.legs[i].credit
}

func (p *Payment) isRefusal(t *holdfast.Txn) bool {
	refusal := p.Refusal()
	return bytes.Equal(ledger.AppendTxn(nil, &refusal), ledger.AppendTxn(nil, t))
}

// payees are the owners of the accounts that the land touches, in order, and of the records that go with it.
func (p *Payment) payees() (list []holdfast.Owner) {
	for i := range p.legs {
		switch l := &p.legs[i]; l.class {
		case cross, claim:
			list = append(list, l.credit.Owner)
		case far:
			list = append(list, l.debit.Owner, l.credit.Owner)
		}
	}
	return append(list, p.company(true)...)
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
// home depends on where all of them are. One that ends a hold may have met another one of that id at first.
func before(t *holdfast.Txn, d Directory, holdsOf HoldsOf) (list []Origin) {
	owners, list := parties(t, d, holdsOf)
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

// parties are the owners of all accounts and records that a caller's transaction names, and of the holds that it ends, and the shards where it may
// have been decided because holds of several shards go by one id.
func parties(t *holdfast.Txn, d Directory, holdsOf HoldsOf) (list []holdfast.Owner, places []Origin) {
	add := func(o holdfast.Owner) {
		if o != 0 && !slices.Contains(list, o) {
			list = append(list, o)
		}
	}
	for i := range t.Accounts {
		add(t.Accounts[i].ID.Owner)
	}
	for i := range t.Preconditions {
		add(holdfast.OwnerOfKey(t.Preconditions[i].Key))
	}
	for i := range t.Records {
		add(holdfast.OwnerOfKey(t.Records[i].Key))
	}
	for i := range t.Transfers {
		l := &t.Transfers[i]
		add(l.Debit.Owner)
		add(l.Credit.Owner)
		if l.Hold.IsZero() {
			continue
		}
		holds := holdsOf(l)
		for k := range holds {
			add(holds[k].Debit.Owner)
			add(holds[k].Payee.Owner)
		}
		for _, o := range homes(holds, l, d) {
			if !slices.Contains(places, o) {
				places = append(places, o)
			}
		}
	}
	return list, places
}

// homes are the shards where the end of a hold may have been decided, if there is more than one: those of all holds of that id, and that
// of the payer whom it names, which was asked when no hold of that id was known.
func homes(holds []Held, end *holdfast.Transfer, d Directory) (list []Origin) {
	add := func(at holdfast.ShardID) {
		if o := (Origin{Shard: at}); !slices.Contains(list, o) {
			list = append(list, o)
		}
	}
	for i := range holds {
		add(holds[i].Home)
	}
	if end.Debit.Owner != 0 {
		add(d.ShardOf(end.Debit.Owner))
	}
	if len(list) < 2 {
		return nil
	}
	return list
}

// Again is the payment behind a transaction that a shard remembers under the id of t, to be asked for again there. Of a different
// one that is t itself, for the shard to say what differs.
func Again(stored, t *holdfast.Txn, at holdfast.ShardID, holdsOf HoldsOf) (Payment, error) {
	p, err := Original(stored)
	if err != nil {
		return p, err
	}
	p.Home = at
	same := sameAsk
	if p.Txn != stored && !p.Crosses() {
		same = func(first, t *holdfast.Txn) bool { return sameAskAboutHolds(first, t, holdsOf) }
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
// was for the whole, is not there any more. An account that is there is compared: it may be that which tells two holds apart.
func sameAskAboutHolds(first, t *holdfast.Txn, holdsOf HoldsOf) bool {
	u, v := collected(first), *t
	v.Transfers = slices.Clone(t.Transfers)
	for i := range min(len(u.Transfers), len(v.Transfers)) {
		l, was := &v.Transfers[i], &u.Transfers[i]
		if l.Hold.IsZero() {
			continue
		}
		if slices.ContainsFunc(holdsOf(l), func(h Held) bool { return h.As == was.Hold }) {
			was.Hold = l.Hold // it has moved, and never does again once it has ended
		}
		if was.Hold == l.Hold && agree(l.Debit, was.Debit) && agree(l.Credit, was.Credit) {
			l.Debit, l.Credit, l.Amount = was.Debit, was.Credit, was.Amount
		}
	}
	if len(v.Transfers) == 1 && v.Transfers[0].ID.IsZero() && len(u.Transfers) == 1 && u.Transfers[0].ID == first.ID {
		u.Transfers[0].ID = holdfast.ID{}
	}
	return sameAsk(&u, &v)
}

func agree(a, b holdfast.AccountID) bool {
	return a == b || a == (holdfast.AccountID{}) || b == (holdfast.AccountID{})
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

// Payers are the owners of the accounts on which the depart of a payment has holds until it is settled, and of the records that are pending.
func (p *Payment) Payers() (list []holdfast.Owner) {
	for i := range p.legs {
		switch l := &p.legs[i]; l.class {
		case cross, claim:
			list = append(list, l.debit.Owner)
		case local, collect:
			list = append(list, l.debit.Owner, l.credit.Owner)
		}
	}
	if plantedRecordsUndrained() {
		return list
	}
	return append(list, p.company(false)...)
}
