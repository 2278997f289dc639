package pay

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"holdfast"
)

// An agreement is a customer's word that an app may know who he is. It is one record for each customer and app. Each time that he agrees, the
// app gets a code, for which it gets tokens. A code or token says whose record it stands in, so that one read finds it, at any site:
//
//	letter, sequence and slot of the owner, app id without its first digits, 128 random bits
//
// Stored is its SHA-256: with so many random bits a slow hash would add nothing.
type Agreement struct {
	Customer holdfast.Owner // no part of the body
	App      string         // id; no part of the body
	Scopes   []string       // sorted
	Since    holdfast.Time  // when he agreed first
	Grants   []Grant        // the latest last
}

// Grant is what came of agreeing once.
type Grant struct {
	Since        holdfast.Time
	Code         string // SHA-256 of the code
	CodeUntil    holdfast.Time
	Access       string // of the access token; "": the code has not been used
	AccessUntil  holdfast.Time
	Refresh      string // of the refresh token
	RefreshUntil holdfast.Time
	Replaced     string // of the refresh token before
}

func (*Agreement) kind() (byte, byte) { return 51, 1 }

func (v *Agreement) layout(c *coder) {
	list(c, &v.Scopes, len(scopes), func(s *string) { text(c, s) })
	signed(c, &v.Since)
	list(c, &v.Grants, maxGrants, func(g *Grant) {
		for _, s := range []*string{&g.Code, &g.Access, &g.Refresh, &g.Replaced} {
			text(c, s)
		}
		for _, t := range []*holdfast.Time{&g.Since, &g.CodeUntil, &g.AccessUntil, &g.RefreshUntil} {
			signed(c, t)
		}
	})
}

// Scopes of agreements.
const (
	ScopeBase = "auth_base" // the app learns the customer's number
	ScopeUser = "auth_user" // and may ask what is known of him
)

var scopes = []string{ScopeBase, ScopeUser}

// How long codes and tokens can be used.
const (
	CodeLife    = 10 * time.Minute
	AccessLife  = 15 * 24 * time.Hour
	RefreshLife = 30 * 24 * time.Hour
	MandateLife = 365 * 24 * time.Hour

	// LostLife is how long a code or refresh token that has been used is answered with the same tokens again, for an app whose answer got lost.
	LostLife = time.Minute
)

const (
	kindAgreement = "agreement"
	kindMandate   = "mandate"
	maxGrants     = 8 // of one customer and app: so many devices stay signed in

	// GrantBytes is how many random bytes a code or token is made of, MandateBytes those of a mandate, whose text has to fit into 40 characters.
	GrantBytes   = 16
	MandateBytes = 12

	letterCode, letterAccess, letterRefresh, letterMandate = 'C', 'A', 'R', 'M'

	ownerDigits = 11
	grantHead   = 1 + ownerDigits + 12
)

// tokenText writes a code or token.
func tokenText(letter byte, o holdfast.Owner, app string, random []byte) string {
	return fmt.Sprintf("%c%08d%03d%s%s", letter, o.Sequence(), o.Slot(), app[len(appPrefix):], base64.RawURLEncoding.EncodeToString(random))
}

// tokenHome tells in whose record a code or token stands, and for which app; it says nothing about whether there is such a one.
func tokenHome(letter byte, token string) (o holdfast.Owner, app string, ok bool) {
	if len(token) <= grantHead || token[0] != letter {
		return 0, "", false
	}
	o, ok = ownerOfDigits(token[1 : 1+ownerDigits])
	app = appPrefix + token[1+ownerDigits:grantHead]
	_, known := appOwner(app)
	return o, app, ok && known
}

// ownerOfDigits reads the eight digits of a sequence and the three of a slot.
func ownerOfDigits(text string) (holdfast.Owner, bool) {
	var sequence uint32
	var slot holdfast.Slot
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
	}
	if _, err := fmt.Sscanf(text, "%8d%3d", &sequence, &slot); err != nil {
		return 0, false
	}
	o, err := holdfast.NewOwner(sequence, slot)
	return o, err == nil
}

func hashed(token string) string {
	sum := sha256.Sum256([]byte(token))
	return string(sum[:])
}

func isHash(token, hash string) bool {
	return subtle.ConstantTimeCompare([]byte(hashed(token)), []byte(hash)) == 1
}

