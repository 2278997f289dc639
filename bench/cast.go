package bench

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"holdfast"
)

// cast is the accounts of a bench in one shard: a bank without a limit, and wallets that may not go below zero.
type cast struct {
	bank    holdfast.AccountID
	wallets []holdfast.AccountID
	others  []*cast // in the other shards
}

var yuan = holdfast.MustAsset("CNY")

func newCast(wallets int) *cast { return newCastIn(0, wallets) }

// newCasts spreads the wallets evenly over shards.
func newCasts(wallets, shards int) *cast {
	all := newCast(wallets / shards)
	for k := 1; k < shards; k++ {
		all.others = append(all.others, newCastIn(firstSlot(k, shards), wallets/shards))
	}
	return all
}

// firstSlot of shard k, from 0, of n.
func firstSlot(k, n int) holdfast.Slot { return holdfast.Slot((k*holdfast.Slots + n - 1) / n) }

// shardOf is the shard of an account where there are n.
func shardOf(a holdfast.AccountID, n int) holdfast.ShardID {
	return holdfast.ShardID(int(a.Owner.Slot())*n/holdfast.Slots + 1)
}

func newCastIn(slot holdfast.Slot, wallets int) *cast {
	c := &cast{wallets: make([]holdfast.AccountID, wallets)}
	c.bank = account(slot, 0, "bank")
	for i := range c.wallets {
		c.wallets[i] = account(slot, uint32(i+1), "wallet")
	}
	return c
}

func account(slot holdfast.Slot, sequence uint32, purpose string) holdfast.AccountID {
	owner, err := holdfast.NewOwner(sequence, slot)
	if err != nil {
		panic(err) // sequences here are below 100 million
	}
	return holdfast.AccountID{Owner: owner, Purpose: holdfast.MustPurpose(purpose), Asset: yuan}
}

const (
	walletFund = holdfast.Amount(100_000_000_000) // enough for any number of transfers of at most a yuan
	perFunding = 1000                             // wallets opened and funded by one transaction
)

// funding makes the transactions that open and fund everything, one after another.
func (c *cast) funding(g *generator, yield func(*holdfast.Txn) bool) {
	c.fundingHere(g, yield)
	for _, other := range c.others {
		other.fundingHere(g, yield)
	}
}

func (c *cast) fundingHere(g *generator, yield func(*holdfast.Txn) bool) {
	for from := 0; from < len(c.wallets); from += perFunding {
		t := holdfast.Txn{ID: g.id()}
		if from == 0 {
			t.Accounts = append(t.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: c.bank, Limit: holdfast.LimitNone})
		}
		for _, w := range c.wallets[from:min(from+perFunding, len(c.wallets))] {
			t.Accounts = append(t.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: w, Limit: holdfast.LimitDebits})
			t.Transfers = append(t.Transfers, holdfast.Transfer{ID: g.id(), Kind: holdfast.Immediate, Debit: c.bank, Credit: w, Amount: walletFund})
		}
		if !yield(&t) {
			return
		}
	}
}

// generator makes transfers between random wallets, with ids as the Go client makes them. It belongs to one goroutine.
type generator struct {
	cast   *cast
	hot    bool // everything is paid to one wallet
	random *rand.Rand
	now    func() holdfast.Time
}

func newGenerator(c *cast, hot bool, seed uint64) *generator {
	return &generator{cast: c, hot: hot, random: rand.New(rand.NewPCG(seed, 7)), now: func() holdfast.Time { return holdfast.TimeOf(time.Now()) }}
}

func (g *generator) id() holdfast.ID { return g.idAt(g.now()) }

func (g *generator) idAt(at holdfast.Time) holdfast.ID {
	var random [10]byte
	binary.BigEndian.PutUint64(random[:], g.random.Uint64())
	binary.BigEndian.PutUint16(random[8:], uint16(g.random.Uint32()))
	return holdfast.NewID(at, random)
}

// pay fills in a plain payment between two different wallets of one shard.
func (g *generator) pay(t *holdfast.Transfer) {
	wallets := g.cast.wallets
	if n := len(g.cast.others); n > 0 {
		if k := g.random.IntN(n + 1); k > 0 {
			wallets = g.cast.others[k-1].wallets
		}
	}
	debit, credit := g.random.IntN(len(wallets)-1)+1, 0
	if !g.hot {
		credit = (debit + 1 + g.random.IntN(len(wallets)-1)) % len(wallets)
	}
	*t = holdfast.Transfer{
		Kind: holdfast.Immediate, Debit: wallets[debit], Credit: wallets[credit], Amount: holdfast.Amount(1 + g.random.IntN(100)), Code: 1,
	}
}

// batch fills txns with payments. Their ids share one reading of the clock and grow.
func (g *generator) batch(txns []holdfast.Txn, legs []holdfast.Transfer) {
	at := g.now()
	for i := range txns {
		g.pay(&legs[i])
		txns[i] = holdfast.Txn{ID: g.idAt(at), Transfers: legs[i : i+1 : i+1]}
	}
}
