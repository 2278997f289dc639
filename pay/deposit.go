package pay

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"holdfast"
)

// topRef says which top-up a reference means.
type topRef struct{ Number string }

func (*topRef) kind() (byte, byte) { return 61, 1 }

func (v *topRef) layout(c *coder) { text(c, &v.Number) }

const (
	referencePrefix  = "HF"
	referenceDigits  = 20 // eight of the sequence of the owner, ten of a hash of the number, two to check them
	referenceModulus = 10_000_000_000
)

// TopUpReference is what a customer writes into the text of the transfer by which he tops his wallet up: "HF" and 20 digits. Blanks and dashes
// between them do not matter; a digit that is mistyped, or two that are exchanged, are noticed.
func TopUpReference(o holdfast.Owner, number string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "holdfast top-up 1\x00%s\x00%s", o, number))
	digits := fmt.Sprintf("%08d%010d", o.Sequence(), binary.BigEndian.Uint64(sum[:8])%referenceModulus)
	return referencePrefix + digits + checkDigits(digits)
}

// checkDigits are those of ISO 7064 MOD 97-10.
func checkDigits(digits string) string {
	rest := 0
	for i := range len(digits) {
		rest = (rest*10 + int(digits[i]-'0')) % 97
	}
	return fmt.Sprintf("%02d", (98-rest*100%97)%97)
}

// FindReference finds the reference of a top-up in a text, however people have written it; "": there is none, or more than one.
func FindReference(text string) (reference string) {
	plain := strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '.', '/', '\n', '\t', '\r', '_':
			return -1
		}
		return r
	}, strings.ToUpper(text))
	for i := 0; i+len(referencePrefix)+referenceDigits <= len(plain); i++ {
		r := plain[i : i+len(referencePrefix)+referenceDigits]
		if _, ok := referenceSequence(r); !ok || r == reference {
			continue
		}
		if reference != "" {
			return ""
		}
		reference = r
	}
	return reference
}

// referenceSequence checks a reference and reads the owner's sequence off it.
func referenceSequence(r string) (uint32, bool) {
	digits, ok := strings.CutPrefix(r, referencePrefix)
	if !ok || len(digits) != referenceDigits || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(digits[:8], 10, 32)
	return uint32(n), err == nil && checkDigits(digits[:referenceDigits-2]) == digits[referenceDigits-2:]
}

// Deposit is money that has come into an account of the platform at a bank, by the bank's word. It is booked as soon as it is known, whoever it
// is for, so that the ledger has what the bank has.
type Deposit struct {
	ID       string // no part of the body
	Via      string // the bank
	Ref      string // the bank's own reference, which never changes
	Asset    holdfast.Asset
	Amount   holdfast.Amount
	EndToEnd string // what the payer has named it
	Text     string // what the payer has written; sealed in the record
	From     string // the payer's account, if the bank tells it; sealed in the record
	At       holdfast.Time
	Status   DepositStatus
	Why      string         // it could not be assigned
	Owner    holdfast.Owner // who has got it
	Number   string         // of the top-up
}

// DepositStatus is what has become of a deposit. The numbers are in records: append, never renumber.
type DepositStatus uint8

// States of a deposit.
const (
	NoDeposit         DepositStatus = iota
	DepositCredited                 // to the top-up that its text names
	DepositUnassigned               // it stands on an account of the platform until somebody assigns it
	DepositAssigned                 // by somebody
)

func (*Deposit) kind() (byte, byte) { return 62, 1 }

func (v *Deposit) layout(c *coder) {
	text(c, &v.Via)
	text(c, &v.Ref)
	number(c, &v.Asset)
	signed(c, &v.Amount)
	text(c, &v.EndToEnd)
	text(c, &v.Text)
	text(c, &v.From)
	signed(c, &v.At)
	number(c, &v.Status)
	text(c, &v.Why)
	number(c, &v.Owner)
	text(c, &v.Number)
}

// unassignedIndex lists the deposits that somebody has to assign.
const unassignedIndex = bankIndex + "/unassigned"

const useDeposit = "deposit"

func depositID(via string, asset holdfast.Asset, ref string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "holdfast deposit 1\x00%s\x00%s\x00%s", via, asset, ref))
	return hex.EncodeToString(sum[:16])
}

// stored is the deposit as it stands in its record.
func (c *Cashier) stored(v Deposit) *Deposit {
	v.Text, v.From = c.seal(c.Bank, useDeposit, v.Text), c.seal(c.Bank, useDeposit, v.From)
	return &v
}

func (c *Cashier) unstored(id string, v *Deposit) (err error) {
	v.ID = id
	if v.Text, err = c.openSealed(c.Bank, useDeposit, v.Text); err == nil {
		v.From, err = c.openSealed(c.Bank, useDeposit, v.From)
	}
	if err != nil {
		return &Unavailable{Err: err}
	}
	return nil
}

