package ledger

import (
	"fmt"

	"holdfast"
)

// The general path, first half: a transaction is judged on copies of what it would change, so that a leg sees what the
// legs before it did and nothing has to be undone when a later one is refused. commit.go is the second half.

// judgement is that scratch, and the plan of what to do when nothing stands against it. It is reused.
type judgement struct {
	accounts []draft
	byID     finder[holdfast.AccountID]
	holds    []heldDraft
	byHold   finder[holdfast.ID]
	changes  []plannedChange
	legs     []plannedLeg
	records  []plannedRecord
}

// draft is an account as the transaction would leave it so far.
type draft struct {
	account
	rest    accountRest
	ordinal uint32
	exists  bool
}

// heldDraft is a hold as the transaction would leave it so far.
type heldDraft struct {
	state  HoldState
	amount holdfast.Amount
	due    holdfast.Time
	debit  int // drafts
	credit int
	n      uint32 // number of the open hold; set for a new one when it is made
}

// plannedChange is an account change that changes something.
type plannedChange struct {
	account int // draft
	op      holdfast.AccountOp
}

// plannedLeg is a transfer with everything it refers to.
type plannedLeg struct {
	movement
	debit  int // drafts
	credit int
	held   int       // draft; -1: no hold is opened or closed
	state  HoldState // that the hold gets
}

func (j *judgement) reset() {
	j.accounts, j.holds = j.accounts[:0], j.holds[:0]
	j.changes, j.legs, j.records = j.changes[:0], j.legs[:0], j.records[:0]
	j.byID.reset()
	j.byHold.reset()
}

// finder finds the place of a key among the keys added: by looking at each while they are few.
type finder[K comparable] struct {
	keys []K
	at   map[K]int
}

func (f *finder[K]) reset() { f.keys, f.at = f.keys[:0], nil }

func (f *finder[K]) find(key K) int {
	if f.at != nil {
		if i, ok := f.at[key]; ok {
			return i
		}
		return -1
	}
	for i := range f.keys {
		if f.keys[i] == key {
			return i
		}
	}
	return -1
}

func (f *finder[K]) add(key K) int {
	f.keys = append(f.keys, key)
	if f.at == nil && len(f.keys) > few {
		f.at = make(map[K]int, 4*few)
		for i, k := range f.keys {
			f.at[k] = i
		}
	} else if f.at != nil {
		f.at[key] = len(f.keys) - 1
	}
	return len(f.keys) - 1
}

// draft returns the place of an account's draft, made from the account when the transaction has not met it yet.
func (s *State) draft(id holdfast.AccountID) int {
	j := &s.judgement
	if i := j.byID.find(id); i >= 0 {
		return i
	}
	d := draft{account: account{owner: id.Owner, purpose: id.Purpose, asset: id.Asset}}
	if d.ordinal, d.exists = s.accounts.find(&id, id.Hash()); d.exists {
		d.account = *s.accounts.hot.at(d.ordinal)
		d.rest = *s.accounts.rest.at(d.ordinal)
	}
	j.accounts = append(j.accounts, d)
	return j.byID.add(id)
}

// existing returns the draft itself; nil when there is no such account.
func (j *judgement) existing(i int) *account {
	if d := &j.accounts[i]; d.exists {
		return &d.account
	}
	return nil
}

// judge says what stands against a well-formed transaction whose ids are new, and fills in the plan.
func (s *State) judge(t *holdfast.Txn) (code holdfast.Code, leg holdfast.Leg, err error) {
	s.judgement.reset()
	if code, err = s.judgeRecords(t); code != holdfast.CodeOK || err != nil {
		return code, holdfast.NoLeg, err
	}
	for i := range t.Accounts {
		if code = s.judgeChange(&t.Accounts[i]); code != holdfast.CodeOK {
			return code, holdfast.NoLeg, nil
		}
	}
	for i := range t.Transfers {
		if code, err = s.judgeLeg(t, i); code != holdfast.CodeOK || err != nil {
			return code, holdfast.Leg(i), err
		}
	}
	return holdfast.CodeOK, holdfast.NoLeg, nil
}

