package pay

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"holdfast"
)

// A payment code is 18 digits: "28", the eight digits of the customer's sequence, and eight digits of a time-based one-time password.
//
//	28 SSSSSSSS PPPPPPPP
//
// The password is that of RFC 6238 with SHA-256, a secret of 32 bytes per device, steps of 60 seconds since 1970 and 8 digits: the phone needs
// its clock and its secret and nobody else. The sequence names the customer, because the platform issues each sequence once: any site finds the
// record with one read. Codes of the step before and after count as well, for clocks that are a minute off.
//
// Whoever guesses hits a given customer with one device with 3 of 10^8 tries, four devices 12 of 10^8 (the truncation of RFC 4226 makes the
// likeliest password 2.4 % likelier than the mean). [CodeTries] bounds the tries at one merchant, and the limit of one payment bounds
// what a hit is worth; wrong tries write nothing, so that nobody can lock a customer out of other merchants. A code that somebody overheard is worth one
// payment of at most three minutes' life, at the price of the honest one being refused, which is seen at once.
const (
	codePrefix   = "28"
	codeDigits   = 18
	codeModulus  = 100_000_000
	stepNanos    = 60_000_000_000
	stepsAround  = 1
	SecretBytes  = 32 // of a device
	NonceBytes   = 12 // to seal a secret; random, never used twice
	usedLifetime = 24 * 60
)

// PaymentCode is what a phone shows at a time.
func PaymentCode(o holdfast.Owner, secret []byte, at holdfast.Time) string {
	return fmt.Sprintf("%s%08d%08d", codePrefix, o.Sequence(), password(secret, uint64(at)/stepNanos))
}

// password is the HOTP of RFC 4226 section 5.3 with SHA-256 and eight digits, as RFC 6238 uses it.
func password(secret []byte, step uint64) uint32 {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], step)
	h := hmac.New(sha256.New, secret)
	h.Write(b[:])
	sum := h.Sum(nil)
	at := sum[len(sum)-1] & 0x0f
	return (binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff) % codeModulus
}

// sealFor is what a sealed secret is bound to: it opens for no other customer and no other device.
func sealFor(o holdfast.Owner, number uint8) []byte {
	return fmt.Appendf(nil, "holdfast payment code %s %d", o, number)
}

// AddDevice gives a customer one more phone that shows payment codes, and returns its number. secret and nonce are random; the secret goes to
// the phone and is kept nowhere in clear.
func (c *Cashier) AddDevice(ctx context.Context, o holdfast.Owner, secret [SecretBytes]byte, nonce [NonceBytes]byte, now holdfast.Time) (n uint8, err error) {
	err = c.change(ctx, o, now, func(v *Customer) error {
		for _, d := range v.Devices {
			if had, err := c.unseal(o, &d); err == nil && bytes.Equal(had, secret[:]) {
				n = d.Number // asked for again
				return nil
			}
		}
		if len(v.Devices) == maxDevices {
			return refuse(TooMany, "device")
		}
		n = 1
		for _, d := range v.Devices {
			n = max(n, d.Number+1)
		}
		sealed := c.sealer.Seal(nonce[:], nonce[:], secret[:], sealFor(o, n))
		v.Devices = append(v.Devices, Device{Number: n, Sealed: string(sealed), Added: now})
		return nil
	})
	return n, err
}

func (c *Cashier) unseal(o holdfast.Owner, d *Device) ([]byte, error) {
	if len(d.Sealed) < NonceBytes {
		return nil, ErrCorrupt
	}
	return c.sealer.Open(nil, []byte(d.Sealed[:NonceBytes]), []byte(d.Sealed[NonceBytes:]), sealFor(o, d.Number))
}

// RemoveDevice takes a phone away: its codes are refused from now on. One that is not there is no error.
func (c *Cashier) RemoveDevice(ctx context.Context, o holdfast.Owner, number uint8, now holdfast.Time) error {
	return c.change(ctx, o, now, func(v *Customer) error {
		var kept []Device
		for _, d := range v.Devices {
			if d.Number != number {
				kept = append(kept, d)
			}
		}
		v.Devices = kept
		return nil
	})
}

// shown is a payment code that has been checked.
type shown struct {
	payer holdfast.Owner
	key   string // of the record that says that it has been used
	seen  uint64 // the version of the customer that was read

	glimpsed bool   // the customer was read by a glance
	text     string // the code
	try      codeTry
}

