package site

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"holdfast"
	"holdfast/ledger"
	"holdfast/shard"
)

// What sites say to each other beside Raft's messages: calls of the link by these names. Every request and answer begins
// with a version byte, so that a mixed fleet can tell; a new meaning takes a new method or version, never an old one.
const (
	methodSubmit   = "submit"
	methodPulse    = "pulse"
	methodBirth    = "birth"
	methodHandOver = "hand-over"
	methodDigest   = "digest"
	methodVitals   = "vitals"
	methodRoster   = "roster"
	methodAbout    = "about"
	methodProbe    = "probe"
	methodMembers  = "members"
	methodOrder    = "member-order"
	methodChange   = "site-change"
	methodMap      = "shard-map"
	methodBirthAt  = "shard-birth"
	methodSplitAt  = "shard-split"
	methodWitness  = "witness"

	methodSlotRates = "slot-rates"
	methodStuck     = "slot-stuck"
)

const wireVersion = 1

var errWire = errors.New("a message of another site is cut short or of another version: are all sites of the same release?")

// group is the transactions of one call that go to one shard in one class.
type group struct {
	id   holdfast.ShardID
	away holdfast.ShardID // all of them depart to this shard; 0: none does
	bulk bool
	// begins: nothing was done for its callers yet, so that it may be turned away when too much is under way. What has departed has to land
	// first. It is the business of the site that was asked, and is not sent.
	begins bool
	until  time.Time     // how long its callers wait, at the site that sends it; of the first of them, half of [groupSpan] more or less
	left   time.Duration // what is left of that when it is sent; 0: not said, then that of the call counts
	shard.Batch
}

// answer is what became of a group: an error of package shard, or one outcome per transaction.
type answer struct {
	outcomes []holdfast.Outcome
	err      error
}

// groupHead is the length of what stands before the transactions of a group: shard 2, flags 1, then, if the group departs, the
// shard 2 it departs to, the ticket 8 under which the sender waits for it, if it does and the receiver knows tickets, and how many milliseconds 4
// its callers wait still, if the receiver knows that; count 4, bytes 4.
const groupHead = 2 + 1 + 2 + 8 + 4 + 4 + 4

const (
	groupBulk    = 1
	groupDeparts = 2
	groupTicket  = 4
	groupLeft    = 8
)

func appendGroup(b []byte, g group) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(g.id))
	flags := flag(g.bulk) * groupBulk
	if g.away != 0 {
		flags |= groupDeparts
	}
	ticket := g.Origin.Ticket
	if ticket != 0 {
		flags |= groupTicket
	}
	if g.left != 0 {
		flags |= groupLeft
	}
	b = append(b, flags)
	if g.away != 0 {
		b = binary.BigEndian.AppendUint16(b, uint16(g.away))
	}
	if ticket != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(ticket))
	}
	if g.left != 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(g.left/time.Millisecond))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(g.Count()))
	b = binary.BigEndian.AppendUint32(b, uint32(len(g.Body)))
	return append(b, g.Body...)
}