func (s *State) judgeChange(c *holdfast.AccountChange) holdfast.Code {
	j := &s.judgement
	i := s.draft(c.ID)
	d := &j.accounts[i]
	if c.Op == holdfast.OpenAccount {
		return s.judgeOpen(c, i)
	}
	before := d.flags
	switch {
	case !d.exists:
		return holdfast.CodeAccountMissing
	case d.flags&holdfast.Closed != 0:
		return holdfast.CodeAccountClosed
	case c.Op == holdfast.CloseAccount && !d.empty():
		return holdfast.CodeAccountNotEmpty
	}
	d.flags = changed(d.flags, c.Op)
	if d.flags != before {
		j.changes = append(j.changes, plannedChange{i, c.Op})
	}
	return holdfast.CodeOK
}

func changed(f holdfast.Flags, op holdfast.AccountOp) holdfast.Flags {
	switch op {
	case holdfast.FreezeAccount:
		return f | holdfast.Frozen
	case holdfast.ThawAccount:
		return f &^ holdfast.Frozen
	case holdfast.CloseAccount:
		return f | holdfast.Closed
	}
	return f
}

func (s *State) judgeOpen(c *holdfast.AccountChange, i int) holdfast.Code {
	j := &s.judgement
	d := &j.accounts[i]
	switch {
	case d.exists && (d.limit != c.Limit || d.rest.code != c.Code || d.rest.ref != c.Ref):
		return holdfast.CodeAccountExists
	case d.exists && d.flags&holdfast.Closed != 0:
		return holdfast.CodeAccountClosed
	case d.exists:
		return holdfast.CodeOK
	}
	d.exists, d.limit = true, c.Limit
	d.rest = accountRest{ref: c.Ref, opened: s.cur.time, code: c.Code}
	j.changes = append(j.changes, plannedChange{i, c.Op})
	return holdfast.CodeOK
}

func (s *State) judgeLeg(t *holdfast.Txn, i int) (holdfast.Code, error) {
	leg := &t.Transfers[i]
	switch leg.Kind {
	case holdfast.Immediate, holdfast.Hold:
		return s.judgeFirst(t, i), nil
	}
	held, code, err := s.findHeld(t, i)
	if code != holdfast.CodeOK || err != nil {
		return code, err
	}
	j := &s.judgement
	h := &j.holds[held]
	if code := j.judgeClosing(leg, h, s.cur.time); code != holdfast.CodeOK {
		return code, nil
	}
	p := plannedLeg{movement: movement{pending: -h.amount}, debit: h.debit, credit: h.credit, held: held, state: s.closing(leg.Kind)}
	if leg.Kind == holdfast.Post {
		p.posted = leg.Amount
		if leg.Amount == 0 {
			p.posted = h.amount
		}
	}
	h.state = p.state
	j.plan(p)
	return holdfast.CodeOK, nil
}

// judgeFirst judges a leg that does not refer to a hold.
func (s *State) judgeFirst(t *holdfast.Txn, i int) holdfast.Code {
	j := &s.judgement
	leg := &t.Transfers[i]
	p := plannedLeg{debit: s.draft(leg.Debit), credit: s.draft(leg.Credit), held: -1}
	barring := holdfast.Closed | holdfast.Frozen
	if s.cur.own {
		barring = holdfast.Closed
	}
	if code := admit(j.existing(p.debit), j.existing(p.credit), leg.Amount, barring); code != holdfast.CodeOK {
		return code
	}
	if leg.Kind == holdfast.Immediate {
		p.posted = leg.Amount
		j.plan(p)
		return holdfast.CodeOK
	}
	p.pending, p.state = leg.Amount, HoldOpen
	p.held = j.byHold.add(t.TransferID(i))
	var due holdfast.Time
	if leg.Timeout != 0 {
		due = s.cur.time + holdfast.Time(leg.Timeout)
	}
	j.holds = append(j.holds, heldDraft{state: HoldOpen, amount: leg.Amount, due: due, debit: p.debit, credit: p.credit})
	j.plan(p)
	return holdfast.CodeOK
}