// Agree notes that a customer agrees, and returns the code that the app gets tokens for, within ten minutes and once.
func (c *Cashier) Agree(ctx context.Context, customer holdfast.Owner, app string, want []string, random [GrantBytes]byte, now holdfast.Time) (v Agreement, code string, err error) {
	if len(want) == 0 || slices.ContainsFunc(want, func(s string) bool { return !slices.Contains(scopes, s) }) {
		return v, "", refuse(FieldInvalid, "scopes")
	}
	a, err := c.App(ctx, app)
	if err == nil && a.Disabled {
		err = refuse(AppUnknown, "app_id")
	}
	if err != nil {
		return v, "", err
	}
	if _, err := c.Customer(ctx, customer); err != nil {
		return v, "", err
	}
	code = tokenText(letterCode, customer, app, random[:])
	err = c.changeAgreement(ctx, customer, app, now, &v, func(version uint64) error {
		if version == 0 {
			v.Since = now
		}
		v.Scopes = slices.Compact(slices.Sorted(slices.Values(append(v.Scopes, want...))))
		v.Grants = slices.DeleteFunc(v.Grants, func(g Grant) bool { return g.over(now) })
		if len(v.Grants) == maxGrants {
			v.Grants = slices.Delete(v.Grants, 0, 1)
		}
		v.Grants = append(v.Grants, Grant{Since: now, Code: hashed(code), CodeUntil: now + holdfast.Time(CodeLife)})
		return nil
	})
	return v, code, err
}

// over reports that nothing can be done with a grant any more.
func (g *Grant) over(now holdfast.Time) bool {
	return g.Access == "" && now >= g.CodeUntil || g.Access != "" && now >= g.RefreshUntil && now >= g.AccessUntil
}

func (c *Cashier) changeAgreement(ctx context.Context, customer holdfast.Owner, app string, now holdfast.Time, v *Agreement, how func(version uint64) error) error {
	key := keyOf(customer, kindAgreement, app)
	return c.again(ctx, func() error {
		*v = Agreement{}
		version, err := c.load(ctx, key, v)
		v.Customer, v.App = customer, app
		if err != nil {
			return err
		}
		switch err := how(version); {
		case err == errAsIs:
			return nil
		case err != nil:
			return err
		}
		d := draft{at: now}
		d.put(key, version, v)
		return c.submit(ctx, &d)
	})
}

// Tokens are what an app has for a customer who agreed.
type Tokens struct {
	Customer                  holdfast.Owner
	Access, Refresh           string
	AccessUntil, RefreshUntil holdfast.Time
	Since                     holdfast.Time
}

// Exchange gives the tokens for a code. A code is good for ten minutes, for its app, and once; within [LostLife] it is answered as the first time.
func (c *Cashier) Exchange(ctx context.Context, app, code string, now holdfast.Time) (Tokens, error) {
	return c.issue(ctx, letterCode, app, code, now, func(g *Grant) error {
		switch {
		case !isHash(code, g.Code):
			return errNotThis
		case g.Access != "":
			return refuse(GrantReplaced, "code")
		case now >= g.CodeUntil:
			return refuse(GrantExpired, "code")
		}
		return nil
	})
}

// Renew gives new tokens for a refresh token; the ones before are no longer good. Within [LostLife] it is answered as the first time.
func (c *Cashier) Renew(ctx context.Context, app, refresh string, now holdfast.Time) (Tokens, error) {
	return c.issue(ctx, letterRefresh, app, refresh, now, func(g *Grant) error {
		switch {
		case isHash(refresh, g.Replaced):
			return refuse(GrantReplaced, "refresh_token")
		case !isHash(refresh, g.Refresh):
			return errNotThis
		case now >= g.RefreshUntil:
			return refuse(GrantExpired, "refresh_token")
		}
		return nil
	})
}

// errNotThis: the grant is another one.
var errNotThis = refuse(GrantUnknown, "")

// errAsIs: the agreement stays as it is.
var errAsIs = errors.New("nothing to write")

// following is the token that is given for a code or refresh token. It is as good as random to whoever has not the key, and the same each time.
func (c *Cashier) following(letter byte, o holdfast.Owner, app, from string) string {
	h := hmac.New(sha256.New, c.DerivedKey("tokens of agreements"))
	h.Write([]byte{letter})
	h.Write(texted(nil, from))
	return tokenText(letter, o, app, h.Sum(nil)[:GrantBytes])
}

func (c *Cashier) issue(ctx context.Context, letter byte, app, token string, now holdfast.Time, check func(*Grant) error) (t Tokens, err error) {
	customer, of, ok := tokenHome(letter, token)
	if !ok {
		return t, refuse(GrantUnknown, "")
	}
	t = Tokens{
		Customer: customer, Access: c.following(letterAccess, customer, of, token), Refresh: c.following(letterRefresh, customer, of, token),
		AccessUntil: now + holdfast.Time(AccessLife), RefreshUntil: now + holdfast.Time(RefreshLife),
	}
	var v Agreement
	err = c.changeAgreement(ctx, customer, of, now, &v, func(uint64) error {
		for _, g := range v.Grants {
			if isHash(t.Access, g.Access) && of == app && now < g.AccessUntil-holdfast.Time(AccessLife-LostLife) {
				t.AccessUntil, t.RefreshUntil, t.Since = g.AccessUntil, g.RefreshUntil, g.Since
				return errAsIs
			}
		}
		g, err := v.find(check)
		if err != nil {
			return err
		}
		if of != app {
			return refuse(GrantOfOther, "app_id") // said only to who has a genuine one
		}
		g.Replaced = g.Refresh
		g.Access, g.AccessUntil, g.Refresh, g.RefreshUntil = hashed(t.Access), t.AccessUntil, hashed(t.Refresh), t.RefreshUntil
		t.Since = g.Since
		return nil
	})
	return t, err
}

