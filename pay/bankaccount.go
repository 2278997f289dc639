package pay

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"holdfast"
	"holdfast/bank/iso20022"
)

// BankAccount is an account at a bank that money is paid out to. It does not show itself in logs or formatted text.
type BankAccount struct {
	Number string // an IBAN or the bank's own number, see [iso20022.CheckAccount]
	Name   string // of its holder
}

// String hides both.
func (BankAccount) String() string { return "(bank account)" }

// GoString hides both.
func (b BankAccount) GoString() string { return b.String() }

// MarshalText hides both from encoders and structured logs.
func (b BankAccount) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

func (b *BankAccount) check() error {
	if iso20022.CheckAccount(b.Number) != nil {
		return refuse(FieldInvalid, "account")
	}
	if iso20022.CheckText(b.Name, iso20022.MaxText) != nil {
		return refuse(FieldInvalid, "name")
	}
	return nil
}

// seal encrypts a text of an owner: AES-256-GCM, nonce first, bound to the owner and to what it is for. The nonce is a keyed hash of all of it:
// the same text is sealed to the same bytes, so that what is asked for again can be compared, and a nonce never serves two texts.
func (c *Cashier) seal(o holdfast.Owner, use, plain string) string {
	bound := fmt.Appendf(nil, "holdfast %s %s", use, o)
	key := hmac.New(sha256.New, c.CodeKey)
	key.Write([]byte("holdfast nonces of sealed texts"))
	h := hmac.New(sha256.New, key.Sum(nil))
	h.Write(texted(texted(nil, bound), plain))
	nonce := h.Sum(nil)[:NonceBytes]
	return string(c.sealer.Seal(nonce[:NonceBytes:NonceBytes], nonce, []byte(plain), bound))
}

func (c *Cashier) openSealed(o holdfast.Owner, use, sealed string) (string, error) {
	if len(sealed) < NonceBytes {
		return "", fmt.Errorf("%w: a sealed text is cut off", ErrCorrupt)
	}
	plain, err := c.sealer.Open(nil, []byte(sealed[:NonceBytes]), []byte(sealed[NonceBytes:]), fmt.Appendf(nil, "holdfast %s %s", use, o))
	if err != nil {
		return "", fmt.Errorf("%w: a sealed text does not open: is the key another one?", ErrCorrupt)
	}
	return string(plain), nil
}

const useAccount = "bank account"

// sealAccount has the number in front, which has no line break.
func (c *Cashier) sealAccount(o holdfast.Owner, b BankAccount) string {
	return c.seal(o, useAccount, b.Number+"\n"+b.Name)
}

func (c *Cashier) openAccount(o holdfast.Owner, sealed string) (b BankAccount, err error) {
	plain, err := c.openSealed(o, useAccount, sealed)
	if err != nil {
		return b, err
	}
	for i := range len(plain) {
		if plain[i] == '\n' {
			return BankAccount{plain[:i], plain[i+1:]}, nil
		}
	}
	return b, fmt.Errorf("%w: a bank account has no name", ErrCorrupt)
}

// storedAccount is a bank account of an owner.
type storedAccount struct {
	Sealed string
	At     holdfast.Time
}

func (*storedAccount) kind() (byte, byte) { return 60, 1 }

func (v *storedAccount) layout(c *coder) {
	text(c, &v.Sealed)
	signed(c, &v.At)
}

// MainAccount is the name of the bank account that money goes to when no other one is named.
const MainAccount = "main"

// NamedAccount is a bank account of an owner as he may see it.
type NamedAccount struct {
	Name string // that he has given it
	Tail string // the last four characters of its number
	At   holdfast.Time
}

// PutAccount keeps a bank account of a customer or merchant under a name ("" is [MainAccount]), or changes it, and has what waits for one of his
// paid there. What has been sent before is not changed by it.
func (c *Cashier) PutAccount(ctx context.Context, o holdfast.Owner, name string, b BankAccount, now holdfast.Time) error {
	name = accountName(name)
	if err := first(validNumber(name, "name"), b.check(), o.Check()); err != nil {
		return err
	}
	v := storedAccount{c.sealAccount(o, b), now}
	err := c.again(ctx, func() error {
		var had storedAccount
		version, err := c.load(ctx, keyOf(o, kindAccount, name), &had)
		if err != nil || had.Sealed == v.Sealed {
			return err
		}
		d := draft{at: now}
		d.put(keyOf(o, kindAccount, name), version, &v)
		return c.submit(ctx, &d)
	})
	if err != nil {
		return err
	}
	return c.address(ctx, o, v.Sealed, now)
}

func accountName(name string) string {
	if name == "" {
		return MainAccount
	}
	return name
}

// Accounts lists the bank accounts of an owner.
func (c *Cashier) Accounts(ctx context.Context, o holdfast.Owner) (list []NamedAccount, err error) {
	err = c.papersOf(Purse{Owner: o}).each(ctx, kindAccount, func(key string, body []byte) error {
		var v storedAccount
		if err := unpack(key, body, &v); err != nil {
			return err
		}
		b, err := c.openAccount(o, v.Sealed)
		_, _, name, _ := cutKey(key)
		list = append(list, NamedAccount{name, b.Number[max(0, len(b.Number)-4):], v.At})
		return err
	})
	return list, err
}

// RemoveAccount forgets a bank account. One that is not there is no error; what was ordered before is paid to it all the same.
func (c *Cashier) RemoveAccount(ctx context.Context, o holdfast.Owner, name string, now holdfast.Time) error {
	name = accountName(name)
	if err := validNumber(name, "name"); err != nil {
		return err
	}
	key := keyOf(o, kindAccount, name)
	return c.again(ctx, func() error {
		version, err := c.load(ctx, key, &storedAccount{})
		if err != nil || version == 0 {
			return err
		}
		d := draft{at: now}
		d.Records = append(d.Records, holdfast.RecordChange{Key: key, Expect: version, Delete: true})
		return c.submit(ctx, &d)
	})
}

// account of an owner to pay out to, sealed; "" when there is none of this name.
func (c *Cashier) payeeOf(ctx context.Context, o holdfast.Owner, name string) (string, error) {
	var v storedAccount
	if validNumber(name, "") != nil {
		name = MainAccount // the name of a merchant's payee may be any text
	}
	_, err := c.load(ctx, keyOf(o, kindAccount, name), &v)
	return v.Sealed, err
}

// address lets the orders of an owner that wait for a bank account go to one.
func (c *Cashier) address(ctx context.Context, o holdfast.Owner, sealed string, now holdfast.Time) error {
	after := ""
	for {
		records, err := c.Books.ByIndex(ctx, nowhere(o), after, rowPage)
		if err != nil {
			return &Unavailable{Err: err}
		}
		for i := range records {
			after = records[i].Key
			if err := c.addressOne(ctx, after, sealed, now); err != nil {
				return err
			}
		}
		if len(records) < rowPage {
			return nil
		}
	}
}

func (c *Cashier) addressOne(ctx context.Context, key, sealed string, now holdfast.Time) error {
	return c.again(ctx, func() error {
		var o Order
		version, err := c.load(ctx, key, &o)
		if err != nil || version == 0 || o.To != "" || o.Status != OrderWaiting {
			return err
		}
		b, _ := BankOrderOf(key)
		o.To = sealed
		d := draft{at: now}
		d.put(key, version, &o, o.index(&b)...)
		return c.submit(ctx, &d)
	})
}
