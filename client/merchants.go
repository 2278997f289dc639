package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"holdfast"
)

// Fee is what the platform takes of a payment: basis points of ten thousand of the amount, and fixed minor units on top.
type Fee struct {
	BasisPoints uint32          `json:"basis_points"`
	Fixed       holdfast.Amount `json:"fixed,omitempty"`
}

// NewMerchant registers a merchant.
type NewMerchant struct {
	ID         holdfast.Owner   `json:"id"` // from [Client.IssueOwner]
	Name       string           `json:"name"`
	Zone       string           `json:"zone"`             // IANA name of his time zone, for ever
	Assets     []holdfast.Asset `json:"assets,omitempty"` // currencies that he takes
	Fee        Fee              `json:"fee"`
	Payee      string           `json:"payee,omitempty"`       // the bank connector's name of his account, nothing personal
	RefundDays uint32           `json:"refund_days,omitempty"` // 0: 365
}

// Merchant is somebody who sells.
type Merchant struct {
	ID         holdfast.Owner `json:"id"`
	Name       string         `json:"name"`
	Zone       string         `json:"zone"`
	Fee        Fee            `json:"fee"`
	Payee      string         `json:"payee"`
	RefundDays uint32         `json:"refund_days"`
	Blocked    bool           `json:"blocked"` // makes no new trades
	Registered time.Time      `json:"registered"`
}

// MerchantBalance is the money of a merchant in one currency, in minor units.
type MerchantBalance struct {
	Asset      holdfast.Asset  `json:"asset"`
	Settlement holdfast.Amount `json:"settlement"` // earned, and paid out by the next settlement
	Escrow     holdfast.Amount `json:"escrow"`     // kept until buyers confirm
	Royalty    holdfast.Amount `json:"royalty"`    // kept until it has been split
	Outgoing   holdfast.Amount `json:"outgoing"`   // on its way to his bank
	Fees       holdfast.Amount `json:"fees"`       // the platform's, of his payments
}

// RegisterMerchant makes a merchant. Registering the same once more is done.
func (c *Client) RegisterMerchant(ctx context.Context, n NewMerchant) (v Merchant, err error) {
	err = c.order(ctx, "/v1/merchants", n, &v)
	return v, err
}

// Merchant reads who a merchant is.
func (c *Client) Merchant(ctx context.Context, id holdfast.Owner) (v Merchant, err error) {
	err = c.get(ctx, merchantPath(id, ""), &v)
	return v, err
}

func merchantPath(id holdfast.Owner, what string) string {
	return "/v1/merchants/" + id.String() + what
}

// SetFee changes what the platform takes; trades keep the fee they were made with.
func (c *Client) SetFee(ctx context.Context, id holdfast.Owner, fee Fee) (v Merchant, err error) {
	err = c.order(ctx, merchantPath(id, "/fee"), fee, &v)
	return v, err
}

// BlockMerchant says whether a merchant can make new trades.
func (c *Client) BlockMerchant(ctx context.Context, id holdfast.Owner, blocked bool) (v Merchant, err error) {
	body := struct {
		Blocked bool `json:"blocked"`
	}{blocked}
	err = c.order(ctx, merchantPath(id, "/block"), body, &v)
	return v, err
}

// OpenCurrency lets a merchant take one more currency. Repeating is done.
func (c *Client) OpenCurrency(ctx context.Context, id holdfast.Owner, asset holdfast.Asset) (v MerchantBalance, err error) {
	body := struct {
		Asset holdfast.Asset `json:"asset"`
	}{asset}
	err = c.order(ctx, merchantPath(id, "/currencies"), body, &v)
	return v, err
}

// MerchantBalance reads the money of a merchant.
func (c *Client) MerchantBalance(ctx context.Context, id holdfast.Owner, asset holdfast.Asset) (v MerchantBalance, err error) {
	err = c.get(ctx, merchantPath(id, "/balances/"+asset.String()), &v)
	return v, err
}