// find is the grant that a check knows.
func (v *Agreement) find(check func(*Grant) error) (*Grant, error) {
	for i := range v.Grants {
		if err := check(&v.Grants[i]); err != errNotThis {
			return &v.Grants[i], err
		}
	}
	return nil, errNotThis
}

// CheckAccess tells who agreed, for an access token. It costs one read.
func (c *Cashier) CheckAccess(ctx context.Context, app, access string, now holdfast.Time) (v Agreement, err error) {
	customer, of, ok := tokenHome(letterAccess, access)
	if !ok {
		return v, refuse(GrantUnknown, "auth_token")
	}
	_, err = c.must(ctx, keyOf(customer, kindAgreement, of), &v, refuse(GrantUnknown, "auth_token"))
	v.Customer, v.App = customer, of
	if err != nil {
		return v, settled(err)
	}
	g, err := v.find(func(g *Grant) error {
		if !isHash(access, g.Access) {
			return errNotThis
		}
		return nil
	})
	switch {
	case err != nil:
		return v, refuse(GrantUnknown, "auth_token")
	case of != app:
		return v, refuse(GrantOfOther, "app_id")
	case now >= g.AccessUntil:
		return v, refuse(GrantExpired, "auth_token")
	}
	return v, nil
}

// Agreements lists the agreements of a customer by app, at most max, from the one after an app id on.
func (c *Cashier) Agreements(ctx context.Context, customer holdfast.Owner, after string, max int) (all []Agreement, err error) {
	prefix := keyOf(customer, kindAgreement, "")
	if after != "" {
		after = prefix + after
	}
	records, err := c.Books.Records(ctx, prefix, after, max)
	if err != nil {
		return nil, &Unavailable{Err: err}
	}
	for i := range records {
		v := Agreement{Customer: customer, App: records[i].Key[len(prefix):]}
		if err := unpack(records[i].Key, records[i].Body, &v); err != nil {
			return nil, &Unavailable{Err: err}
		}
		all = append(all, v)
	}
	return all, nil
}

// RevokeAgreement ends an agreement with all its codes and tokens. One that is not there is no error.
func (c *Cashier) RevokeAgreement(ctx context.Context, customer holdfast.Owner, app string, now holdfast.Time) error {
	if _, ok := appOwner(app); !ok {
		return refuse(AppUnknown, "app_id")
	}
	return c.remove(ctx, keyOf(customer, kindAgreement, app), &Agreement{}, now)
}

// remove deletes a document, if there is one.
func (c *Cashier) remove(ctx context.Context, key string, doc document, now holdfast.Time) error {
	return c.again(ctx, func() error {
		version, err := c.load(ctx, key, doc)
		if err != nil || version == 0 {
			return err
		}
		d := draft{at: now}
		d.Records = append(d.Records, holdfast.RecordChange{Key: key, Expect: version, Delete: true})
		return c.submit(ctx, &d)
	})
}

// Mandate is a merchant's word that another merchant's app may act in his name.
type Mandate struct {
	Merchant holdfast.Owner // who gave it; no part of the body
	App      string         // who may act; no part of the body
	OwnApp   string         // the merchant's own app, for which the other one acts
	Token    string         // SHA-256
	Given    holdfast.Time
	Until    holdfast.Time

	Permissions []string // what of the other app's permissions it may use; none: all, as a release before this one gave it
}

func (*Mandate) kind() (byte, byte) { return 52, 1 }

func (v *Mandate) layout(c *coder) {
	text(c, &v.OwnApp)
	text(c, &v.Token)
	signed(c, &v.Given)
	signed(c, &v.Until)
	c.tail(func() bool { return len(v.Permissions) > 0 }, func() {
		list(c, &v.Permissions, maxPermissions, func(p *string) { text(c, p) })
	})
}

// MandateAsk lets an app of another merchant act for one.
type MandateAsk struct {
	OwnApp      string        // of the merchant who gives it: the other one acts for this app
	App         string        // who may act
	Permissions []string      // of [Permissions]; nil: [UsualPermissions]
	Until       holdfast.Time // at least an hour and at most [MandateLife] from now, which 0 means
}

