package pay

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"holdfast"
)

// Customer is somebody with wallets.
type Customer struct {
	Registered holdfast.Time
	Aliases    []string // hashes, in hexadecimal; see [Cashier.Alias]
	Devices    []Device
}

// Device is a phone that shows payment codes. Its secret is sealed: AES-256-GCM, nonce first, bound to the owner and the number.
type Device struct {
	Number uint8
	Sealed string
	Added  holdfast.Time
}

const (
	maxAliases = 8
	maxDevices = 4
	maxAssets  = 16
)

func (*Customer) kind() (byte, byte) { return 1, 1 }

func (v *Customer) layout(c *coder) {
	signed(c, &v.Registered)
	list(c, &v.Aliases, maxAliases, func(s *string) { text(c, s) })
	list(c, &v.Devices, maxDevices, func(d *Device) {
		number(c, &d.Number)
		text(c, &d.Sealed)
		signed(c, &d.Added)
	})
}

// aliasOwner is a record of a registrar: whose an alias is; 0: nobody's any more.
type aliasOwner struct{ Owner holdfast.Owner }

func (*aliasOwner) kind() (byte, byte) { return 2, 1 }

func (v *aliasOwner) layout(c *coder) { number(c, &v.Owner) }

// CustomerAsk registers a customer with wallets in some currencies.
type CustomerAsk struct {
	Owner   holdfast.Owner // issued by the platform
	Aliases []string       // phone numbers and e-mail addresses
	Assets  []holdfast.Asset
	Limits  Limits // of every wallet
}

// RegisterCustomer makes a customer. The aliases are claimed before him, one by one: each is a record that only one transaction can create, so of two
// sites that register one alias at once exactly one wins. Asking again goes on where it stopped. What is refused keeps no alias.
func (c *Cashier) RegisterCustomer(ctx context.Context, ask CustomerAsk, now holdfast.Time) (Customer, error) {
	if issued, err := c.OwnerOf(ask.Owner.Sequence()); err != nil || issued != ask.Owner {
		return Customer{}, refuse(OwnerNotIssued, "owner")
	}
	if len(ask.Aliases) > maxAliases || len(ask.Assets) > maxAssets {
		return Customer{}, refuse(TooMany, "")
	}
	if err := ask.Limits.check(); err != nil {
		return Customer{}, err
	}
	made := Customer{Registered: now}
	for _, alias := range ask.Aliases {
		hash, err := c.Alias(alias)
		if err != nil {
			return Customer{}, err
		}
		made.Aliases = append(made.Aliases, hash)
	}
	slices.Sort(made.Aliases)
	hashes := slices.Clone(made.Aliases)
	var had Customer
	version, err := c.customer(ctx, ask.Owner, &had)
	if err != nil {
		return Customer{}, err
	}
	if version > 0 && !slices.Equal(had.Aliases, made.Aliases) {
		return Customer{}, c.unclaimed(ctx, ask.Owner, hashes, refuse(CustomerExists, "aliases"), now)
	}
	for _, hash := range hashes {
		if err := c.claim(ctx, ask.Owner, hash, now); err != nil {
			return Customer{}, c.unclaimed(ctx, ask.Owner, hashes, err, now)
		}
	}
	if err := c.again(ctx, func() error { return c.register(ctx, ask, &made, now) }); err != nil {
		return made, c.unclaimed(ctx, ask.Owner, hashes, err, now)
	}
	return made, nil
}

// customer reads a customer; version 0: there is none.
func (c *Cashier) customer(ctx context.Context, o holdfast.Owner, v *Customer) (version uint64, err error) {
	err = c.again(ctx, func() error {
		*v = Customer{}
		version, err = c.load(ctx, keyOf(o, kindCustomer), v)
		return err
	})
	return version, err
}

// unclaimed releases the aliases of a request that was refused, but for those that the customer has, and returns why. If that cannot be done it returns
// another error: the request is to be asked again. One that was interrupted before is cleared up in the same way, because nothing that a customer
// has not written down is his.
func (c *Cashier) unclaimed(ctx context.Context, o holdfast.Owner, hashes []string, why error, now holdfast.Time) error {
	if refused(why) == "" {
		return why
	}
	for _, hash := range hashes {
		var v Customer
		if _, err := c.customer(ctx, o, &v); err != nil {
			return err
		}
		if slices.Contains(v.Aliases, hash) {
			continue
		}
		if err := c.unclaim(ctx, o, hash, now); err != nil {
			return err
		}
	}
	return why
}

// unclaim makes an alias nobody's, if it is this owner's.
func (c *Cashier) unclaim(ctx context.Context, o holdfast.Owner, hash string, now holdfast.Time) error {
	key := keyOf(registrar(hash), kindAlias, hash)
	return c.again(ctx, func() error {
		var had aliasOwner
		version, err := c.load(ctx, key, &had)
		if err != nil || had.Owner != o {
			return err
		}
		d := draft{at: now}
		d.put(key, version, &aliasOwner{})
		return c.submit(ctx, &d)
	})
}

