package ledger

import (
	"maps"
	"slices"
	"strings"

	"holdfast"
)

// model is the ledger as one would write it in an hour: maps, copied as a whole before every transaction and put back when
// it is refused. It is slow and has nothing in common with State but the types and what is malformed.
type model struct {
	money
	used map[holdfast.ID]use
}

type money struct {
	accounts map[holdfast.AccountID]holdfast.Account
	holds    map[holdfast.ID]modelHold
	records  map[string]holdfast.Record
	outbox   map[uint64]holdfast.Queued
	next     uint64
	gates    Gates
	own      bool // the transaction passes what is frozen
}

type modelHold struct {
	OpenHold
	state HoldState
}

type use struct {
	txn     holdfast.Txn
	outcome holdfast.Outcome
	leg     bool
}

func newModel() *model {
	return &model{used: map[holdfast.ID]use{}, money: money{
		accounts: map[holdfast.AccountID]holdfast.Account{}, holds: map[holdfast.ID]modelHold{},
		records: map[string]holdfast.Record{}, outbox: map[uint64]holdfast.Queued{}, next: 1,
	}}
}

func (m money) clone() money {
	m.accounts, m.holds = maps.Clone(m.accounts), maps.Clone(m.holds)
	m.records, m.outbox = maps.Clone(m.records), maps.Clone(m.outbox)
	return m
}

func (m *model) apply(t *holdfast.Txn, now holdfast.Time, at holdfast.Position) holdfast.Outcome {
	o := holdfast.Outcome{ID: t.ID, Status: holdfast.Refused, Leg: holdfast.NoLeg, Time: now, Position: at}
	if code, field := CheckLogged(t); code != 0 {
		return holdfast.Outcome{ID: t.ID, Status: holdfast.NotExecuted, Code: code, Leg: holdfast.NoLeg, Field: field}
	}
	if u, ok := m.used[t.ID]; ok {
		return m.again(u, t, o)
	}
	m.own = slices.ContainsFunc(t.Records, func(r holdfast.RecordChange) bool {
		return r.Key == "holdfast/slots" || strings.HasPrefix(r.Key, "holdfast/slots/")
	})
	if !m.own && m.elsewhere(t) {
		return holdfast.Outcome{ID: t.ID, Status: holdfast.NotExecuted, Code: holdfast.CodeMoved, Leg: holdfast.NoLeg}
	}
	for i := range t.Transfers {
		if _, ok := m.used[t.Transfers[i].ID]; ok {
			o.Code, o.Leg = holdfast.CodeTransferIDTaken, holdfast.Leg(i)
			return o
		}
	}
	before := m.clone()
	if o.Code, o.Leg = m.try(t, now, at); o.Code != 0 {
		m.money = before
		if o.Code == holdfast.CodeRecordPending {
			if !t.ID.Reserved() {
				return holdfast.Outcome{ID: t.ID, Status: holdfast.NotExecuted, Code: o.Code, Leg: holdfast.NoLeg}
			}
			o.Code = holdfast.CodeRecordVersionMismatch
		}
		if o.Code != holdfast.CodeHoldNotDue {
			m.used[t.ID] = use{txn: *t, outcome: o}
		}
		return o
	}
	o.Status = holdfast.Done
	m.used[t.ID] = use{txn: *t, outcome: o}
	if _, ok := m.holds[t.ID]; !ok {
		m.holds[t.ID] = modelHold{} // known, and not a hold
	}
	for i := range t.Transfers {
		if id := t.Transfers[i].ID; !id.IsZero() {
			m.used[id] = use{leg: true}
		}
	}
	return o
}

// elsewhere: an account in it, or of a hold that it ends, is of a slot that the shard does not serve.
func (m *model) elsewhere(t *holdfast.Txn) bool {
	var touched []holdfast.AccountID
	for _, c := range t.Accounts {
		touched = append(touched, c.ID)
	}
	for _, leg := range t.Transfers {
		switch h := m.holds[leg.Hold]; h.state {
		case HoldOpen:
			touched = append(touched, h.Debit, h.Credit, leg.Debit, leg.Credit)
		case NotHold:
			touched = append(touched, leg.Debit, leg.Credit)
		case HoldMoved:
			return true
		}
	}
	keys := []string{}
	for _, p := range t.Preconditions {
		keys = append(keys, p.Key)
	}
	for _, r := range t.Records {
		keys = append(keys, r.Key)
	}
	for _, key := range keys {
		if digits, ours := strings.CutPrefix(key, "o/"); ours {
			owner, err := holdfast.ParseOwner(digits[:16])
			if err != nil {
				panic(err)
			}
			touched = append(touched, holdfast.AccountID{Owner: owner})
		}
	}
	for _, id := range touched {
		if id.Owner == 0 || id.OfShard() {
			continue
		}
		switch m.gates.Of(id.Owner.Slot()) {
		case GateShut, GateGone, GateArriving:
			return true
		case GateEbbing:
			if len(t.Messages) > 0 {
				return true
			}
		}
	}
	return false
}

