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

// lookAhead decodes the plain transactions at the start of body, up to the first that is not plain, and brings what they
// need into the cache. Each loop only uses what an earlier loop has asked the memory for; none of them branches on a word
// that is still on its way, because a wrong guess would make everything behind it wait.
func (s *State) lookAhead(body []byte, most uint32) []planned {
	run := s.decodeRun(body, min(runLength, most))
	var sink uint64
	for i := range run {
		p := &run[i]
		sink += s.accounts.index.touch(p.debit.hash) + s.accounts.index.touch(p.credit.hash) + s.touchID(p.tag)
	}
	for i := range run {
		sink += s.accounts.hint(&run[i].debit) + s.accounts.hint(&run[i].credit)
	}
	for i := range run {
		p := &run[i]
		s.accounts.confirm(&p.plain.debit, &p.debit)
		s.accounts.confirm(&p.plain.credit, &p.credit)
	}
	s.sink = sink
	return run
}

// decodeRun decodes as many plain transactions as follow each other.
func (s *State) decodeRun(body []byte, most uint32) []planned {
	n := 0
	for n < int(most) {
		size := plainBytes(body)
		p := &s.run[n]
		if size == 0 || !readPlain(body[:size], &p.plain) {
			break // the general path goes on, and says what is wrong if something is
		}
		p.size = size
		p.tag = tagOf(p.id.Hash())
		p.debit.hash, p.credit.hash = p.plain.debit.Hash(), p.plain.credit.Hash()
		body = body[size:]
		n++
	}
	return s.run[:n]
}

// touchID asks for the slots where an id would be.
func (s *State) touchID(tag uint32) uint64 {
	sum := s.open.byID.touch(tag)
	for _, g := range s.sealed {
		sum += g.byID.touch(tag)
	}
	return sum
}

func (x *accountIndex) touch(hash uint64) uint64 { return x.part(hash).touch(tagOf(hash)) }

// hint notes the first candidate for an account and asks for it.
func (c *accounts) hint(x *side) uint64 {
	tag := tagOf(x.hash)
	x.n, _ = c.index.part(x.hash).seek(tag, tag)
	if x.n == 0 {
		return 0
	}
	return uint64(c.hot.at(x.n - 1).owner)
}

// confirm drops the candidate when it is another account, whose id has the same tag.
func (c *accounts) confirm(id *holdfast.AccountID, x *side) {
	if x.n != 0 && !c.hot.at(x.n-1).is(id) {
		x.n = 0
	}
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
	if s.gates.any && (s.gates.bars(p.plain.debit, false) || s.gates.bars(p.plain.credit, false)) {
		*out = append(*out, moved(p.id))
		return nil
	}
	debit := s.accounts.resolve(&p.plain.debit, &p.debit)
	credit := s.accounts.resolve(&p.plain.credit, &p.credit)
	if code := admit(debit, credit, p.amount, holdfast.Closed|holdfast.Frozen); code != holdfast.CodeOK {
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
