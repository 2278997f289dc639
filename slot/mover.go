package slot

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"holdfast"
	"holdfast/ledger"
	"holdfast/transit"
)

// Config says how patient a [Mover] is. Times are nanoseconds.
type Config struct {
	Shard holdfast.ShardID // whose leader it stands beside
	// Ebb is how long nothing departs from a slot before that is lifted again, because something is still under way; 0: 100 ms.
	Ebb holdfast.Time
	// Pause is how long to wait before the next attempt; 0: 500 ms.
	Pause holdfast.Time
	// Wait is how long a proposal may go unanswered; 0: 3 s.
	Wait holdfast.Time
	// Page is how many accounts one transaction may change; 0: 512.
	Page int
	// Chunk is how many records of owners are compared at a time; 0: 128.
	Chunk int
	// Few is how few accounts differ when a slot is shut, unless so many change that it never comes to that; 0: 32.
	Few int
}

func (c Config) withDefaults() Config {
	c.Ebb, c.Pause, c.Wait = cmp.Or(c.Ebb, 100e6), cmp.Or(c.Pause, 500e6), cmp.Or(c.Wait, 3e9)
	c.Page, c.Few = cmp.Or(c.Page, maxAccounts), cmp.Or(c.Few, 32)
	c.Chunk = cmp.Or(c.Chunk, manyRecords)
	return c
}

// Proposal is something to be proposed to a shard.
type Proposal struct {
	To  holdfast.ShardID
	Txn holdfast.Txn
}

// Flip is a change of the shard map: the slot is in shard To, and was in Origins before.
type Flip struct {
	Slot    holdfast.Slot
	To      holdfast.ShardID
	Origins []transit.Origin
}

// Work is what a mover wants done now. The proposal should be answered by a call of Answered; the flip is asked for again until
// the View shows it.
type Work struct {
	Proposal *Proposal
	Flip     *Flip
}

// Mover moves the slots that are to leave one shard, one after the other. It is not safe for concurrent use.
type Mover struct {
	config   Config
	contents contents
	papers   papers
	move     holdfast.ID // the one that the fields below are about
	asked    holdfast.ID // the proposal under way; zero: none
	until    holdfast.Time
	seen     map[holdfast.ShardID]uint64 // which version of the note a look has to have: ours was done
	quiet    holdfast.Time               // do nothing before
	ebbing   holdfast.Time               // since when nothing departs; 0: it does
	broken   error                       // a page was refused
	last     int                         // accounts in the latest page
	deciding holdfast.ID                 // the proposal that decides the move
	flip     Flip                        // that follows from it
	decided  bool                        // it was done
	err      error
}

// New makes a mover that knows nothing.
func New(c Config) *Mover { return &Mover{config: c.withDefaults()} }

// Err says why the move at hand does not go on, if there is a reason that does not pass by itself.
func (m *Mover) Err() error { return errors.Join(m.broken, m.err) }

// Mark is the transaction, for shard from, that begins the moves of slots, all or none; it is refused when something about one of
// them changes meanwhile. move gives each move its id. ok is false when a slot cannot move now, which is blocked: it is under way
// already, has not quite come, or cannot be read.
func Mark(
	v View, slots []holdfast.Slot, from, to holdfast.ShardID, move func(holdfast.Slot) holdfast.ID,
) (t holdfast.Txn, blocked holdfast.Slot, ok bool) {
	if from == to || len(slots) == 0 {
		return t, blocked, false
	}
	var first standing // whose look at the gates is the oldest: what has changed since is noticed by its version
	for i, slot := range slots {
		s, ok := look(v, from, slot)
		if !ok || s.gate() != ledger.GateOpen || !s.arrived(v) {
			return t, slot, false
		}
		if i == 0 {
			first = s
		}
		note := Note{Move: move(slot), Stage: Leaving, Other: to}
		if s.noteVersion > 0 {
			note.Origins = s.note.Origins
		}
		first.gates.Set(slot, ledger.GateMarked)
		t.Records = append(t.Records, s.noted(note))
	}
	t.Records = append(t.Records, first.gated())
	return signed(move(slots[0]), from, t), blocked, true
}

