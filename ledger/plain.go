package ledger

import "holdfast"

// The fast path: transactions of the plain form. It gives the same outcomes and effects as the general path would (a test
// compares them), without allocating. What takes time in it is memory: so a run of transactions is decoded and looked up
// ahead, in loops whose cache misses overlap, before the first of them is applied.

// runLength is how many transactions are looked up ahead: enough to keep the memory busy, few enough to stay in the
// first-level cache.
const runLength = 64

// planned is a plain transaction that was looked up ahead.
type planned struct {
	plain
	size   int    // encoded
	tag    uint32 // of the id
	debit  side
	credit side
}

// side is one account of a plain transaction: its ordinal plus 1, or 0 when it has not been found yet.
type side struct {
	hash uint64
	n    uint32
}

// lookAhead decodes the plain transactions at the start of body, up to the first that is not plain.
func (s *State) lookAhead(body []byte, most uint32) []planned {
	run := s.run[:0]
	var sink uint64
	for len(run) < min(runLength, int(most)) {
		size := plainBytes(body)
		if size == 0 {
			break
		}
		run = run[:len(run)+1]
		p := &run[len(run)-1]
		if !readPlain(body[:size], &p.plain) {
			run = run[:len(run)-1] // the general path says what is wrong with it
			break
		}
		p.size = size
		p.tag = tagOf(p.id.Hash())
		sink += s.touchID(p.tag)
		s.accounts.hint(&p.plain.debit, &p.debit)
		s.accounts.hint(&p.plain.credit, &p.credit)
		body = body[size:]
	}
	for i := range run {
		s.accounts.confirm(&run[i].plain.debit, &run[i].debit)
		s.accounts.confirm(&run[i].plain.credit, &run[i].credit)
	}
	s.sink = sink
	return run
}

// touchID brings the slots where an id would be into the cache.
func (s *State) touchID(tag uint32) uint64 {
	sum := s.open.byID.touch(tag)
	for _, g := range s.sealed {
		sum += g.byID.touch(tag)
	}
	return sum
}

// hint notes the first candidate for an account without looking at it.
func (c *accounts) hint(id *holdfast.AccountID, x *side) {
	x.hash = id.Hash()
	tag := tagOf(x.hash)
	x.n, _ = c.index.part(x.hash).seek(tag, tag)
}

// confirm looks at the candidate, and for others when it is not the one.
func (c *accounts) confirm(id *holdfast.AccountID, x *side) {
	if x.n == 0 || c.hot.at(x.n-1).is(id) {
		return
	}
	x.n = 0
}

// resolve returns the account; nil when there is none. An account may have been opened since it was looked up ahead.
func (c *accounts) resolve(id *holdfast.AccountID, x *side) *account {
	if x.n == 0 {
		ordinal, ok := c.find(id, x.hash)
		if !ok {
			return nil
		}
		x.n = ordinal + 1
	}
	return c.hot.at(x.n - 1)
}

// applyPlain applies one; raw is its encoding.
func (s *State) applyPlain(p *planned, raw []byte, out *[]holdfast.Outcome) error {
	if p.amount <= 0 || p.plain.debit == p.plain.credit || p.id.IsZero() {
		return s.applyMalformed(raw, out)
	}
	if t, known, err := s.find(p.id, p.tag); known || err != nil {
		return s.replay(p.id, t, raw, out, err)
	}
	debit := s.accounts.resolve(&p.plain.debit, &p.debit)
	credit := s.accounts.resolve(&p.plain.credit, &p.credit)
	if code := admit(debit, credit, p.amount); code != holdfast.CodeOK {
		*out = append(*out, s.decide(p.id, p.tag, code, 0, NotHold))
		return nil
	}

	// From here it must succeed.

	*out = append(*out, s.decide(p.id, p.tag, holdfast.CodeOK, holdfast.NoLeg, NotHold))
	m := movement{posted: p.amount}
	m.apply(debit, credit)
	s.write(p.debit.n-1, debit, RowDebit, 0)
	s.write(p.credit.n-1, credit, RowCredit, 0)
	s.moved(p.plain.debit.Asset, &m)
	if !p.ref.IsZero() {
		s.open.addRef(RefRow{Ref: p.ref, ID: p.id, Position: s.position()})
	}
	s.txns++
	return nil
}

// applyMalformed lets the general path find the words for what is wrong.
func (s *State) applyMalformed(raw []byte, out *[]holdfast.Outcome) error {
	if _, err := ReadTxn(raw, &s.txn); err != nil {
		return err
	}
	return s.applyGeneral(&s.txn, raw, out)
}