// AppChange adds an app of a merchant, or changes it; what is empty stays as it is.
type AppChange struct {
	Number      uint8    `json:"number,omitempty"`      // 0-9
	PublicKey   string   `json:"public_key,omitempty"`  // the merchant's RSA key: PEM, or base64 of the DER
	Permissions []string `json:"permissions,omitempty"` // nil, for a new app: all products
	Notify      string   `json:"notify,omitempty"`      // where notices go when a trade names no address
}

// App is what a merchant's SDK calls itself at the gateway.
type App struct {
	ID                string         `json:"id"` // the app_id
	Merchant          holdfast.Owner `json:"merchant"`
	Number            uint8          `json:"number"`              // to change it
	PublicKey         string         `json:"public_key"`          // PEM
	PlatformPublicKey string         `json:"platform_public_key"` // PEM; not in lists
	Permissions       []string       `json:"permissions"`
	Notify            string         `json:"notify"`
	Disabled          bool           `json:"disabled"`
}

// PutApp adds an app of a merchant, or changes it.
func (c *Client) PutApp(ctx context.Context, id holdfast.Owner, a AppChange) (v App, err error) {
	err = c.order(ctx, merchantPath(id, "/apps"), a, &v)
	return v, err
}

// Apps lists the apps of a merchant.
func (c *Client) Apps(ctx context.Context, id holdfast.Owner) ([]App, error) {
	var v struct {
		Apps []App `json:"apps"`
	}
	err := c.get(ctx, merchantPath(id, "/apps"), &v)
	return v.Apps, err
}

// App reads an app.
func (c *Client) App(ctx context.Context, id holdfast.Owner, app string) (v App, err error) {
	err = c.get(ctx, merchantPath(id, pathOf("/apps/:app", app)), &v)
	return v, err
}

// DisableApp says whether the requests of an app are refused.
func (c *Client) DisableApp(ctx context.Context, id holdfast.Owner, app string, disabled bool) (v App, err error) {
	body := struct {
		Disabled bool `json:"disabled"`
	}{disabled}
	err = c.order(ctx, merchantPath(id, pathOf("/apps/:app/disable", app)), body, &v)
	return v, err
}

// SignatureCheck is whether a signature fits the key of an app, and if not, what is most likely wrong.
type SignatureCheck struct {
	Fits     bool               `json:"fits"`      // the gateway would take it
	Signed   string             `json:"signed"`    // the text that the gateway verifies a signature of
	SignType string             `json:"sign_type"` // RSA2, RSA
	Findings []SignatureFinding `json:"findings"`
}

// SignatureFinding is something about a signature: a code for programs, and the same for people.
type SignatureFinding struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
	About  string `json:"about,omitempty"` // which app, hash or parameter
}

// CheckSignature says whether a signature fits the key of an app. text is what was signed, or the parameters of a whole request; signature may be "" where they
// have it, and signType where they say it.
func (c *Client) CheckSignature(ctx context.Context, id holdfast.Owner, app, text, signature, signType string) (v SignatureCheck, err error) {
	body := struct {
		Text      string `json:"text"`
		Signature string `json:"signature,omitempty"`
		SignType  string `json:"sign_type,omitempty"`
	}{text, signature, signType}
	err = c.order(ctx, merchantPath(id, pathOf("/apps/:app/check-signature", app)), body, &v)
	return v, err
}

// Shop is where a merchant sells.
type Shop struct {
	ID    string   `json:"id"` // the merchant's name for it
	Name  string   `json:"name,omitempty"`
	Tills []string `json:"tills,omitempty"`
}

// PutShop adds a shop of a merchant, or changes its name and tills.
func (c *Client) PutShop(ctx context.Context, id holdfast.Owner, shop Shop) (v Shop, err error) {
	err = c.order(ctx, merchantPath(id, "/shops"), shop, &v)
	return v, err
}

