// Package desk stands between the merchants' gateway and payments: it does for package alipay what a merchant's SDK asked for, in terms of
// package pay. It says who a buyer is to an app, what a number of the platform leads to, in which words a refusal is told, what a notice
// says and what a bill contains. docs/decisions/0022-the-desk.md says why it is done this way.
//
// What pay refuses is a [alipay.Refusal]: nothing was executed. Everything else that is an error, a payment that is not decided as much as a
// site that cannot be reached, stays what it is, and the gateway answers that the outcome is not known.
package desk

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"holdfast"
	"holdfast/alipay"
	"holdfast/pay"
)

// Config is what a desk is made of.
type Config struct {
	Cashier *pay.Cashier
	// Public is the address under which buyers and merchants reach this platform, such as https://pay.example: cashier pages, QR codes
	// and bills are below it.
	Public string
	// Now is the time; default time.Now.
	Now func() time.Time
	// Logger hears what no caller is told; default none.
	Logger *slog.Logger
}

// Desk implements alipay.Desk and alipay.Apps. Any number of goroutines may use it, and any number of desks may do the same at once.
type Desk struct {
	cashier *pay.Cashier
	public  string
	clock   func() time.Time
	logger  *slog.Logger
	apps    apps
	names   *openIDs
	billKey []byte
	bills   chan struct{} // one for each bill being written
	aliases *pay.Tries    // that lead to nobody, by app
}

var (
	_ alipay.Desk = (*Desk)(nil)
	_ alipay.Apps = (*Desk)(nil)
)

// cny is the currency of the gateway: it knows no other.
var cny = holdfast.MustAsset("CNY")

// gmt8 is the zone of days at the gateway.
var gmt8 = time.FixedZone("GMT+8", 8*60*60)

// New makes a desk, or says what is wrong with its configuration.
func New(c Config) (*Desk, error) {
	if c.Cashier == nil {
		return nil, errors.New("desk: a Cashier must be given")
	}
	u, err := url.Parse(c.Public)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("desk: Public is %q, but has to be an address such as https://pay.example", c.Public)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	names, err := newOpenIDs(c.Cashier)
	if err != nil {
		return nil, err
	}
	return &Desk{
		cashier: c.Cashier, public: strings.TrimRight(c.Public, "/"), clock: c.Now, logger: c.Logger, names: names,
		billKey: c.Cashier.DerivedKey("addresses of bills"), bills: make(chan struct{}, maxBills),
		apps: apps{known: map[string]*knownApp{}}, aliases: pay.NewTries(maphash.MakeSeed(), unknownAliases, unknownEvery),
	}, nil
}

// Bounds on the phone numbers and e-mail addresses that lead to nobody, of one app at one site: who asks for many wants to know which are customers.
const (
	unknownAliases = 30
	unknownEvery   = time.Minute
)

// clocked is a moment as the gateway writes it; none stays none.
func clocked(t holdfast.Time) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return t.Std().In(gmt8)
}

// at is the moment of a request.
func at(who alipay.Caller) holdfast.Time { return holdfast.TimeOf(who.Now) }

// customer is how an app knows a customer; nobody for 0.
func (d *Desk) customer(app string, o holdfast.Owner) alipay.Customer {
	if o == 0 {
		return alipay.Customer{}
	}
	return alipay.Customer{UserID: o.String(), OpenID: d.names.of(app, o), LogonID: masked(o)}
}

// masked is what stands where a masked phone number or e-mail address would: aliases are known to the platform by their hashes alone, so it is
// the customer's number, masked in the same way.
func masked(o holdfast.Owner) string {
	text := o.String()
	return text[:4] + "****" + text[len(text)-4:]
}

// funds is where the money of a payment came from: there is one source.
func funds(amount holdfast.Amount) []alipay.FundBill {
	return []alipay.FundBill{{Channel: "ALIPAYACCOUNT", Amount: amount}}
}

// someone finds who is meant by a number, an open id or an alias. unknown is the sub_code for nobody.
func (d *Desk) someone(ctx context.Context, who alipay.Caller, kind, text, unknown string) (holdfast.Owner, error) {
	switch kind {
	case byNumber:
		if o, err := holdfast.ParseOwner(text); err == nil {
			return o, nil
		}
	case byOpenID:
		if o, ok := d.names.owner(who.App.ID, text); ok {
			return o, nil
		}
	case byAlias:
		if d.aliases.Wait(who.App.ID, at(who)) > 0 {
			return 0, refusal(limited, "应用调用次数超限 (too many accounts that do not exist: nothing was executed, come again in a minute)")
		}
		o, err := d.cashier.FindAlias(ctx, text)
		var r *pay.Refusal
		if !errors.As(err, &r) {
			return o, err
		}
		d.aliases.Tried(who.App.ID, at(who))
	}
	return 0, &alipay.Refusal{SubCode: unknown}
}

// Ways to name somebody.
const (
	byNumber = "number"
	byOpenID = "open id"
	byAlias  = "alias"
)