func (m *model) again(u use, t *holdfast.Txn, o holdfast.Outcome) holdfast.Outcome {
	if u.leg {
		o.Code, o.Field = holdfast.CodeIDTaken, "id"
		return o
	}
	if o.Field = firstDifference(&u.txn, t); o.Field != "" {
		o.Code = holdfast.CodeIDTaken
		return o
	}
	o = u.outcome
	o.Replay = true
	return o
}

func (m *money) try(t *holdfast.Txn, now holdfast.Time, at holdfast.Position) (holdfast.Code, holdfast.Leg) {
	var codes []holdfast.Code
	for _, p := range t.Preconditions {
		if m.records[p.Key].Pending != nil {
			return holdfast.CodeRecordPending, holdfast.NoLeg
		}
		codes = append(codes, m.version(p.Key, p.Version))
	}
	for _, r := range t.Records {
		ends := r.Op == holdfast.RecordKeep || r.Op == holdfast.RecordTakeBack
		switch pending := m.records[r.Key].Pending; {
		case pending != nil && (!ends || r.Payment != pending.Payment):
			return holdfast.CodeRecordPending, holdfast.NoLeg
		case pending == nil && ends:
			codes = append(codes, holdfast.CodeRecordVersionMismatch)
		}
		codes = append(codes, m.version(r.Key, r.Expect))
	}
	slices.Sort(codes)
	for _, code := range codes {
		if code != 0 {
			return code, holdfast.NoLeg
		}
	}
	for _, c := range t.Accounts {
		if code := m.change(c, now); code != 0 {
			return code, holdfast.NoLeg
		}
	}
	for i := range t.Transfers {
		if code := m.transfer(t, i, now, at); code != 0 {
			return code, holdfast.Leg(i)
		}
	}
	m.documents(t, now)
	return 0, holdfast.NoLeg
}

func (m *money) version(key string, want uint64) holdfast.Code {
	r, ok := m.records[key]
	switch {
	case want == holdfast.AnyVersion || ok && want == r.Version || !ok && want == 0:
		return 0
	case want == 0:
		return holdfast.CodeRecordExists
	case !ok:
		return holdfast.CodeRecordMissing
	}
	return holdfast.CodeRecordVersionMismatch
}

// ended is about a change that ends what a payment has left pending.
func (m *money) ended(c holdfast.RecordChange, old holdfast.Record, now holdfast.Time) bool {
	switch {
	case c.Op == holdfast.RecordKeep:
		old.Pending = nil
	case c.Op != holdfast.RecordTakeBack:
		return false
	case old.Pending.Before == nil:
		delete(m.records, c.Key)
		return true
	default:
		before := old.Pending.Before
		old = holdfast.Record{Key: c.Key, Version: old.Version + 1, Index: before.Index, Body: before.Body, Changed: now}
	}
	m.records[c.Key] = old
	return true
}

func (m *money) documents(t *holdfast.Txn, now holdfast.Time) {
	for _, c := range t.Records {
		old, existed := m.records[c.Key]
		if m.ended(c, old, now) {
			continue
		}
		if c.Delete {
			delete(m.records, c.Key)
			continue
		}
		if c.Key == "holdfast/slots" {
			m.gates, _ = ReadGates(c.Body)
		}
		r := holdfast.Record{Key: c.Key, Version: old.Version + 1, Index: c.Index, Body: c.Body, Changed: now}
		switch {
		case c.Op == holdfast.RecordCarry:
			r.Version, r.Changed = c.Version, c.Changed
		case c.Op == holdfast.RecordPend:
			r.Pending = &holdfast.PendingChange{Payment: t.ID}
			if existed {
				r.Pending.Before = &old
			}
		}
		m.records[c.Key] = r
	}
	for _, message := range t.Messages {
		m.outbox[m.next] = holdfast.Queued{Seq: m.next, Txn: t.ID, Time: now, Message: message}
		m.next++
	}
	for _, seq := range t.Acks {
		delete(m.outbox, seq)
	}
}

func (m *money) change(c holdfast.AccountChange, now holdfast.Time) holdfast.Code {
	a, ok := m.accounts[c.ID]
	if c.Op == holdfast.OpenAccount {
		switch {
		case !ok:
			m.accounts[c.ID] = holdfast.Account{ID: c.ID, Limit: c.Limit, Code: c.Code, Ref: c.Ref, Opened: now}
		case a.Limit != c.Limit || a.Code != c.Code || a.Ref != c.Ref:
			return holdfast.CodeAccountExists
		case a.Flags&holdfast.Closed != 0:
			return holdfast.CodeAccountClosed
		}
		return 0
	}
	if !ok {
		return holdfast.CodeAccountMissing
	}
	if a.Flags&holdfast.Closed != 0 {
		return holdfast.CodeAccountClosed
	}
	switch c.Op {
	case holdfast.FreezeAccount:
		a.Flags |= holdfast.Frozen
	case holdfast.ThawAccount:
		a.Flags &^= holdfast.Frozen
	case holdfast.CloseAccount:
		if a.Balance() != 0 || a.DebitsPending != 0 || a.CreditsPending != 0 {
			return holdfast.CodeAccountNotEmpty
		}
		a.Flags |= holdfast.Closed
	}
	m.accounts[c.ID] = a
	return 0
}