// GiveMandate lets an app of another merchant act for the one whose app OwnApp is, and returns the token by which it does: it is shown this once. What the
// app may do for him is what both apps may do and the mandate names. Giving it again makes a new token, and the one before is no longer good.
func (c *Cashier) GiveMandate(ctx context.Context, ask MandateAsk, random [MandateBytes]byte, now holdfast.Time) (v Mandate, token string, err error) {
	if ask.Permissions == nil {
		ask.Permissions = UsualPermissions()
	}
	if ask.Until == 0 {
		ask.Until = now + holdfast.Time(MandateLife)
	}
	switch {
	case len(ask.Permissions) == 0 || slices.ContainsFunc(ask.Permissions, func(p string) bool { return !slices.Contains(permissions, p) }):
		return v, "", refuse(FieldInvalid, "permissions")
	case ask.Until < now+holdfast.Time(MinEnd) || ask.Until > now+holdfast.Time(MandateLife):
		return v, "", &Refusal{Code: FieldInvalid, Field: "until", Text: "A mandate lasts between an hour and a year: send a time within that."}
	}
	for field, id := range map[string]string{"own_app_id": ask.OwnApp, "app_id": ask.App} {
		a, err := c.App(ctx, id)
		if err == nil && a.Disabled {
			err = refuse(AppUnknown, field)
		}
		if r := (*Refusal)(nil); errors.As(err, &r) && r.Code == AppUnknown {
			err = refuse(AppUnknown, field)
		}
		if err != nil {
			return v, "", err
		}
	}
	merchant, _ := appOwner(ask.OwnApp)
	if other, _ := appOwner(ask.App); other == merchant {
		return v, "", &Refusal{Code: FieldInvalid, Field: "app_id", Text: "The app is one of the merchant's own, and needs nobody's word: name an app of somebody else."}
	}
	token = tokenText(letterMandate, merchant, ask.App, random[:])
	v = Mandate{
		Merchant: merchant, App: ask.App, OwnApp: ask.OwnApp, Token: hashed(token), Given: now, Until: ask.Until,
		Permissions: slices.Compact(slices.Sorted(slices.Values(ask.Permissions))),
	}
	key := keyOf(merchant, kindMandate, ask.App)
	err = c.again(ctx, func() error {
		version, err := c.load(ctx, key, &Mandate{})
		if err != nil {
			return err
		}
		d := draft{at: now}
		d.put(key, version, &v)
		return c.submit(ctx, &d)
	})
	return v, token, err
}

// Mandates lists what a merchant lets apps of others do, by app, at most max, from the one after an app id on; those that are over too.
func (c *Cashier) Mandates(ctx context.Context, merchant holdfast.Owner, after string, max int) (all []Mandate, err error) {
	prefix := keyOf(merchant, kindMandate, "")
	if after != "" {
		after = prefix + after
	}
	records, err := c.Books.Records(ctx, prefix, after, max)
	if err != nil {
		return nil, &Unavailable{Err: err}
	}
	for i := range records {
		v := Mandate{Merchant: merchant, App: records[i].Key[len(prefix):]}
		if err := unpack(records[i].Key, records[i].Body, &v); err != nil {
			return nil, &Unavailable{Err: err}
		}
		all = append(all, v)
	}
	return all, nil
}

// CheckMandate tells for whom an app acts with this token. It costs one read.
func (c *Cashier) CheckMandate(ctx context.Context, app, token string, now holdfast.Time) (v Mandate, err error) {
	merchant, of, ok := tokenHome(letterMandate, token)
	if !ok {
		return v, refuse(GrantUnknown, "app_auth_token")
	}
	v, found, err := c.MandateOf(ctx, merchant, of)
	switch {
	case err != nil:
		return v, err
	case !found || !isHash(token, v.Token):
		return v, refuse(GrantUnknown, "app_auth_token")
	case of != app:
		return v, refuse(GrantOfOther, "app_id")
	case now >= v.Until:
		return v, refuse(GrantExpired, "app_auth_token")
	}
	return v, nil
}

// MandateOf returns what a merchant lets an app do, whether it is over or not.
func (c *Cashier) MandateOf(ctx context.Context, merchant holdfast.Owner, app string) (v Mandate, found bool, err error) {
	version, err := c.load(ctx, keyOf(merchant, kindMandate, app), &v)
	v.Merchant, v.App = merchant, app
	return v, version > 0, settled(err)
}

// RevokeMandate ends a mandate. One that is not there is no error.
func (c *Cashier) RevokeMandate(ctx context.Context, merchant holdfast.Owner, app string, now holdfast.Time) error {
	if _, ok := appOwner(app); !ok {
		return refuse(AppUnknown, "app_id")
	}
	return c.remove(ctx, keyOf(merchant, kindMandate, app), &Mandate{}, now)
}
