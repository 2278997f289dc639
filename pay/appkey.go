package pay

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"holdfast"
)

// DerivedKey is a key of 32 bytes for one purpose, made of [Config.CodeKey]: what is signed or sealed for one purpose is worth nothing for another.
func (c *Cashier) DerivedKey(purpose string) []byte {
	h := hmac.New(sha256.New, c.CodeKey)
	h.Write([]byte("holdfast derived key: " + purpose))
	return h.Sum(nil)
}

// appKey is a private key of the platform, with which it signs what it says to one app. It is never changed: another key is another record.
type appKey struct {
	Sealed string // AES-256-GCM, nonce first, bound to the app and the reference
	Added  holdfast.Time
}

func (*appKey) kind() (byte, byte) { return 50, 1 }

func (v *appKey) layout(c *coder) {
	text(c, &v.Sealed)
	signed(c, &v.Added)
}

const (
	kindAppKey = "appkey"
	maxAppKey  = 4096
)

// Permissions are the products that an app may have been given; see [App.Permissions]. "all" is all of those that are methods, and not the
// notices that nobody gets who has not asked for them.
var permissions = []string{
	"all", "face-to-face", "order", "web-pay", "wap-pay", "app-pay", "royalty", "payout", "account", "pre-auth", "bill", "sign-in",
	PermitClosedNotice, PermitRefundNotice,
}

// Permissions of an app that mean more than a few methods.
const (
	PermitAll    = "all"
	PermitPayout = "payout" // money leaves the merchant's account
)

// Permissions of an app that are not methods.
const (
	PermitClosedNotice = "notice-closed" // its trades that are closed unpaid are told
	PermitRefundNotice = "notice-refund" // refunds of its trades are told
)

// Permissions lists the names that an app's permissions can have.
func Permissions() []string { return append([]string(nil), permissions...) }

// UsualPermissions are those of an app for which nobody has said otherwise: all methods but paying out, because whoever has the key of an app with that
// can empty the merchant's account.
func UsualPermissions() []string {
	unusual := []string{PermitAll, PermitPayout, PermitClosedNotice, PermitRefundNotice}
	return slices.DeleteFunc(Permissions(), func(name string) bool { return slices.Contains(unusual, name) })
}

// AppOwner is the merchant whose app an id names; it says nothing about whether there is such an app.
func AppOwner(id string) (holdfast.Owner, bool) { return appOwner(id) }

// sealForApp is what a sealed key is bound to.
func sealForApp(id, ref string) []byte { return fmt.Appendf(nil, "holdfast app key %s %s", id, ref) }

// PutAppKey keeps a private key of the platform for an app, sealed. der is what x509.MarshalPKCS8PrivateKey makes; nonce is random and never
// used twice. The reference goes into [App.PlatformKey]. The same key again is harmless.
func (c *Cashier) PutAppKey(ctx context.Context, id string, der []byte, nonce [NonceBytes]byte, now holdfast.Time) (ref string, err error) {
	o, ok := appOwner(id)
	switch {
	case !ok:
		return "", refuse(AppUnknown, "app_id")
	case len(der) == 0 || len(der) > maxAppKey:
		return "", refuse(FieldInvalid, "platform_key")
	}
	h := hmac.New(sha256.New, c.DerivedKey("references of app keys"))
	h.Write(der)
	ref = hex.EncodeToString(h.Sum(nil)[:16])
	key := keyOf(o, kindAppKey, id, ref)
	err = c.again(ctx, func() error {
		if _, err := c.must(ctx, keyOf(o, kindMerchant), &Merchant{}, refuse(MerchantUnknown, "merchant")); err != nil {
			return err
		}
		had, err := c.load(ctx, key, &appKey{})
		if err != nil || had > 0 {
			return err
		}
		d := draft{at: now}
		d.put(key, 0, &appKey{Sealed: string(c.sealer.Seal(nonce[:], nonce[:], der, sealForApp(id, ref))), Added: now})
		return c.submit(ctx, &d)
	})
	return ref, err
}

// AppKey returns a private key of the platform for an app by its reference.
func (c *Cashier) AppKey(ctx context.Context, id, ref string) (der []byte, err error) {
	o, ok := appOwner(id)
	if !ok {
		return nil, refuse(AppUnknown, "app_id")
	}
	if err := validNumber(ref, "platform_key"); err != nil {
		return nil, err
	}
	var v appKey
	key := keyOf(o, kindAppKey, id, ref)
	if _, err := c.must(ctx, key, &v, refuse(AppUnknown, "platform_key")); err != nil {
		return nil, settled(err)
	}
	if len(v.Sealed) > NonceBytes {
		der, err = c.sealer.Open(nil, []byte(v.Sealed[:NonceBytes]), []byte(v.Sealed[NonceBytes:]), sealForApp(id, ref))
	}
	if err != nil || der == nil {
		return nil, &Unavailable{Err: fmt.Errorf("%w: %.60q does not open with this site's key for codes", ErrCorrupt, key)}
	}
	return der, nil
}
