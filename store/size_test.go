package store

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
	"holdfast/ledger"
)

// tableBytesOf builds the tables of a segment and says what they take.
func tableBytesOf(t *testing.T, sh *Shard, g *ledger.Segment) (total uint64) {
	t.Helper()
	var p persister
	fs := sh.store.opts.FS
	for _, path := range must[[]string](t)(p.build(sh, g, p.knownAfter(sh, g))) {
		total += uint64(must[vfs.FileInfo](t)(fs.Stat(path)).Size())
		if err := fs.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	return total
}

const sizeRows = 3000

func sizeID(i int) (id holdfast.ID) {
	binary.BigEndian.PutUint64(id[:], uint64(i)*0x9e3779b97f4a7c15)
	return id
}

// keyOf is a key as long as they may be; those with zero bytes take more room than they are long.
func keyOf(i int, fill string) string {
	return fmt.Sprintf("%06d", i) + strings.Repeat(fill, holdfast.MaxRecordKey-6)
}

func sizeRecord(i, keys int, fill string, body int) holdfast.Record {
	r := holdfast.Record{Key: keyOf(i, "r"), Version: math.MaxUint64, Changed: math.MaxInt64, Body: make([]byte, body)}
	for j := range keys {
		r.Index = append(r.Index, keyOf(i*100+j, fill))
	}
	return r
}

// sizeCases are segments of one kind of row each, every number in them as long as it gets.
var sizeCases = map[string]func(g *ledger.Segment, i int){
	"nothing": func(*ledger.Segment, int) {},
	"ids": func(g *ledger.Segment, i int) {
		g.IDs = append(g.IDs, ledger.IDRow{ID: sizeID(i), Trace: ledger.Trace{
			Position: holdfast.Position{Index: math.MaxUint64, Ord: math.MaxUint32}, Leg: holdfast.MaxLegs, Code: math.MaxUint16, Hold: 1,
		}})
	},
	"references": func(g *ledger.Segment, i int) {
		g.Refs = append(g.Refs, ledger.RefRow{Ref: holdfast.Ref(sizeID(i)), ID: sizeID(i)})
	},
	"holds": func(g *ledger.Segment, i int) {
		g.Opened = append(g.Opened, ledger.OpenHold{
			ID: sizeID(i), Position: holdfast.Position{Index: math.MaxUint64, Ord: math.MaxUint32}, Leg: holdfast.MaxLegs, Amount: math.MaxInt64,
			Time: math.MaxInt64, Due: math.MaxInt64, Code: math.MaxUint32,
		})
	},
	"ended holds": func(g *ledger.Segment, i int) { g.Closed = append(g.Closed, sizeID(i)) },
	"messages": func(g *ledger.Segment, i int) {
		g.Queued = append(g.Queued, holdfast.Queued{Seq: uint64(i) + 1, Txn: sizeID(i), Time: math.MaxInt64, Message: holdfast.Message{
			To: math.MaxUint16, Topic: strings.Repeat("t", 40), Body: make([]byte, i%1000),
		}})
	},
	"acknowledged messages": func(g *ledger.Segment, i int) { g.Acked = append(g.Acked, uint64(i)+1) },
	"records": func(g *ledger.Segment, i int) {
		g.Records = append(g.Records, ledger.RecordRow{Record: sizeRecord(i, 0, "", 0)})
	},
	"records with large bodies": func(g *ledger.Segment, i int) {
		if i < 50 {
			g.Records = append(g.Records, ledger.RecordRow{Record: sizeRecord(i, 0, "", holdfast.MaxRecordBody)})
		}
	},
	"records with index keys": func(g *ledger.Segment, i int) {
		if i < 400 {
			g.Records = append(g.Records, ledger.RecordRow{Record: sizeRecord(i, holdfast.MaxIndexKeys, "i", 10)})
		}
	},
	"records with index keys of zeros": func(g *ledger.Segment, i int) {
		if i < 400 {
			g.Records = append(g.Records, ledger.RecordRow{Record: sizeRecord(i, holdfast.MaxIndexKeys, "\x00", 10)})
		}
	},
	"records that lose index keys": func(g *ledger.Segment, i int) {
		if i < 400 {
			old := sizeRecord(i, holdfast.MaxIndexKeys, "o", 0).Index
			g.Records = append(g.Records, ledger.RecordRow{Record: sizeRecord(i, holdfast.MaxIndexKeys, "i", 0), OldIndex: old})
		}
	},
	"deleted records": func(g *ledger.Segment, i int) {
		if i < 400 {
			r := sizeRecord(i, holdfast.MaxIndexKeys, "o", 0)
			g.Records = append(g.Records, ledger.RecordRow{Record: holdfast.Record{Key: r.Key}, Deleted: true, OldIndex: r.Index})
		}
	},
	"totals": func(g *ledger.Segment, i int) {
		most := ledger.Sum{Hi: math.MaxUint64, Lo: math.MaxUint64}
		g.Meta.Totals = append(g.Meta.Totals, ledger.AssetTotal{
			Asset: holdfast.Asset(math.MaxUint32), Accounts: math.MaxUint64,
			DebitsPosted: most, CreditsPosted: most, DebitsPending: most, CreditsPending: most,
		})
	},
}

// TestSizeIsEnough: whoever waits for room for a segment asks for its Size. An engine that runs out of space takes the whole site along,
// so it must never be too little, whatever the segment is made of.
func TestSizeIsEnough(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), new(deaths)))
	for name, row := range sizeCases {
		g := &ledger.Segment{}
		for i := range sizeRows {
			row(g, i)
		}
		checkSize(t, name, s.Shard(testShard), g)
	}
	mustClose(t, s)
}