// arrived reports that the shard from which a slot has come sees that it is here: until then it may not go on.
func (s *standing) arrived(v View) bool {
	if s.noteVersion == 0 || s.note.Stage != Here {
		return true
	}
	before, ok := look(v, s.note.Other, s.slot)
	return ok && before.of(s.note.Move, Gone)
}

// Unmark is the transaction, for shard from, by which moves are not wanted any more: those among the slots that are under way and
// not decided as far as can be seen. Each stops unless it is decided already. ok is false when there is none.
func Unmark(v View, slots []holdfast.Slot, from holdfast.ShardID) (t holdfast.Txn, unwanted []holdfast.Slot, ok bool) {
	var first standing
	for _, slot := range slots {
		s, ok := look(v, from, slot)
		if !ok || s.noteVersion == 0 || s.note.Stage != Leaving {
			continue
		}
		if there, ok := look(v, s.note.Other, slot); !ok || there.of(s.note.Move, Here) {
			continue
		}
		if len(unwanted) == 0 {
			first = s
		}
		note := s.note
		note.Stage = Unwanted
		t.Records, unwanted = append(t.Records, s.noted(note)), append(unwanted, slot)
	}
	if len(unwanted) == 0 {
		return t, nil, false
	}
	t.Records = append(t.Records, first.gated())
	return signed(first.note.Move, from, t), unwanted, true
}

// Fence is the transaction, for shard from, behind which every Mark and Unmark that was made from an older look is refused. It changes
// nothing. ok is false when the shard cannot be read just now.
func Fence(v View, from holdfast.ShardID) (t holdfast.Txn, ok bool) {
	s, ok := look(v, from, 0)
	if !ok {
		return t, false
	}
	t.Records = []holdfast.RecordChange{s.gated()}
	return signed(holdfast.ID{}, from, t), true
}

// Step says what to do now.
func (m *Mover) Step(now holdfast.Time, v View) (w Work) {
	if !m.asked.IsZero() && now < m.until {
		return w
	}
	m.asked = holdfast.ID{}
	here, ok := m.next(v)
	if !ok || now < m.quiet {
		return w
	}
	if here.note.Move != m.move || here.slot != m.contents.slot {
		*m = Mover{config: m.config, move: here.note.Move, contents: contents{slot: here.slot, move: here.note.Move}}
	}
	there, ok := look(v, here.note.Other, here.slot)
	if !ok || here.noteVersion < m.seen[here.shard] || there.noteVersion < m.seen[there.shard] {
		if m.decided && v.ShardOf(ownerOf(m.flip.Slot)) != m.flip.To { // the answer was faster than the log
			w.Flip = &m.flip
		}
		return w
	}
	if !m.contents.gather(v, here.shard) {
		return w
	}
	switch here.note.Stage {
	case Arriving:
		return m.quit(now, &here)
	case Quit:
		return m.clear(now, v, &here)
	}
	if there.of(m.move, Here) {
		return m.forward(now, v, &here, &there)
	}
	return m.approach(now, v, &here, &there)
}

// next is the first slot of the shard about which there is something to do.
func (m *Mover) next(v View) (s standing, ok bool) {
	idle := false
	if !v.State(m.config.Shard, func(s *ledger.State) {
		g, known := s.Gates()
		idle = known && len(g.Slots()) == 0
	}) || idle {
		return s, false
	}
	s, ok = look(v, m.config.Shard, 0)
	if !ok {
		return s, false
	}
	for _, slot := range s.gates.Slots() {
		switch s.gates.Of(slot) {
		case ledger.GateMarked, ledger.GateEbbing, ledger.GateShut, ledger.GateArriving:
			if s, ok = look(v, m.config.Shard, slot); ok && s.noteVersion > 0 && (s.note.Stage != Arriving || forsaken(v, &s)) {
				return s, true
			}
		}
	}
	return s, false
}

// forsaken reports that a slot will not arrive: the shard where it is has given the move up before it knew of this shard's part.
func forsaken(v View, s *standing) bool {
	there, ok := look(v, s.note.Other, s.slot)
	return ok && (there.of(s.note.Move, Stayed) || there.noteVersion > s.note.Asked && there.note.Move != s.note.Move)
}

