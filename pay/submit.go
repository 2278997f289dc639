package pay

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"holdfast"
)

// errAgain says that a record is not as it was read: read and decide again.
var errAgain = errors.New("a record has changed")

// errUnderWay says that a payment which is not decided yet has written one of the records.
var errUnderWay = errors.New("a payment under way has written one of the records: ask again in a moment")

// errOwn is errUnderWay when that payment is the very thing that is asked for: whoever was told of it a moment ago, before it was settled, is
// told again when it is, and nobody knows what comes of it if it stays so.
var errOwn = fmt.Errorf("it is what is asked for: %w", errUnderWay)

// denied is a refusal of the ledger that is not about versions; see explain.
type denied struct {
	outcome holdfast.Outcome
	txn     *holdfast.Txn
}

func (d *denied) Error() string { return "the ledger refused: " + d.outcome.Code.String() }

// How often one call decides anew because others were faster, or because a payment under way has written what it needs: many payments of one
// customer come one after the other. What is under way itself is settled within some tens of milliseconds; whoever asks for it is told
// that it is not known sooner than that others are in the way. Without [Config.Wait] no time passes, and fewer tries tell as much.
const (
	maxTries  = 32
	ownTries  = 10
	hastyTry  = 3 // up to this one, what others have changed is read again at once
	idleTries = 8
)

// again does something until nobody has changed what it read, and nothing that it needs is under way. Its errors are those of this package.
func (c *Cashier) again(ctx context.Context, do func() error) error {
	most := maxTries
	if c.Wait == nil {
		most = idleTries
	}
	for n := 1; ; n++ {
		err := do()
		own, underWay := errors.Is(err, errOwn), errors.Is(err, errUnderWay)
		switch {
		case !underWay && !errors.Is(err, errAgain):
			return explain(err)
		case own && n >= ownTries:
			return &Pending{}
		case n >= most && own:
			return &Pending{}
		case n >= most && underWay:
			return &Unavailable{Err: err}
		case n >= most:
			return &Unavailable{Err: ErrBusy}
		case c.Wait == nil || !underWay && n <= hastyTry:
			continue
		}
		switch waited := c.Wait(ctx, n); {
		case waited != nil && own:
			return &Pending{}
		case waited != nil:
			return &Unavailable{Err: waited}
		}
	}
}

// load reads a document. version is 0 when there is none, and d is as it was. A record that is not decided yet is read, and the error is
// errUnderWay.
func (c *Cashier) load(ctx context.Context, key string, d document) (version uint64, err error) {
	r, found, err := c.Books.Record(ctx, key)
	switch {
	case err != nil:
		return 0, &Unavailable{Err: err}
	case !found:
		return 0, nil
	}
	if err := unpack(key, r.Body, d); err != nil {
		return 0, &Unavailable{Err: err}
	}
	if r.Pending != nil && !plantedPendingBelieved() {
		return r.Version, errUnderWay
	}
	return r.Version, nil
}

// unlessSince is the refusal of something that was decided after its record was read: if the record has changed since, errAgain. The same
// request may have been done at another site in between, and be the very reason.
func (c *Cashier) unlessSince(ctx context.Context, key string, version uint64, why error) error {
	if refused(why) == "" {
		return why
	}
	if r, _, err := c.Books.Record(ctx, key); err == nil && r.Version != version {
		return errAgain
	}
	return why
}

// read is must for a question that is asked outside of again: what a payment under way has written is waited for.
func (c *Cashier) read(ctx context.Context, key string, d document, missing error) error {
	return c.again(ctx, func() error {
		_, err := c.must(ctx, key, d, missing)
		return err
	})
}

// own is load for what is asked for by its number: if the payment that has written it is under way, the error is errOwn.
func (c *Cashier) own(ctx context.Context, key string, d document) (version uint64, err error) {
	if version, err = c.load(ctx, key, d); err == errUnderWay {
		err = errOwn
	}
	return version, err
}

// must is load for what has to be there.
func (c *Cashier) must(ctx context.Context, key string, d document, missing error) (version uint64, err error) {
	version, err = c.load(ctx, key, d)
	if err == nil && version == 0 {
		err = missing
	}
	return version, err
}

// draft is a transaction being built.
type draft struct {
	holdfast.Txn
	at   holdfast.Time
	code uint32       // of all transfers
	ref  holdfast.Ref // of all transfers

	events []*Event // that the transaction writes
}

// Codes of transfers, for statements. The numbers are in logs: append, never renumber.
const (
	movePay uint32 = 1 + iota
	moveRefund
	moveRelease
	moveSplit
	moveFreeze
	moveUnfreeze
	moveTransfer
	moveTopUp
	moveWithdraw
	movePayout
	moveReturn
)

// put writes a document over the version that was read.
func (d *draft) put(key string, version uint64, doc document, index ...string) {
	d.Records = append(d.Records, holdfast.RecordChange{Key: key, Expect: version, Index: index, Body: pack(doc)})
}

// need makes the transaction depend on the version of a record that it does not write.
func (d *draft) need(key string, version uint64) {
	for _, p := range d.Preconditions {
		if p.Key == key {
			return
		}
	}
	d.Preconditions = append(d.Preconditions, holdfast.Precondition{Key: key, Version: version})
}

// move moves an amount, if there is one.
func (d *draft) move(from, to holdfast.AccountID, amount holdfast.Amount) {
	if amount > 0 {
		d.Transfers = append(d.Transfers, holdfast.Transfer{
			Kind: holdfast.Immediate, Debit: from, Credit: to, Amount: amount, Code: d.code, Ref: d.ref,
		})
	}
}

