package transit

import (
	"fmt"

	"holdfast"
)

// ShardOf is the shard map.
type ShardOf func(holdfast.Owner) holdfast.ShardID

// HoldsOf tells what is known of the holds that a post or void can mean: all that go by its Hold, each read from its shard, in the
// order of the shards. There is more than one when callers have used an id twice. One that has the accounts which the transfer names
// is among them if any shard has one; see [Fits].
type HoldsOf func(end *holdfast.Transfer) []Held

// Make reads a caller's transaction that is well-formed (ledger.Check). The code is CodeOK; CodeShardMismatch or
// CodeTxnTooLarge when it cannot be done between these shards; CodeHoldMissing when it ends a hold that no shard has, and
// nothing else says where to ask; CodeHoldAmbiguous when it could mean several. field is at fault.
//
// A Payment with Home 0 names no account and no hold: any shard will do. One that does not cross is one transaction at home.
func Make(t *holdfast.Txn, shardOf ShardOf, holdsOf HoldsOf) (p Payment, code holdfast.Code, field string) {
	if home, ok := atHome(t, shardOf); ok {
		return Payment{Home: home, Txn: t}, holdfast.CodeOK, ""
	}
	r := router{shardOf: shardOf, holdsOf: holdsOf, txn: t}
	for i := range t.Transfers {
		if code, field = r.leg(i); code != holdfast.CodeOK {
			return p, code, field
		}
	}
	p = Payment{Txn: t}
	if field = r.between(&p.Home); field != "" {
		return p, holdfast.CodeShardMismatch, field
	}
	p.legs = make([]leg, len(r.ways))
	if field = r.classify(&p); field != "" {
		return p, holdfast.CodeShardMismatch, field
	}
	if p.Crosses() && p.size() > holdfast.MaxRecordBody {
		if len(t.Records) > 0 {
			return p, holdfast.CodeTxnTooLarge, "records"
		}
		return p, holdfast.CodeTxnTooLarge, "transfers"
	}
	return p, holdfast.CodeOK, ""
}

// atHome is the short way for what nearly all transactions are: all accounts in one shard, and no hold to look for.
func atHome(t *holdfast.Txn, shardOf ShardOf) (home holdfast.ShardID, ok bool) {
	for i := range t.Transfers {
		l := &t.Transfers[i]
		if home == 0 {
			home = shardOf(l.Debit.Owner)
		}
		if !l.Hold.IsZero() || shardOf(l.Debit.Owner) != home || shardOf(l.Credit.Owner) != home {
			return 0, false
		}
	}
	return home, len(t.Accounts) == 0 && (len(t.Preconditions)+len(t.Records) == 0 || stray(t, shardOf, &home) == "")
}

// way is from which shard to which a transfer goes; 0: it does not say.
type way struct {
	from, to holdfast.ShardID
	held     *Held // what a post or void refers to, if that was made to cross
}

// router finds the ways of all transfers, and the two shards between them.
type router struct {
	shardOf ShardOf
	holdsOf HoldsOf
	txn     *holdfast.Txn
	ways    []way
	away    holdfast.ShardID
}

func (r *router) leg(i int) (holdfast.Code, string) {
	t := &r.txn.Transfers[i]
	if t.Hold.IsZero() {
		r.ways = append(r.ways, way{from: r.shardOf(t.Debit.Owner), to: r.shardOf(t.Credit.Owner)})
		return holdfast.CodeOK, ""
	}
	for k := range i {
		if r.txn.TransferID(k) != t.Hold {
			continue
		}
		if r.ways[k].from != r.ways[k].to {
			return holdfast.CodeShardMismatch, name("transfers", i, "hold")
		}
		r.ways = append(r.ways, way{from: r.ways[k].from, to: r.ways[k].to})
		return holdfast.CodeOK, ""
	}
	held, found, missing := Meant(r.holdsOf(t), t)
	switch {
	case missing != "":
		return holdfast.CodeHoldAmbiguous, name("transfers", i, missing)
	case found && !held.vowed():
		r.ways = append(r.ways, way{from: held.Home, to: held.Home})
	case found: // where the payee was when it was made does not count, but where it is now
		r.ways = append(r.ways, way{from: held.Home, to: r.shardOf(held.Payee.Owner), held: &held})
	case t.Debit.Owner != 0:
		at := r.shardOf(t.Debit.Owner)
		r.ways = append(r.ways, way{from: at, to: at})
	default:
		return holdfast.CodeHoldMissing, name("transfers", i, "hold")
	}
	return holdfast.CodeOK, ""
}