// propose asks for a transaction.
func (m *Mover) propose(now holdfast.Time, to holdfast.ShardID, t holdfast.Txn) Work {
	if plantedPageAgain() {
		t.Acks = []uint64{uint64(now)} // of which there are none: it is another transaction each time
	}
	t = signed(m.move, to, t)
	m.asked, m.until = t.ID, now+m.config.Wait
	return Work{Proposal: &Proposal{To: to, Txn: t}}
}

// Answered takes the answer to a proposal. One about a proposal that is not waited for any more is no error.
func (m *Mover) Answered(now holdfast.Time, p *Proposal, o holdfast.Outcome) {
	if p.Txn.ID != m.asked {
		return
	}
	m.asked = holdfast.ID{}
	switch {
	case o.Status == holdfast.Done:
		m.decided = m.decided || p.Txn.ID == m.deciding
		m.done(p)
	case o.Status != holdfast.Refused:
		m.quiet = now + m.config.Pause/10
	case slices.Contains(outdated, o.Code): // made from an older look: look again
	case p.To != m.config.Shard:
		m.broken = fmt.Errorf("shard %d refuses to take the slot: %s", p.To, o.Code)
	default:
		m.err = fmt.Errorf("shard %d refuses to let the slot go: %s", p.To, o.Code)
		m.quiet = now + m.config.Pause
	}
}

// outdated are the refusals of what was made from an older look. Ids of legs are all our own, and come before the versions.
var outdated = []holdfast.Code{
	holdfast.CodeTransferIDTaken, holdfast.CodeRecordVersionMismatch, holdfast.CodeRecordExists, holdfast.CodeRecordMissing,
}

// done notes which version of the note the next look must have.
func (m *Mover) done(p *Proposal) {
	if m.seen == nil {
		m.seen = map[holdfast.ShardID]uint64{}
	}
	for _, r := range p.Txn.Records {
		if r.Key == ledger.NoteKey(m.contents.slot) && r.Expect != holdfast.AnyVersion {
			m.seen[p.To] = max(m.seen[p.To], r.Expect+1)
		}
	}
}

// approach is everything before the move is decided.
func (m *Mover) approach(now holdfast.Time, v View, here, there *standing) Work {
	switch {
	case here.note.Stage == Unwanted || m.broken != nil || there.of(m.move, Quit, Gone):
		return m.giveUp(now, here, there)
	case !there.of(m.move, Arriving):
		return m.arrive(now, here, there)
	}
	shut := here.gate() == ledger.GateShut
	if shut && plantedMapBeforeFinish() && v.ShardOf(ownerOf(here.slot)) != there.shard {
		return Work{Flip: &Flip{here.slot, there.shard, Leave(here.note.Origins, here.shard, applied(v, here.shard))}}
	}
	p, ok := m.page(v, here, there, shut)
	switch {
	case !ok:
		return Work{}
	case p.left && p.empty() && here.gate() == ledger.GateEbbing: // comparing takes longer than departs may be barred
		m.ebbing = 0
		return m.propose(now, here.shard, holdfast.Txn{Records: here.change(ledger.GateMarked, here.note)})
	case p.left && p.empty(): // nothing that differs was found yet
		return Work{}
	case shut && !p.left:
		return m.finish(now, v, p, here, there)
	case shut || p.left || m.worth(p.n):
		m.last = p.n
		p.txn.Records = append(p.txn.Records, there.touch())
		return m.propose(now, there.shard, p.txn)
	case here.gate() == ledger.GateMarked: // what still differs is little
		m.ebbing = 0
		return m.propose(now, here.shard, holdfast.Txn{Records: here.change(ledger.GateEbbing, here.note)})
	}
	return m.ebb(now, v, here)
}

// worth reports that one more page is copied before the slot shuts, because owners would wait for it: as long as there is much less to
// copy each time.
func (m *Mover) worth(n int) bool {
	return n > m.config.Few && (m.last >= m.config.Page || 2*n < m.last)
}