func checkSize(t *testing.T, name string, sh *Shard, g *ledger.Segment) {
	t.Helper()
	size, takes := g.Size(), tableBytesOf(t, sh, g)
	t.Logf("%s: size %d, the tables take %d", name, size, takes)
	if size < takes {
		t.Errorf("%s: the tables take %d bytes, and the size says %d", name, takes, size)
	}
}

// TestSizeOfAccountsIsEnough is the same for rows of statements: many accounts with one change each, and few with many.
func TestSizeOfAccountsIsEnough(t *testing.T) {
	for name, accounts := range map[string]int{"many accounts": sizeRows, "few accounts": 3} {
		w := newWorld(t, mustOpen(t, testOptions(vfs.NewMem(), new(deaths))), 1)
		w.openAccounts(accounts)
		checkSize(t, name+", opened", w.sh, w.checkpointed())
		for i := range sizeRows / 2 {
			txn := w.pay(w.newID(i%2 == 0))
			leg := &txn.Transfers[0]
			leg.Debit, leg.Credit = w.accounts[2*i%accounts], w.accounts[(2*i+1)%accounts]
			leg.Amount, leg.Ref = math.MaxInt64>>16, holdfast.Ref(w.newID(false))
			if i%3 == 0 {
				leg.Kind, leg.Timeout = holdfast.Hold, time.Hour
			}
			w.done(txn)
		}
		checkSize(t, name, w.sh, w.checkpointed())
		mustClose(t, w.s)
	}
}

// checkpointed is checkpoint, and gives the segment.
func (w *world) checkpointed() *ledger.Segment {
	w.t.Helper()
	g := w.seal()
	if err := w.sh.Persist(g); err != nil {
		w.t.Fatal(err)
	}
	w.state.Forget(g)
	return g
}

// TestSizeOfAnythingIsEnough does everything a ledger can, at random.
func TestSizeOfAnythingIsEnough(t *testing.T) {
	for seed := range uint64(4) {
		w := newWorld(t, mustOpen(t, testOptions(vfs.NewMem(), new(deaths))), seed)
		m := newModel()
		w.openAccounts(8)
		for range 4 {
			for range 40 {
				w.run(w.anything(openIDs(m)), w.anything(openIDs(m)), w.anything(openIDs(m)))
			}
			g := w.checkpointed()
			m.add(g)
			checkSize(t, fmt.Sprintf("seed %d, entry %d", seed, g.Meta.Index), w.sh, g)
		}
		mustClose(t, w.s)
	}
}
