package pay

import (
	"context"
	"fmt"
	"strings"

	"holdfast"
)

// Auth is a pre-authorisation: money that a customer has frozen for a merchant, who can take it, or release it, in parts. The merchant has a
// record that keeps his numbers and names the customer; the money, and how much of it is left, is with the customer.
//
// What is frozen stands on an account of its own and not in a hold of the ledger: a hold can be posted once, and is gone when the other shard
// refuses; of a balance any number of parts can be taken, and what is refused is there again. It cannot be spent either way.
type Auth struct {
	Merchant   holdfast.Owner // no part of the body
	OutOrderNo string         // the merchant's number; no part of the body
	AuthNo     string         // 28 digits, as a TradeNo
	Request    string         // out_request_no of the freeze
	Title      string
	Asset      holdfast.Asset
	Amount     holdfast.Amount
	Created    holdfast.Time
	Until      holdfast.Time  // to authorise
	Payer      holdfast.Owner // who authorises it; 0: nobody yet. Another may take the place of one who has frozen nothing
	App        string
	Notify     string
	Zone       string
	Named      uint64 // how often a customer was named

	// What follows is from the customer's record.

	Status AuthStatus
	Rest   holdfast.Amount // still frozen
	Paid   holdfast.Amount // taken by trades
	Ends   holdfast.Time   // then what is left is released; 0: nothing is frozen, or it was before there was an end
}

// AuthStatus is the state of an authorisation, as Alipay's merchants know it.
type AuthStatus uint8

// States of an authorisation.
const (
	AuthInit       AuthStatus = iota + 1 // nothing is frozen yet
	AuthAuthorized                       // something is frozen
	AuthFinish                           // a part was taken, and nothing is left
	AuthClosed                           // everything was released, or it was never authorised in time
	authStatuses
)

var authNames = [authStatuses]string{"", "INIT", "AUTHORIZED", "FINISH", "CLOSED"}

// String gives the name that the gateway uses.
func (s AuthStatus) String() string {
	if s < authStatuses {
		return authNames[s]
	}
	return "INVALID"
}

func (*Auth) kind() (byte, byte) { return 16, 1 }

func (v *Auth) layout(c *coder) {
	for _, s := range []*string{&v.AuthNo, &v.Request, &v.Title, &v.App, &v.Notify, &v.Zone} {
		text(c, s)
	}
	number(c, &v.Asset)
	signed(c, &v.Amount)
	signed(c, &v.Created)
	signed(c, &v.Until)
	number(c, &v.Payer)
	c.tail(func() bool { return v.Named != 0 }, func() { number(c, &v.Named) })
}

// differs names the first thing in which a request for an authorisation that exists is another one; "": they are the same.
func (v *Auth) differs(ask *AuthAsk) string {
	switch {
	case v.Request != ask.Request:
		return "out_request_no"
	case v.Amount != ask.Amount:
		return "amount"
	case v.Asset != ask.Asset:
		return "asset"
	case v.Title != ask.Title:
		return "order_title"
	}
	return ""
}

// freeze is the customer's record of an authorisation. With no Amount nothing was frozen, and it says that nothing will be by the first Void namings:
// another customer may have taken the place.
type freeze struct {
	Merchant   holdfast.Owner
	OutOrderNo string
	Asset      holdfast.Asset
	Amount     holdfast.Amount
	Rest       holdfast.Amount
	Paid       holdfast.Amount
	Last       uint64 // a hash of what took from it last
	Until      holdfast.Time
	Void       uint64
}

func (*freeze) kind() (byte, byte) { return 17, 1 }

func (v *freeze) layout(c *coder) {
	number(c, &v.Merchant)
	text(c, &v.OutOrderNo)
	number(c, &v.Asset)
	signed(c, &v.Amount)
	signed(c, &v.Rest)
	signed(c, &v.Paid)
	number(c, &v.Last)
	c.tail(func() bool { return v.Until != 0 || v.Void != 0 }, func() {
		signed(c, &v.Until)
		number(c, &v.Void)
	})
}

// save adds the record to a transaction. As long as something is frozen it is due in the end.
func (v *freeze) save(d *draft, key string, version uint64) {
	var index []string
	if at := v.due(); at != 0 {
		index = []string{minute(dueIndex, at)}
	}
	d.put(key, version, v, index...)
}

