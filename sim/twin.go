package sim

import (
	"cmp"
	"slices"
	"strings"

	"holdfast"
	"holdfast/ledger"
)

// twin is the oracle: the same double entry as package ledger, written once more from the design in the plainest way, with
// maps and copies, and sharing nothing with it but the words. It applies the committed log once, in order, and remembers
// every version of everything, so that a replica at any index can be compared with it.
type twin struct {
	index    uint64
	ids      map[holdfast.ID]*past
	accounts map[holdfast.AccountID]*line[holdfast.Account]
	holds    map[holdfast.ID]*line[hold]
	records  map[string]*line[holdfast.Record] // Version 0: does not exist
	outbox   []message
	watched  bool                 // somebody wants to know which records are written
	wrote    []string             // their keys, since somebody asked
	order    []holdfast.AccountID // in order of opening
	holdIDs  []holdfast.ID
	keys     []string
}

// line is the versions of one thing, oldest first.
type line[T any] struct {
	index []uint64
	value []T
}

// at is the version that held after an entry.
func (l *line[T]) at(index uint64) (value T, ok bool) {
	i, found := slices.BinarySearch(l.index, index)
	if !found {
		i--
	}
	if i < 0 {
		return value, false
	}
	return l.value[i], true
}

func (l *line[T]) now() T { return l.value[len(l.value)-1] }

func (l *line[T]) set(index uint64, v T) {
	if n := len(l.index); n > 0 && l.index[n-1] == index {
		l.value[n-1] = v
		return
	}
	l.index, l.value = append(l.index, index), append(l.value, v)
}

// past is what an id was used for.
type past struct {
	txn     *holdfast.Txn // of the transaction that has this id, or one of whose legs has it
	leg     bool          // the id of a leg, and not of the transaction
	outcome holdfast.Outcome
}

type holdState uint8

const (
	open holdState = iota
	posted
	voided
	expired
	elsewhere // it has moved, or taken on another form
)

type hold struct {
	transfer holdfast.Transfer
	due      holdfast.Time // 0: never
	state    holdState
}

type message struct {
	holdfast.Queued
	queued, acked uint64 // indexes; acked 0: not yet
}

func newTwin() *twin {
	return &twin{
		ids: map[holdfast.ID]*past{}, accounts: map[holdfast.AccountID]*line[holdfast.Account]{},
		holds: map[holdfast.ID]*line[hold]{}, records: map[string]*line[holdfast.Record]{},
	}
}

// apply decides one transaction as it stands in the log.
func (w *twin) apply(index uint64, ord uint32, at holdfast.Time, t *holdfast.Txn) holdfast.Outcome {
	w.index = index
	if p := w.ids[t.ID]; p != nil {
		return w.again(p, t)
	}
	if !ofTheMove(t) && w.gone(t) {
		return holdfast.Outcome{ID: t.ID, Status: holdfast.NotExecuted, Code: holdfast.CodeMoved, Leg: holdfast.NoLeg}
	}
	o := holdfast.Outcome{ID: t.ID, Leg: holdfast.NoLeg, Time: at, Position: holdfast.Position{Index: index, Ord: ord}}
	d := draft{twin: w, at: at, own: ofTheMove(t)}
	o.Code, o.Leg, o.Field = d.judge(t)
	if o.Code == holdfast.CodeRecordPending {
		if !t.ID.Reserved() { // a caller's waits; what is part of a payment between shards is refused for good
			return holdfast.Outcome{ID: t.ID, Status: holdfast.NotExecuted, Code: o.Code, Leg: holdfast.NoLeg}
		}
		o.Code = holdfast.CodeRecordVersionMismatch
	}
	if o.Code == holdfast.CodeOK {
		o.Status = holdfast.Done
		d.commit(t, o)
		return o
	}
	o.Status = holdfast.Refused
	if o.Code != holdfast.CodeTransferIDTaken && o.Code != holdfast.CodeHoldNotDue {
		w.ids[t.ID] = &past{txn: t, outcome: o}
	}
	return o
}