// between finds home and away, and the field that is in neither of them or goes the other way; "" when all fit.
func (r *router) between(home *holdfast.ShardID) (field string) {
	if len(r.txn.Accounts) > 0 {
		*home = r.shardOf(r.txn.Accounts[0].ID.Owner)
	}
	*home, r.away = r.ends(*home)
	for i := range r.txn.Accounts {
		if r.shardOf(r.txn.Accounts[i].ID.Owner) != *home {
			return name("accounts", i, "id")
		}
	}
	for i, w := range r.ways {
		if side := r.astray(w, *home); side != "" {
			return name("transfers", i, sideOf(&r.txn.Transfers[i], side))
		}
	}
	return ""
}

// sideOf is the field that says where a transfer goes: of one that ends a hold that is the hold.
func sideOf(t *holdfast.Transfer, side string) string {
	if !t.Hold.IsZero() {
		return "hold"
	}
	return side
}

// ends is the home and the away shard: those of the first transfer that crosses, or else of the first two that are in
// different shards.
func (r *router) ends(home holdfast.ShardID) (holdfast.ShardID, holdfast.ShardID) {
	for _, w := range r.ways {
		if w.from != w.to {
			return w.from, w.to
		}
	}
	for _, w := range r.ways {
		if home == 0 {
			home = w.from
		}
		if w.from != home {
			return home, w.from
		}
	}
	return home, 0
}

// astray is the side of a transfer that is in no place where it could be.
func (r *router) astray(w way, home holdfast.ShardID) string {
	switch {
	case w.from != home && w.from != r.away:
		return "debit"
	case w.to != home && w.to != r.away:
		return "credit"
	case w.from == r.away && w.to == home:
		return "debit"
	}
	return ""
}

// classify fills in what becomes of every transfer, and returns the first field that cannot be.
func (r *router) classify(p *Payment) (field string) {
	lands := false
	for i, w := range r.ways {
		kind := r.txn.Transfers[i].Kind
		lands = lands || w.to != p.Home && (kind == holdfast.Immediate || kind == holdfast.Post)
	}
	if lands {
		p.Away = r.away
		if field = r.accompany(p); field != "" {
			return field
		}
	} else if field = stray(r.txn, r.shardOf, &p.Home); field != "" {
		return field
	}
	for i, w := range r.ways {
		if field = r.decide(p, i, w, lands); field != "" {
			return field
		}
	}
	return ""
}

// decide decides about one transfer.
func (r *router) decide(p *Payment, i int, w way, lands bool) (field string) {
	t, l := &r.txn.Transfers[i], &p.legs[i]
	l.debit, l.credit, l.amount, l.away = t.Debit, t.Credit, t.Amount, w.to
	crosses := w.from != w.to
	switch {
	case w.held != nil && w.from != p.Home:
		return name("transfers", i, "hold")
	case w.held != nil && t.Kind == holdfast.Post:
		l.class = claim
		if !crosses {
			l.class = collect
		}
		l.take(t, w.held)
		l.hold = w.held.ID(t.Hold)
		// One that had ended when its payer left has stayed behind, and home says how it ended.
		l.wrong = l.wrong || w.held.Ended && r.shardOf(w.held.Debit.Owner) != w.held.Home
	case w.held != nil && !lands:
		l.class = let
		l.debit, l.credit, l.hold = w.held.Debit, w.held.Payee, w.held.ID(t.Hold)
	case !lands && crosses && t.Kind == holdfast.Hold:
		l.class = vow
	case !lands && w.from != p.Home:
		return name("transfers", i, sideOf(t, "debit")) // a hold of its own in the other shard, or the end of one
	case !lands:
		l.class = asIs
	case t.Kind != holdfast.Immediate:
		return name("transfers", i, "kind")
	case crosses:
		l.class = cross
	case w.from == p.Home:
		l.class = local
	default:
		l.class = far
	}
	return ""
}

// take fills in what a post leaves out, and notes when it contradicts the hold: home refuses it then.
func (l *leg) take(t *holdfast.Transfer, h *Held) {
	none := holdfast.AccountID{}
	l.wrong = t.Debit != none && t.Debit != h.Debit || t.Credit != none && t.Credit != h.Payee || t.Amount > h.Amount
	l.debit, l.credit = h.Debit, h.Payee
	if l.amount == 0 {
		l.amount = h.Amount
	}
}

func name(list string, i int, field string) string { return fmt.Sprintf("%s[%d].%s", list, i, field) }
