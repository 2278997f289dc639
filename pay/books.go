package pay

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"time"

	"holdfast"
)

// Books is where the domain reads and writes. All reads are linearizable. Any number of goroutines may call it at once.
type Books interface {
	// Record returns the record with this key, which belongs to an owner; found is false when there is none. One that is Pending comes as it
	// will be if the payment under way lands.
	Record(ctx context.Context, key string) (r holdfast.Record, found bool, err error)
	// Records lists records whose keys begin with prefix (of one owner), from after on, at most max, in the order of keys.
	Records(ctx context.Context, prefix, after string, max int) ([]holdfast.Record, error)
	// ByIndex lists the records of all owners that carry an index key.
	ByIndex(ctx context.Context, index, after string, max int) ([]holdfast.Record, error)
	// Account returns an account as it stands; found is false when it was never opened.
	Account(ctx context.Context, id holdfast.AccountID) (a holdfast.Account, found bool, err error)
	// Submit proposes the transaction and returns its outcome: done, refused with a code (and the field), or unknown. An error that is none of
	// those means not executed; the outcome beside it may say why. One transaction's accounts and records may belong to owners of at most two shards; the money goes from the
	// owners of the first to those of the second; records and preconditions of either side travel with it, and are taken back when the
	// second refuses.
	Submit(ctx context.Context, t *holdfast.Txn) (holdfast.Outcome, error)
}

// Glancer is what [Books] may offer besides. Where they do, the first try of a payment asks nobody for what it reads: its transaction depends on
// the versions of all of it, so what was too old is refused by the ledger, and read again as it stands.
type Glancer interface {
	// Glance is Record as it was a moment ago where the caller is: without a round trip, and as old as what this place has heard last. It may have
	// been deleted or changed since, and none that is not found need be missing.
	Glance(ctx context.Context, key string) (r holdfast.Record, found bool, err error)
}

// glances are books that are read by a glance.
type glances struct {
	Books
	glancer Glancer
}

func (g glances) Record(ctx context.Context, key string) (holdfast.Record, bool, error) {
	return g.glancer.Glance(ctx, key)
}

// Config is what a [Cashier] needs.
type Config struct {
	Books Books
	// AliasKey (32 bytes) keys the hash under which phone numbers and e-mail addresses are stored: without it nobody can try all numbers.
	AliasKey []byte
	// CodeKey (32 bytes) encrypts the secrets of payment codes (AES-256-GCM).
	CodeKey []byte
	// Bank is the owner of the platform's accounts at the bank, purpose "bank": what came from there less what went there.
	Bank holdfast.Owner
	// OwnerOf is the owner number with this sequence. The platform issues each sequence once, and its slot follows from it.
	OwnerOf func(sequence uint32) (holdfast.Owner, error)
	// Day is where the days and months of customers' limits begin and end.
	Day *time.Location
	// Zone finds the time zone of a merchant by its IANA name.
	Zone func(name string) (*time.Location, error)
	// ShipWithin is how long after the payment a merchant has to ship what is protected, or the buyer has his money back; 0: 15 days.
	ShipWithin time.Duration
	// FreezeFor is how long money stays frozen for a merchant, who may take it meanwhile; 0: 30 days.
	FreezeFor time.Duration
	// LeastProtection is the shortest time that a merchant may give a buyer to confirm or dispute after shipping; 0: 72 hours.
	LeastProtection time.Duration
	// TopUpWithin is how long the money of an announced top-up is waited for; 0: 30 days. Money that comes later is credited all the same.
	TopUpWithin time.Duration
	// Wait passes a moment after try number n (from 1) at records that a payment under way has written, or that others change all the time; all
	// of them together a second or so. nil: no time passes.
	Wait func(ctx context.Context, n int) error
	// Codes bounds how many wrong payment codes are looked at; nil: all are.
	Codes *CodeTries
	// Aside does something that a caller need not wait for, with a deadline of its own, or leaves it; nil: it is done within his.
	Aside func(do func(context.Context))
	// Told is called with each event of a transaction that was answered done: a hint that there is something to tell, for whoever delivers. It
	// must not block, nor change the event. An event without a hint is found by [EventIndex]. nil: nobody wants hints.
	Told func(e *Event)
}

