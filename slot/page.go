package slot

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"

	"holdfast"
	"holdfast/ledger"
)

// Bounds of one transaction of a move.
const (
	maxAccounts = 512  // that differ, in one page, unless the configuration says otherwise
	maxLegs     = 2000 // balances and holds
	allHolds    = math.MaxInt
)

// page is one transaction in the making.
type page struct {
	txn    holdfast.Txn
	opened map[holdfast.AccountID]bool
	noted  map[string]bool // keys of records of holds that it writes
	now    holdfast.Time   // in the log of the shard where the slot is
	limit  int             // how many accounts and records it may change
	n      int             // accounts and records of owners that it changes
	papers int             // those records
	left   bool            // there is more than fits, or that needs a page of its own
}

// open opens an account of the shard itself, once.
func (p *page) open(id holdfast.AccountID) {
	if p.opened[id] {
		return
	}
	if p.opened == nil {
		p.opened = map[holdfast.AccountID]bool{}
	}
	p.opened[id] = true
	p.txn.Accounts = append(p.txn.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: id})
}

func (p *page) full() bool { return p.n >= p.limit || len(p.txn.Transfers) >= maxLegs }

// empty reports that nothing would change but records about the move.
func (p *page) empty() bool { return len(p.txn.Accounts)+len(p.txn.Transfers)+p.papers == 0 }

// balance moves what makes a balance right, between the account and that through which balances come and go at shard at.
func (p *page) balance(id holdfast.AccountID, have, want holdfast.Amount, at, other holdfast.ShardID) {
	moving := holdfast.Moving(at, other, id.Asset)
	leg := holdfast.Transfer{Kind: holdfast.Immediate, Debit: moving, Credit: id, Amount: want - have}
	switch {
	case have == want:
		return
	case have > want:
		leg.Debit, leg.Credit, leg.Amount = id, moving, have-want
	}
	p.open(moving)
	p.txn.Transfers = append(p.txn.Transfers, leg)
}

// take makes an account in shard at what it is in shard from: it and its balance while the slot is still served there, and all
// the rest when it is not any more.
func (p *page) take(x *pair, at, from holdfast.ShardID, shut bool) {
	before := len(p.txn.Accounts) + len(p.txn.Transfers)
	a := &x.from
	if !x.there || x.to.Limit != a.Limit || x.to.Code != a.Code || x.to.Ref != a.Ref {
		c := holdfast.AccountChange{Op: holdfast.OpenAccount, ID: a.ID, Limit: a.Limit, Code: a.Code, Ref: a.Ref}
		p.txn.Accounts = append(p.txn.Accounts, c) // it is refused if it is there with another limit, and the move with it
	}
	p.balance(a.ID, x.to.Balance(), a.Balance(), at, from)
	if shut {
		p.flags(x)
	}
	if len(p.txn.Accounts)+len(p.txn.Transfers) > before {
		p.n++
	}
}

func (p *page) flags(x *pair) {
	from, to := x.from.Flags, x.to.Flags
	op := holdfast.AccountOp(0)
	switch {
	case from&holdfast.Closed != 0 && to&holdfast.Closed == 0:
		if p.left = p.left || x.to.Balance() != x.from.Balance(); x.to.Balance() != x.from.Balance() {
			return // accounts come before transfers: it is empty in the next page
		}
		op = holdfast.CloseAccount
	case to&holdfast.Closed != 0:
		return
	case from&holdfast.Frozen != 0 && to&holdfast.Frozen == 0:
		op = holdfast.FreezeAccount
	case from&holdfast.Frozen == 0 && to&holdfast.Frozen != 0:
		op = holdfast.ThawAccount
	default:
		return
	}
	p.txn.Accounts = append(p.txn.Accounts, holdfast.AccountChange{Op: op, ID: x.from.ID})
}

// holding makes a hold anew, in the form that crosses, at the shard where its payer is now.
func (p *page) holding(move holdfast.ID, h *ledger.OpenHold, o *owed, through holdfast.ShardID) {
	o.As = moved(move, h.ID)
	t := holdfast.Transfer{
		ID: o.As, Kind: holdfast.Hold, Debit: o.Debit, Credit: holdfast.InTransit(o.Home, through, o.Debit.Asset),
		Amount: o.Amount, Code: h.Code, Ref: h.Ref,
	}
	if h.Due != 0 {
		t.Timeout = time.Duration(min(max(1, h.Due-p.now), holdfast.Time(holdfast.MaxHoldTimeout)))
	}
	p.open(t.Credit)
	p.txn.Transfers = append(p.txn.Transfers, t)
	p.names(o)
	p.txn.Records = append(p.txn.Records, holdfast.RecordChange{Key: NameKey(o.As), Expect: holdfast.AnyVersion, Body: o.hold[:]})
}

// names writes the record that says where a hold is and whose it is, if it is still that of this hold, or free.
func (p *page) names(o *owed) {
	if p.noted == nil {
		p.noted = map[string]bool{}
	}
	p.noted[o.key] = true
	c := holdfast.RecordChange{Key: o.key, Expect: o.version, Body: o.Body()}
	if plantedPageAgain() {
		c.Expect = holdfast.AnyVersion
	}
	p.txn.Records = append(p.txn.Records, c)
}

func (p *page) void(hold holdfast.ID) {
	p.txn.Transfers = append(p.txn.Transfers, holdfast.Transfer{Kind: holdfast.Void, Hold: hold})
}

// signed gives the transaction its ids, made of all that is in it: the same content is the same transaction, whoever makes it.
func signed(move holdfast.ID, to holdfast.ShardID, t holdfast.Txn) holdfast.Txn {
	b := append([]byte("holdfast slot "), move[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(to))
	sum := sha256.Sum256(ledger.AppendTxn(b, &t))
	t.ID = holdfast.ID(sum[:16]).Own(move)
	for i := range t.Transfers {
		if !t.Transfers[i].ID.IsZero() {
			continue
		}
		leg := sha256.Sum256(binary.BigEndian.AppendUint32(sum[:], uint32(i)))
		t.Transfers[i].ID = holdfast.ID(leg[:16]).Own(move)
	}
	return t
}
