package sim

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"holdfast"
)

// world is what clients know of a shard: the accounts they use, the holds they believe to be open, the records and messages
// they have seen. It is one shared memory of all clients, often out of date: wrong beliefs make refusals.
type world struct {
	shard    holdfast.ShardID
	rng      *rand.Rand
	bank     holdfast.AccountID // without a limit: where money comes from
	wallets  []holdfast.AccountID
	loans    []holdfast.AccountID
	spare    []holdfast.AccountID // not opened yet
	holds    []holdfast.ID
	used     []holdfast.ID // ids of transfers that are no holds, and of old transactions
	records  map[string]uint64
	queued   uint64 // an idea of how many messages there are
	sequence uint64
	salt     uint64
	foreign  bool // messages of payments between shards are in the outbox: only couriers acknowledge
}

var (
	walletPurpose = must(holdfast.ParsePurpose("wallet"))
	bankPurpose   = must(holdfast.ParsePurpose("bank"))
	loanPurpose   = must(holdfast.ParsePurpose("loan"))
	assets        = []holdfast.Asset{must(holdfast.ParseAsset("CNY")), must(holdfast.ParseAsset("SEATS"))}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

const (
	walletsPerShard = 6
	sparesPerShard  = 4
	recordsPerShard = 4
)

func newWorld(seed uint64, shard holdfast.ShardID, shards int, rng *rand.Rand) *world {
	w := &world{shard: shard, rng: rng, records: map[string]uint64{}, salt: seed}
	slot := holdfast.Slot(int(shard) - 1) // shard s has the slots s-1, s-1+shards, ...
	account := func(n int, p holdfast.Purpose, a holdfast.Asset) holdfast.AccountID {
		owner := must(holdfast.NewOwner(uint32(n), slot+holdfast.Slot(n*shards%(holdfast.Slots-shards))/holdfast.Slot(shards)*holdfast.Slot(shards)))
		return holdfast.AccountID{Owner: owner, Purpose: p, Asset: a}
	}
	w.bank = account(1, bankPurpose, assets[0])
	for i := range walletsPerShard {
		w.wallets = append(w.wallets, account(10+i, walletPurpose, assets[0]))
	}
	w.loans = append(w.loans, account(30, loanPurpose, assets[0]))
	for i := range sparesPerShard {
		w.spare = append(w.spare, account(40+i, walletPurpose, assets[i%len(assets)]))
	}
	return w
}

// id draws a fresh id.
func (w *world) id() holdfast.ID {
	w.sequence++
	var random [10]byte
	binary.BigEndian.PutUint64(random[2:], w.salt*1_000_003+w.sequence<<16+uint64(w.shard))
	return holdfast.NewID(holdfast.Time(w.sequence)*1e6, random)
}

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

// opening is the first transaction of a shard: the accounts, and money for the wallets.
func (w *world) opening() *holdfast.Txn {
	t := &holdfast.Txn{ID: w.id()}
	open := func(id holdfast.AccountID, limit holdfast.Limit) {
		t.Accounts = append(t.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: id, Limit: limit, Code: 7})
	}
	open(w.bank, holdfast.LimitNone)
	for _, a := range w.wallets {
		open(a, holdfast.LimitDebits)
		t.Transfers = append(t.Transfers, holdfast.Transfer{ID: w.id(), Kind: holdfast.Immediate, Debit: w.bank, Credit: a, Amount: 300})
	}
	for _, a := range w.loans {
		open(a, holdfast.LimitCredits)
		t.Transfers = append(t.Transfers, holdfast.Transfer{ID: w.id(), Kind: holdfast.Immediate, Debit: a, Credit: w.bank, Amount: 200})
	}
	return t
}

// next draws a transaction.
func (w *world) next() *holdfast.Txn {
	t := &holdfast.Txn{ID: w.id()}
	switch n := w.rng.IntN(100); {
	case n < 30:
		t.Transfers = []holdfast.Transfer{w.payment()}
		w.used = append(w.used, t.ID)
	case n < 40:
		w.legs(t)
	case n < 58:
		t.Transfers = []holdfast.Transfer{w.newHold()}
		w.holds = append(w.holds, t.ID)
	case n < 78:
		t.Transfers = []holdfast.Transfer{w.endHold()}
	case n < 84:
		w.accounts(t)
	case n < 92:
		w.document(t)
	case n < 97:
		w.messages(t)
	default:
		w.everything(t)
	}
	return t
}

// amount is mostly small, now and then more than anybody has.
func (w *world) amount() holdfast.Amount {
	if w.rng.IntN(5) == 0 {
		return holdfast.Amount(200 + w.rng.IntN(400))
	}
	return holdfast.Amount(1 + w.rng.IntN(60))
}

func (w *world) payment() holdfast.Transfer {
	t := holdfast.Transfer{Kind: holdfast.Immediate, Amount: w.amount(), Code: uint32(w.rng.IntN(3))}
	t.Debit, t.Credit = w.pair()
	if w.rng.IntN(4) == 0 {
		t.Ref = holdfast.Ref{15: byte(1 + w.rng.IntN(5))}
	}
	return t
}

// pair draws two different accounts, mostly wallets; sometimes one that is not there.
func (w *world) pair() (debit, credit holdfast.AccountID) {
	all := w.wallets
	switch w.rng.IntN(12) {
	case 0:
		return w.bank, pick(w.rng, all)
	case 1:
		return pick(w.rng, all), w.bank
	case 2:
		return pick(w.rng, all), w.loans[0]
	case 3:
		return w.loans[0], pick(w.rng, all)
	case 4:
		return pick(w.rng, all), w.spare[0] // the asset of the first spare is that of the wallets
	}
	i := w.rng.IntN(len(all))
	return all[i], all[(i+1+w.rng.IntN(len(all)-1))%len(all)]
}