// Cashier does everything that this package offers. It has no state: any number of them, at any site, may do the same at once.
type Cashier struct {
	Config
	sealer cipher.AEAD
	hasty  *Cashier // reads by a glance; nil: its books offer none
}

// keyBytes is the length of both keys of a [Config].
const keyBytes = 32

// New checks the configuration.
func New(cfg Config) (*Cashier, error) {
	switch {
	case cfg.Books == nil || cfg.OwnerOf == nil || cfg.Zone == nil || cfg.Day == nil:
		return nil, errors.New("pay: Books, OwnerOf, Zone and Day must be given")
	case len(cfg.AliasKey) != keyBytes || len(cfg.CodeKey) != keyBytes:
		return nil, fmt.Errorf("pay: the keys for aliases and codes must have %d bytes each", keyBytes)
	}
	if err := cfg.Bank.Check(); err != nil {
		return nil, fmt.Errorf("pay: bank: %w", err)
	}
	cfg.ShipWithin = cmp.Or(cfg.ShipWithin, defaultShipWithin)
	cfg.FreezeFor = cmp.Or(cfg.FreezeFor, defaultFreezeFor)
	cfg.LeastProtection = cmp.Or(cfg.LeastProtection, defaultProtection)
	cfg.TopUpWithin = cmp.Or(cfg.TopUpWithin, defaultTopUpWithin)
	outside := func(d time.Duration) bool { return d < MinEnd || d > MaxEnd }
	switch {
	case outside(cfg.ShipWithin) || outside(cfg.FreezeFor) || outside(cfg.TopUpWithin):
		return nil, fmt.Errorf("pay: ShipWithin, FreezeFor and TopUpWithin must be within %s and %s", long(MinEnd), long(MaxEnd))
	case cfg.LeastProtection < MinProtection || cfg.LeastProtection > MaxProtection:
		return nil, fmt.Errorf("pay: LeastProtection must be within %s and %s", long(MinProtection), long(MaxProtection))
	}
	block, err := aes.NewCipher(cfg.CodeKey)
	if err != nil {
		return nil, fmt.Errorf("pay: %w", err)
	}
	sealer, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("pay: %w", err)
	}
	c := &Cashier{Config: cfg, sealer: sealer}
	if g, ok := cfg.Books.(Glancer); ok {
		c.hasty = &Cashier{Config: cfg, sealer: sealer}
		c.hasty.Books = glances{cfg.Books, g}
	}
	return c, nil
}

// Purposes of accounts.
var (
	Wallet     = holdfast.MustPurpose("wallet")     // of a customer: what can be spent
	Frozen     = holdfast.MustPurpose("frozen")     // of a customer: pre-authorised, for the merchants to take or release
	Outgoing   = holdfast.MustPurpose("outgoing")   // on its way to a bank that has not answered yet
	Settlement = holdfast.MustPurpose("settlement") // of a merchant: earned, and paid out by the next settlement
	Escrow     = holdfast.MustPurpose("escrow")     // of a merchant: paid, and kept by the platform until the buyer confirms
	Royalty    = holdfast.MustPurpose("royalty")    // of a merchant: paid, and kept until it has been split
	Fees       = holdfast.MustPurpose("fee")        // of a merchant: the platform's fees for his trades
	BankMoney  = holdfast.MustPurpose("bank")       // of the platform: its account at the bank
	Unassigned = holdfast.MustPurpose("unassigned") // of the platform: came from a bank, and nobody knows yet for whom
)

// Keeps reports whether accounts with this purpose are the domain's: what is moved on them without it passes limits, blocks, disputes and the rows of
// settlements by.
func Keeps(p holdfast.Purpose) bool {
	switch p {
	case Wallet, Frozen, Outgoing, Settlement, Escrow, Royalty, Fees, BankMoney, Unassigned:
		return true
	}
	return false
}

func account(o holdfast.Owner, p holdfast.Purpose, a holdfast.Asset) holdfast.AccountID {
	return holdfast.AccountID{Owner: o, Purpose: p, Asset: a}
}