// again answers for an id that has a past.
func (w *twin) again(p *past, t *holdfast.Txn) holdfast.Outcome {
	if !p.leg && sameTxn(p.txn, t) {
		o := p.outcome
		o.Replay = true
		return o
	}
	return holdfast.Outcome{ID: t.ID, Status: holdfast.Refused, Code: holdfast.CodeIDTaken, Leg: holdfast.NoLeg}
}

// draft is a transaction in the making: what it would change, on top of the twin.
type draft struct {
	*twin
	at       holdfast.Time
	own      bool // frozen accounts do not stop it
	accounts map[holdfast.AccountID]holdfast.Account
	holds    map[holdfast.ID]hold
	order    []holdfast.AccountID // touched, in order
	ended    []holdfast.ID
}

func (d *draft) account(id holdfast.AccountID) (holdfast.Account, bool) {
	if a, ok := d.accounts[id]; ok {
		return a, true
	}
	if l := d.twin.accounts[id]; l != nil {
		return l.now(), true
	}
	return holdfast.Account{}, false
}

func (d *draft) putAccount(a holdfast.Account) {
	if d.accounts == nil {
		d.accounts = map[holdfast.AccountID]holdfast.Account{}
	}
	if _, ok := d.accounts[a.ID]; !ok {
		d.order = append(d.order, a.ID)
	}
	d.accounts[a.ID] = a
}

func (d *draft) hold(id holdfast.ID) (hold, bool) {
	if h, ok := d.holds[id]; ok {
		return h, true
	}
	if l := d.twin.holds[id]; l != nil {
		return l.now(), true
	}
	return hold{}, false
}

func (d *draft) putHold(h hold) {
	if d.holds == nil {
		d.holds = map[holdfast.ID]hold{}
	}
	if _, ok := d.holds[h.transfer.ID]; !ok {
		d.ended = append(d.ended, h.transfer.ID)
	}
	d.holds[h.transfer.ID] = h
}

func (d *draft) judge(t *holdfast.Txn) (holdfast.Code, holdfast.Leg, string) {
	for i := range t.Transfers {
		if id := t.Transfers[i].ID; !id.IsZero() && id != t.ID && d.ids[id] != nil {
			return holdfast.CodeTransferIDTaken, holdfast.Leg(i), ""
		}
	}
	if code := d.judgeRecords(t); code != holdfast.CodeOK {
		return code, holdfast.NoLeg, ""
	}
	for i := range t.Accounts {
		if code := d.change(&t.Accounts[i]); code != holdfast.CodeOK {
			return code, holdfast.NoLeg, ""
		}
	}
	for i := range t.Transfers {
		leg := t.Transfers[i]
		leg.ID = t.TransferID(i)
		if code := d.transfer(&leg); code != holdfast.CodeOK {
			return code, holdfast.Leg(i), ""
		}
	}
	return holdfast.CodeOK, holdfast.NoLeg, ""
}

func (d *draft) version(key string) uint64 {
	if l := d.records[key]; l != nil {
		return l.now().Version
	}
	return 0
}

// waits reports a record that a payment under way has written, and which nothing but the end of that payment may touch.
func (w *twin) waits(key string, c *holdfast.RecordChange) bool {
	l := w.records[key]
	if l == nil || l.now().Pending == nil {
		return false
	}
	ends := c != nil && (c.Op == holdfast.RecordKeep || c.Op == holdfast.RecordTakeBack)
	return !ends || c.Payment != l.now().Pending.Payment
}

// judgeRecords looks at preconditions and records together: the smallest code is the answer, but for one that waits.
func (d *draft) judgeRecords(t *holdfast.Txn) holdfast.Code {
	worst := holdfast.CodeOK
	note := func(code holdfast.Code) {
		if code != holdfast.CodeOK && (worst == holdfast.CodeOK || code < worst) {
			worst = code
		}
	}
	for _, p := range t.Preconditions {
		if d.waits(p.Key, nil) {
			return holdfast.CodeRecordPending
		}
		note(expect(p.Version, d.version(p.Key)))
	}
	for i := range t.Records {
		c := &t.Records[i]
		if d.waits(c.Key, c) {
			return holdfast.CodeRecordPending
		}
		note(expect(c.Expect, d.version(c.Key)))
		if l := d.records[c.Key]; (c.Op == holdfast.RecordKeep || c.Op == holdfast.RecordTakeBack) && (l == nil || l.now().Pending == nil) {
			note(holdfast.CodeRecordVersionMismatch)
		}
	}
	return worst
}