// due is when what is left is released by itself; 0: never.
func (v *freeze) due() holdfast.Time {
	if v.Rest == 0 {
		return 0
	}
	return v.Until
}

// of fills in what the customer's record says.
func (v *Auth) of(f *freeze) { v.Status, v.Rest, v.Paid, v.Ends = f.status(), f.Rest, f.Paid, f.Until }

func (v *freeze) status() AuthStatus {
	switch {
	case v.Rest > 0:
		return AuthAuthorized
	case v.Paid > 0:
		return AuthFinish
	}
	return AuthClosed
}

// AuthOperation is a freeze or unfreeze.
type AuthOperation struct {
	Unfreeze bool
	Amount   holdfast.Amount
	At       holdfast.Time
	Remark   string
	Told     bool // the merchant's event has been written

	Number string // under which it stands; no part of the body
	Known  string // the same as the merchant knows it, see [Event.Known]; no part of the body
}

func (*AuthOperation) kind() (byte, byte) { return 18, 1 }

func (v *AuthOperation) layout(c *coder) {
	flag(c, &v.Unfreeze)
	signed(c, &v.Amount)
	signed(c, &v.At)
	text(c, &v.Remark)
	flag(c, &v.Told)
}

// AuthAsk asks a customer to freeze money.
type AuthAsk struct {
	Merchant   holdfast.Owner
	OutOrderNo string // unique for the merchant
	Request    string // out_request_no
	Title      string
	Asset      holdfast.Asset
	Amount     holdfast.Amount
	Until      holdfast.Time // 1 minute to 15 days from now; 0: 15 minutes
	App        string
	Notify     string
}

func (a *AuthAsk) check() error {
	if !a.Asset.Valid() {
		return refuse(AssetInvalid, "asset")
	}
	return first(validNumber(a.OutOrderNo, "out_order_no"), validNumber(a.Request, "out_request_no"), validAmount(a.Amount, "amount"),
		validText(a.Title, "order_title", 256), validText(a.App, "app", maxNumber), validText(a.Notify, "notify", maxURL))
}

// OpenAuth makes an authorisation that waits for a customer. Asking again with the same content is harmless.
func (c *Cashier) OpenAuth(ctx context.Context, ask AuthAsk, now holdfast.Time) (v Auth, err error) {
	if err := ask.check(); err != nil {
		return v, err
	}
	err = c.again(ctx, func() error {
		v = Auth{}
		key := keyOf(ask.Merchant, kindAuth, ask.OutOrderNo)
		had, err := c.load(ctx, key, &v)
		v.Merchant, v.OutOrderNo = ask.Merchant, ask.OutOrderNo
		switch {
		case err != nil:
			return err
		case had > 0 && v.differs(&ask) != "":
			return refuse(RequestDiffers, v.differs(&ask))
		case had > 0:
			return nil
		}
		m, err := c.seller(ctx, ask.Merchant)
		if err == nil {
			err = timely(ask.Until, now, "pay_timeout")
		}
		if err != nil {
			return c.unlessSince(ctx, key, 0, err)
		}
		v = Auth{
			Merchant: ask.Merchant, OutOrderNo: ask.OutOrderNo, AuthNo: tradeNo(ask.Merchant, "auth "+ask.OutOrderNo, now), Request: ask.Request,
			Title: ask.Title, Asset: ask.Asset, Amount: ask.Amount, Created: now, Until: ask.Until, App: ask.App, Notify: ask.Notify,
			Zone: m.merchant.Zone,
		}
		if v.Until == 0 {
			v.Until = now + 15*60e9
		}
		d := draft{at: now}
		d.need(keyOf(ask.Merchant, kindMerchant), m.version)
		d.put(key, 0, &v)
		d.put(keyOf(ask.Merchant, kindNo, v.AuthNo), 0, &pointer{To: toAuth, OutTradeNo: v.OutOrderNo})
		return c.submit(ctx, &d)
	})
	return v, err
}

