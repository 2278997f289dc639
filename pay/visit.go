package pay

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"holdfast"
)

// Visit is how a buyer came to a trade that he opens by a token: where he goes on when he has paid, or does not want to.
type Visit struct {
	Token      string         // no part of the body
	Merchant   holdfast.Owner // no part of the body
	OutTradeNo string
	Entry      Entry
	App        string // who sent him: app_id
	AuthApp    string // in whose name: auth_app_id
	Return     string // where the browser goes when the trade is paid; "": nowhere
	Quit       string // where it goes when the buyer gives up; "": nowhere
}

// Entry is the kind of a visit. The numbers are in records: append, never renumber.
type Entry uint8

// Kinds of visits.
const (
	EntryCode Entry = iota // a QR code was scanned; there is no record of it
	EntryPage              // from a page on a computer
	EntryWap               // from a page on a phone
	EntryApp               // from the merchant's app
)

func (*Visit) kind() (byte, byte) { return 53, 1 }

func (v *Visit) layout(c *coder) {
	number(c, &v.Entry)
	for _, s := range []*string{&v.OutTradeNo, &v.App, &v.AuthApp, &v.Return, &v.Quit} {
		text(c, s)
	}
}

func (v *Visit) check() error {
	return first(validText(v.App, "app", maxNumber), validText(v.AuthApp, "auth_app", maxNumber), validText(v.Return, "return_url", maxURL),
		validText(v.Quit, "quit_url", 400))
}

const (
	kindVisit = "visit"
	// visitLonger is how long after the time to pay the page can still be opened: whoever paid in the last minute wants to see it.
	visitLonger = time.Hour
)

// Enter makes a trade, if there is none, and a token by which its buyer opens it; see [Cashier.Open]. The token follows from what is asked for
// and a key, so that the same visit has the same one for ever, and nobody guesses it. It can be used for as long as the trade can be paid, and an
// hour more.
func (c *Cashier) Enter(ctx context.Context, ask TradeAsk, v Visit, now holdfast.Time) (made Trade, visit Visit, err error) {
	if err := first(ask.check(), v.check()); err != nil {
		return made, v, err
	}
	v.OutTradeNo = ask.OutTradeNo
	until := func(t *Trade) holdfast.Time { return t.Until + holdfast.Time(visitLonger) }
	made, v.Token, err = c.enter(ctx, &ask, &v, until, false, now)
	v.Merchant = ask.Merchant
	return made, v, err
}

// PrecreateUntil is [Cashier.Precreate] with a token that can be used up to a moment, and is the same each time.
func (c *Cashier) PrecreateUntil(ctx context.Context, ask TradeAsk, until, now holdfast.Time) (made Trade, token string, err error) {
	if err := ask.check(); err != nil {
		return made, "", err
	}
	v := Visit{OutTradeNo: ask.OutTradeNo}
	return c.enter(ctx, &ask, &v, func(*Trade) holdfast.Time { return until }, true, now)
}

func (c *Cashier) enter(ctx context.Context, ask *TradeAsk, v *Visit, until func(*Trade) holdfast.Time, byCode bool, now holdfast.Time) (made Trade, token string, err error) {
	hidden := c.entrance(ask.Merchant, v)
	token = fmt.Sprintf("%08d%03d%s", ask.Merchant.Sequence(), ask.Merchant.Slot(), hidden)
	err = c.again(ctx, func() error {
		var version uint64
		if made, version, err = c.readTrade(ctx, ask.Merchant, ask.OutTradeNo, now); err != nil {
			return err
		}
		d := draft{at: now, code: movePay}
		if version > 0 {
			if err := made.same(ask); err != nil {
				return err
			}
		} else {
			m, err := c.seller(ctx, ask.Merchant)
			if err != nil {
				return err
			}
			if made, err = m.trade(ask, now); err != nil {
				return c.unlessSince(ctx, keyOf(ask.Merchant, kindTrade, ask.OutTradeNo), 0, err)
			}
			made.ByCode = byCode
			d.need(keyOf(ask.Merchant, kindMerchant), m.version)
			made.save(&d, 0)
		}
		changed, err := c.point(ctx, &d, hidden, ask.Merchant, v, until(&made))
		if err != nil || !changed {
			return err
		}
		return c.submit(ctx, &d)
	})
	return made, token, err
}

// point writes what a token leads to, unless it does already for at least as long.
func (c *Cashier) point(ctx context.Context, d *draft, hidden string, merchant holdfast.Owner, v *Visit, until holdfast.Time) (changed bool, err error) {
	var qr pointer
	key := keyOf(merchant, kindQR, hidden)
	version, err := c.load(ctx, key, &qr)
	if err != nil || qr.Until >= until {
		return len(d.Records) > 0, err
	}
	d.put(key, version, &pointer{OutTradeNo: v.OutTradeNo, Until: until})
	if version == 0 && v.Entry != EntryCode {
		d.put(keyOf(merchant, kindVisit, hidden), 0, v)
	}
	return true, nil
}

// entrance is the hidden part of a token.
func (c *Cashier) entrance(merchant holdfast.Owner, v *Visit) string {
	h := hmac.New(sha256.New, c.DerivedKey("tokens of visits"))
	b := words(nil, uint64(merchant), uint64(v.Entry))
	for _, s := range []string{v.OutTradeNo, v.App, v.AuthApp, v.Return, v.Quit} {
		b = texted(b, s)
	}
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil)[:TokenBytes])
}

// Visit tells how a buyer came who has a token. One with the token of a QR code has no address to go on to. Whether the token can still be used is
// told by [Cashier.Open].
func (c *Cashier) Visit(ctx context.Context, token string) (v Visit, err error) {
	unknown := refuse(TokenUnknown, "token")
	if len(token) != ownerDigits+2*TokenBytes || strings.Trim(token, "0123456789abcdef") != "" {
		return v, unknown
	}
	merchant, ok := ownerOfDigits(token[:ownerDigits])
	if !ok {
		return v, unknown
	}
	hidden := token[ownerDigits:]
	version, err := c.load(ctx, keyOf(merchant, kindVisit, hidden), &v)
	if err == nil && version == 0 {
		var qr pointer
		_, err = c.must(ctx, keyOf(merchant, kindQR, hidden), &qr, unknown)
		v.OutTradeNo = qr.OutTradeNo
	}
	v.Token, v.Merchant = token, merchant
	return v, settled(err)
}
