package ledger

import (
	"bytes"
	"fmt"

	"holdfast"
)

// applyGeneral applies a transaction of any form; raw is its encoding.
func (s *State) applyGeneral(t *holdfast.Txn, raw []byte, out *[]holdfast.Outcome) error {
	if code, field := CheckLogged(t); code != holdfast.CodeOK {
		*out = append(*out, holdfast.Outcome{ID: t.ID, Status: holdfast.NotExecuted, Code: code, Leg: holdfast.NoLeg, Field: field})
		return nil
	}
	tag := tagOf(t.ID.Hash())
	if trace, known, err := s.find(t.ID, tag); known || err != nil {
		return s.replay(t.ID, trace, raw, out, err)
	}
	if s.cur.own = OfMove(t); !s.cur.own {
		if barred, err := s.barred(t); barred || err != nil {
			*out = append(*out, moved(t.ID))
			return err
		}
	}
	if leg, err := s.takenLeg(t); leg != holdfast.NoLeg || err != nil {
		*out = append(*out, s.refuse(t.ID, holdfast.CodeTransferIDTaken, leg, ""))
		return err
	}
	code, leg, err := s.judge(t)
	if err != nil {
		return err
	}
	switch code {
	case holdfast.CodeOK:
		*out = append(*out, s.decide(t.ID, tag, code, holdfast.NoLeg, ownState(t)))
		s.commit(t)
	case holdfast.CodeRecordPending:
		*out = append(*out, s.putOff(t.ID, tag))
	case holdfast.CodeHoldNotDue:
		*out = append(*out, s.refuse(t.ID, code, leg, ""))
	default:
		*out = append(*out, s.decide(t.ID, tag, code, leg, NotHold))
		if plantedLegsNotAtomic() {
			s.commitMoney(t)
		}
	}
	return nil
}

// putOff answers a transaction that meets a record which waits for the end of a payment. A caller's is not executed, and may be asked for
// again in a moment. What belongs to a payment between shards itself does not wait, or two could wait for each other for ever.
func (s *State) putOff(id holdfast.ID, tag uint32) holdfast.Outcome {
	if id.Reserved() {
		return s.decide(id, tag, holdfast.CodeRecordVersionMismatch, holdfast.NoLeg, NotHold)
	}
	return holdfast.Outcome{ID: id, Status: holdfast.NotExecuted, Code: holdfast.CodeRecordPending, Leg: holdfast.NoLeg}
}

// takenLeg is the first leg whose own id was used before; NoLeg: none.
func (s *State) takenLeg(t *holdfast.Txn) (holdfast.Leg, error) {
	for i := range t.Transfers {
		id := t.Transfers[i].ID
		if id.IsZero() {
			continue
		}
		if _, known, err := s.find(id, tagOf(id.Hash())); known || err != nil {
			return holdfast.Leg(i), err
		}
	}
	return holdfast.NoLeg, nil
}

// ownState is the state under the transaction's own id: it is that of a hold when its only leg is one without its own id.
func ownState(t *holdfast.Txn) HoldState {
	if len(t.Transfers) == 1 && t.Transfers[0].ID.IsZero() {
		return firstState(&t.Transfers[0])
	}
	return NotHold
}

func firstState(leg *holdfast.Transfer) HoldState {
	if leg.Kind == holdfast.Hold {
		return HoldOpen
	}
	return NotHold
}

// commit does what judge has planned. From here it must succeed: nothing below returns an error, and what it finds to be
// different from the plan is a panic.
func (s *State) commit(t *holdfast.Txn) {
	s.commitMoney(t)
	s.commitRecords(t)
	for i := range t.Messages {
		s.commitMessage(t.ID, &t.Messages[i])
	}
	for _, seq := range t.Acks {
		s.commitAck(seq)
	}
	s.txns++
	s.mustMatch()
}

func (s *State) commitChange(c *plannedChange) {
	d := &s.judgement.accounts[c.account]
	if c.op == holdfast.OpenAccount {
		opened := account{owner: d.owner, purpose: d.purpose, asset: d.asset, limit: d.limit}
		d.ordinal = s.accounts.add(opened, d.rest)
		s.totals.of(d.asset).Accounts++
		s.digest.id(holdfast.ID(d.rest.ref), uint64(d.rest.code))
	}
	a := s.accounts.hot.at(d.ordinal)
	a.flags = changed(a.flags, c.op)
	s.write(d.ordinal, a, RowChange, holdfast.NoLeg)
}

