package pay

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"slices"

	"holdfast"
)

// Difference is an account that does not hold what the documents say.
type Difference struct {
	Account   holdfast.AccountID
	Documents holdfast.Amount
	Ledger    holdfast.Amount
}

// String names the account and both numbers.
func (d Difference) String() string {
	return fmt.Sprintf("%s holds %d, and the documents say %d", d.Account, d.Ledger, d.Documents)
}

// Purse is all that an owner has in one currency.
type Purse struct {
	Owner holdfast.Owner
	Asset holdfast.Asset
}

func (p Purse) of(purpose holdfast.Purpose) holdfast.AccountID {
	return account(p.Owner, purpose, p.Asset)
}

// personal are the purposes of accounts of customers and merchants, in the order in which they are told.
var personal = [...]holdfast.Purpose{Wallet, Frozen, Settlement, Escrow, Royalty, Fees, Outgoing}

// AuditMerchant compares the accounts of a merchant in one currency with all his documents: what the platform keeps with the open trades, the
// fees with those taken, the settlement account with the rows of his statements less what was paid out. It is exact when nothing of the
// merchant is under way, and [Unavailable] when something is.
func (c *Cashier) AuditMerchant(ctx context.Context, o holdfast.Owner, asset holdfast.Asset) ([]Difference, error) {
	d := c.papersOf(Purse{o, asset}, Settlement, Escrow, Royalty, Fees, Outgoing)
	if err := d.merchant(ctx); err != nil {
		return nil, err
	}
	return d.compareAtRest(ctx)
}

// AuditCustomer compares what a customer has, and cannot spend, with his receipts, authorisations and withdrawals; otherwise as
// [Cashier.AuditMerchant].
func (c *Cashier) AuditCustomer(ctx context.Context, o holdfast.Owner, asset holdfast.Asset) ([]Difference, error) {
	d := c.papersOf(Purse{o, asset}, Wallet, Frozen, Outgoing)
	if err := d.customer(ctx); err != nil {
		return nil, err
	}
	return d.compareAtRest(ctx)
}

// papers are what the documents of an owner say that his accounts hold.
type papers struct {
	Purse
	books  Books
	want   map[holdfast.Purpose]holdfast.Amount
	asides bool        // a payment under way has written something: it is left aside, as it was before; false: it is an error
	seen   hash.Hash64 // over the keys and versions of all documents that were read, in order
}

func newPapers(p Purse, books Books) *papers {
	return &papers{Purse: p, books: books, want: map[holdfast.Purpose]holdfast.Amount{}, seen: fnv.New64a()}
}

func (c *Cashier) papersOf(p Purse, purposes ...holdfast.Purpose) *papers {
	d := newPapers(p, c.Books)
	for _, purpose := range purposes {
		d.want[purpose] = 0
	}
	return d
}

// decided is the body of a record without what is not decided yet; false: then there is none.
func (d *papers) decided(r *holdfast.Record) ([]byte, bool, error) {
	var room [128]byte
	state := r.Version << 1
	if r.Pending != nil {
		state++
	}
	_, _ = d.seen.Write(words(texted(room[:0], r.Key), state)) // a hash takes everything
	switch {
	case r.Pending == nil:
		return r.Body, true, nil
	case !d.asides:
		return nil, false, &Unavailable{Err: errUnderWay}
	case r.Pending.Before == nil:
		return nil, false, nil
	}
	return r.Pending.Before.Body, true, nil
}

// each calls use with every document of a kind.
func (d *papers) each(ctx context.Context, kind string, use func(key string, body []byte) error) error {
	prefix, after := keyOf(d.Owner, kind, ""), ""
	for {
		records, err := d.books.Records(ctx, prefix, after, rowPage)
		if err != nil {
			return &Unavailable{Err: err}
		}
		for i := range records {
			after = records[i].Key
			body, there, err := d.decided(&records[i])
			if err != nil {
				return err
			}
			if !there {
				continue
			}
			if err := use(after, body); err != nil {
				return &Unavailable{Err: err}
			}
		}
		if len(records) < rowPage {
			return nil
		}
	}
}

// one reads a document; false: there is none.
func (d *papers) one(ctx context.Context, key string, v document) (bool, error) {
	r, found, err := d.books.Record(ctx, key)
	if err != nil || !found {
		return false, err
	}
	body, there, err := d.decided(&r)
	if err != nil || !there {
		return false, err
	}
	return true, unpack(key, body, v)
}