// Authorize freezes the money of an authorisation in a customer's wallet; code is what he has shown, or "". The customer is written down
// with the merchant first, so that there is only one; then the money is frozen; then the merchant is told. Asking again goes on where it stopped.
func (c *Cashier) Authorize(ctx context.Context, merchant holdfast.Owner, outOrderNo string, payer holdfast.Owner, code string, now holdfast.Time) (Auth, error) {
	var s *shown
	if code != "" {
		checked, err := c.check(ctx, merchant, code, now)
		if err != nil {
			v, err := c.authorized(ctx, merchant, outOrderNo, code, settled(err), now)
			checked.try.ends(err, false)
			return v, err
		}
		checked.try.ends(nil, false)
		s, payer = &checked, checked.payer
	}
	v, err := c.name(ctx, merchant, outOrderNo, payer, now)
	if err != nil {
		return v, err
	}
	tried := false
	err = c.again(ctx, func() error {
		err := c.freeze(ctx, &v, s, tried, now)
		tried = tried || err == errAgain
		return err
	})
	if err != nil {
		return v, err
	}
	return v, c.told(ctx, &v, v.Request, now)
}

// authorized answers for a code that is not valid any more: it may have been used for this when it was. Only codes that name who has authorised are answered
// so: else asking with the codes of others would tell which are right.
func (c *Cashier) authorized(ctx context.Context, merchant holdfast.Owner, outOrderNo, code string, why error, now holdfast.Time) (Auth, error) {
	v, err := c.QueryAuth(ctx, merchant, outOrderNo, now)
	switch {
	case err != nil && refused(err) == "": // it is not known, so nothing is denied
		return Auth{}, err
	case err == nil && v.Rest+v.Paid > 0 && codeNames(code, v.Payer):
		return v, nil
	}
	return Auth{}, why
}

// name writes down who authorises. Another customer may take the place of one who has frozen nothing, and so may he himself afterwards.
func (c *Cashier) name(ctx context.Context, merchant holdfast.Owner, outOrderNo string, payer holdfast.Owner, now holdfast.Time) (v Auth, err error) {
	err = c.again(ctx, func() error {
		var version uint64
		if v, version, err = c.auth(ctx, merchant, outOrderNo); err != nil {
			return err
		}
		if payer == merchant {
			return refuse(SellerIsBuyer, "payer")
		}
		if v.Payer != 0 {
			if kept, err := c.place(ctx, &v, payer, now); kept || err != nil {
				return err
			}
		}
		if now >= v.Until {
			return refuse(AuthStateWrong, "")
		}
		v.Payer = payer
		v.Named++
		d := draft{at: now}
		d.put(keyOf(merchant, kindAuth, outOrderNo), version, &v)
		return c.submit(ctx, &d)
	})
	return v, err
}

// place looks who has the place of the customer of an authorisation: kept says that it is payer's as it is. Otherwise it is free: who is named has frozen
// nothing, and never will by this naming, because the key of the record that his freeze would write is taken. That record is in his own shard, and only then may
// that of the merchant name somebody: of a freeze and a taking of its place one is first.
func (c *Cashier) place(ctx context.Context, v *Auth, payer holdfast.Owner, now holdfast.Time) (kept bool, err error) {
	var f freeze
	key := keyOf(v.Payer, kindFreeze, v.AuthNo)
	version, err := c.load(ctx, key, &f)
	void := version > 0 && f.void(v)
	switch {
	case err != nil:
		return false, err
	case v.Payer == payer:
		return !void, nil
	case f.Amount > 0:
		return false, refuse(AuthPayerDiffers, "payer")
	case void || now >= v.Until:
		return false, nil
	}
	d := draft{at: now}
	d.put(key, version, &freeze{Merchant: v.Merchant, OutOrderNo: v.OutOrderNo, Asset: v.Asset, Void: v.Named})
	return false, c.submit(ctx, &d)
}

// void reports that the customer who is named has lost his place.
func (v *freeze) void(a *Auth) bool { return v.Amount == 0 && v.Void >= a.Named }

func (c *Cashier) auth(ctx context.Context, merchant holdfast.Owner, outOrderNo string) (v Auth, version uint64, err error) {
	if err := validNumber(outOrderNo, "out_order_no"); err != nil {
		return v, 0, err
	}
	version, err = c.must(ctx, keyOf(merchant, kindAuth, outOrderNo), &v, refuse(AuthUnknown, "out_order_no"))
	v.Merchant, v.OutOrderNo, v.Status = merchant, outOrderNo, AuthInit
	return v, version, err
}

