package pay

import (
	"context"
	"fmt"
	"math/bits"
	"slices"

	"holdfast"
)

// Merchant is somebody who sells.
type Merchant struct {
	Registered holdfast.Time
	Name       string
	Zone       string // IANA name; his days are those of this zone, for ever
	Fee        FeePlan
	Payee      string // where his money goes: the name of one of his accounts, see [Cashier.PutAccount]; "" is [MainAccount]
	RefundDays uint32 // how long after the payment a trade can be refunded; then it is finished
	Blocked    bool   // takes no new payments, and gives nothing to others; his days are settled to his own bank account all the same, and he can refund
}

func (*Merchant) kind() (byte, byte) { return 6, 1 }

func (v *Merchant) layout(c *coder) {
	signed(c, &v.Registered)
	text(c, &v.Name)
	text(c, &v.Zone)
	v.Fee.layout(c)
	text(c, &v.Payee)
	number(c, &v.RefundDays)
	flag(c, &v.Blocked)
}

// FeePlan is what the platform takes of a payment: BasisPoints of ten thousand of the amount, rounded half up to the minor unit, and Fixed minor
// units on top; never more than the amount.
type FeePlan struct {
	BasisPoints uint32 // 0-10000
	Fixed       holdfast.Amount
}

func (v *FeePlan) layout(c *coder) {
	number(c, &v.BasisPoints)
	signed(c, &v.Fixed)
}

// Fee is the fee for an amount of 0 to [MaxAmount].
func (v *FeePlan) Fee(amount holdfast.Amount) holdfast.Amount {
	if amount == 0 {
		return 0
	}
	fee := (amount*holdfast.Amount(v.BasisPoints) + 5000) / 10000
	return min(fee+v.Fixed, amount)
}

func (v *FeePlan) check() error {
	if v.BasisPoints > 10000 || v.Fixed < 0 || v.Fixed > MaxAmount {
		return refuse(FieldInvalid, "fee")
	}
	return nil
}

// portion is part/whole of amount, rounded down; 0 <= part <= whole, whole > 0.
func portion(amount, part, whole holdfast.Amount) holdfast.Amount {
	hi, lo := bits.Mul64(uint64(amount), uint64(part))
	q, _ := bits.Div64(hi, lo, uint64(whole))
	return holdfast.Amount(q)
}

// DefaultRefundDays is for merchants who say nothing.
const DefaultRefundDays = 365

// MerchantAsk registers a merchant with accounts in some currencies.
type MerchantAsk struct {
	Owner      holdfast.Owner
	Name       string
	Zone       string
	Assets     []holdfast.Asset
	Fee        FeePlan
	Payee      string
	RefundDays uint32 // 0: DefaultRefundDays
}

// RegisterMerchant makes a merchant. Asking again with the same particulars is harmless.
func (c *Cashier) RegisterMerchant(ctx context.Context, ask MerchantAsk, now holdfast.Time) (made Merchant, err error) {
	if issued, err := c.OwnerOf(ask.Owner.Sequence()); err != nil || issued != ask.Owner {
		return made, refuse(OwnerNotIssued, "owner")
	}
	if _, err := c.Zone(ask.Zone); err != nil || ask.Zone == "" || ask.Zone == "Local" {
		return made, refuse(FieldInvalid, "zone")
	}
	if len(ask.Assets) > maxAssets {
		return made, refuse(TooMany, "assets")
	}
	if err := first(ask.Fee.check(), validText(ask.Name, "name", 128), validText(ask.Payee, "payee", 128)); err != nil {
		return made, err
	}
	made = Merchant{Registered: now, Name: ask.Name, Zone: ask.Zone, Fee: ask.Fee, Payee: ask.Payee, RefundDays: ask.RefundDays}
	if made.RefundDays == 0 {
		made.RefundDays = DefaultRefundDays
	}
	err = c.again(ctx, func() error {
		var had Merchant
		version, err := c.load(ctx, keyOf(ask.Owner, kindMerchant), &had)
		if err != nil {
			return err
		}
		if version > 0 {
			made.Registered = had.Registered
			if had != made {
				return refuse(MerchantExists, "")
			}
			return nil
		}
		d := draft{at: now}
		for _, asset := range ask.Assets {
			openShop(&d, ask.Owner, asset)
		}
		d.put(keyOf(ask.Owner, kindMerchant), 0, &made)
		if err := c.firstDay(&d, ask.Owner, ask.Zone); err != nil {
			return err
		}
		return c.submit(ctx, &d)
	})
	return made, err
}

func openShop(d *draft, o holdfast.Owner, asset holdfast.Asset) {
	for _, purpose := range []holdfast.Purpose{Settlement, Escrow, Royalty, Fees, Outgoing} {
		d.open(account(o, purpose, asset), holdfast.LimitDebits)
	}
}