// readGroups reads a request. The groups alias b. Transactions are checked once more: what reaches the log has to be
// understood by every replica for ever, so the site that proposes trusts nobody's arithmetic. That they are not those a
// client may not send was checked where the client came in; what the other site makes itself is among them.
func readGroups(b []byte) ([]group, error) {
	r := reader{b: b}
	if r.u8() != wireVersion {
		return nil, errWire
	}
	var groups []group
	for r.ok() && len(r.b) > 0 {
		g := group{id: holdfast.ShardID(r.u16())}
		flags := r.u8()
		g.bulk = flags&groupBulk != 0
		if flags&groupDeparts != 0 {
			g.away = holdfast.ShardID(r.u16())
		}
		if flags&groupTicket != 0 {
			g.Origin.Ticket = shard.Ticket(r.u64())
			if g.Origin.Ticket == 0 {
				return nil, errWire
			}
		}
		if flags&groupLeft != 0 {
			g.left = time.Duration(r.u32()) * time.Millisecond
			if g.left == 0 {
				return nil, errWire
			}
		}
		if flags > groupBulk|groupDeparts|groupTicket|groupLeft {
			return nil, errWire
		}
		n := int(r.u32())
		g.Body = r.bytes(int(r.u32()))
		if err := g.findEnds(n); err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, r.err()
}

// findEnds decodes and checks n transactions, which fill the body.
func (g *group) findEnds(n int) error {
	if n == 0 || n > callTxns+holdfast.MaxLegs || n > len(g.Body) {
		return errWire
	}
	g.Ends = make([]uint32, 0, n)
	var t holdfast.Txn
	rest := g.Body
	for range n {
		var err error
		if rest, err = ledger.ReadTxn(rest, &t); err != nil {
			return fmt.Errorf("forwarded transaction: %w", err)
		}
		if code, field := ledger.CheckLogged(&t); code != holdfast.CodeOK {
			return fmt.Errorf("forwarded transaction %s is malformed: %s %s", t.ID, code, field)
		}
		g.Ends = append(g.Ends, uint32(len(g.Body)-len(rest)))
	}
	if len(rest) > 0 {
		return errWire
	}
	return nil
}

// Kinds of an answer. They travel between sites of different releases: append, never renumber.
const (
	answerOutcomes  = 0
	answerNotLeader = 1
	answerOther     = 255 // an error without a number: may have been executed
)

// answerErrors gives a number to every error of package shard that a leader can answer with.
var answerErrors = map[byte]error{
	2: shard.ErrLost,
	3: shard.ErrNoQuorum,
	4: shard.ErrOverloaded,
	5: shard.ErrDiskFull,
	6: shard.ErrOutOfService,
	7: shard.ErrStopping,
	8: shard.ErrNoShard,
	9: shard.ErrTimeout,
}

func appendAnswer(b []byte, a answer) []byte {
	if a.err == nil {
		b = binary.BigEndian.AppendUint32(append(b, answerOutcomes), uint32(len(a.outcomes)))
		for i := range a.outcomes {
			b = ledger.AppendOutcome(b, &a.outcomes[i])
		}
		return b
	}
	if e, ok := errors.AsType[shard.NotLeaderError](a.err); ok {
		return binary.BigEndian.AppendUint16(append(b, answerNotLeader), uint16(e.Leader))
	}
	for n, err := range answerErrors {
		if errors.Is(a.err, err) {
			return append(b, n)
		}
	}
	return append(b, answerOther)
}

// readAnswers reads the answers to groups, in their order. A group without an answer that can be read may have been
// executed.
func readAnswers(b []byte, groups []group) []answer {
	r := reader{b: b}
	if r.u8() != wireVersion {
		r.fail()
	}
	answers := make([]answer, len(groups))
	for i := range answers {
		answers[i] = r.answer(groups[i])
	}
	return answers
}

func (r *reader) answer(g group) answer {
	kind := r.u8()
	switch {
	case !r.ok():
		return answer{err: shard.ErrLost}
	case kind == answerOutcomes:
		return r.outcomes(g.Count())
	case kind == answerNotLeader:
		return answer{err: shard.NotLeaderError{Shard: g.id, Leader: holdfast.SiteID(r.u16())}}
	}
	if err, known := answerErrors[kind]; known {
		return answer{err: err}
	}
	return answer{err: shard.ErrLost}
}

func (r *reader) outcomes(want int) answer {
	if n := int(r.u32()); n != want {
		r.fail()
		return answer{err: shard.ErrLost}
	}
	outcomes := make([]holdfast.Outcome, want)
	for i := range outcomes {
		rest, err := ledger.ReadOutcome(r.b, &outcomes[i])
		if err != nil {
			r.fail()
			return answer{err: shard.ErrLost}
		}
		r.b = rest
	}
	return answer{outcomes: outcomes}
}

// reader takes numbers off the front of a message; after the first that is missing it gives zeros, and err tells.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) ok() bool { return !r.bad }

func (r *reader) fail() { r.bad, r.b = true, nil }

func (r *reader) err() error {
	if r.bad {
		return errWire
	}
	return nil
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) u8() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) text() string { return string(r.bytes(int(r.u8()))) }

func appendText(b []byte, s string) []byte {
	if len(s) > 255 {
		s = s[:255]
	}
	return append(append(b, byte(len(s))), s...)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
