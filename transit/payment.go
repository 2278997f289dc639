package transit

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"

	"holdfast"
	"holdfast/ledger"
)

// Payment is a caller's transaction, read with the eyes of the shards it touches. It is made by [Make] or, from what stands in
// an outbox, by [Read].
type Payment struct {
	Home holdfast.ShardID // where the caller's id is remembered; 0: nothing in it names a shard
	Away holdfast.ShardID // where it lands; 0: it does not, and all of it is one transaction at home
	Txn  *holdfast.Txn    // as the caller gave it

	legs   []leg
	with   company
	to     holdfast.ShardID // where it lands if that is not Away: see At
	stored *holdfast.Txn    // what stands at home, of one that is asked for again
}

// leg is what becomes of one transfer of the caller.
type leg struct {
	class  class
	debit  holdfast.AccountID
	credit holdfast.AccountID
	amount holdfast.Amount
	hold   holdfast.ID      // of those that end one which was made to cross: its id at home
	away   holdfast.ShardID // of the payee, for those that cross
	wrong  bool             // a post that the home shard refuses, whatever else: depart as it is
}

// class says what is done with a transfer. The numbers are in messages: append, never renumber.
type class uint8

const (
	asIs    class = iota // proposed to home unchanged
	local                // within home: held by depart, posted or voided by settle
	cross                // from home to away
	far                  // within away: part of the land
	claim                // posts a hold whose payee is away: depart replaces the hold
	vow                  // a hold whose payee is away, for later
	let                  // voids such a hold
	collect              // posts such a hold, and the payee is at home by now: depart replaces it by a transfer
)

// posts reports a class of transfers that post a hold which was made to cross.
func (c class) posts() bool { return c == claim || c == collect }

// landing reports a class of transfers that are part of the land.
func (c class) landing() bool { return c == cross || c == claim || c == far }

// Crosses reports whether the payment needs more than the one transaction at home.
func (p *Payment) Crosses() bool { return p.Away != 0 }

// Plain reports whether the caller's own transaction is what home is asked for, and its outcome the answer.
func (p *Payment) Plain() bool { return !p.rewritten() }

// At is the payment as it lands in another shard than Away, because its payees have moved there since it departed. Whoever
// proposes it there knows that the shards where they were have not decided, and never will.
func (p *Payment) At(to holdfast.ShardID) Payment {
	q := *p
	q.to = to
	return q
}

// LandsAt is the shard where it lands.
func (p *Payment) LandsAt() holdfast.ShardID { return cmp.Or(p.to, p.Away) }

// LandID is the id of the land in the log of the shard where it lands. At home the shadow of the caller's id may be that of a
// hold of the depart.
func (p *Payment) LandID() holdfast.ID {
	if p.LandsAt() == p.Home {
		return own("land at home", p.Txn.ID)
	}
	return p.Txn.ID.Shadow()
}

// Depart is what home is asked for: the caller's own transaction where it can be, or what stands for it.
func (p *Payment) Depart() holdfast.Txn {
	if p.stored != nil {
		return *p.stored
	}
	if !p.rewritten() {
		return *p.Txn
	}
	t := holdfast.Txn{
		ID: p.Txn.ID, Accounts: append([]holdfast.AccountChange(nil), p.Txn.Accounts...), Messages: p.Txn.Messages, Acks: p.Txn.Acks,
	}
	if p.Crosses() {
		p.join(&t, false)
	} else {
		t.Preconditions, t.Records = p.Txn.Preconditions, append(t.Records, p.Txn.Records...)
	}
	for i := range p.legs {
		t.Transfers = append(t.Transfers, p.departing(i)...)
		switch p.legs[i].class {
		case cross, claim, vow:
			openTransit(&t, p.transit(i))
		}
		if p.legs[i].class == vow {
			t.Records = append(t.Records, p.record(i))
		}
	}
	if p.Crosses() {
		t.Messages = []holdfast.Message{{To: p.Away, Topic: Topic, Body: p.append(nil)}}
	}
	return t
}

func (p *Payment) rewritten() bool {
	for i := range p.legs {
		if p.legs[i].class != asIs {
			return true
		}
	}
	return false
}

// transit is the account at home through which a leg leaves.
func (p *Payment) transit(i int) holdfast.AccountID {
	return holdfast.InTransit(p.Home, p.legs[i].away, p.legs[i].debit.Asset)
}

// openTransit opens an in-transit account, once; when it is open already that changes nothing.
func openTransit(t *holdfast.Txn, id holdfast.AccountID) {
	for i := range t.Accounts {
		if t.Accounts[i].ID == id {
			return
		}
	}
	t.Accounts = append(t.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: id})
}

// departing is the transfers of the depart that stand for a leg.
func (p *Payment) departing(i int) []holdfast.Transfer {
	l, given := &p.legs[i], p.Txn.Transfers[i]
	id := p.Txn.TransferID(i)
	hold := holdfast.Transfer{
		ID: id.Shadow(), Kind: holdfast.Hold, Debit: l.debit, Credit: l.credit, Amount: l.amount, Timeout: given.Timeout,
		Code: given.Code, Ref: given.Ref,
	}
	switch l.class {
	case asIs:
		return []holdfast.Transfer{given}
	case far:
		return nil
	case cross, vow:
		hold.Credit = p.transit(i)
		if plantedDepartTimeout() && l.class == cross {
			hold.Timeout = plantedTimeout
		}
	case claim, collect:
		if l.wrong {
			return []holdfast.Transfer{p.ending(i)}
		}
		if l.class == claim {
			hold.Credit = p.transit(i)
		} else if !p.Crosses() {
			hold.Kind = holdfast.Immediate
		}
		return []holdfast.Transfer{p.release(i), hold}
	case let:
		return []holdfast.Transfer{p.ending(i)}
	}
	return []holdfast.Transfer{hold}
}