// freeze is the transaction of the customer.
func (c *Cashier) freeze(ctx context.Context, v *Auth, s *shown, tried bool, now holdfast.Time) error {
	var f freeze
	key := keyOf(v.Payer, kindFreeze, v.AuthNo)
	had, err := c.load(ctx, key, &f)
	switch {
	case err != nil:
		return err
	case f.Amount > 0:
		v.of(&f)
		return nil
	case had > 0 && f.void(v): // another customer was faster
		return refuse(AuthPayerDiffers, "payer")
	}
	if now >= v.Until {
		return refuse(AuthStateWrong, "")
	}
	d := draft{at: now, code: moveFreeze, ref: refOf(key)}
	from := account(v.Payer, Wallet, v.Asset)
	if err := c.spending(ctx, &d, from, v.Amount, key); err != nil {
		return c.unlessSince(ctx, key, had, err)
	}
	if s != nil {
		if tried {
			if err := c.fresh(ctx, s); err != nil {
				return err
			}
		}
		s.use(&d, v.OutOrderNo)
	}
	f = freeze{
		Merchant: v.Merchant, OutOrderNo: v.OutOrderNo, Asset: v.Asset, Amount: v.Amount, Rest: v.Amount, Until: now + holdfast.Time(c.FreezeFor),
	}
	f.save(&d, key, had)
	d.put(operationKey(v.Payer, v.AuthNo, v.Request), 0, &AuthOperation{Amount: v.Amount, At: now}, minute(dueIndex, now))
	d.receipt(v.Payer, Receipt{Kind: ReceiptFrozen, Asset: v.Asset, Amount: -v.Amount, Other: v.Merchant, Number: v.OutOrderNo, Text: v.Title})
	d.move(from, account(v.Payer, Frozen, v.Asset), v.Amount)
	v.of(&f)
	return c.submit(ctx, &d)
}

func operationKey(payer holdfast.Owner, authNo, request string) string {
	return keyOf(payer, kindFrozen, authNo, request)
}

// told writes the merchant's event of an operation that the customer's record says has happened, and then notes that it is written. The event has
// one key for ever, so that it is written once; until then the operation is due.
func (c *Cashier) told(ctx context.Context, v *Auth, request string, now holdfast.Time) error {
	key := operationKey(v.Payer, v.AuthNo, request)
	return c.again(ctx, func() error {
		var op AuthOperation
		version, err := c.must(ctx, key, &op, refuse(AuthUnknown, "out_request_no"))
		if err != nil || op.Told {
			return err
		}
		eventKey := keyOf(v.Merchant, kindEvent, stamped(op.At, "auth", v.AuthNo, request))
		had, err := c.load(ctx, eventKey, &Event{})
		if err != nil {
			return err
		}
		if had == 0 {
			d := draft{at: now}
			e := Event{
				Kind: EventFrozen, Time: op.At, OutTradeNo: v.OutOrderNo, TradeNo: v.AuthNo, Number: request, Subject: v.Title, App: v.App,
				Asset: v.Asset, Total: v.Amount, Amount: op.Amount, Other: v.Payer, Created: v.Created, Notify: v.Notify,
			}
			if op.Unfreeze {
				e.Kind = EventUnfrozen
			}
			e.Merchant, e.Key = v.Merchant, eventKey
			d.put(eventKey, 0, &e, EventIndex(e.Time))
			d.events = append(d.events, &e)
			if err := c.submit(ctx, &d); err != nil {
				return err
			}
		}
		op.Told = true
		d := draft{at: now}
		d.put(key, version, &op)
		return c.submit(ctx, &d)
	})
}

// QueryAuth returns an authorisation as it stands.
func (c *Cashier) QueryAuth(ctx context.Context, merchant holdfast.Owner, outOrderNo string, now holdfast.Time) (v Auth, err error) {
	err = c.again(ctx, func() error {
		if v, _, err = c.auth(ctx, merchant, outOrderNo); err != nil {
			return err
		}
		if now >= v.Until {
			v.Status = AuthClosed
		}
		if v.Payer == 0 {
			return nil
		}
		var f freeze
		had, err := c.load(ctx, keyOf(v.Payer, kindFreeze, v.AuthNo), &f)
		if err == nil && had > 0 && f.Amount > 0 {
			v.of(&f)
		}
		return err
	})
	return v, err
}

// FindAuth tells which authorisation has a number.
func (c *Cashier) FindAuth(ctx context.Context, authNo string) (merchant holdfast.Owner, outOrderNo string, err error) {
	return c.find(ctx, authNo, toAuth, refuse(AuthUnknown, "auth_no"))
}