// plan notes a leg and lets the legs after it see what it does.
func (j *judgement) plan(p plannedLeg) {
	p.apply(&j.accounts[p.debit].account, &j.accounts[p.credit].account)
	j.legs = append(j.legs, p)
}

// judgeClosing judges a post, void or expire of an existing hold.
func (j *judgement) judgeClosing(leg *holdfast.Transfer, h *heldDraft, now holdfast.Time) holdfast.Code {
	none := holdfast.AccountID{}
	debit, credit := j.accounts[h.debit].id(), j.accounts[h.credit].id()
	switch {
	case h.state != HoldOpen:
		return closedCode(h.state)
	case leg.Debit != none && leg.Debit != debit || leg.Credit != none && leg.Credit != credit:
		return holdfast.CodeHoldMismatch
	case leg.Amount > h.amount && !plantedOverPost():
		return holdfast.CodeHoldExceeded
	case leg.Kind == holdfast.Expire && (h.due == 0 || now < h.due) && !plantedExpireEarly():
		return holdfast.CodeHoldNotDue
	}
	return holdfast.CodeOK
}

// closing is the state of a hold that is ended. What moves a slot ends no hold for good.
func (s *State) closing(kind holdfast.Kind) HoldState {
	switch {
	case kind == holdfast.Post:
		return HoldPosted
	case kind == holdfast.Void && s.cur.own:
		return HoldMoved
	case kind == holdfast.Void:
		return HoldVoided
	}
	return HoldExpired
}

func closedCode(state HoldState) holdfast.Code {
	switch state {
	case HoldPosted:
		return holdfast.CodeHoldPosted
	case HoldVoided, HoldMoved: // of one that has moved nobody hears but what moves it again
		return holdfast.CodeHoldVoided
	case HoldExpired:
		return holdfast.CodeHoldExpired
	}
	return holdfast.CodeNotAHold
}

// findHeld returns the draft of the hold that a leg refers to.
func (s *State) findHeld(t *holdfast.Txn, i int) (held int, code holdfast.Code, err error) {
	j := &s.judgement
	id := t.Transfers[i].Hold
	if held = j.byHold.find(id); held >= 0 {
		return held, holdfast.CodeOK, nil
	}
	n, ok := s.holds.find(id)
	if !ok {
		code, err = s.noHold(t, i)
		return -1, code, err
	}
	h := s.holds.list.at(n)
	j.holds = append(j.holds, heldDraft{
		state: HoldOpen, amount: h.amount, due: h.due, n: n,
		debit: s.draft(s.accounts.hot.at(h.debit).id()), credit: s.draft(s.accounts.hot.at(h.credit).id()),
	})
	return j.byHold.add(id), holdfast.CodeOK, nil
}

// noHold tells what the id is, since it is not that of an open hold.
func (s *State) noHold(t *holdfast.Txn, i int) (holdfast.Code, error) {
	id := t.Transfers[i].Hold
	for k := range i {
		if t.TransferID(k) == id {
			return holdfast.CodeNotAHold, nil
		}
	}
	trace, known, err := s.find(id, tagOf(id.Hash()))
	switch {
	case err != nil:
		return 0, err
	case !known || trace.Code != holdfast.CodeOK:
		return holdfast.CodeHoldMissing, nil
	case trace.Hold == HoldOpen:
		panic(fmt.Sprintf("ledger: entry %d: hold %s of entry %d is open by its id and not among the %d open holds",
			s.cur.index, id, trace.Index, len(s.holds.byID)))
	}
	return closedCode(trace.Hold), nil
}