func (c *Cashier) register(ctx context.Context, ask CustomerAsk, made *Customer, now holdfast.Time) error {
	var had Customer
	version, err := c.load(ctx, keyOf(ask.Owner, kindCustomer), &had)
	if err != nil {
		return err
	}
	if version > 0 {
		if !slices.Equal(had.Aliases, made.Aliases) {
			return refuse(CustomerExists, "aliases")
		}
		for _, asset := range ask.Assets {
			switch version, err := c.load(ctx, keyOf(ask.Owner, kindWallet, asset.String()), &Usage{}); {
			case err != nil:
				return err
			case version == 0:
				return refuse(CustomerExists, "assets")
			}
		}
		*made = had
		return nil
	}
	d := draft{at: now}
	for _, asset := range ask.Assets {
		openWallet(&d, ask.Owner, asset, ask.Limits)
	}
	d.put(keyOf(ask.Owner, kindCustomer), 0, made)
	return c.submit(ctx, &d)
}

func openWallet(d *draft, o holdfast.Owner, asset holdfast.Asset, limits Limits) {
	for _, purpose := range []holdfast.Purpose{Wallet, Frozen, Outgoing} {
		d.open(account(o, purpose, asset), holdfast.LimitDebits)
	}
	d.put(keyOf(o, kindWallet, asset.String()), 0, &Usage{Limits: limits})
}

// OpenWallet opens a wallet in one more currency. One that is open stays as it is.
func (c *Cashier) OpenWallet(ctx context.Context, o holdfast.Owner, asset holdfast.Asset, limits Limits, now holdfast.Time) error {
	if err := limits.check(); err != nil {
		return err
	}
	return c.again(ctx, func() error {
		if _, err := c.must(ctx, keyOf(o, kindCustomer), &Customer{}, refuse(CustomerUnknown, "owner")); err != nil {
			return err
		}
		version, err := c.load(ctx, keyOf(o, kindWallet, asset.String()), &Usage{})
		if err != nil || version > 0 {
			return err
		}
		d := draft{at: now}
		openWallet(&d, o, asset, limits)
		return c.submit(ctx, &d)
	})
}

// Customer returns a customer.
func (c *Cashier) Customer(ctx context.Context, o holdfast.Owner) (Customer, error) {
	var v Customer
	_, err := c.must(ctx, keyOf(o, kindCustomer), &v, refuse(CustomerUnknown, "owner"))
	return v, settled(err)
}

// settled is for reads outside of again.
func settled(err error) error {
	if err == errUnderWay {
		return &Unavailable{Err: err}
	}
	return explain(err)
}

// Alias is the hash under which an alias is stored: HMAC-SHA-256 of its kind and its plain form, in hexadecimal. E-mail addresses are
// compared without regard to case. The plain form of a phone number is that of ITU-T E.164, so that one number is one alias however it is
// written: see [plainPhone].
func (c *Cashier) Alias(alias string) (string, error) {
	plain, ok := plainAlias(alias)
	if !ok {
		return "", refuse(AliasInvalid, "alias")
	}
	h := hmac.New(sha256.New, c.AliasKey)
	h.Write([]byte(plain))
	return hex.EncodeToString(h.Sum(nil)), nil
}

func plainAlias(alias string) (string, bool) {
	alias = strings.TrimSpace(alias)
	if name, domain, found := strings.Cut(alias, "@"); found {
		ok := name != "" && domain != "" && !strings.ContainsAny(domain, "@ ") && len(alias) <= 254
		return "mail " + strings.ToLower(alias), ok
	}
	number, ok := plainPhone(alias)
	return "phone " + number, ok
}

// asWritten takes out of a phone number what people put between the digits, and the 0 in brackets that is not dialled from abroad.
var asWritten = strings.NewReplacer("(0)", "", " ", "", "\u00a0", "", "\u3000", "", "\t", "", "-", "", "\u2010", "", "\u2011", "", "\u2013", "", ".", "",
	"(", "", ")", "", "\uff08", "", "\uff09", "", "\uff0b", "+")

// plainPhone is a phone number in the form of E.164: +, the code of the country, the number. 00 in front is as good as +. A number of the mainland
// of China may be written without either: with 86, and a mobile one (11 digits, the first 1, the second 3 to 9) without that as well. Any other
// number has to say its country, since the same digits are somebody else's in each.
func plainPhone(s string) (string, bool) {
	s = asWritten.Replace(s)
	digits, abroad := strings.CutPrefix(s, "+")
	if !abroad {
		digits, abroad = strings.CutPrefix(s, "00")
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return "", false
	}
	inside, has86 := strings.CutPrefix(digits, "86")
	switch {
	case abroad:
	case len(digits) == 11 && digits[0] == '1' && digits[1] >= '3':
		digits = "86" + digits
	case has86 && (len(inside) == 10 || len(inside) == 11): // with the code of a city, or mobile
	default:
		return "", false
	}
	return "+" + digits, digits[0] != '0' && len(digits) >= 8 && len(digits) <= 15
}