// arrive opens the move in the other shard. What is left there of one that was given up has to be put back before.
func (m *Mover) arrive(now holdfast.Time, here, there *standing) Work {
	note := Note{Move: m.move, Stage: Arriving, Other: here.shard, Asked: here.noteVersion}
	switch {
	case here.gate() != ledger.GateMarked || there.note.Stage == Quit:
		return Work{} // what is seen of the other shard is old; or it is putting back
	case there.note.Stage == Arriving:
		return m.quit(now, there)
	}
	return m.propose(now, there.shard, holdfast.Txn{Records: there.change(ledger.GateArriving, note)})
}

// page is what the other shard lacks, as much as fits.
func (m *Mover) page(v View, here, there *standing, shut bool) (p *page, ok bool) {
	p = &page{limit: m.config.Page, now: clock(v, here.shard)}
	if shut && plantedFinishEarly() {
		return p, true
	}
	unknown := false
	whole, ok := m.contents.each(v, here.shard, there.shard, allHolds, func(x *pair) bool {
		if p.full() {
			return false
		}
		p.take(x, there.shard, here.shard, shut)
		for i := range x.missing {
			if !shut || plantedHoldsLeft() {
				break
			}
			if p.full() {
				p.left = true
				break
			}
			held, known := m.heldOf(v, here, &x.missing[i])
			if unknown = !known; unknown {
				return false
			}
			if unknown = !m.berth(v, p, here, there.shard, &x.missing[i], &held); unknown {
				return false
			}
			held.Home = there.shard
			through := held.Away
			if through == there.shard {
				through = here.shard
			}
			p.holding(m.move, &x.missing[i], &held, through)
		}
		return true
	})
	p.left = p.left || !whole
	if !ok || unknown {
		return p, false
	}
	return p, m.papersOf(v, p, here, there)
}

// owed is a hold as callers know it.
type owed struct {
	transit.Held
	hold holdfast.ID
	// The record that is to speak of it: that of the shard which has it until a berth is found in the other one. "": none does.
	key     string
	version uint64
}

// heldOf tells whose a hold is, and by which id callers know it.
func (m *Mover) heldOf(v View, here *standing, h *ledger.OpenHold) (o owed, ok bool) {
	o.hold, o.Held = h.ID, transit.Held{Home: here.shard, Debit: h.Debit, Payee: h.Credit, Amount: h.Amount, As: h.ID}
	if h.ID.Reserved() {
		written, err := m.written(v, here, h.ID, &o.hold)
		if err != nil {
			m.broken = fmt.Errorf("hold %s of shard %d: %w", h.ID, here.shard, err)
			return o, false
		}
		if written == nil {
			return o, false
		}
		o.Payee, o.key, o.version = written.Payee, written.Key, written.Version
	}
	o.Away = v.ShardOf(o.Payee.Owner)
	if o.Payee.Owner.Slot() == here.slot {
		o.Away = here.note.Other
	}
	return o, true
}

var errNoPayee = errors.New("there is no record of its payee")

// written reads the record of a hold that crosses or has moved; nil: it cannot be read just now.
func (m *Mover) written(v View, here *standing, id holdfast.ID, name *holdfast.ID) (*transit.Written, error) {
	*name = id.Unshadow()
	if !id.IsShadow() {
		r, found, ok := v.Record(here.shard, NameKey(id))
		if !ok {
			return nil, nil
		}
		if !found || len(r.Body) != len(name) {
			return nil, errNoPayee
		}
		*name = holdfast.ID(r.Body)
	}
	list, ok, err := written(v, here.shard, *name)
	if !ok || err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Home == here.shard && list[i].ID(*name) == id {
			return &list[i], nil
		}
	}
	return nil, errNoPayee
}

var errUnread = errors.New("the shard cannot be read just now")

// written reads what a shard has written about holds of an id; ok is false when it cannot be read just now.
func written(v View, at holdfast.ShardID, hold holdfast.ID) (list []transit.Written, ok bool, err error) {
	list, err = transit.ReadHolds(hold, func(key string) (holdfast.Record, bool, error) {
		r, found, ok := v.Record(at, key)
		if !ok {
			return r, false, errUnread
		}
		return r, found, nil
	})
	if errors.Is(err, errUnread) {
		return nil, false, nil
	}
	return list, true, err
}