// OpenCurrency lets a merchant take one more currency. One that he takes already is no error.
func (c *Cashier) OpenCurrency(ctx context.Context, o holdfast.Owner, asset holdfast.Asset, now holdfast.Time) error {
	if _, err := c.Merchant(ctx, o); err != nil {
		return err
	}
	d := draft{at: now}
	openShop(&d, o, asset)
	return c.again(ctx, func() error { return c.submit(ctx, &d) })
}

// Merchant returns a merchant.
func (c *Cashier) Merchant(ctx context.Context, o holdfast.Owner) (Merchant, error) {
	var v Merchant
	_, err := c.must(ctx, keyOf(o, kindMerchant), &v, refuse(MerchantUnknown, "merchant"))
	return v, settled(err)
}

// SetFee changes the fee plan; trades keep the one they were made with.
func (c *Cashier) SetFee(ctx context.Context, o holdfast.Owner, fee FeePlan, now holdfast.Time) error {
	if err := fee.check(); err != nil {
		return err
	}
	return c.changeMerchant(ctx, o, now, func(v *Merchant) { v.Fee = fee })
}

// BlockMerchant says whether the merchant can make trades, transfers and splits. A transaction of his that is decided at the same time comes before or
// after: it depends on his record. Shares of a split whose money was set aside before are the receivers', and are paid.
func (c *Cashier) BlockMerchant(ctx context.Context, o holdfast.Owner, blocked bool, now holdfast.Time) error {
	return c.changeMerchant(ctx, o, now, func(v *Merchant) { v.Blocked = blocked })
}

// free makes a transaction that takes money from a merchant for others depend on his not being blocked, and returns his time zone.
func (c *Cashier) free(ctx context.Context, d *draft, o holdfast.Owner, field string) (zone string, err error) {
	var m Merchant
	key := keyOf(o, kindMerchant)
	version, err := c.must(ctx, key, &m, refuse(MerchantUnknown, field))
	if err == nil && m.Blocked {
		err = refuse(SellerBlocked, field)
	}
	d.need(key, version)
	return m.Zone, err
}

func (c *Cashier) changeMerchant(ctx context.Context, o holdfast.Owner, now holdfast.Time, how func(*Merchant)) error {
	return c.again(ctx, func() error {
		var v Merchant
		version, err := c.must(ctx, keyOf(o, kindMerchant), &v, refuse(MerchantUnknown, "merchant"))
		if err != nil {
			return err
		}
		how(&v)
		d := draft{at: now}
		d.put(keyOf(o, kindMerchant), version, &v)
		return c.submit(ctx, &d)
	})
}

// App is a program of a merchant that calls the platform.
type App struct {
	ID          string // 16 digits: "2021", the merchant's sequence and slot, the number of the app; no part of the body
	Merchant    holdfast.Owner
	PublicKey   string // the merchant's RSA key, DER of SubjectPublicKeyInfo
	PlatformKey string // a reference to the platform's key pair for this app; never the key
	Permissions []string
	Notify      string // where its notices go when a trade names no address
	Disabled    bool
}

func (*App) kind() (byte, byte) { return 7, 1 }

func (v *App) layout(c *coder) {
	number(c, &v.Merchant)
	text(c, &v.PublicKey)
	text(c, &v.PlatformKey)
	list(c, &v.Permissions, maxPermissions, func(p *string) { text(c, p) })
	text(c, &v.Notify)
	flag(c, &v.Disabled)
}

const (
	maxPermissions = 64
	maxURL         = 256
	appPrefix      = "2021"
)

// AppID is the id of app number n (0-9) of a merchant. It names the merchant, so that an app is found with one read.
func AppID(o holdfast.Owner, n uint8) string {
	return fmt.Sprintf("%s%08d%03d%d", appPrefix, o.Sequence(), o.Slot(), n%10)
}

// appOwner is the merchant of an app id.
func appOwner(id string) (holdfast.Owner, bool) {
	var sequence uint32
	var slot holdfast.Slot
	var n uint8
	if _, err := fmt.Sscanf(id, appPrefix+"%8d%3d%1d", &sequence, &slot, &n); err != nil {
		return 0, false
	}
	o, err := holdfast.NewOwner(sequence, slot)
	return o, err == nil && AppID(o, n) == id
}

// AppNumber is which of its merchant's ten apps an app is.
func AppNumber(id string) uint8 {
	if id == "" {
		return 0
	}
	return id[len(id)-1] - '0'
}