// legs is several transfers, all or nothing; often a later one cannot be done.
func (w *world) legs(t *holdfast.Txn) {
	for range 2 + w.rng.IntN(3) {
		leg := w.payment()
		leg.ID = w.id()
		t.Transfers = append(t.Transfers, leg)
	}
	if w.rng.IntN(8) == 0 && len(w.used) > 0 {
		t.Transfers[1].ID = pick(w.rng, w.used) // an id that has been used
	}
	w.used = append(w.used, t.Transfers[0].ID)
}

func (w *world) newHold() holdfast.Transfer {
	t := w.payment()
	t.Kind = holdfast.Hold
	t.Amount = holdfast.Amount(1 + w.rng.IntN(120))
	if w.rng.IntN(2) == 0 {
		t.Timeout = time.Duration(20+w.rng.IntN(1500)) * time.Millisecond
	}
	return t
}

// endHold posts or voids; now and then with an amount above what is held, or a hold that has ended or never was.
func (w *world) endHold() holdfast.Transfer {
	t := holdfast.Transfer{Kind: holdfast.Post, Hold: w.id()}
	if len(w.holds) > 0 {
		recent := w.holds[max(0, len(w.holds)-6):]
		t.Hold = pick(w.rng, recent)
	}
	if w.rng.IntN(12) == 0 && len(w.used) > 0 {
		t.Hold = pick(w.rng, w.used)
	}
	switch w.rng.IntN(6) {
	case 0, 1:
		t.Kind = holdfast.Void
	case 2:
		t.Amount = holdfast.Amount(1 + w.rng.IntN(20))
	case 3:
		t.Amount = holdfast.Amount(40 + w.rng.IntN(200))
	}
	return t
}

func (w *world) accounts(t *holdfast.Txn) {
	id := pick(w.rng, w.spare)
	if w.rng.IntN(3) == 0 {
		id = pick(w.rng, w.wallets)
	}
	c := holdfast.AccountChange{Op: holdfast.OpenAccount, ID: id, Limit: holdfast.LimitDebits, Code: 7}
	switch w.rng.IntN(6) {
	case 0:
		c = holdfast.AccountChange{Op: holdfast.FreezeAccount, ID: id}
	case 1, 2:
		c = holdfast.AccountChange{Op: holdfast.ThawAccount, ID: id}
	case 3:
		if w.rng.IntN(4) == 0 {
			c = holdfast.AccountChange{Op: holdfast.CloseAccount, ID: id}
		}
	}
	t.Accounts = append(t.Accounts, c)
}

func (w *world) key() string { return fmt.Sprintf("trade/%d", w.rng.IntN(recordsPerShard)) }

// document writes a record, on the version that was last seen or on a wrong one.
func (w *world) document(t *holdfast.Txn) {
	key := w.key()
	r := holdfast.RecordChange{Key: key, Expect: w.records[key], Index: []string{"state/" + key}, Body: fmt.Appendf(nil, "body %d", w.sequence)}
	switch w.rng.IntN(8) {
	case 0:
		r.Expect = holdfast.AnyVersion
	case 1:
		r.Expect++
	case 2:
		r.Delete, r.Index, r.Body = true, nil, nil
	case 3:
		t.Preconditions = append(t.Preconditions, holdfast.Precondition{Key: w.key(), Version: uint64(w.rng.IntN(3))})
	}
	t.Records = append(t.Records, r)
}

// messages puts something into the outbox or acknowledges what may be there.
func (w *world) messages(t *holdfast.Txn) {
	if w.rng.IntN(2) == 0 || w.queued == 0 || w.foreign {
		w.queued++
		t.Messages = append(t.Messages, holdfast.Message{To: w.shard%3 + 1, Topic: "land", Body: fmt.Appendf(nil, "message %d", w.sequence)})
		return
	}
	t.Acks = append(t.Acks, 1+w.rng.Uint64N(w.queued), 1+w.rng.Uint64N(w.queued+2))
	if t.Acks[0] == t.Acks[1] {
		t.Acks = t.Acks[:1]
	}
}

func (w *world) everything(t *holdfast.Txn) {
	w.legs(t)
	w.document(t)
	w.queued++
	t.Messages = append(t.Messages, holdfast.Message{To: 1, Topic: "both", Body: []byte("b")})
	h := w.newHold()
	h.ID = w.id()
	t.Transfers = append(t.Transfers, h)
	w.holds = append(w.holds, h.ID)
}

// other is a transaction with the same id and a different content.
func (w *world) other(t *holdfast.Txn) *holdfast.Txn {
	o := *t
	o.Messages = append([]holdfast.Message(nil), t.Messages...)
	o.Messages = append(o.Messages, holdfast.Message{To: 1, Topic: "other", Body: []byte("x")})
	return &o
}

// seen tells the world what a done transaction has made of the records.
func (w *world) seen(t *holdfast.Txn) {
	for i := range t.Records {
		if r := &t.Records[i]; r.Delete {
			w.records[r.Key] = 0
		} else if r.Expect != holdfast.AnyVersion {
			w.records[r.Key] = r.Expect + 1
		} else {
			w.records[r.Key]++
		}
	}
}