// Deposited books what a bank has brought: Via, Ref, Asset, Amount, EndToEnd, Text and From are given. When the text names a top-up that waits for
// money of this currency, or has waited in vain, it is credited with what has come, more or less than announced; everything else waits to be assigned. The same deposit
// (bank, asset, reference) is booked once, however often it is read.
func (c *Cashier) Deposited(ctx context.Context, in Deposit, now holdfast.Time) (out Deposit, err error) {
	if err := first(validVia(in.Via), validText(in.Ref, "ref", 128), validText(in.EndToEnd, "end_to_end", 128), validText(in.Text, "text", 1024)); err != nil {
		return out, err
	}
	if in.Amount < 1 || in.Ref == "" {
		return out, refuse(AmountInvalid, "amount")
	}
	id := depositID(in.Via, in.Asset, in.Ref)
	key := keyOf(c.Bank, kindDeposit, id)
	barred := ""
	err = c.again(ctx, func() error {
		out = Deposit{}
		version, err := c.load(ctx, key, &out)
		switch {
		case err == errUnderWay:
			return errOwn
		case err != nil:
			return err
		case version > 0:
			return c.unstored(id, &out)
		}
		out = in
		out.ID, out.At = id, now
		t, err := c.meant(ctx, &out)
		if err != nil {
			return err
		}
		if barred != "" && out.Why == "" {
			out.Why = barred
		}
		d := draft{at: now, code: moveTopUp, ref: refOf(key)}
		if out.Why != "" {
			out.Status, out.Owner, out.Number = DepositUnassigned, 0, ""
			d.move(account(c.Bank, BankMoney, out.Asset), account(c.Bank, Unassigned, out.Asset), out.Amount)
			d.put(key, 0, c.stored(out), booked(out.Via, out.Asset), unassignedIndex)
			return c.submit(ctx, &d)
		}
		out.Status = DepositCredited
		t.order.Status, t.order.Changed, t.order.Bank, t.order.Amount = OrderDone, now, out.Ref, out.Amount
		d.move(account(c.Bank, BankMoney, out.Asset), account(out.Owner, Wallet, out.Asset), out.Amount)
		d.put(key, 0, c.stored(out), booked(out.Via, out.Asset))
		d.put(t.key, t.version, &t.order)
		d.receipt(out.Owner, Receipt{Kind: ReceiptToppedUp, Asset: out.Asset, Amount: out.Amount, Number: out.Number}, out.ID)
		err = c.submit(ctx, &d)
		if refused := (*denied)(nil); errors.As(err, &refused) {
			barred = "the wallet takes no money: " + refused.outcome.Code.String()
			return errAgain
		}
		return err
	})
	return out, err
}

// waitingTopUp is the top-up that a deposit is for.
type waitingTopUp struct {
	key     string
	version uint64
	order   Order
}

// meant finds the top-up that the text of a deposit names, or says why there is none.
func (c *Cashier) meant(ctx context.Context, v *Deposit) (t waitingTopUp, err error) {
	reference := FindReference(v.Text)
	switch {
	case OurEndToEnd(v.EndToEnd):
		v.Why = "a payment of the platform has come back"
		return t, nil
	case reference == "":
		v.Why = "the text names no top-up, or more than one"
		return t, nil
	}
	sequence, _ := referenceSequence(reference)
	if v.Owner, err = c.OwnerOf(sequence); err != nil {
		v.Why = "the reference names nobody"
		return t, nil
	}
	var named topRef
	known, err := c.load(ctx, keyOf(v.Owner, kindTopRef, reference), &named)
	if err != nil {
		return t, err
	}
	if known == 0 {
		v.Why = "the reference names no top-up"
		return t, nil
	}
	v.Number, t.key = named.Number, keyOf(v.Owner, kindTopUp, named.Number)
	if t.version, err = c.must(ctx, t.key, &t.order, refuse(OrderUnknown, "number")); err != nil {
		return t, err
	}
	switch {
	case !t.order.takes():
		v.Why = "the top-up has got its money before, or has been given up"
	case t.order.Asset != v.Asset:
		v.Why = "the top-up is in another currency"
	}
	return t, nil
}

// UnassignedDeposits lists up to max deposits that somebody has to assign, from the one with the id after on; next is "" when that was all.
func (c *Cashier) UnassignedDeposits(ctx context.Context, after string, max int) (list []Deposit, next string, err error) {
	if after != "" {
		after = keyOf(c.Bank, kindDeposit, after)
	}
	records, err := c.Books.ByIndex(ctx, unassignedIndex, after, max)
	if err != nil {
		return nil, "", &Unavailable{Err: err}
	}
	for i := range records {
		var v Deposit
		_, _, next, _ = cutKey(records[i].Key)
		if err := unpack(records[i].Key, records[i].Body, &v); err != nil {
			return nil, "", &Unavailable{Err: err}
		}
		if err := c.unstored(next, &v); err != nil {
			return nil, "", err
		}
		list = append(list, v)
	}
	if len(records) < max {
		next = ""
	}
	return list, next, nil
}