func expect(want, have uint64) holdfast.Code {
	switch {
	case want == holdfast.AnyVersion || want == have:
		return holdfast.CodeOK
	case want == 0:
		return holdfast.CodeRecordExists
	case have == 0:
		return holdfast.CodeRecordMissing
	}
	return holdfast.CodeRecordVersionMismatch
}

func (d *draft) change(c *holdfast.AccountChange) holdfast.Code {
	a, ok := d.account(c.ID)
	if c.Op == holdfast.OpenAccount {
		return d.open(c, &a, ok)
	}
	switch {
	case !ok:
		return holdfast.CodeAccountMissing
	case a.Flags&holdfast.Closed != 0:
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
	d.putAccount(a)
	return holdfast.CodeOK
}

func (d *draft) open(c *holdfast.AccountChange, a *holdfast.Account, exists bool) holdfast.Code {
	if exists {
		if a.Limit != c.Limit || a.Code != c.Code || a.Ref != c.Ref {
			return holdfast.CodeAccountExists
		}
		if a.Flags&holdfast.Closed != 0 {
			return holdfast.CodeAccountClosed
		}
		return holdfast.CodeOK
	}
	d.putAccount(holdfast.Account{ID: c.ID, Limit: c.Limit, Code: c.Code, Ref: c.Ref, Opened: d.at})
	return holdfast.CodeOK
}

func (d *draft) transfer(t *holdfast.Transfer) holdfast.Code {
	switch t.Kind {
	case holdfast.Immediate, holdfast.Hold:
		return d.move(t)
	}
	return d.end(t)
}

// move is an immediate transfer or a new hold.
func (d *draft) move(t *holdfast.Transfer) holdfast.Code {
	from, fromOK := d.account(t.Debit)
	to, toOK := d.account(t.Credit)
	for _, check := range []struct {
		bad  bool
		code holdfast.Code
	}{
		{!fromOK, holdfast.CodeDebitMissing},
		{!toOK, holdfast.CodeCreditMissing},
		{from.Flags&holdfast.Closed != 0, holdfast.CodeDebitClosed},
		{to.Flags&holdfast.Closed != 0, holdfast.CodeCreditClosed},
		{from.Flags&holdfast.Frozen != 0 && !d.own, holdfast.CodeDebitFrozen},
		{to.Flags&holdfast.Frozen != 0 && !d.own, holdfast.CodeCreditFrozen},
		{from.Limit == holdfast.LimitDebits && from.DebitsPosted+from.DebitsPending+t.Amount > from.CreditsPosted, holdfast.CodeExceedsCredits},
		{to.Limit == holdfast.LimitCredits && to.CreditsPosted+to.CreditsPending+t.Amount > to.DebitsPosted, holdfast.CodeExceedsDebits},
	} {
		if check.bad {
			return check.code
		}
	}
	if t.Kind == holdfast.Immediate {
		from.DebitsPosted += t.Amount
		to.CreditsPosted += t.Amount
	} else {
		from.DebitsPending += t.Amount
		to.CreditsPending += t.Amount
		h := hold{transfer: *t}
		if t.Timeout > 0 {
			h.due = d.at + holdfast.Time(t.Timeout)
		}
		d.putHold(h)
	}
	d.putAccount(from)
	d.putAccount(to)
	return holdfast.CodeOK
}

// end posts, voids or expires a hold.
func (d *draft) end(t *holdfast.Transfer) holdfast.Code {
	h, ok := d.hold(t.Hold)
	if !ok {
		// An id whose transaction was refused is nobody's: there is no such hold. That of one with several legs is known, and no hold.
		if p := d.ids[t.Hold]; p != nil && p.outcome.Status == holdfast.Done {
			return holdfast.CodeNotAHold
		}
		return holdfast.CodeHoldMissing
	}
	if code := d.endable(t, &h); code != holdfast.CodeOK {
		return code
	}
	from, _ := d.account(h.transfer.Debit)
	to, _ := d.account(h.transfer.Credit)
	from.DebitsPending -= h.transfer.Amount
	to.CreditsPending -= h.transfer.Amount
	h.state = map[holdfast.Kind]holdState{holdfast.Post: posted, holdfast.Void: voided, holdfast.Expire: expired}[t.Kind]
	if t.Kind == holdfast.Void && d.own {
		h.state = elsewhere
	}
	if t.Kind == holdfast.Post {
		amount := cmp.Or(t.Amount, h.transfer.Amount)
		from.DebitsPosted += amount
		to.CreditsPosted += amount
	}
	d.putHold(h)
	d.putAccount(from)
	d.putAccount(to)
	return holdfast.CodeOK
}

func (d *draft) endable(t *holdfast.Transfer, h *hold) holdfast.Code {
	other := func(given, held holdfast.AccountID) bool { return given != (holdfast.AccountID{}) && given != held }
	switch {
	case h.state == posted:
		return holdfast.CodeHoldPosted
	case h.state == voided || h.state == elsewhere:
		return holdfast.CodeHoldVoided
	case h.state == expired:
		return holdfast.CodeHoldExpired
	case other(t.Debit, h.transfer.Debit) || other(t.Credit, h.transfer.Credit):
		return holdfast.CodeHoldMismatch
	case t.Amount > h.transfer.Amount:
		return holdfast.CodeHoldExceeded
	case t.Kind == holdfast.Expire && (h.due == 0 || d.at < h.due):
		return holdfast.CodeHoldNotDue
	}
	return holdfast.CodeOK
}

// commit makes the draft true.
func (d *draft) commit(t *holdfast.Txn, o holdfast.Outcome) {
	w := d.twin
	for _, id := range d.order {
		w.line(id).set(w.index, d.accounts[id])
	}
	for _, id := range d.ended {
		l := w.holds[id]
		if l == nil {
			l = &line[hold]{}
			w.holds[id], w.holdIDs = l, append(w.holdIDs, id)
		}
		l.set(w.index, d.holds[id])
	}
	for i := range t.Records {
		w.record(t.ID, &t.Records[i], d.at)
	}
	for _, m := range t.Messages {
		w.outbox = append(w.outbox, message{
			Queued: holdfast.Queued{Seq: uint64(len(w.outbox)) + 1, Txn: t.ID, Time: d.at, Message: m}, queued: w.index,
		})
	}
	for _, seq := range t.Acks {
		if seq >= 1 && seq <= uint64(len(w.outbox)) && w.outbox[seq-1].acked == 0 {
			w.outbox[seq-1].acked = w.index
		}
	}
	w.ids[t.ID] = &past{txn: t, outcome: o}
	for i := range t.Transfers {
		if id := t.Transfers[i].ID; !id.IsZero() && id != t.ID {
			w.ids[id] = &past{txn: t, outcome: o, leg: true}
		}
	}
}

func (w *twin) line(id holdfast.AccountID) *line[holdfast.Account] {
	l := w.accounts[id]
	if l == nil {
		l = &line[holdfast.Account]{}
		w.accounts[id], w.order = l, append(w.order, id)
	}
	return l
}

func (w *twin) record(txn holdfast.ID, c *holdfast.RecordChange, at holdfast.Time) {
	l := w.records[c.Key]
	if l == nil {
		l = &line[holdfast.Record]{}
		l.set(0, holdfast.Record{})
		w.records[c.Key], w.keys = l, append(w.keys, c.Key)
	}
	if w.watched {
		w.wrote = append(w.wrote, c.Key)
	}
	old := l.now()
	next := holdfast.Record{Key: c.Key, Version: old.Version + 1, Index: c.Index, Body: c.Body, Changed: at}
	switch c.Op {
	case holdfast.RecordCarry:
		next.Version, next.Changed = c.Version, c.Changed
	case holdfast.RecordPend:
		next.Pending = &holdfast.PendingChange{Payment: txn}
		if old.Version > 0 {
			next.Pending.Before = &old
		}
	case holdfast.RecordKeep:
		next = old
		next.Pending = nil
	case holdfast.RecordTakeBack:
		if old.Pending.Before == nil {
			next = holdfast.Record{}
		} else {
			next.Index, next.Body = old.Pending.Before.Index, old.Pending.Before.Body
		}
	}
	if c.Delete {
		next = holdfast.Record{}
	}
	l.set(w.index, next)
}

// pendingMessages is the outbox as it stood after an entry.
func (w *twin) pendingMessages(index uint64) []holdfast.Queued {
	var out []holdfast.Queued
	for i := range w.outbox {
		m := &w.outbox[i]
		if m.queued <= index && (m.acked == 0 || m.acked > index) {
			out = append(out, m.Queued)
		}
	}
	return out
}

// sameTxn compares two transactions field by field; nil and empty lists are the same.
func sameTxn(a, b *holdfast.Txn) bool {
	sameRecord := func(x, y holdfast.RecordChange) bool {
		return x.Key == y.Key && x.Expect == y.Expect && x.Delete == y.Delete && x.Op == y.Op && x.Payment == y.Payment &&
			x.Version == y.Version && x.Changed == y.Changed && slices.Equal(x.Index, y.Index) && slices.Equal(x.Body, y.Body)
	}
	sameMessage := func(x, y holdfast.Message) bool {
		return x.To == y.To && x.Topic == y.Topic && slices.Equal(x.Body, y.Body)
	}
	return a.ID == b.ID && slices.Equal(a.Preconditions, b.Preconditions) && slices.Equal(a.Accounts, b.Accounts) &&
		slices.Equal(a.Transfers, b.Transfers) && slices.EqualFunc(a.Records, b.Records, sameRecord) &&
		slices.EqualFunc(a.Messages, b.Messages, sameMessage) && slices.Equal(a.Acks, b.Acks)
}

// gate is how the shard serves a slot: a byte behind the slot's number in the record that says so.
func (w *twin) gate(s holdfast.Slot) ledger.Gate {
	l := w.records["holdfast/slots"]
	if l == nil {
		return ledger.GateOpen
	}
	for b := l.now().Body[1:]; len(b) >= 3; b = b[3:] {
		if int(b[0])<<8|int(b[1]) == int(s) {
			return ledger.Gate(b[2])
		}
	}
	return ledger.GateOpen
}

// ofTheMove reports a transaction of the platform's own about slots.
func ofTheMove(t *holdfast.Txn) bool {
	return slices.ContainsFunc(t.Records, func(r holdfast.RecordChange) bool {
		return r.Key == "holdfast/slots" || strings.HasPrefix(r.Key, "holdfast/slots/")
	})
}

// gone reports a transaction that names an account or a record, or ends a hold on one, of a slot that the shard does not serve.
func (w *twin) gone(t *holdfast.Txn) bool {
	var list []holdfast.AccountID
	for i := range t.Preconditions {
		list = append(list, holdfast.AccountID{Owner: holdfast.OwnerOfKey(t.Preconditions[i].Key)})
	}
	for i := range t.Records {
		list = append(list, holdfast.AccountID{Owner: holdfast.OwnerOfKey(t.Records[i].Key)})
	}
	for i := range t.Accounts {
		list = append(list, t.Accounts[i].ID)
	}
	for i := range t.Transfers {
		l := w.holds[t.Transfers[i].Hold]
		if l != nil && l.now().state == elsewhere {
			return true
		}
		if l != nil && l.now().state != open {
			continue // how it ended is known here
		}
		list = append(list, t.Transfers[i].Debit, t.Transfers[i].Credit)
		if l != nil {
			list = append(list, l.now().transfer.Debit, l.now().transfer.Credit)
		}
	}
	for _, id := range list {
		if id.Owner == 0 || id.OfShard() {
			continue
		}
		switch w.gate(id.Owner.Slot()) {
		case ledger.GateShut, ledger.GateGone, ledger.GateArriving:
			return true
		case ledger.GateEbbing:
			if len(t.Messages) > 0 {
				return true
			}
		}
	}
	return false
}