// PutApp adds an app of a merchant, number n (0-9), or changes it. The platform's key that it has stays: the merchant has its public half, and two
// sites that are asked at once to add the app have each made a key, of which one must be the app's in every answer. One that is disabled stays so, see
// [Cashier.DisableApp]. To change what there is, use [Cashier.ChangeApp].
func (c *Cashier) PutApp(ctx context.Context, o holdfast.Owner, n uint8, app App, now holdfast.Time) (App, error) {
	app.ID, app.Merchant = AppID(o, n), o
	if n > 9 {
		return app, refuse(TooMany, "app")
	}
	if err := app.valid(); err != nil {
		return app, err
	}
	err := c.again(ctx, func() error {
		if _, err := c.must(ctx, keyOf(o, kindMerchant), &Merchant{}, refuse(MerchantUnknown, "merchant")); err != nil {
			return err
		}
		key := keyOf(o, kindApp, app.ID)
		var had App
		version, err := c.load(ctx, key, &had)
		if err != nil {
			return err
		}
		if had.PlatformKey != "" {
			app.PlatformKey = had.PlatformKey
		}
		if version > 0 {
			app.Disabled = had.Disabled
		}
		d := draft{at: now}
		d.put(key, version, &app)
		return c.submit(ctx, &d)
	})
	return app, err
}

// ChangeApp changes an app that there is: change is given it as it stands, and may be called several times. Whatever else changes it at the same
// time is kept; whether it is disabled, whose it is and the platform's key cannot be changed by this.
func (c *Cashier) ChangeApp(ctx context.Context, id string, change func(app *App), now holdfast.Time) (v App, err error) {
	o, ok := appOwner(id)
	if !ok {
		return v, refuse(AppUnknown, "app_id")
	}
	key := keyOf(o, kindApp, id)
	err = c.again(ctx, func() error {
		v = App{}
		version, err := c.must(ctx, key, &v, refuse(AppUnknown, "app_id"))
		if err != nil {
			return err
		}
		had := v
		change(&v)
		v.ID, v.Merchant, v.PlatformKey, v.Disabled = id, had.Merchant, had.PlatformKey, had.Disabled
		if err := v.valid(); err != nil {
			return err
		}
		d := draft{at: now}
		d.put(key, version, &v)
		return c.submit(ctx, &d)
	})
	return v, err
}

func (v *App) valid() error {
	if len(v.Permissions) > maxPermissions {
		return refuse(TooMany, "permissions")
	}
	return first(validText(v.PublicKey, "public_key", 1024), validText(v.PlatformKey, "platform_key", 128), validText(v.Notify, "notify", maxURL))
}

// App returns an app by its id.
func (c *Cashier) App(ctx context.Context, id string) (App, error) {
	var v App
	o, ok := appOwner(id)
	if !ok {
		return v, refuse(AppUnknown, "app_id")
	}
	_, err := c.must(ctx, keyOf(o, kindApp, id), &v, refuse(AppUnknown, "app_id"))
	v.ID = id
	return v, settled(err)
}

// Shop is where a merchant sells, with its tills.
type Shop struct {
	ID    string // no part of the body
	Name  string
	Tills []string
}

func (*Shop) kind() (byte, byte) { return 8, 1 }

func (v *Shop) layout(c *coder) {
	text(c, &v.Name)
	list(c, &v.Tills, maxTills, func(t *string) { text(c, t) })
}

const maxTills = 200

// PutShop adds a shop, or changes it.
func (c *Cashier) PutShop(ctx context.Context, o holdfast.Owner, shop Shop, now holdfast.Time) error {
	if len(shop.Tills) > maxTills {
		return refuse(TooMany, "tills")
	}
	if err := first(validNumber(shop.ID, "shop"), validText(shop.Name, "name", 128)); err != nil {
		return err
	}
	for _, till := range shop.Tills {
		if err := validNumber(till, "tills"); err != nil {
			return err
		}
	}
	return c.again(ctx, func() error {
		if _, err := c.must(ctx, keyOf(o, kindMerchant), &Merchant{}, refuse(MerchantUnknown, "merchant")); err != nil {
			return err
		}
		key := keyOf(o, kindShop, shop.ID)
		version, err := c.load(ctx, key, &Shop{})
		if err != nil {
			return err
		}
		d := draft{at: now}
		d.put(key, version, &shop)
		return c.submit(ctx, &d)
	})
}

// Shop returns a shop. A till that it must have may be named, or "".
func (c *Cashier) Shop(ctx context.Context, o holdfast.Owner, id, till string) (Shop, error) {
	v := Shop{ID: id}
	if err := validNumber(id, "shop"); err != nil {
		return v, err
	}
	_, err := c.must(ctx, keyOf(o, kindShop, id), &v, refuse(ShopUnknown, "shop"))
	if err == nil && till != "" && !slices.Contains(v.Tills, till) {
		err = refuse(ShopUnknown, "till")
	}
	return v, settled(err)
}