func (d *papers) merchant(ctx context.Context) error {
	if err := d.each(ctx, kindTrade, d.trade); err != nil {
		return err
	}
	err := d.each(ctx, kindSplit, func(key string, body []byte) error { return d.split(ctx, key, body) })
	if err != nil {
		return err
	}
	err = d.each(ctx, kindEvent, func(key string, body []byte) error {
		e, err := ReadEvent(&holdfast.Record{Key: key, Body: body})
		if err == nil && e.Asset == d.Asset {
			d.want[Settlement] += e.Effect
		}
		return err
	})
	if err != nil {
		return err
	}
	return d.each(ctx, kindPayout, func(key string, body []byte) error {
		var v Order
		err := unpack(key, body, &v)
		if err != nil || v.Asset != d.Asset {
			return err
		}
		d.want[Settlement] -= v.Amount
		if v.Status < OrderDone {
			d.want[Outgoing] += v.Amount
		}
		return nil
	})
}

func (d *papers) trade(key string, body []byte) error {
	var v Trade
	if err := unpack(key, body, &v); err != nil || v.Asset != d.Asset {
		return err
	}
	d.want[Fees] += v.FeeTaken - v.FeeBack
	switch v.Mode {
	case Protected:
		d.want[Escrow] += v.Kept
	case Split:
		d.want[Royalty] += v.Kept
	}
	d.want[Royalty] += v.Shared
	return nil
}

// split takes the shares that have been paid off what is set aside.
func (d *papers) split(ctx context.Context, key string, body []byte) error {
	var v SplitAsk
	if err := unpack(key, body, &v); err != nil {
		return err
	}
	var t Trade
	found, err := d.one(ctx, keyOf(d.Owner, kindTrade, v.OutTradeNo), &t)
	if err == nil && !found {
		err = fmt.Errorf("%w: %.60q splits a trade that is not there", ErrCorrupt, key)
	}
	if err != nil || t.Asset != d.Asset {
		return err
	}
	_, _, number, _ := cutKey(key)
	for i := range v.Shares {
		paid, err := d.one(ctx, keyOf(d.Owner, kindShare, number, fmt.Sprint(i)), &paidShare{})
		if err != nil {
			return err
		}
		if paid {
			d.want[Royalty] -= v.Shares[i].Amount
		}
	}
	return nil
}

func (d *papers) customer(ctx context.Context) error {
	err := d.each(ctx, kindFreeze, func(key string, body []byte) error {
		var v freeze
		err := unpack(key, body, &v)
		if err == nil && v.Asset == d.Asset {
			d.want[Frozen] += v.Rest
		}
		return err
	})
	if err != nil {
		return err
	}
	err = d.each(ctx, kindWithdraw, func(key string, body []byte) error {
		var v Order
		err := unpack(key, body, &v)
		if err == nil && v.Asset == d.Asset && v.Status < OrderDone {
			d.want[Outgoing] += v.Amount
		}
		return err
	})
	if err != nil {
		return err
	}
	return d.each(ctx, kindReceipt, func(key string, body []byte) error {
		var v Receipt
		err := unpack(key, body, &v)
		if err == nil && v.Asset == d.Asset && v.Kind.moves() {
			d.want[Wallet] += v.Amount
		}
		return err
	})
}

// compareAtRest is for accounts of which nothing is under way: then nothing is held on them either.
func (d *papers) compareAtRest(ctx context.Context) (list []Difference, err error) {
	for _, purpose := range personal {
		amount, asked := d.want[purpose]
		if !asked {
			continue
		}
		a, _, err := d.books.Account(ctx, d.of(purpose))
		if err != nil {
			return nil, &Unavailable{Err: err}
		}
		if a.Balance() != amount || a.DebitsPending+a.CreditsPending != 0 {
			list = append(list, Difference{d.of(purpose), amount, a.Balance()})
		}
	}
	return list, nil
}

// AuditBooks are the books of a fleet as an audit reads them. Reads may be of the past, but a later one never sees less than an earlier one did.
type AuditBooks interface {
	Books
	// Purses lists up to max purses that anybody has accounts of package pay in (see [Keeps]), above after, in the order of owners and then of
	// currencies; the zero Purse begins.
	Purses(ctx context.Context, after Purse, max int) ([]Purse, error)
}

// AuditPage is what the audit of some purses found.
type AuditPage struct {
	Customers int // purses with a wallet
	Merchants int // purses with a settlement account; some owners are both
	Strangers int // purses with neither, in which there must be nothing
	// Differences are exact: nothing was under way that could explain them.
	Differences []Difference
	// Undecided could not be audited.
	Undecided []Undecided
	// Next is the purse behind which the next page begins; the zero Purse: there is none.
	Next Purse
}

// Undecided is a purse that could not be audited, and why.
type Undecided struct {
	Purse
	Why error
}