// commitMoney does all account changes and legs that were judged.
func (s *State) commitMoney(t *holdfast.Txn) {
	for i := range s.judgement.changes {
		s.commitChange(&s.judgement.changes[i])
	}
	for i := range s.judgement.legs {
		s.commitLeg(t, i)
	}
}

func (s *State) commitLeg(t *holdfast.Txn, i int) {
	leg, p := &t.Transfers[i], &s.judgement.legs[i]
	debitNo, creditNo := s.judgement.accounts[p.debit].ordinal, s.judgement.accounts[p.credit].ordinal
	debit, credit := s.accounts.hot.at(debitNo), s.accounts.hot.at(creditNo)
	p.apply(debit, credit)
	s.write(debitNo, debit, RowDebit, holdfast.Leg(i))
	s.write(creditNo, credit, RowCredit, holdfast.Leg(i))
	s.moved(debit.asset, &p.movement)
	if id := leg.ID; !id.IsZero() {
		s.open.addID(id, tagOf(id.Hash()), Trace{Position: s.position(), Leg: holdfast.Leg(i), Hold: firstState(leg)})
		s.digest.id(id, uint64(leg.Kind))
	}
	if !leg.Ref.IsZero() {
		s.open.addRef(RefRow{Ref: leg.Ref, ID: t.TransferID(i), Position: s.position(), Leg: holdfast.Leg(i)})
	}
	switch {
	case p.state == HoldOpen:
		s.openHold(t, i, debitNo, creditNo)
	case p.held >= 0:
		s.closeHold(leg.Hold, p)
	}
}

func (s *State) openHold(t *holdfast.Txn, i int, debit, credit uint32) {
	leg := &t.Transfers[i]
	d := &s.judgement.holds[s.judgement.legs[i].held]
	h := hold{
		id: t.TransferID(i), ref: leg.Ref, index: s.cur.index, ord: s.cur.ord, leg: holdfast.Leg(i), time: s.cur.time,
		due: d.due, amount: leg.Amount, code: leg.Code, debit: debit, credit: credit,
	}
	if leg.ID.IsZero() {
		h.leg = holdfast.NoLeg
	}
	d.n = s.holds.open(&s.accounts, h)
	s.open.Opened = append(s.open.Opened, s.exportHold(&h))
	s.digest.id(h.id, uint64(h.amount))
	s.digest.words(uint64(h.due), uint64(h.code))
}

// closeHold takes the hold away and rewrites the row of its id, so that later legs learn how it ended.
func (s *State) closeHold(id holdfast.ID, p *plannedLeg) {
	n := s.judgement.holds[p.held].n
	h := s.holds.list.at(n)
	if h.id != id || h.amount != -p.pending {
		panic(fmt.Sprintf("ledger: entry %d closes hold %s of %d, but number %d is hold %s of %d",
			s.cur.index, id, -p.pending, n, h.id, h.amount))
	}
	s.open.rewriteID(id, Trace{Position: holdfast.Position{Index: h.index, Ord: h.ord}, Leg: h.leg, Hold: p.state})
	s.open.Closed = append(s.open.Closed, id)
	s.digest.id(id, uint64(p.state))
	s.holds.remove(&s.accounts, n)
}

func (s *State) commitMessage(txn holdfast.ID, m *holdfast.Message) {
	q := holdfast.Queued{Seq: s.outbox.next, Txn: txn, Time: s.cur.time, Message: *m}
	q.Body = bytes.Clone(m.Body)
	s.outbox.next++
	s.outbox.add(q)
	s.open.Queued = append(s.open.Queued, q)
	s.digest.words(q.Seq, uint64(q.To))
	text(&s.digest, q.Topic)
	text(&s.digest, q.Body)
}

func (s *State) commitAck(seq uint64) {
	if !s.outbox.has(seq) {
		return
	}
	s.outbox.remove(seq)
	s.open.Acked = append(s.open.Acked, seq)
	s.digest.words(seq, 0)
}

// mustMatch compares every account with what judge expected it to become.
func (s *State) mustMatch() {
	for i := range s.judgement.accounts {
		d := &s.judgement.accounts[i]
		if !d.exists {
			continue
		}
		a := s.accounts.hot.at(d.ordinal)
		same := a.debitsPosted == d.debitsPosted && a.creditsPosted == d.creditsPosted &&
			a.debitsPending == d.debitsPending && a.creditsPending == d.creditsPending && a.flags == d.flags
		if !same {
			panic(fmt.Sprintf("ledger: entry %d, transaction %d: account %s became %+v, judged to become %+v",
				s.cur.index, s.cur.ord, a.id(), *a, d.account))
		}
		a.mustHold(s.cur.index)
	}
}
