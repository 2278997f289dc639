package checkout

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"holdfast"
	"holdfast/pay"
)

// Customers are people who have signed in, as the cookie of their session says: see [SessionCookie].
type Customers interface {
	// Wallet is who has signed in with a session, and what they could pay from in a currency. found is false when it is not the session of a
	// customer, or not any more. An error means that nobody knows just now.
	Wallet(ctx context.Context, session string, asset holdfast.Asset) (w Wallet, found bool, err error)
	// Pay pays a trade from the wallet of the customer from, whose session it has to be. Its errors are those of pay, or [ErrSignedOut]. Asked again
	// it is answered as the first time.
	Pay(ctx context.Context, session string, from, merchant holdfast.Owner, outTradeNo string) error
}

// ErrSignedOut says that a session is not, or not any more, one of the customer who was to pay. Nothing was done.
var ErrSignedOut = errors.New("this is no session of the customer")

// Wallet is what a customer pays from.
type Wallet struct {
	Owner      holdfast.Owner
	Open       bool // there is one in the currency
	Blocked    bool
	Available  holdfast.Amount
	Limits     pay.Limits
	SpentDay   holdfast.Amount // of this calendar day, for the limit
	SpentMonth holdfast.Amount // of this month
}

// SessionCookie is the cookie with the session of whoever has signed in.
const SessionCookie = "holdfast_session"

// fromField is the field of the form that names the wallet which the customer has seen.
const fromField = "from"

// maxSession is longer than any session's token.
const maxSession = 200

// sessionOf is what the cookie says, if it may be a session.
func sessionOf(r *http.Request) string {
	c, err := r.Cookie(SessionCookie)
	if err != nil || len(c.Value) > maxSession || !strings.HasPrefix(c.Value, "hfs_") || strings.ContainsFunc(c.Value, notInToken) {
		return ""
	}
	return c.Value
}

func notInToken(r rune) bool {
	return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r == '-')
}

// lookUp finds out from what wallet whoever looks at the page can pay.
func (p *pages) lookUp(ctx context.Context, v *view) error {
	if v.SignsIn = p.Customers != nil; !v.SignsIn || v.session == "" {
		return nil
	}
	w, found, err := p.Customers.Wallet(ctx, v.session, v.Trade.Asset)
	if v.WalletDark = err != nil; found && err == nil {
		v.Wallet = &w
	}
	return err
}

// payFrom pays from the wallet that the customer has seen on the page, if it is still theirs.
func (p *pages) payFrom(ctx context.Context, v *view, from string) answer {
	o, err := holdfast.ParseOwner(from)
	if err != nil || p.Customers == nil {
		return answer{status: http.StatusUnprocessableEntity, state: waiting, problem: otherWallet, err: err}
	}
	if v.session == "" {
		return answer{redirect: v.LinkSignIn(), state: waiting}
	}
	err = p.Customers.Pay(ctx, v.session, o, v.Trade.Merchant, v.Trade.OutTradeNo)
	if errors.Is(err, ErrSignedOut) {
		return answer{status: http.StatusConflict, state: waiting, problem: otherWallet, err: err}
	}
	return cameTo(v, err)
}

// Stop is why the wallet cannot pay the trade, as far as is known before it is tried: a refusal of pay; "": nothing is known.
func (v *view) Stop() pay.Code {
	w, amount := v.Wallet, v.Trade.Amount
	above := func(limit, spent holdfast.Amount) bool { return limit > 0 && amount > limit-spent }
	switch {
	case v.Trade.Buyer != 0 && v.Trade.Buyer != w.Owner:
		return pay.BuyerDiffers
	case !w.Open:
		return pay.WalletMissing
	case w.Blocked:
		return pay.WalletBlocked
	case w.Available < amount:
		return pay.BalanceNotEnough
	case above(w.Limits.Payment, 0):
		return pay.LimitPayment
	case above(w.Limits.Day, w.SpentDay):
		return pay.LimitDay
	case above(w.Limits.Month, w.SpentMonth):
		return pay.LimitMonth
	}
	return ""
}

// StopSaid says that to the customer.
func (v *view) StopSaid() string { return stops[v.Stop()].in(v.Lang) }

// remedies are the pages of a wallet on which its owner does something about what stops a payment.
var remedies = map[pay.Code]struct{ path, word string }{
	pay.BalanceNotEnough: {"/wallet/top-up", "top-up"},
	pay.LimitPayment:     {"/wallet/settings", "limits"},
	pay.LimitDay:         {"/wallet/settings", "limits"},
	pay.LimitMonth:       {"/wallet/settings", "limits"},
	pay.WalletMissing:    {"/wallet", "to-wallet"},
	pay.WalletBlocked:    {"/wallet", "to-wallet"},
}

// Remedy is where something can be done about it; "": nowhere here.
func (v *view) Remedy() string {
	r, ok := remedies[v.Stop()]
	if !ok {
		return ""
	}
	return ".." + r.path
}

// RemedyWord is the text of that link.
func (v *view) RemedyWord() (string, error) { return v.T(remedies[v.Stop()].word) }

// Masked is the number of a wallet as others may read it over one's shoulder.
func (w *Wallet) Masked() string {
	n := w.Owner.String()
	return n[:4] + " ···· ···· " + n[len(n)-4:]
}

// Has is what is in the wallet.
func (v *view) Has() string { return money(v.Wallet.Available, v.Trade.Asset) }

// LinkSignIn is where a customer signs in, and comes back from.
func (v *view) LinkSignIn() string {
	q := url.Values{"as": {"customer"}, "to": {strings.TrimPrefix(v.Link(), "..")}}
	if v.chosen {
		q.Set("lang", string(v.Lang))
	}
	return "../sign-in?" + q.Encode()
}