func (m *money) transfer(t *holdfast.Txn, i int, now holdfast.Time, at holdfast.Position) holdfast.Code {
	leg := t.Transfers[i]
	switch leg.Kind {
	case holdfast.Immediate:
		if code := m.allowed(leg); code != 0 {
			return code
		}
		m.move(leg.Debit, leg.Credit, leg.Amount, 0)
		m.holds[t.TransferID(i)] = modelHold{} // known, and not a hold
	case holdfast.Hold:
		if code := m.allowed(leg); code != 0 {
			return code
		}
		h := OpenHold{
			ID: t.TransferID(i), Position: at, Leg: holdfast.Leg(i), Debit: leg.Debit, Credit: leg.Credit, Amount: leg.Amount,
			Time: now, Code: leg.Code, Ref: leg.Ref,
		}
		if leg.ID.IsZero() {
			h.Leg = holdfast.NoLeg
		}
		if leg.Timeout > 0 {
			h.Due = now + holdfast.Time(leg.Timeout)
		}
		m.holds[h.ID] = modelHold{h, HoldOpen}
		m.move(leg.Debit, leg.Credit, 0, leg.Amount)
	default:
		return m.close(t, i, now)
	}
	return 0
}

func (m *money) close(t *holdfast.Txn, i int, now holdfast.Time) holdfast.Code {
	leg := t.Transfers[i]
	h, ok := m.holds[leg.Hold]
	if !ok {
		return holdfast.CodeHoldMissing
	}
	byState := map[HoldState]holdfast.Code{
		NotHold: holdfast.CodeNotAHold, HoldPosted: holdfast.CodeHoldPosted, HoldVoided: holdfast.CodeHoldVoided, HoldMoved: holdfast.CodeHoldVoided,
		HoldExpired: holdfast.CodeHoldExpired,
	}
	if code := byState[h.state]; code != 0 {
		return code
	}
	none := holdfast.AccountID{}
	if leg.Debit != none && leg.Debit != h.Debit || leg.Credit != none && leg.Credit != h.Credit {
		return holdfast.CodeHoldMismatch
	}
	posted := leg.Amount
	switch leg.Kind {
	case holdfast.Post:
		h.state = HoldPosted
		if posted == 0 {
			posted = h.Amount
		}
		if posted > h.Amount {
			return holdfast.CodeHoldExceeded
		}
	case holdfast.Void:
		h.state = HoldVoided
		if m.own {
			h.state = HoldMoved
		}
	case holdfast.Expire:
		h.state = HoldExpired
		if h.Due == 0 || now < h.Due {
			return holdfast.CodeHoldNotDue
		}
	}
	m.move(h.Debit, h.Credit, posted, -h.Amount)
	m.holds[leg.Hold] = h
	m.holds[t.TransferID(i)] = modelHold{}
	return 0
}

func (m *money) allowed(leg holdfast.Transfer) holdfast.Code {
	d, okD := m.accounts[leg.Debit]
	c, okC := m.accounts[leg.Credit]
	big := func(sums ...holdfast.Amount) bool {
		var total uint64
		for _, sum := range sums {
			total += uint64(sum)
		}
		return total >= 1<<63
	}
	switch {
	case !okD:
		return holdfast.CodeDebitMissing
	case !okC:
		return holdfast.CodeCreditMissing
	case d.Flags&holdfast.Closed != 0:
		return holdfast.CodeDebitClosed
	case c.Flags&holdfast.Closed != 0:
		return holdfast.CodeCreditClosed
	case d.Flags&holdfast.Frozen != 0 && !m.own:
		return holdfast.CodeDebitFrozen
	case c.Flags&holdfast.Frozen != 0 && !m.own:
		return holdfast.CodeCreditFrozen
	case big(d.DebitsPosted, d.DebitsPending, leg.Amount) || big(c.CreditsPosted, c.CreditsPending, leg.Amount):
		return holdfast.CodeOverflow
	case d.Limit == holdfast.LimitDebits && d.DebitsPosted+d.DebitsPending+leg.Amount > d.CreditsPosted:
		return holdfast.CodeExceedsCredits
	case c.Limit == holdfast.LimitCredits && c.CreditsPosted+c.CreditsPending+leg.Amount > c.DebitsPosted:
		return holdfast.CodeExceedsDebits
	}
	return 0
}

func (m *money) move(debit, credit holdfast.AccountID, posted, pending holdfast.Amount) {
	d := m.accounts[debit]
	d.DebitsPosted += posted
	d.DebitsPending += pending
	m.accounts[debit] = d
	c := m.accounts[credit]
	c.CreditsPosted += posted
	c.CreditsPending += pending
	m.accounts[credit] = c
}

func (m *money) openHolds() map[holdfast.ID]OpenHold {
	open := map[holdfast.ID]OpenHold{}
	for id, h := range m.holds {
		if h.state == HoldOpen {
			open[id] = h.OpenHold
		}
	}
	return open
}
