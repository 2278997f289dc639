package ledger

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast"
)

// TestAgainstModel runs random logs, with everything that can happen between entries, in a small world in which ids,
// accounts and holds meet again all the time.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		g := generator{t: rt}
		w.apply(g.openAll())
		rt.Repeat(map[string]func(*rapid.T){
			"apply": func(rt *rapid.T) {
				g.t = rt
				txns := make([]holdfast.Txn, rapid.IntRange(1, 6).Draw(rt, "count"))
				for i := range txns {
					txns[i] = g.txn()
				}
				w.apply(txns...)
			},
			"gates": func(rt *rapid.T) {
				g.t = rt
				w.apply(g.gates())
			},
			"expire": func(*rapid.T) {
				for _, id := range w.state.DueHolds(w.time, 2) {
					w.apply(ExpiryTxn(id))
				}
			},
			"wait":    func(rt *rapid.T) { w.time += holdfast.Time(rapid.IntRange(1, 2000).Draw(rt, "ns")) },
			"seal":    func(*rapid.T) { w.seal() },
			"forget":  func(*rapid.T) { w.forget() },
			"restart": func(*rapid.T) { w.restart() },
			"noop":    func(*rapid.T) { w.noop() },
			"compare": func(*rapid.T) { w.compare() },
		})
	})
}

type generator struct {
	pending map[string]holdfast.ID // records, and the payment that wrote each last
	t       *rapid.T
	sent    []holdfast.Txn
}

func (g *generator) int(lo, hi int, label string) int { return rapid.IntRange(lo, hi).Draw(g.t, label) }

func (g *generator) chance(percent int, label string) bool { return g.int(0, 99, label) < percent }

func testID(n int) (id holdfast.ID) {
	if n > 0 {
		id = holdfast.IDOf(0x0190f3c6_2a3b_7c4d, 0x8e5f_000000000000|uint64(n))
	}
	return id
}

func testAccount(n int) holdfast.AccountID {
	assets := [...]string{"CNY", "GBP"}
	owner, err := holdfast.NewOwner(uint32(n/2), holdfast.Slot(42+n/6)) // the first three owners are in one slot
	if err != nil {
		panic(err)
	}
	return holdfast.AccountID{Owner: owner, Purpose: holdfast.MustPurpose("wallet"), Asset: holdfast.MustAsset(assets[n%2])}
}

// openAll opens eight accounts: of every asset two without limit and one of each other kind.
func (g *generator) openAll() holdfast.Txn {
	t := holdfast.Txn{ID: testID(1000)}
	for i := range 8 {
		limit := [...]holdfast.Limit{holdfast.LimitNone, holdfast.LimitDebits, holdfast.LimitCredits, holdfast.LimitNone}[i/2]
		t.Accounts = append(t.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: testAccount(i), Limit: limit})
	}
	return t
}

// gates is a new table, mostly one that bars nothing.
func (g *generator) gates() holdfast.Txn {
	var table Gates
	for slot := holdfast.Slot(42); slot < 44; slot++ {
		table.Set(slot, Gate(max(0, g.int(-4, int(gates)-1, "gate"))))
	}
	record := holdfast.RecordChange{Key: GatesKey, Expect: holdfast.AnyVersion, Body: AppendGates(nil, &table)}
	return holdfast.Txn{ID: testID(g.int(1, 60, "id")), Records: []holdfast.RecordChange{record}}
}

// txn is often one that was sent before, sometimes with a change.
func (g *generator) txn() holdfast.Txn {
	if len(g.sent) > 0 && g.chance(20, "again") {
		t := g.sent[g.int(0, len(g.sent)-1, "which")]
		if g.chance(30, "altered") {
			t.ID = testID(g.int(1, 60, "other id"))
		}
		return t
	}
	t := holdfast.Txn{ID: testID(g.int(1, 60, "id"))}
	legs := g.int(0, 3, "legs")
	for range legs {
		t.Transfers = append(t.Transfers, g.transfer(legs))
	}
	if g.chance(20, "accounts") {
		t.Accounts = append(t.Accounts, holdfast.AccountChange{
			Op: holdfast.AccountOp(g.int(1, 4, "op")), ID: testAccount(g.int(0, 11, "account")),
		})
	}
	if g.chance(30, "records") || legs == 0 {
		g.documents(&t)
	}
	if g.chance(10, "own") {
		t.Records = append(t.Records, holdfast.RecordChange{Key: NoteKey(42), Expect: holdfast.AnyVersion, Body: []byte("note")})
	}
	g.sent = append(g.sent, t)
	return t
}