// Shop reads a shop.
func (c *Client) Shop(ctx context.Context, id holdfast.Owner, shop string) (v Shop, err error) {
	err = c.get(ctx, merchantPath(id, pathOf("/shops/:shop", shop)), &v)
	return v, err
}

// Shops reads a page of the shops of a merchant; see [Client.Receipts] for cursor and limit.
func (c *Client) Shops(ctx context.Context, id holdfast.Owner, cursor string, limit int) (list []Shop, next string, err error) {
	var v struct {
		Shops []Shop `json:"shops"`
		Next  string `json:"next"`
	}
	err = c.get(ctx, merchantPath(id, "/shops")+pageOf(url.Values{}, cursor, limit), &v)
	return v.Shops, v.Next, err
}

// pageOf is the query of a page of a list.
func pageOf(q url.Values, cursor string, limit int) string {
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	if limit != 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// NewMandate lets somebody else's app act for a merchant.
type NewMandate struct {
	App         string     `json:"app_id"`                // whose app is to act
	OwnApp      string     `json:"own_app_id"`            // the merchant's own app for which it acts: auth_app_id at the gateway
	Permissions []string   `json:"permissions,omitempty"` // nil: everything but payout
	Until       *time.Time `json:"until,omitempty"`       // nil: 365 days from now
}

// Mandate is what a merchant lets somebody else's app do.
type Mandate struct {
	App         string    `json:"app_id"`
	OwnApp      string    `json:"own_app_id"`
	Permissions []string  `json:"permissions"` // none: all that both apps may do
	Given       time.Time `json:"given"`
	Until       time.Time `json:"until"`
}

// GiveMandate lets somebody else's app act for a merchant, and returns the app_auth_token that it sends along at the gateway, which is shown this once. Giving it
// again makes another token, and the one before is no longer good.
func (c *Client) GiveMandate(ctx context.Context, id holdfast.Owner, m NewMandate) (v Mandate, token string, err error) {
	var made struct {
		Mandate
		Token string `json:"app_auth_token"`
	}
	err = c.order(ctx, merchantPath(id, "/mandates"), m, &made)
	return made.Mandate, made.Token, err
}

// Mandates reads a page of the apps of others that act for a merchant, at most limit (0: 100), with those whose time is over. cursor is "", or the next of the page
// before; next is "" on the last one.
func (c *Client) Mandates(ctx context.Context, id holdfast.Owner, cursor string, limit int) (list []Mandate, next string, err error) {
	var v struct {
		Mandates []Mandate `json:"mandates"`
		Next     string    `json:"next"`
	}
	err = c.get(ctx, merchantPath(id, "/mandates")+paged(cursor, limit), &v)
	return v.Mandates, v.Next, err
}

// RevokeMandate ends a mandate: its token is no longer good. Repeating is done.
func (c *Client) RevokeMandate(ctx context.Context, id holdfast.Owner, app string) error {
	return c.order(ctx, pathOf("/v1/merchants/:id/mandates/:app_id/revoke", id.String(), app), struct{}{}, new(struct{}))
}

// MerchantKey is an API key that may only ask for what is one merchant's.
type MerchantKey struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
}

// IssueMerchantKey makes an API key for a merchant. The secret is what [Config.Key] takes; it is stored nowhere.
func (c *Client) IssueMerchantKey(ctx context.Context, id holdfast.Owner, name string) (k MerchantKey, secret string, err error) {
	body := struct {
		Name string `json:"name"`
	}{name}
	var v struct {
		MerchantKey
		Secret string `json:"secret"`
	}
	err = c.order(ctx, merchantPath(id, "/keys"), body, &v)
	return v.MerchantKey, v.Secret, err
}

// MerchantKeys lists the API keys of a merchant.
func (c *Client) MerchantKeys(ctx context.Context, id holdfast.Owner) ([]MerchantKey, error) {
	var v struct {
		Keys []MerchantKey `json:"keys"`
	}
	err := c.get(ctx, merchantPath(id, "/keys"), &v)
	return v.Keys, err
}