// ErrAuditBusy says that a purse has changed each time it was read.
var ErrAuditBusy = errors.New("payments went on while it was read: ask again when there are fewer")

// ErrAuditTime says that there was not time enough for all documents of an owner.
var ErrAuditTime = errors.New("the time was not enough for all of the owner's documents")

// Audit compares the accounts of up to max purses above after with the documents of their owners; see [Cashier.AuditPurses].
func (c *Cashier) Audit(ctx context.Context, books AuditBooks, after Purse, max int) (page AuditPage, err error) {
	list, err := books.Purses(ctx, after, max+1)
	if err != nil {
		return page, &Unavailable{Err: err}
	}
	page = c.AuditPurses(ctx, books, list[:min(max, len(list))])
	if page.Next == (Purse{}) && len(list) > max {
		page.Next = list[max-1]
	}
	return page, nil
}

// AuditPurses compares the accounts of some purses with the documents of their owners, while payments go on. The accounts are read before and after
// the documents: whatever moves money writes both at once, and sums of debits and credits never go back, so where the accounts are the same the
// documents are those that belong to them; where they are not, it is read again. Some documents change together and move no money, as when a share
// comes back to its trade: so a difference is only told when all was read once more, and neither accounts nor documents had changed. What a payment between shards has written and is not decided
// counts on neither side. When ctx ends, Next is the last purse that was finished; the first one, when it was not finished, is undecided. The
// platform's own accounts are left out: they are compared with the books of its banks.
func (c *Cashier) AuditPurses(ctx context.Context, books Books, list []Purse) (page AuditPage) {
	for i, p := range list {
		if p.Owner == c.Bank {
			continue
		}
		err := page.purse(ctx, books, p)
		switch {
		case ctx.Err() != nil && i > 0:
			page.Next = list[i-1]
			return page
		case ctx.Err() != nil:
			page.Undecided, page.Next = append(page.Undecided, Undecided{p, ErrAuditTime}), p
			return page
		case err != nil:
			page.Undecided = append(page.Undecided, Undecided{p, err})
		}
	}
	return page
}

// auditTries is how often a purse is read in which payments go on.
const auditTries = 5

func (page *AuditPage) purse(ctx context.Context, books Books, p Purse) error {
	var found look // with a difference
	for range auditTries {
		before, err := read(ctx, books, p)
		if err != nil {
			return &Unavailable{Err: err}
		}
		d := newPapers(p, books)
		d.asides = true
		customer, merchant := before.has(Wallet), before.has(Settlement)
		if customer {
			err = d.customer(ctx)
		}
		if err == nil && merchant {
			err = d.merchant(ctx)
		}
		if err != nil {
			return err
		}
		after, err := read(ctx, books, p)
		if err != nil {
			return &Unavailable{Err: err}
		}
		if after != before {
			continue
		}
		list, this := after.differ(d), look{after, d.seen.Sum64()}
		if len(list) > 0 && this != found {
			found = this
			continue
		}
		page.count(customer, merchant)
		page.Differences = append(page.Differences, list...)
		return nil
	}
	return ErrAuditBusy
}

// look is what a purse and the documents of its owner were when they were read: two looks that are the same saw what there was between them.
type look struct {
	accounts  contents
	documents uint64
}

func (page *AuditPage) count(customer, merchant bool) {
	switch {
	case customer && merchant:
		page.Customers, page.Merchants = page.Customers+1, page.Merchants+1
	case customer:
		page.Customers++
	case merchant:
		page.Merchants++
	default:
		page.Strangers++
	}
}

// contents are the accounts of a purse, by the place of their purpose among the personal ones; zero: not open.
type contents [len(personal)]holdfast.Account

func read(ctx context.Context, books Books, p Purse) (c contents, err error) {
	for i, purpose := range personal {
		a, found, err := books.Account(ctx, p.of(purpose))
		if err != nil {
			return c, err
		}
		if found {
			c[i] = a
		}
	}
	return c, nil
}

// has reports whether the account with a purpose is open.
func (c *contents) has(p holdfast.Purpose) bool {
	return slices.ContainsFunc(c[:], func(a holdfast.Account) bool { return a.ID != holdfast.AccountID{} && a.ID.Purpose == p })
}

// differ compares what has been posted. What is held on an account is no document's: the ledger compares it with the open holds.
func (c *contents) differ(d *papers) (list []Difference) {
	for i, purpose := range personal {
		if have, want := c[i].Balance(), d.want[purpose]; have != want {
			list = append(list, Difference{d.of(purpose), want, have})
		}
	}
	return list
}