// berth finds the record of a shard that is to speak of a hold there: the one that did when it was there before, or the first that is
// free. Another one speaks of a hold that goes by the same id, and would be lost to its caller. false: it cannot be told just now.
func (m *Mover) berth(v View, p *page, here *standing, at holdfast.ShardID, h *ledger.OpenHold, o *owed) bool {
	list, ok, err := written(v, at, o.hold)
	if err != nil {
		m.broken = fmt.Errorf("hold %s in shard %d: %w", o.hold, at, err)
	}
	if !ok || err != nil {
		return false
	}
	for n := range list {
		if w := &list[n]; !p.noted[w.Key] && at != here.shard && w.Home != at && left(w, o, h.ID) {
			o.key, o.version = w.Key, w.Version
			return true
		}
	}
	o.version = 0
	for n := len(list); ; n++ {
		if o.key = transit.HeldKeyOf(o.hold, n); !p.noted[o.key] {
			return true
		}
	}
}

// left reports that a record of a shard without its hold speaks of the one that stands here as id. It may name one of the shards where
// that has been since; were it another hold, the same in all, that would find a record of its own when it came back.
func left(w *transit.Written, o *owed, id holdfast.ID) bool {
	return w.ID(o.hold) == id || w.Debit == o.Debit && w.Payee == o.Payee && w.Amount == o.Amount
}

// ebb waits until nothing of the slot is under way to other shards, but not for long.
func (m *Mover) ebb(now holdfast.Time, v View, here *standing) Work {
	if m.ebbing == 0 {
		m.ebbing = now
	}
	drained, ok := drained(v, here)
	switch {
	case !ok:
		return Work{}
	case drained || plantedShutUndrained():
		return m.propose(now, here.shard, holdfast.Txn{Records: here.change(ledger.GateShut, here.note)})
	case now-m.ebbing > m.config.Ebb:
		m.quiet = now + m.config.Pause
		return m.propose(now, here.shard, holdfast.Txn{Records: here.change(ledger.GateMarked, here.note)})
	}
	return Work{}
}

// drained reports that no payment to another shard is under way with a payer in the slot.
func drained(v View, here *standing) (drained, ok bool) {
	const many = 1024
	for after := uint64(0); ; {
		var list []holdfast.Queued
		if !v.State(here.shard, func(s *ledger.State) { list = s.Outbox(after, many) }) {
			return false, false
		}
		for _, q := range list {
			after = q.Seq
			if q.Topic != transit.Topic {
				continue
			}
			p, err := transit.Read(q.Body)
			if err != nil || slices.ContainsFunc(p.Payers(), func(o holdfast.Owner) bool { return o.Slot() == here.slot }) {
				return false, true
			}
		}
		if len(list) < many {
			return true, true
		}
	}
}

// finish decides the move, with the last page: from here on there is only forward.
func (m *Mover) finish(now holdfast.Time, v View, p *page, here, there *standing) Work {
	note := Note{Move: m.move, Stage: Here, Other: here.shard, Origins: Leave(here.note.Origins, here.shard, applied(v, here.shard))}
	p.txn.Records = append(p.txn.Records, there.change(ledger.GateOpen, note)...)
	m.flip = Flip{here.slot, there.shard, note.Origins}
	w := m.propose(now, there.shard, p.txn)
	m.deciding = m.asked
	return w
}

// clock is the time to which the log of a shard has come. What is left of a hold is counted by it: the times of a [Mover] are those of the
// process that steps it, and say nothing about holds.
func clock(v View, at holdfast.ShardID) (now holdfast.Time) {
	v.State(at, func(s *ledger.State) { _, now = s.Applied() })
	return now
}

// applied is an index behind that of the entry which shut the slot.
func applied(v View, at holdfast.ShardID) (index uint64) {
	v.State(at, func(s *ledger.State) { index, _ = s.Applied() })
	return index
}