// RevokeMerchantKey ends an API key of a merchant: within seconds no site takes it any more. Repeating is done.
func (c *Client) RevokeMerchantKey(ctx context.Context, id holdfast.Owner, key string) error {
	return c.order(ctx, merchantPath(id, pathOf("/keys/:key/revoke", key)), struct{}{}, new(struct{}))
}

// Settlement is what a day of a merchant came to in one currency, in minor units.
type Settlement struct {
	Merchant holdfast.Owner  `json:"merchant"`
	Day      string          `json:"day"` // 2006-01-02 in his time zone
	Asset    holdfast.Asset  `json:"asset"`
	Payments uint32          `json:"payments"`
	Paid     holdfast.Amount `json:"paid"` // by buyers, fees included
	Fees     holdfast.Amount `json:"fees"` // taken, less given back
	Refunds  uint32          `json:"refunds"`
	Refunded holdfast.Amount `json:"refunded"`
	Other    holdfast.Amount `json:"other"`   // what came less what went
	Net      holdfast.Amount `json:"net"`     // what the day did to the balance for settlement
	Carried  holdfast.Amount `json:"carried"` // left over from the days before
	Payout   holdfast.Amount `json:"payout"`  // sent to his bank
	Order    string          `json:"order"`   // number of the payout; "": none
	Settled  time.Time       `json:"settled"`
}

type settlements struct {
	Settlements []Settlement `json:"settlements"`
	Next        string       `json:"next"`
}

// Settle settles a day of a merchant now, in each currency. Asking again pays nothing twice and answers the same.
func (c *Client) Settle(ctx context.Context, merchant holdfast.Owner, day string) ([]Settlement, error) {
	body := struct {
		Merchant holdfast.Owner `json:"merchant"`
		Day      string         `json:"day"`
	}{merchant, day}
	var v settlements
	err := c.order(ctx, "/v1/settlements", body, &v)
	return v.Settlements, err
}

// Settlements reads a page of what the days of a merchant came to, oldest first; see [Client.Receipts] for cursor and limit.
func (c *Client) Settlements(ctx context.Context, merchant holdfast.Owner, cursor string, limit int) (list []Settlement, next string, err error) {
	var v settlements
	err = c.get(ctx, "/v1/settlements"+pageOf(url.Values{"merchant": {merchant.String()}}, cursor, limit), &v)
	return v.Settlements, v.Next, err
}

// SettlementsFrom reads the first page of what the days of a merchant came to from a day (2006-01-02) on; next is a cursor of [Client.Settlements].
func (c *Client) SettlementsFrom(ctx context.Context, merchant holdfast.Owner, day string, limit int) (list []Settlement, next string, err error) {
	var v settlements
	err = c.get(ctx, "/v1/settlements"+pageOf(url.Values{"merchant": {merchant.String()}, "from": {day}}, "", limit), &v)
	return v.Settlements, v.Next, err
}

// Settlement reads what a day of a merchant came to, by currency; none: it has not been settled, or nothing was on it.
func (c *Client) Settlement(ctx context.Context, merchant holdfast.Owner, day string) ([]Settlement, error) {
	var v settlements
	err := c.get(ctx, pathOf("/v1/settlements/:merchant/:day", merchant.String(), day), &v)
	return v.Settlements, err
}

// StatementFile reads the statement of a day of a merchant, as CSV. Its last rows, of the kind total, have the sums. The file of a day that has been
// settled never changes.
func (c *Client) StatementFile(ctx context.Context, merchant holdfast.Owner, day string) ([]byte, error) {
	q := &request{method: http.MethodGet, path: pathOf("/v1/settlements/:merchant/:day/statement", merchant.String(), day), alone: true}
	a, _, err := c.do(ctx, q)
	if err == nil && (a.problem || a.status >= http.StatusBadRequest) {
		err = problemError(&a)
	}
	return a.body, err
}