// registrar is the owner who keeps an alias: the last sequence there is, in a slot that follows from the hash, so that any site knows where to
// look and aliases are spread over all shards. He has no money.
func registrar(hash string) holdfast.Owner {
	b, err := hex.DecodeString(hash[:8])
	if err != nil {
		panic("pay: the hash of an alias is not hexadecimal")
	}
	o, err := holdfast.NewOwner(holdfast.MaxOwnerSequence, holdfast.Slot(binary.BigEndian.Uint32(b)%holdfast.Slots))
	if err != nil {
		panic("pay: " + err.Error())
	}
	return o
}

// claim gives an alias to an owner.
func (c *Cashier) claim(ctx context.Context, o holdfast.Owner, hash string, now holdfast.Time) error {
	key := keyOf(registrar(hash), kindAlias, hash)
	return c.again(ctx, func() error {
		var had aliasOwner
		version, err := c.load(ctx, key, &had)
		switch {
		case err != nil || had.Owner == o:
			return err
		case had.Owner != 0:
			return refuse(AliasTaken, "alias")
		}
		d := draft{at: now}
		d.put(key, version, &aliasOwner{o})
		return c.submit(ctx, &d)
	})
}

// AddAlias gives a customer one more alias; one that he has is no error.
func (c *Cashier) AddAlias(ctx context.Context, o holdfast.Owner, alias string, now holdfast.Time) error {
	hash, err := c.Alias(alias)
	if err != nil {
		return err
	}
	var had Customer
	switch version, err := c.customer(ctx, o, &had); {
	case err != nil:
		return err
	case version == 0:
		return refuse(CustomerUnknown, "owner")
	case len(had.Aliases) == maxAliases && !slices.Contains(had.Aliases, hash):
		return c.unclaimed(ctx, o, []string{hash}, refuse(TooMany, "alias"), now)
	}
	if err := c.claim(ctx, o, hash, now); err != nil {
		return err
	}
	err = c.change(ctx, o, now, func(v *Customer) error {
		if slices.Contains(v.Aliases, hash) {
			return nil
		}
		if len(v.Aliases) == maxAliases {
			return refuse(TooMany, "alias")
		}
		v.Aliases = append(v.Aliases, hash)
		slices.Sort(v.Aliases)
		return nil
	})
	return c.unclaimed(ctx, o, []string{hash}, err, now)
}

// RemoveAlias takes an alias from a customer, who has it; anybody may claim it then.
func (c *Cashier) RemoveAlias(ctx context.Context, o holdfast.Owner, alias string, now holdfast.Time) error {
	hash, err := c.Alias(alias)
	if err != nil {
		return err
	}
	err = c.change(ctx, o, now, func(v *Customer) error {
		v.Aliases = slices.DeleteFunc(v.Aliases, func(a string) bool { return a == hash })
		return nil
	})
	if err != nil {
		return err
	}
	return c.unclaim(ctx, o, hash, now)
}

// FindAlias tells whose an alias is. Claimed is not enough: who claims one may be refused afterwards, or have been interrupted. It is his who has it in
// his record.
func (c *Cashier) FindAlias(ctx context.Context, alias string) (holdfast.Owner, error) {
	hash, err := c.Alias(alias)
	if err != nil {
		return 0, err
	}
	var v aliasOwner
	if _, err := c.load(ctx, keyOf(registrar(hash), kindAlias, hash), &v); err != nil {
		return 0, settled(err)
	}
	if v.Owner == 0 {
		return 0, refuse(AliasUnknown, "alias")
	}
	var his Customer
	if _, err := c.customer(ctx, v.Owner, &his); err != nil {
		return 0, err
	}
	if !slices.Contains(his.Aliases, hash) {
		return 0, refuse(AliasUnknown, "alias")
	}
	return v.Owner, nil
}

// change changes a customer's record.
func (c *Cashier) change(ctx context.Context, o holdfast.Owner, now holdfast.Time, how func(*Customer) error) error {
	return c.again(ctx, func() error {
		var v Customer
		version, err := c.must(ctx, keyOf(o, kindCustomer), &v, refuse(CustomerUnknown, "owner"))
		if err != nil {
			return err
		}
		if err := how(&v); err != nil {
			return err
		}
		d := draft{at: now}
		d.put(keyOf(o, kindCustomer), version, &v)
		return c.submit(ctx, &d)
	})
}