// giveUp ends a move that is not decided: first the other shard, so that it cannot be decided any more.
func (m *Mover) giveUp(now holdfast.Time, here, there *standing) Work {
	if there.of(m.move, Arriving) && !plantedStayUnasked() {
		return m.quit(now, there)
	}
	// While the slot is not shut the other shard cannot have decided. Afterwards it has to have said that it will not.
	if here.gate() == ledger.GateShut && !there.of(m.move, Quit, Gone) && !plantedStayUnasked() {
		return Work{}
	}
	note := here.note
	note.Stage = Stayed
	return m.propose(now, here.shard, holdfast.Txn{Records: here.change(ledger.GateOpen, note)})
}

// quit makes sure that a slot does not arrive.
func (m *Mover) quit(now holdfast.Time, s *standing) Work {
	note := s.note
	note.Stage = Quit
	return m.propose(now, s.shard, holdfast.Txn{Records: s.change(ledger.GateArriving, note)})
}

// forward is everything after the move is decided.
func (m *Mover) forward(now holdfast.Time, v View, here, there *standing) (w Work) {
	if v.ShardOf(ownerOf(here.slot)) != there.shard {
		w.Flip = &Flip{here.slot, there.shard, there.note.Origins}
	}
	p, ok := m.release(v, here, there)
	if !ok {
		return w
	}
	if !p.empty() {
		w.Proposal = m.own(now, here, p).Proposal
		return w
	}
	if w.Flip != nil {
		return w
	}
	return m.clear(now, v, here)
}

// own proposes a page to the shard that the slot leaves.
func (m *Mover) own(now holdfast.Time, here *standing, p *page) Work {
	p.txn.Records = append(p.txn.Records, here.touch())
	return m.propose(now, here.shard, p.txn)
}

// release takes holds off the accounts that have moved: those of payers in the slot are in the other shard by now, and those of
// other payers take on the form of holds whose payee is there.
func (m *Mover) release(v View, here, there *standing) (p *page, ok bool) {
	p = &page{limit: m.config.Page, now: clock(v, here.shard)}
	held, unknown := map[holdfast.ID]bool{}, false // both sides of a hold may be in the slot
	_, ok = m.contents.each(v, here.shard, 0, maxLegs, func(x *pair) bool {
		for i := range x.holds {
			h := &x.holds[i]
			if p.full() {
				return false
			}
			if held[h.ID] {
				continue
			}
			held[h.ID] = true
			p.n++
			to, known := m.heldOf(v, here, h)
			if unknown = !known; unknown {
				return false
			}
			if to.key == "" {
				if unknown = !m.berth(v, p, here, here.shard, h, &to); unknown {
					return false
				}
			}
			p.void(h.ID)
			if h.Debit.Owner.Slot() == here.slot {
				to.Home = there.shard
				to.As = moved(m.move, h.ID)
				p.names(&to)
			} else {
				to.Away = there.shard
				p.holding(m.move, h, &to, there.shard)
			}
		}
		return true
	})
	return p, ok && !unknown
}

// clear puts the balances of accounts that are not served here any more where they have come from or gone to, and ends the move
// when there are none.
func (m *Mover) clear(now holdfast.Time, v View, here *standing) Work {
	p := &page{limit: m.config.Page}
	whole, ok := m.contents.each(v, here.shard, 0, maxLegs, func(x *pair) bool {
		for i := range x.holds { // of a move that was given up: they are where they were
			p.void(x.holds[i].ID)
			to, known := m.heldOf(v, here, &x.holds[i])
			to.Home, to.As = here.note.Other, holdfast.ID{}
			if known {
				p.names(&to)
			}
		}
		if x.from.Balance() != 0 {
			p.n++
			p.balance(x.from.ID, x.from.Balance(), 0, here.shard, here.note.Other)
		}
		return !p.full()
	})
	if ok && whole {
		whole, ok = discard(v, p, here.shard, here.slot, m.config.Chunk)
	}
	switch {
	case !ok:
		return Work{}
	case !p.empty() || !whole:
		return m.own(now, here, p)
	}
	note := here.note
	note.Stage = Gone
	return m.propose(now, here.shard, holdfast.Txn{Records: here.change(ledger.GateGone, note)})
}

// ownerOf is some owner of the slot.
func ownerOf(slot holdfast.Slot) holdfast.Owner {
	o, err := holdfast.NewOwner(0, slot)
	if err != nil {
		panic(err)
	}
	return o
}
