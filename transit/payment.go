package transit

import (
	"bytes"
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

	legs []leg
}

// leg is what becomes of one transfer of the caller.
type leg struct {
	class  class
	debit  holdfast.AccountID
	credit holdfast.AccountID
	amount holdfast.Amount
	away   holdfast.ShardID // of the payee, for those that cross
	wrong  bool             // a post that the home shard refuses, whatever else: depart as it is
}

// class says what is done with a transfer. The numbers are in messages: append, never renumber.
type class uint8

const (
	asIs  class = iota // proposed to home unchanged
	local              // within home: held by depart, posted or voided by settle
	cross              // from home to away
	far                // within away: part of the land
	claim              // posts a hold whose payee is away: depart replaces the hold
	vow                // a hold whose payee is away, for later
	let                // voids such a hold
)

// Crosses reports whether the payment needs more than the one transaction at home.
func (p *Payment) Crosses() bool { return p.Away != 0 }

// Plain reports whether the caller's own transaction is what home is asked for, and its outcome the answer.
func (p *Payment) Plain() bool { return !p.rewritten() }

// LandID is the id of the land in the log of the away shard.
func (p *Payment) LandID() holdfast.ID { return p.Txn.ID.Shadow() }

// Depart is what home is asked for: the caller's own transaction where it can be, or what stands for it.
func (p *Payment) Depart() holdfast.Txn {
	if !p.rewritten() {
		return *p.Txn
	}
	t := holdfast.Txn{
		ID: p.Txn.ID, Preconditions: p.Txn.Preconditions, Accounts: append([]holdfast.AccountChange(nil), p.Txn.Accounts...),
		Records: append([]holdfast.RecordChange(nil), p.Txn.Records...), Messages: p.Txn.Messages, Acks: p.Txn.Acks,
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
	case claim:
		if l.wrong {
			return []holdfast.Transfer{p.ending(i)}
		}
		hold.Credit = p.transit(i)
		release := p.ending(i)
		release.ID, release.Kind, release.Amount, release.Code, release.Ref = own("release", id), holdfast.Void, 0, 0, holdfast.Ref{}
		return []holdfast.Transfer{release, hold}
	case let:
		return []holdfast.Transfer{p.ending(i)}
	}
	return []holdfast.Transfer{hold}
}

// ending is a caller's post or void in the terms of home: the hold has the shadow of the id that the caller knows, and its
// payee there is the in-transit account. What the caller got wrong stays wrong, for the ledger to refuse.
func (p *Payment) ending(i int) holdfast.Transfer {
	t, l := p.Txn.Transfers[i], &p.legs[i]
	t.Hold = t.Hold.Shadow()
	if t.Credit == l.credit {
		t.Credit = holdfast.AccountID{}
	}
	return t
}

// Land is what away is asked for once the depart is done.
func (p *Payment) Land() holdfast.Txn {
	t := holdfast.Txn{ID: p.LandID()}
	for i := range p.legs {
		l, given := &p.legs[i], &p.Txn.Transfers[i]
		to := holdfast.Transfer{
			Kind: holdfast.Immediate, Debit: l.debit, Credit: l.credit, Amount: l.amount, Code: given.Code, Ref: given.Ref,
		}
		if !given.ID.IsZero() {
			to.ID = given.ID.Shadow()
		}
		switch l.class {
		case cross, claim:
			to.Debit = holdfast.InTransit(p.Away, p.Home, l.credit.Asset)
			openTransit(&t, to.Debit)
		case far:
		default:
			continue
		}
		t.Transfers = append(t.Transfers, to)
	}
	return t
}

// isLand reports whether a transaction that stands under the id of the land is the land. It is not when the same caller's id
// was used for a payment from another shard.
func (p *Payment) isLand(t *holdfast.Txn) bool {
	if plantedAnyLand() {
		return true
	}
	land := p.Land()
	return bytes.Equal(ledger.AppendTxn(nil, &land), ledger.AppendTxn(nil, t))
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
	t := holdfast.Txn{ID: own("settle", p.Txn.ID), Acks: []uint64{seq}}
	for i := range p.legs {
		if l := &p.legs[i]; l.class == local || l.class == cross || l.class == claim {
			id := p.Txn.TransferID(i)
			t.Transfers = append(t.Transfers, holdfast.Transfer{ID: own("settle leg", id), Kind: kind, Hold: id.Shadow()})
		}
	}
	if plantedAckUnsettled() {
		t.Transfers = nil
	}
	if plantedMessageKept() {
		t.Acks = nil
	}
	return t
}

// own makes an id of another, for one use: it is the same every time, and nobody else can have it.
func own(use string, id holdfast.ID) holdfast.ID {
	sum := sha256.Sum256(append([]byte("holdfast transit "+use+" of "), id[:]...))
	return holdfast.ID(sum[:16]).Own(id)
}