func (g *generator) transfer(legs int) holdfast.Transfer {
	leg := holdfast.Transfer{Kind: holdfast.Kind(g.int(1, 4, "kind"))}
	if legs > 1 || g.chance(30, "own id") {
		leg.ID = testID(g.int(1, 60, "leg id"))
	}
	if leg.Kind == holdfast.Hold || leg.Kind == holdfast.Immediate {
		asset := g.int(0, 1, "asset")
		debit := g.int(0, 4, "debit")
		leg.Debit = testAccount(2*debit + asset)
		leg.Credit = testAccount(2*((debit+g.int(1, 4, "credit"))%5) + asset)
		leg.Amount = holdfast.Amount(g.int(0, 50, "amount"))
		if g.chance(3, "huge") {
			leg.Amount = 1<<63 - 20
		}
	} else {
		leg.Hold = testID(g.int(1, 60, "hold"))
	}
	if leg.Kind == holdfast.Hold && g.chance(50, "due") {
		leg.Timeout = time.Duration(g.int(1, 1000, "timeout"))
	}
	if leg.Kind == holdfast.Post {
		leg.Amount = holdfast.Amount(g.int(0, 20, "part"))
	}
	if g.chance(20, "ref") {
		leg.Ref = holdfast.Ref(testID(g.int(1, 3, "reference")))
	}
	return leg
}

func (g *generator) documents(t *holdfast.Txn) {
	version := func() uint64 {
		if g.chance(50, "any version") {
			return holdfast.AnyVersion
		}
		return uint64(g.int(0, 3, "version"))
	}
	if g.chance(30, "precondition") {
		t.Preconditions = append(t.Preconditions, holdfast.Precondition{Key: g.key(), Version: version()})
	}
	c := holdfast.RecordChange{Key: g.key(), Expect: version(), Delete: g.chance(20, "delete")}
	if !c.Delete {
		c.Body = []byte(fmt.Sprint("body ", g.int(0, 9, "body")))
		for i := range 3 {
			if g.chance(40, "index") {
				c.Index = append(c.Index, fmt.Sprint("i", i+1))
			}
		}
	}
	g.platform(t, &c)
	t.Records = append(t.Records, c)
	if g.chance(50, "message") {
		t.Messages = append(t.Messages, holdfast.Message{To: 2, Topic: "topic", Body: []byte("hello")})
	}
	if g.chance(50, "ack") {
		t.Acks = append(t.Acks, uint64(g.int(1, 10, "seq")))
	}
}

// platform makes of the change of a record what only the platform does: payments and moves of slots.
func (g *generator) platform(t *holdfast.Txn, c *holdfast.RecordChange) {
	if !g.chance(60, "of the platform") {
		return
	}
	switch c.Op = holdfast.RecordOp(g.int(1, 4, "record op")); c.Op {
	case holdfast.RecordCarry:
		c.Version, c.Changed = uint64(g.int(1, 9, "carried")), holdfast.Time(g.int(1, 1000, "changed"))
		t.Records = append(t.Records, holdfast.RecordChange{Key: NoteKey(42), Expect: holdfast.AnyVersion, Body: []byte("note")})
	case holdfast.RecordKeep, holdfast.RecordTakeBack:
		c.Payment, c.Expect, c.Index, c.Body = testID(g.int(1, 60, "payment")), holdfast.AnyVersion, nil, nil
		c.Delete = false
		for key, r := range g.pending { // mostly one that is there
			if key == c.Key && g.chance(80, "its own") {
				c.Payment = r
			}
		}
	case holdfast.RecordPend:
		if g.pending == nil {
			g.pending = map[string]holdfast.ID{}
		}
		g.pending[c.Key] = t.ID
	}
	if g.chance(30, "own id") {
		t.ID = t.ID.Shadow()
	}
}

// key is that of a record, sometimes of an owner of one of the two slots.
func (g *generator) key() string {
	if g.chance(50, "owned") {
		return ownedKey(6 * g.int(0, 1, "slot"))
	}
	return fmt.Sprint("k", g.int(1, 4, "key"))
}

func ownedKey(account int) string { return holdfast.OwnedKey(testAccount(account).Owner, "k") }