// QueryAuthOperation returns a freeze or unfreeze by its out_request_no; found is false when there is none. What a payment has released is found under the number
// of that payment, if the merchant has not used that for an operation himself.
func (c *Cashier) QueryAuthOperation(ctx context.Context, merchant holdfast.Owner, outOrderNo, request string, now holdfast.Time) (v Auth, op AuthOperation, found bool, err error) {
	if v, err = c.QueryAuth(ctx, merchant, outOrderNo, now); err != nil || v.Payer == 0 {
		return v, op, false, err
	}
	if err := validNumber(strings.TrimPrefix(request, "~"), "out_request_no"); err != nil {
		return v, op, false, err
	}
	numbers := []string{request, completeNumber + request}
	if request == outOrderNo {
		numbers = append(numbers, endedNumber)
	}
	for _, n := range numbers {
		version, err := c.load(ctx, operationKey(v.Payer, v.AuthNo, n), &op)
		if err != nil || version > 0 {
			op.Number, op.Known = n, knownNumber(n, outOrderNo)
			return v, op, version > 0, settled(err)
		}
	}
	return v, op, false, nil
}

// Numbers under which what is left of an authorisation is released; merchants cannot use them, because of their first character.
const (
	completeNumber = "~complete-" // and the number of the payment
	endedNumber    = "~ended"
)

// Unfreeze releases a part of what is frozen. The same number with the same amount is answered as the first time.
func (c *Cashier) Unfreeze(ctx context.Context, merchant holdfast.Owner, outOrderNo, request string, amount holdfast.Amount, remark string, now holdfast.Time) (Auth, error) {
	if err := first(validNumber(request, "out_request_no"), validAmount(amount, "amount"), validText(remark, "remark", 256)); err != nil {
		return Auth{}, err
	}
	return c.unfreeze(ctx, merchant, outOrderNo, request, amount, remark, now)
}

func (c *Cashier) unfreeze(ctx context.Context, merchant holdfast.Owner, outOrderNo, request string, amount holdfast.Amount, remark string, now holdfast.Time) (Auth, error) {
	v, err := c.QueryAuth(ctx, merchant, outOrderNo, now)
	if err != nil {
		return v, err
	}
	if v.Status == AuthInit || v.Payer == 0 {
		return v, refuse(AuthStateWrong, "")
	}
	err = c.again(ctx, func() error {
		_, err := c.thawed(ctx, &v, request, amount, remark, now)
		return err
	})
	if err != nil {
		return v, err
	}
	return v, c.told(ctx, &v, request, now)
}

// thawed is the transaction of the customer that releases an amount; 0: all that is left. done is false when nothing was.
func (c *Cashier) thawed(ctx context.Context, v *Auth, request string, amount holdfast.Amount, remark string, now holdfast.Time) (done bool, err error) {
	var f freeze
	key, opKey := keyOf(v.Payer, kindFreeze, v.AuthNo), operationKey(v.Payer, v.AuthNo, request)
	version, err := c.must(ctx, key, &f, refuse(AuthUnknown, ""))
	if err != nil {
		return false, err
	}
	var op AuthOperation
	had, err := c.load(ctx, opKey, &op)
	all := amount == 0
	if all {
		amount = f.Rest
	}
	switch {
	case err != nil:
		return false, err
	case had > 0 && !op.Unfreeze:
		return false, refuse(RequestDiffers, "out_request_no")
	case had > 0 && !all && op.Amount != amount:
		return false, refuse(RequestDiffers, "amount")
	case had > 0 || amount == 0:
		v.of(&f)
		return had > 0, nil
	case amount > f.Rest:
		return false, refuse(AuthTooMuch, "amount")
	}
	f.Rest -= amount
	d := draft{at: now, code: moveUnfreeze, ref: refOf(key)}
	f.save(&d, key, version)
	d.put(opKey, 0, &AuthOperation{Unfreeze: true, Amount: amount, At: now, Remark: remark}, minute(dueIndex, now))
	d.receipt(v.Payer, Receipt{
		Kind: ReceiptUnfrozen, Asset: v.Asset, Amount: amount, Other: v.Merchant, Number: v.OutOrderNo, Text: v.Title,
	}, request)
	d.move(account(v.Payer, Frozen, v.Asset), account(v.Payer, Wallet, v.Asset), amount)
	v.of(&f)
	return true, c.submit(ctx, &d)
}

