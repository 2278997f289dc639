package transit

import (
	"slices"
	"strings"

	"holdfast"
)

// Original gives back what a caller sent, from what stands in the log of its home shard. A transaction that is as its caller
// sent it comes back as it is. The Payment crosses if that transaction is a depart.
func Original(t *holdfast.Txn) (Payment, error) {
	for i := range t.Messages {
		if t.Messages[i].Topic == Topic {
			return Read(t.Messages[i].Body)
		}
	}
	if !slices.ContainsFunc(t.Transfers, rewrittenLeg) {
		return Payment{Txn: t}, nil
	}
	return Payment{Txn: unrewritten(t)}, nil
}

// rewrittenLeg reports a leg that stands for one of a caller: his id is not in it, but its shadow.
func rewrittenLeg(l holdfast.Transfer) bool { return l.ID.IsShadow() || l.Hold.Reserved() }

// unrewritten is the caller's transaction behind one about holds that cross.
func unrewritten(t *holdfast.Txn) *holdfast.Txn {
	payees := map[holdfast.ID]holdfast.AccountID{}
	u := *t
	u.Transfers, u.Accounts, u.Records = slices.Clone(t.Transfers), nil, nil
	for _, r := range t.Records {
		id, ours := strings.CutPrefix(r.Key, HeldKey(holdfast.ID{})[:len(Topic)+len("/hold/")])
		if !ours {
			u.Records = append(u.Records, r)
			continue
		}
		hold, err := holdfast.ParseID(id)
		if held, broken := ReadHeld(r.Body); err == nil && broken == nil {
			payees[hold] = held.Payee
		}
	}
	for _, a := range t.Accounts {
		if _, _, ours := a.ID.InTransit(); !ours {
			u.Accounts = append(u.Accounts, a)
		}
	}
	for i := range u.Transfers {
		l := &u.Transfers[i]
		l.ID, l.Hold = l.ID.Unshadow(), l.Hold.Unshadow()
		if payee, known := payees[l.ID]; known {
			l.Credit = payee
		}
	}
	return &u
}

// HomeLeg tells which transfer of the caller leg n of what stands at home stands for; NoLeg: none.
func (p *Payment) HomeLeg(n holdfast.Leg) holdfast.Leg {
	if !p.Crosses() {
		return n
	}
	return p.callerLeg(n)
}

// AwayLeg tells which transfer of the caller leg n of the land stands for; NoLeg: none.
func (p *Payment) AwayLeg(n holdfast.Leg) holdfast.Leg { return p.landedLeg(n) }

// Shown is transfer i of the caller, with what a post leaves to its hold filled in.
func (p *Payment) Shown(i holdfast.Leg) holdfast.Transfer {
	t := p.Txn.Transfers[i]
	t.ID = p.Txn.TransferID(int(i))
	if int(i) < len(p.legs) && p.legs[i].class.posts() {
		l := &p.legs[i]
		t.Debit, t.Credit, t.Amount = l.debit, l.credit, l.amount
	}
	return t
}
