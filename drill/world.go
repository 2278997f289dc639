package drill

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"holdfast"
	"holdfast/retail"
)

var (
	pounds     = holdfast.MustAsset("GBP")
	wallet     = holdfast.MustPurpose("wallet")
	settlement = holdfast.MustPurpose("settlement")
	bank       = holdfast.MustPurpose("bank")
)

// world is who takes part: the customers of the recorded orders, and for every shard a bank that funds, a merchant who is
// paid, and a few wallets for the probes.
type world struct {
	trade     *retail.Trade
	shards    []shardCast
	customers map[string]holdfast.AccountID
	merchants map[string]holdfast.AccountID // by customer: whom the customer buys from
	nomads    *nomads                       // nil: nobody moves
	market    *market                       // nil: orders are plain transfers
}

// shardCast is who is in one shard.
type shardCast struct {
	id       holdfast.ShardID
	bank     holdfast.AccountID
	merchant holdfast.AccountID
	payers   []holdfast.AccountID // of probes
	till     holdfast.AccountID   // where probes go
}

// Sequence numbers of the owners, fixed so that a run can be read in its logs. Where people pay, customers and merchants are owners as the platform
// issues them, so theirs are beyond those that the sites issue while a drill lasts: each takes a thousand at once, from 1 on.
const (
	bankSequence     = 1
	merchantSequence = 2
	tillSequence     = 3
	payerSequence    = 10
	customerSequence = 200_000
	payersPerShard   = 8
)

// Codes by which the movements of a drill can be told apart.
const (
	codeFunding uint32 = iota + 1
	codeOrder
	codeRefund
	codeProbe
	codeWander
)

func newWorld(trade *retail.Trade, shards int) (*world, error) {
	w := &world{trade: trade, customers: map[string]holdfast.AccountID{}, merchants: map[string]holdfast.AccountID{}}
	for k := range shards {
		w.shards = append(w.shards, newShardCast(k, shards))
	}
	for i, name := range trade.Customers {
		owner, err := holdfast.NewOwner(customerSequence+uint32(i), holdfast.Slot(i%holdfast.Slots))
		if err != nil {
			return nil, err
		}
		w.customers[name] = holdfast.AccountID{Owner: owner, Purpose: wallet, Asset: pounds}
		w.merchants[name] = w.shards[i%shards].merchant // wherever the customer is: with several shards most orders go to another one
	}
	return w, nil
}

// newShardCast puts the cast of shard k (from 0) of n into the first slot of that shard.
func newShardCast(k, n int) shardCast {
	slot := firstSlot(k, n)
	account := func(sequence uint32, p holdfast.Purpose) holdfast.AccountID {
		owner, err := holdfast.NewOwner(sequence, slot)
		if err != nil {
			panic(fmt.Sprintf("slot %d of shard %d of %d: %v", slot, k+1, n, err))
		}
		return holdfast.AccountID{Owner: owner, Purpose: p, Asset: pounds}
	}
	c := shardCast{
		id: holdfast.ShardID(k + 1), bank: account(bankSequence, bank),
		merchant: account(merchantSequence, settlement), till: account(tillSequence, settlement),
	}
	for i := range uint32(payersPerShard) {
		c.payers = append(c.payers, account(payerSequence+i, wallet))
	}
	return c
}

// firstSlot is that of shard k (from 0) of n, as the fleet is born with them.
func firstSlot(k, n int) holdfast.Slot { return holdfast.Slot((k*holdfast.Slots + n - 1) / n) }

// cast is who is in the shard of an account. All owners of a slot are in shard slot*shards/1000+1.
func (w *world) cast(a holdfast.AccountID) *shardCast {
	return &w.shards[int(a.Owner.Slot())*len(w.shards)/holdfast.Slots]
}

// crosses reports a payment whose payer and payee are in different shards, at some time at least: slots move one after the other.
func (w *world) crosses(debit, credit holdfast.AccountID) bool {
	moves := w.nomads.has(debit) || w.nomads.has(credit)
	return w.cast(debit) != w.cast(credit) || moves && debit.Owner.Slot() != credit.Owner.Slot()
}

// paid lists whose statements together have every payment of the load.
func (w *world) paid() (all []holdfast.AccountID) {
	for i := range w.shards {
		all = append(all, w.shards[i].merchant, w.shards[i].till)
	}
	return all
}

// probeFund is enough for a probe of one penny every 5 ms for a year.
const probeFund = holdfast.Amount(10_000_000_000)

// funding makes the transactions that open and fund every account: what customers pay over the whole list, so many times
// over, to the penny, so that no order can fail for want of money and none could be paid twice.
func (w *world) funding(rounds int, id func() holdfast.ID) []holdfast.Txn {
	const perTxn = 400
	var all []holdfast.Txn
	for i := range w.shards {
		c := &w.shards[i]
		all = append(all, holdfast.Txn{ID: id(), Accounts: []holdfast.AccountChange{
			open(c.bank, holdfast.LimitNone), open(c.merchant, holdfast.LimitDebits), open(c.till, holdfast.LimitDebits),
		}})
		for part := range slices.Chunk(w.grants(c, rounds), perTxn) {
			all = append(all, fund(c.bank, part, id))
		}
	}
	return all
}

type grant struct {
	to     holdfast.AccountID
	amount holdfast.Amount
}