// Deposit returns a deposit by its id.
func (c *Cashier) Deposit(ctx context.Context, id string) (v Deposit, err error) {
	if err := validNumber(id, "id"); err != nil {
		return v, err
	}
	if _, err := c.must(ctx, keyOf(c.Bank, kindDeposit, id), &v, refuse(OrderUnknown, "id")); err != nil {
		return v, settled(err)
	}
	return v, c.unstored(id, &v)
}

// AssignDeposit gives a deposit that could not be assigned to a customer, or to a merchant: that is a payout that has come back, and he is told
// so. Asking again is harmless; another owner is refused.
func (c *Cashier) AssignDeposit(ctx context.Context, id string, o holdfast.Owner, now holdfast.Time) (v Deposit, err error) {
	if err := validNumber(id, "id"); err != nil {
		return v, err
	}
	key := keyOf(c.Bank, kindDeposit, id)
	err = c.again(ctx, func() error {
		r, err := c.row(ctx, key, &v, refuse(OrderUnknown, "id"))
		switch {
		case err == errUnderWay && v.Owner == o:
			return errOwn
		case err != nil:
			return err
		case v.Status != DepositUnassigned && v.Owner == o:
			return c.unstored(id, &v)
		case v.Status != DepositUnassigned:
			return refuse(OrderStateWrong, "")
		}
		v.Status, v.Owner = DepositAssigned, o
		d := draft{at: now, code: moveTopUp, ref: refOf(key)}
		d.put(key, r.Version, &v, without(r.Index, unassignedIndex)...)
		if err := c.credit(ctx, &d, &v, o, id); err != nil {
			return err
		}
		if err := c.submit(ctx, &d); err != nil {
			return err
		}
		return c.unstored(id, &v)
	})
	return v, err
}

// credit moves a deposit to its owner: into his wallet, or to what is settled with a merchant.
func (c *Cashier) credit(ctx context.Context, d *draft, v *Deposit, o holdfast.Owner, id string) error {
	from := account(c.Bank, Unassigned, v.Asset)
	var m Merchant
	version, err := c.load(ctx, keyOf(o, kindMerchant), &m)
	if err != nil {
		return err
	}
	if version == 0 {
		d.receipt(o, Receipt{Kind: ReceiptToppedUp, Asset: v.Asset, Amount: v.Amount, Number: id})
		d.move(from, account(o, Wallet, v.Asset), v.Amount)
		return nil
	}
	d.move(from, account(o, Settlement, v.Asset), v.Amount)
	return c.tell(d, o, m.Zone, Event{Kind: EventPayoutReturned, Asset: v.Asset, Amount: v.Amount, Effect: v.Amount, Number: id})
}

// row is must with the record, for those whose index keys are kept.
func (c *Cashier) row(ctx context.Context, key string, d document, missing error) (r holdfast.Record, err error) {
	r, found, err := c.Books.Record(ctx, key)
	switch {
	case err != nil:
		return r, &Unavailable{Err: err}
	case !found:
		return r, missing
	}
	if err := unpack(key, r.Body, d); err != nil {
		return r, &Unavailable{Err: err}
	}
	if r.Pending != nil {
		return r, errUnderWay
	}
	return r, nil
}

func without(index []string, one string) (rest []string) {
	for _, key := range index {
		if key != one {
			rest = append(rest, key)
		}
	}
	return rest
}

// seen is up to which number the deposits of one account at a bank have been booked.
type seen struct{ Seq uint64 }

func (*seen) kind() (byte, byte) { return 63, 1 }

func (v *seen) layout(c *coder) { number(c, &v.Seq) }

// DepositsSeen tells up to which number of a bank's deposits in one currency all have been booked.
func (c *Cashier) DepositsSeen(ctx context.Context, via string, asset holdfast.Asset) (uint64, error) {
	var v seen
	_, err := c.load(ctx, keyOf(c.Bank, kindSeen, via+"-"+asset.String()), &v)
	return v.Seq, settled(err)
}

// SetDepositsSeen remembers it. It never goes back.
func (c *Cashier) SetDepositsSeen(ctx context.Context, via string, asset holdfast.Asset, seq uint64, now holdfast.Time) error {
	key := keyOf(c.Bank, kindSeen, via+"-"+asset.String())
	return c.again(ctx, func() error {
		var v seen
		version, err := c.load(ctx, key, &v)
		if err != nil || v.Seq >= seq {
			return err
		}
		d := draft{at: now}
		d.put(key, version, &seen{seq})
		return c.submit(ctx, &d)
	})
}