// open opens an account.
func (d *draft) open(id holdfast.AccountID, limit holdfast.Limit) {
	d.Accounts = append(d.Accounts, holdfast.AccountChange{Op: holdfast.OpenAccount, ID: id, Limit: limit})
}

// submit gives the draft its ids and proposes it. nil: done. The errors are errAgain, errUnderWay, denied, Pending and Unavailable.
func (c *Cashier) submit(ctx context.Context, d *draft) error {
	d.identify()
	o, err := c.Books.Submit(ctx, &d.Txn)
	switch {
	case o.Status == holdfast.NotExecuted && o.Code == holdfast.CodeRecordPending:
		return errUnderWay // whether or not an error comes with it
	case err != nil:
		return &Unavailable{Code: o.Code, Err: err}
	case o.Status == holdfast.Done:
		for _, e := range d.events {
			if c.Told != nil {
				c.Told(e)
			}
		}
		return nil
	case o.Status == holdfast.Unknown && plantedUnknownFailed():
		return refuse(LedgerRefused, "")
	case o.Status == holdfast.Unknown:
		return &Pending{ID: d.ID}
	case o.Status == holdfast.NotExecuted:
		return &Unavailable{Code: o.Code}
	}
	switch o.Code {
	case holdfast.CodeRecordExists, holdfast.CodeRecordMissing, holdfast.CodeRecordVersionMismatch:
		return errAgain
	}
	return &denied{o, &d.Txn}
}

// identify makes the ids of the transaction and its legs of the content, so that the same content has the same ids. They begin with the time,
// which keeps the index of ids cheap.
func (d *draft) identify() {
	var room [1 << 10]byte // for most payments
	d.ID = d.hashed(d.content(room[:0]))
	if len(d.Transfers) < 2 {
		return
	}
	for i := range d.Transfers {
		d.Transfers[i].ID = d.hashed(words(append(room[:0], d.ID[:]...), uint64(i)))
	}
}

// hashed is an id of version 7 (RFC 9562 section 5.7): 48 bits of milliseconds, the rest a hash. Of an id of this version the store knows by its time
// that it is new, and does not look at the disk for it, at each replica, for the transaction and each of its legs.
func (d *draft) hashed(content []byte) (id holdfast.ID) {
	sum := sha256.Sum256(content)
	copy(id[:], sum[:])
	ms := uint64(d.at) / 1e6
	id[0], id[1], id[2], id[3], id[4], id[5] = byte(ms>>40), byte(ms>>32), byte(ms>>24), byte(ms>>16), byte(ms>>8), byte(ms)
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// content appends everything but the ids.
func (d *draft) content(b []byte) []byte {
	b = words(b, uint64(d.at), uint64(len(d.Preconditions)), uint64(len(d.Accounts)), uint64(len(d.Transfers)), uint64(len(d.Records)))
	for i := range d.Preconditions {
		b = words(texted(b, d.Preconditions[i].Key), d.Preconditions[i].Version)
	}
	for i := range d.Accounts {
		a := &d.Accounts[i]
		b = words(a.ID.Append(b), uint64(a.Op), uint64(a.Limit))
	}
	for i := range d.Transfers {
		t := &d.Transfers[i]
		b = t.Credit.Append(t.Debit.Append(b))
		b = words(append(b, t.Ref[:]...), uint64(t.Amount), uint64(t.Code))
	}
	for i := range d.Records {
		r := &d.Records[i]
		b = words(texted(texted(b, r.Key), r.Body), r.Expect, uint64(len(r.Index)))
		for _, key := range r.Index {
			b = texted(b, key)
		}
	}
	return b
}

// texted appends a text or bytes with their length before them: what is hashed.
func texted[T ~string | ~[]byte](b []byte, s T) []byte { return append(words(b, uint64(len(s))), s...) }

func words(b []byte, list ...uint64) []byte {
	for _, w := range list {
		b = binary.BigEndian.AppendUint64(b, w)
	}
	return b
}

// explain turns a refusal of the ledger into one for whoever asked. The accounts of the leg at fault say whose it is.
func explain(err error) error {
	var d *denied
	if !errors.As(err, &d) {
		return err
	}
	if int(d.outcome.Leg) >= len(d.txn.Transfers) {
		return refuse(LedgerRefused, d.outcome.Code.String())
	}
	leg := &d.txn.Transfers[d.outcome.Leg]
	switch d.outcome.Code {
	case holdfast.CodeExceedsCredits:
		return short(leg.Debit.Purpose)
	case holdfast.CodeDebitMissing:
		return missing(leg.Debit.Purpose, WalletMissing)
	case holdfast.CodeCreditMissing:
		return missing(leg.Credit.Purpose, PayeeUnknown)
	case holdfast.CodeDebitClosed, holdfast.CodeDebitFrozen:
		return blocked(leg.Debit.Purpose, WalletBlocked)
	case holdfast.CodeCreditClosed, holdfast.CodeCreditFrozen:
		return blocked(leg.Credit.Purpose, PayeeBlocked)
	}
	return refuse(LedgerRefused, d.outcome.Code.String())
}

func ofCustomer(p holdfast.Purpose) bool { return p == Wallet || p == Frozen }

func short(p holdfast.Purpose) error {
	switch p {
	case Wallet:
		return refuse(BalanceNotEnough, "")
	case Frozen:
		return refuse(AuthTooMuch, "amount")
	}
	return refuse(SellerBalance, "")
}

func missing(p holdfast.Purpose, customers Code) error {
	if ofCustomer(p) {
		return refuse(customers, "")
	}
	return refuse(AssetInvalid, "asset")
}

func blocked(p holdfast.Purpose, customers Code) error {
	if ofCustomer(p) {
		return refuse(customers, "")
	}
	return refuse(SellerBlocked, "")
}

func asDenied(err error, d **denied) bool { return errors.As(err, d) }