// PayFrozen makes a trade and pays it from an authorisation. With complete what is left of that is released afterwards.
func (c *Cashier) PayFrozen(ctx context.Context, ask TradeAsk, outOrderNo string, complete bool, now holdfast.Time) (Trade, error) {
	if err := ask.check(); err != nil {
		return Trade{}, err
	}
	a, err := c.QueryAuth(ctx, ask.Merchant, outOrderNo, now)
	if err != nil {
		return Trade{}, err
	}
	if a.Status == AuthInit || a.Payer == 0 {
		return Trade{}, refuse(AuthStateWrong, "")
	}
	p := payment{
		Cashier: c, merchant: ask.Merchant, outTradeNo: ask.OutTradeNo, payer: a.Payer, make: &ask, authNo: a.AuthNo, now: now,
	}
	v, err := p.do(ctx)
	if err != nil || !complete {
		return v, err
	}
	if err = c.releaseRest(ctx, &a, ask.OutTradeNo, now); refused(err) != "" {
		err = nil // the trade is paid, whatever the account says to the rest: the authorisation shows what is left
	}
	return v, err
}

// releaseRest releases all that is left of an authorisation when it is done, once for a trade. Others may take from it at the same time: what is
// left is read and released in one transaction, so that none of them can make the amount wrong.
func (c *Cashier) releaseRest(ctx context.Context, v *Auth, outTradeNo string, now holdfast.Time) error {
	return c.releaseAll(ctx, v, completeNumber+outTradeNo, now)
}

// releaseAll releases what is left under a number that begins with a character that merchants cannot use.
func (c *Cashier) releaseAll(ctx context.Context, v *Auth, request string, now holdfast.Time) error {
	done := false
	err := c.again(ctx, func() (err error) {
		done, err = c.thawed(ctx, v, request, 0, "", now)
		return err
	})
	if err != nil || !done {
		return err
	}
	return c.told(ctx, v, request, now)
}

// thaw takes the amount of a payment from its authorisation.
func (p *payment) thaw(ctx context.Context, d *draft) error {
	var f freeze
	v := &p.trade
	key := keyOf(p.payer, kindFreeze, p.authNo)
	version, err := p.must(ctx, key, &f, refuse(AuthUnknown, "auth_no"))
	what := spread(kindTrade, v.OutTradeNo)
	switch {
	case err == errUnderWay && f.Last == what:
		return errOwn
	case err != nil:
		return err
	case f.Merchant != v.Merchant || f.Asset != v.Asset:
		return refuse(AuthPayerDiffers, "auth_no")
	case v.Amount > f.Rest:
		return refuse(AuthTooMuch, "total_amount")
	}
	f.Rest -= v.Amount
	f.Paid += v.Amount
	f.Last = what
	f.save(d, key, version)
	return nil
}

// endFreeze releases what is left of an authorisation whose time is over, known by the key of the customer's record.
func (c *Cashier) endFreeze(ctx context.Context, payer holdfast.Owner, authNo string, now holdfast.Time) error {
	var f freeze
	had, err := c.load(ctx, keyOf(payer, kindFreeze, authNo), &f)
	if err != nil || had == 0 || f.due() == 0 || now < f.Until {
		return settled(err)
	}
	v, _, err := c.auth(ctx, f.Merchant, f.OutOrderNo)
	if err != nil {
		return fmt.Errorf("authorisation of a frozen amount: %w", settled(err))
	}
	return c.releaseAll(ctx, &v, endedNumber, now)
}

// tellFrozen is told for an operation that is due, known by the key of its record.
func (c *Cashier) tellFrozen(ctx context.Context, payer holdfast.Owner, rest string, now holdfast.Time) error {
	authNo, request, _ := strings.Cut(rest, "/")
	var f freeze
	if _, err := c.must(ctx, keyOf(payer, kindFreeze, authNo), &f, refuse(AuthUnknown, "auth_no")); err != nil {
		return settled(err)
	}
	v, _, err := c.auth(ctx, f.Merchant, f.OutOrderNo)
	if err != nil {
		return fmt.Errorf("authorisation of a frozen amount: %w", settled(err))
	}
	return c.told(ctx, &v, request, now)
}