// check tells whose a code is that was shown to a merchant. It costs one read. That it has not been used yet is decided by the transaction that pays.
// The caller says what came of it in the end: see [codeTry.ends].
func (c *Cashier) check(ctx context.Context, merchant holdfast.Owner, code string, now holdfast.Time) (shown, error) {
	s, err := c.named(merchant, code, now)
	if err == nil {
		err = c.look(ctx, &s, now)
	}
	return s, err
}

// named tells whom a code names, and counts it: once, however often it is looked at then.
func (c *Cashier) named(merchant holdfast.Owner, code string, now holdfast.Time) (s shown, err error) {
	rest, ok := strings.CutPrefix(code, codePrefix)
	n, bad := strconv.ParseUint(rest, 10, 64)
	if !ok || len(code) != codeDigits || bad != nil {
		return s, refuse(CodeWrong, "auth_code") // no guess, for it cannot be one
	}
	if s.payer, err = c.OwnerOf(uint32(n / codeModulus)); err != nil {
		c.Codes.nobody(merchant, now)
		return s, refuse(CodeWrong, "auth_code")
	}
	s.text = code
	if s.try, ok = c.Codes.take(merchant, s.payer, now); !ok {
		return s, refuse(TooManyCodes, "auth_code")
	}
	return s, nil
}

// look checks a code that has been counted against the devices of the customer whom it names.
func (c *Cashier) look(ctx context.Context, s *shown, now holdfast.Time) error {
	wrong := refuse(CodeWrong, "auth_code")
	digits := s.text[len(codePrefix):]
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return wrong
	}
	var v Customer
	if s.seen, err = c.must(ctx, keyOf(s.payer, kindCustomer), &v, wrong); err != nil {
		return err
	}
	step, ok := c.match(s.payer, v.Devices, uint32(n%codeModulus), uint64(now)/stepNanos)
	if !ok {
		return wrong
	}
	s.key = keyOf(s.payer, kindUsed, fmt.Sprintf("%010d-%s", step, digits[8:]))
	return nil
}

// match finds the step in which a password is that of one of the devices, the earliest if there are several: then the same digits always
// lead to the same step, for as long as they count. The comparison does not stop at the first hit, and tells nothing by its time.
func (c *Cashier) match(o holdfast.Owner, devices []Device, digits uint32, now uint64) (step uint64, ok bool) {
	for i := range devices {
		secret, err := c.unseal(o, &devices[i])
		if err != nil {
			continue
		}
		for s := now + stepsAround; s+stepsAround >= now; s-- {
			if password(secret, s) == digits && (!ok || s < step) {
				step, ok = s, true
			}
		}
	}
	return step, ok
}

// usedCode is for which trade or authorisation a code has been used.
type usedCode struct {
	For string
	At  holdfast.Time
}

func (*usedCode) kind() (byte, byte) { return 5, 1 }

func (v *usedCode) layout(c *coder) {
	text(c, &v.For)
	signed(c, &v.At)
}

// use adds to a transaction of the customer that a code is used. The record may not exist: of two transactions with one code, at any two
// sites, one is refused.
func (s *shown) use(d *draft, what string) {
	d.put(s.key, plantedUsedVersion(), &usedCode{For: what, At: d.at})
}

// fresh reports as an error that a code has been used.
func (c *Cashier) fresh(ctx context.Context, s *shown) error {
	var v usedCode
	version, err := c.load(ctx, s.key, &v)
	switch {
	case err != nil:
		return err
	case version > 0 && plantedUsedVersion() == 0:
		return refuse(CodeUsed, "auth_code")
	}
	return nil
}

// ForgetCodes deletes the records of used codes that are a day old: their steps are long over. It returns how many it has deleted, at most max.
func (c *Cashier) ForgetCodes(ctx context.Context, o holdfast.Owner, max int, now holdfast.Time) (n int, err error) {
	prefix := keyOf(o, kindUsed, "")
	records, err := c.Books.Records(ctx, prefix, "", max)
	if err != nil {
		return 0, &Unavailable{Err: err}
	}
	end := prefix + fmt.Sprintf("%010d", uint64(now)/stepNanos-usedLifetime)
	d := draft{at: now}
	for i := range records {
		if r := &records[i]; r.Key < end && r.Pending == nil {
			d.Records = append(d.Records, holdfast.RecordChange{Key: r.Key, Expect: r.Version, Delete: true})
		}
	}
	if len(d.Records) == 0 {
		return 0, nil
	}
	if err := c.submit(ctx, &d); errors.Is(err, errAgain) {
		return 0, nil // somebody else has deleted some of them
	} else if err != nil {
		return 0, settled(err)
	}
	return len(d.Records), nil
}