// release voids the hold that a post refers to, to make room for what comes in its place.
func (p *Payment) release(i int) holdfast.Transfer {
	t := p.ending(i)
	t.ID, t.Kind, t.Amount, t.Code, t.Ref = own("release", p.Txn.TransferID(i)), holdfast.Void, 0, 0, holdfast.Ref{}
	return t
}

// ending is a caller's post or void in the terms of home: the hold has another id than the caller knows, and its
// payee there is the in-transit account. What the caller got wrong stays wrong, for the ledger to refuse.
func (p *Payment) ending(i int) holdfast.Transfer {
	t, l := p.Txn.Transfers[i], &p.legs[i]
	t.Hold = l.hold
	if t.Credit == l.credit {
		t.Credit = holdfast.AccountID{}
	}
	return t
}

// Land is what away is asked for once the depart is done.
func (p *Payment) Land() holdfast.Txn {
	t := holdfast.Txn{ID: p.LandID()}
	for i := range p.legs {
		if !p.legs[i].class.landing() {
			continue
		}
		if p.legs[i].class != far {
			openTransit(&t, p.arrival(i))
		}
		t.Transfers = append(t.Transfers, p.landing(i))
	}
	p.join(&t, true)
	return t
}

// arrival is the account through which a leg comes in.
func (p *Payment) arrival(i int) holdfast.AccountID {
	return holdfast.InTransit(p.LandsAt(), p.Home, p.legs[i].credit.Asset)
}

// landing is the transfer of the land that stands for a leg.
func (p *Payment) landing(i int) holdfast.Transfer {
	l, given := &p.legs[i], &p.Txn.Transfers[i]
	t := holdfast.Transfer{
		Kind: holdfast.Immediate, Debit: l.debit, Credit: l.credit, Amount: l.amount, Code: given.Code, Ref: given.Ref,
	}
	if l.class != far {
		t.Debit = p.arrival(i)
	}
	if id := given.ID; !id.IsZero() && p.LandsAt() == p.Home {
		t.ID = own("land leg at home", id)
	} else if !id.IsZero() {
		t.ID = id.Shadow()
	}
	return t
}

// IsLand reports whether a transaction that stands under the id of the land is the land, or its [Payment.Refusal]. It is
// neither when the same caller's id was used for a payment from another shard.
func (p *Payment) IsLand(t *holdfast.Txn) bool {
	if plantedAnyLand() {
		return true
	}
	land := p.Land()
	return bytes.Equal(ledger.AppendTxn(nil, &land), ledger.AppendTxn(nil, t)) || p.isRefusal(t)
}

// Fate is what the away shard has decided about a land.
type Fate uint8

const (
	// Open is the zero value on purpose: nothing is known until the log of the away shard says so.
	Open Fate = iota
	// Landed: the land is done.
	Landed
	// Refused: the land was refused, and always will be.
	Refused
)

// FateOf reads the fate out of an answer to a land. Everything but done and refused leaves it open, also "not executed": an
// earlier proposal may have been.
func FateOf(land *holdfast.Outcome) Fate {
	switch {
	case land.Status == holdfast.Done:
		return Landed
	case land.Status == holdfast.Refused && plantedRefusedLanded():
		return Landed
	case land.Status == holdfast.Refused:
		return Refused
	case plantedUnknownRefused() && land.Status == holdfast.Unknown:
		return Refused
	}
	return Open
}

// Settle is what home is asked for when the fate is known; seq is the number of the message in the outbox. It panics on an
// open fate: there is nothing to ask for.
func (p *Payment) Settle(fate Fate, seq uint64) holdfast.Txn {
	kind := holdfast.Post
	switch fate {
	case Landed:
	case Refused:
		kind = holdfast.Void
	default:
		panic(fmt.Sprintf("transit: payment %s is to be settled, and its fate is open", p.Txn.ID))
	}
	t := holdfast.Txn{ID: p.SettleID(), Acks: []uint64{seq}}
	for i := range p.legs {
		if l := &p.legs[i]; l.class == local || l.class == cross || l.class.posts() {
			id := p.Txn.TransferID(i)
			t.Transfers = append(t.Transfers, holdfast.Transfer{ID: own("settle leg", id), Kind: kind, Hold: id.Shadow()})
		}
	}
	p.end(&t, fate)
	if plantedAckUnsettled() {
		t.Transfers = nil
	}
	if plantedMessageKept() {
		t.Acks = nil
	}
	return t
}

// SettleID is the id of the settle in the log of home.
func (p *Payment) SettleID() holdfast.ID { return own("settle", p.Txn.ID) }

// Voids reports that a settle says of its payment that it was refused.
func Voids(settle *holdfast.Txn) bool {
	return len(settle.Transfers) > 0 && settle.Transfers[0].Kind == holdfast.Void
}

// own makes an id of another, for one use: it is the same every time, and nobody else can have it.
func own(use string, id holdfast.ID) holdfast.ID {
	sum := sha256.Sum256(append([]byte("holdfast transit "+use+" of "), id[:]...))
	return holdfast.ID(sum[:16]).Own(id)
}