func (w *world) grants(c *shardCast, rounds int) (all []grant) {
	for _, payer := range c.payers {
		all = append(all, grant{payer, probeFund})
	}
	if n := w.nomads; n != nil && n.from == c.id {
		all = append(all, n.grants()...)
	}
	for _, name := range w.trade.Customers {
		if a := w.customers[name]; w.cast(a) == c {
			all = append(all, grant{a, w.trade.Spent[name] * holdfast.Amount(rounds)})
		}
	}
	return all
}

func fund(from holdfast.AccountID, grants []grant, id func() holdfast.ID) holdfast.Txn {
	t := holdfast.Txn{ID: id()}
	for _, g := range grants {
		t.Accounts = append(t.Accounts, open(g.to, holdfast.LimitDebits))
		t.Transfers = append(t.Transfers, holdfast.Transfer{
			ID: id(), Kind: holdfast.Immediate, Debit: from, Credit: g.to, Amount: g.amount, Code: codeFunding,
		})
	}
	return t
}

func open(a holdfast.AccountID, limit holdfast.Limit) holdfast.AccountChange {
	return holdfast.AccountChange{Op: holdfast.OpenAccount, ID: a, Limit: limit}
}

// errand is one payment to be made at a given moment.
type errand struct {
	number   int // from 0
	transfer holdfast.Transfer
	shard    holdfast.ShardID
	due      time.Duration // since the start of the load
	after    int           // number of the errand that must have been answered before; -1: none
	refunded bool          // another comes after it
	first    bool          // the list of events begins anew with it
}

// plan turns the first n events, over and over if there are fewer, into errands of the given length of time, one by one: of a
// long load there are millions.
func (w *world) plan(n int, length time.Duration, id func() holdfast.ID) iter.Seq[errand] {
	dues := schedule(w.trade.Events, n, length)
	refunded := map[int]bool{}
	for i := range w.trade.Events {
		if e := &w.trade.Events[i]; e.IsRefund() {
			refunded[e.Refunds] = true
		}
	}
	return func(yield func(errand) bool) {
		for i, due := range dues {
			e := w.errand(i, id())
			at := i % len(w.trade.Events)
			e.due, e.refunded, e.first = due, refunded[at], at == 0
			if !yield(e) {
				return
			}
		}
	}
}

// errand is the payment of event number i, over and over.
func (w *world) errand(i int, id holdfast.ID) errand {
	e := &w.trade.Events[i%len(w.trade.Events)]
	customer, merchant := w.customers[e.Customer], w.merchants[e.Customer]
	t := holdfast.Transfer{
		ID: id, Kind: holdfast.Immediate, Debit: customer, Credit: merchant, Amount: e.Amount, Code: codeOrder,
		Ref: invoiceRef(e.Invoice, i/len(w.trade.Events)),
	}
	after := -1
	if e.IsRefund() {
		t.Debit, t.Credit, t.Code = merchant, customer, codeRefund
		after = i - i%len(w.trade.Events) + e.Refunds
	}
	return errand{number: i, transfer: t, shard: w.cast(t.Debit).id, after: after}
}

// invoiceRef puts the number of the invoice, as text, into the reference of its payment.
func invoiceRef(invoice string, round int) (r holdfast.Ref) {
	copy(r[:], invoice)
	r[len(r)-1] = byte(round)
	return r
}

// idleLimit is how much of a stretch without orders is kept. Nights and Sundays are longer: without this, a year in half a
// minute would be three hundred bursts with silence between.
const idleLimit = 30 * time.Minute

// schedule says when each of n events is due: in recorded order, with the recorded rhythm of the hours in which there was
// trade, compressed into length. Events recorded in one minute (the clock of the data) are spread over it.
func schedule(events []retail.Event, n int, length time.Duration) []time.Duration {
	minutes := make([]float64, n)
	var now float64
	for i := 0; i < n; {
		same := sameMinute(events, i, n)
		for j := range same {
			minutes[i+j] = now + float64(j)/float64(same)
		}
		if i += same; i < n {
			now += max(1, min(gap(events, i), idleLimit).Minutes())
		}
	}
	dues := make([]time.Duration, n)
	for i := range dues {
		dues[i] = time.Duration(minutes[i] / (now + 1) * float64(length))
	}
	return dues
}

// recorded is how long the first n events took when they were recorded: all of them, over and over, as long as all.
func (w *world) recorded(n int) time.Duration {
	if n = min(n, len(w.trade.Events)); n == 0 {
		return 0
	}
	return w.trade.Events[n-1].At.Sub(w.trade.Events[0].At)
}

func sameMinute(events []retail.Event, i, n int) int {
	same := 1
	for i+same < n && gap(events, i+same) == 0 {
		same++
	}
	return same
}

// gap is the recorded time between event i and the one before it; the list begins anew after a pause of an idle limit.
func gap(events []retail.Event, i int) time.Duration {
	if i %= len(events); i == 0 {
		return idleLimit
	}
	return events[i].At.Sub(events[i-1].At)
}

// ids makes ids that sort by time and are the same for the same seed and start.
func ids(r *rand.Rand, start time.Time) func() holdfast.ID {
	at := holdfast.TimeOf(start)
	return func() holdfast.ID {
		at += holdfast.Time(time.Millisecond) / 8
		var b [10]byte
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return holdfast.NewID(at, b)
	}
}
