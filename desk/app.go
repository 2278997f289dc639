package desk

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"holdfast/alipay"
	"holdfast/pay"
)

// How long what is known of an app is used without asking again, and how long when it cannot be asked for.
const (
	appLife  = 5 * time.Second
	appStale = 30 * time.Second
	maxKnown = 20_000
)

// apps remembers applications: most calls then cost no read for them, and no call parses keys that have not changed. It is no truth: any desk may
// forget it at any time.
type apps struct {
	mu    sync.Mutex
	known map[string]*knownApp
}

type knownApp struct {
	app    *alipay.App
	as     pay.App   // what it was made of
	asked  time.Time // when that was read
	asking bool      // somebody reads it now
}

// products are the names of permissions.
var products = map[string]alipay.Products{
	"all": alipay.AllProducts, "face-to-face": alipay.FaceToFace, "order": alipay.Order, "web-pay": alipay.WebPay, "wap-pay": alipay.WapPay,
	"app-pay": alipay.AppPay, "royalty": alipay.Royalty, "payout": alipay.Payout, "account": alipay.Account, "pre-auth": alipay.PreAuth,
	"bill": alipay.Bill, "sign-in": alipay.SignIn,
}

func productsOf(permissions []string) (all alipay.Products) {
	for _, name := range permissions {
		all |= products[name]
	}
	return all
}

// App implements alipay.Apps.
func (d *Desk) App(ctx context.Context, id string) (*alipay.App, bool, error) {
	k, found, err := d.app(ctx, id)
	if k == nil {
		return nil, found, err
	}
	return k.app, found, err
}

// app finds an application. One that has been asked for lately is not asked for again; while one call asks, the others take what was known.
func (d *Desk) app(ctx context.Context, id string) (*knownApp, bool, error) {
	now := d.clock()
	d.apps.mu.Lock()
	k := d.apps.known[id]
	if k != nil {
		age := now.Sub(k.asked)
		if age < appLife || k.asking && age < appStale {
			d.apps.mu.Unlock()
			return k, true, nil
		}
		k.asking = true
	}
	d.apps.mu.Unlock()
	made, err := d.ask(ctx, id, k, now)
	d.apps.mu.Lock()
	defer d.apps.mu.Unlock()
	if k != nil {
		k.asking = false
	}
	switch {
	case why(err) == pay.AppUnknown:
		delete(d.apps.known, id)
		return nil, false, nil
	case err != nil && k != nil && now.Sub(k.asked) < appStale:
		return k, true, nil
	case err != nil:
		return nil, false, err
	}
	d.apps.keep(id, made, now)
	return made, true, nil
}

// keep remembers an app. When there are too many, those that would be asked for again anyhow are forgotten, or else any.
func (a *apps) keep(id string, k *knownApp, now time.Time) {
	if _, had := a.known[id]; !had && len(a.known) >= maxKnown {
		for other, old := range a.known {
			if now.Sub(old.asked) >= appStale {
				delete(a.known, other)
			}
		}
		for other := range a.known {
			if len(a.known) < maxKnown {
				break
			}
			delete(a.known, other)
		}
	}
	a.known[id] = k
}

// ask reads an application, and takes over the keys that are as they were.
func (d *Desk) ask(ctx context.Context, id string, had *knownApp, now time.Time) (*knownApp, error) {
	v, err := d.cashier.App(ctx, id)
	if err != nil {
		return nil, err
	}
	a := &alipay.App{ID: id, Merchant: v.Merchant, Enabled: !v.Disabled, NotifyURL: v.Notify, Products: productsOf(v.Permissions)}
	if had != nil && had.as.PublicKey == v.PublicKey {
		a.Key = had.app.Key
	} else {
		a.Key = d.publicKey(id, v.PublicKey)
	}
	if had != nil && had.as.PlatformKey == v.PlatformKey {
		a.Platform = had.app.Platform
	} else if a.Platform, err = d.platformKey(ctx, id, v.PlatformKey); err != nil {
		return nil, err
	}
	return &knownApp{app: a, as: v, asked: now}, nil
}

// publicKey reads a merchant's key; nil when he has given none that can be used, which the gateway tells him.
func (d *Desk) publicKey(id, der string) *rsa.PublicKey {
	if der == "" {
		return nil
	}
	key, err := x509.ParsePKIXPublicKey([]byte(der))
	rsaKey, ok := key.(*rsa.PublicKey)
	if err != nil || !ok {
		d.logger.Warn("the public key of an app cannot be used", "app", id)
		return nil
	}
	return rsaKey
}

// platformKey reads the platform's key for an app. Without one nothing that is said to the app could be signed.
func (d *Desk) platformKey(ctx context.Context, id, ref string) (*rsa.PrivateKey, error) {
	if ref == "" {
		return nil, fmt.Errorf("app %s has no key of the platform: register it again with one", id)
	}
	der, err := d.cashier.AppKey(ctx, id, ref)
	if why(err) != "" {
		return nil, fmt.Errorf("app %s names a key of the platform that there is not", id)
	}
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	rsaKey, ok := key.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("the platform's key for app %s does not read", id)
	}
	return rsaKey, nil
}

// NewAppKey makes the key pair of the platform for one app: der goes to [pay.Cashier.PutAppKey], the public half (PEM) to the merchant. It
// takes a tenth of a second or more.
func NewAppKey(random io.Reader) (der []byte, publicPEM string, err error) {
	key, err := rsa.GenerateKey(random, 2048)
	if err != nil {
		return nil, "", fmt.Errorf("make a key for an app: %w", err)
	}
	if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		return nil, "", fmt.Errorf("make a key for an app: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, "", fmt.Errorf("make a key for an app: %w", err)
	}
	return der, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), nil
}

// ReadPublicKey reads a merchant's public key as he hands it over, PEM or bare Base64, and returns what stands in [pay.App.PublicKey].
func ReadPublicKey(text string) (der string, err error) {
	bad := errors.New("the key has to be an RSA public key of 2048 bits or more: X.509 SubjectPublicKeyInfo as PEM (BEGIN PUBLIC KEY) or its bare Base64")
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		block, _ = pem.Decode([]byte("-----BEGIN PUBLIC KEY-----\n" + text + "\n-----END PUBLIC KEY-----\n"))
	}
	if block == nil {
		return "", bad
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	rsaKey, ok := key.(*rsa.PublicKey)
	if err != nil || !ok || rsaKey.N.BitLen() < 2048 {
		return "", bad
	}
	return string(block.Bytes), nil
}

// Acting implements alipay.Apps. Whoever acts for a merchant may do what the mandate names and the merchant's own app may do. It costs one read, and another
// each time that this app is not known here any more.
func (d *Desk) Acting(ctx context.Context, a *alipay.App, token alipay.Secret) (m alipay.Mandate, found bool, err error) {
	v, err := d.cashier.CheckMandate(ctx, a.ID, token.Reveal(), d.now())
	if err != nil {
		return m, false, mandateWords.tell(err)
	}
	own, found, err := d.App(ctx, v.OwnApp)
	if err != nil || !found || !own.Enabled {
		return m, false, err
	}
	may := alipay.AllProducts
	if len(v.Permissions) > 0 {
		may = productsOf(v.Permissions)
	}
	return alipay.Mandate{Merchant: v.Merchant, AppID: v.OwnApp, Products: may & own.Products}, true, nil
}
