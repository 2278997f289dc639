package pay

import (
	"context"
	"fmt"
	"strings"
	"time"

	"holdfast"
)

// Trade is a sale of a merchant, as its record says.
type Trade struct {
	Merchant   holdfast.Owner // no part of the body
	OutTradeNo string         // the merchant's number; no part of the body
	TradeNo    string         // the platform's: 28 digits that begin with the date and name the merchant
	TradeOffer
	Status  Status
	Fee     FeePlan // of the merchant when it was made
	Zone    string  // of the merchant
	Until   holdfast.Time
	Created holdfast.Time
	ByCode  bool // made for a QR code: for the merchant it begins when somebody opens it
	Opened  bool // the buyer has seen it

	Payer       holdfast.Owner
	Paid        holdfast.Time
	Closed      holdfast.Time
	AuthNo      string        // it was paid from this authorisation
	RefundUntil holdfast.Time // then it is finished

	FeeTaken holdfast.Amount // all in all
	FeeBack  holdfast.Amount // of that, given back
	Refunded holdfast.Amount // all in all
	Shared   holdfast.Amount // set aside for others, all in all

	ShareBack holdfast.Amount // of that, what nobody could take: it has come back

	// Kept is what the platform still holds: in escrow, or until the split is finished.
	Kept       holdfast.Amount
	Released   holdfast.Amount // what has left escrow for the merchant, fee included
	Protection Protection
	Deadline   holdfast.Time // of a shipped one: then the merchant gets the money. Of one that is held: until then he has to ship, or it goes back
	SplitEnded bool
	Decision   holdfast.Amount // of a dispute: what the merchant was given, and 1; 0: there was none
}

// TradeOffer is what the merchant says of a trade. Two requests with one number are the same when these are equal.
type TradeOffer struct {
	Amount   holdfast.Amount
	Asset    holdfast.Asset
	Mode     Mode
	Buyer    holdfast.Owner // who may pay; 0: anybody
	Subject  string         // at most 256 characters, none of them a control character
	Body     string         // at most 400, of control characters tabs and ends of lines only
	Passback string         // at most 512, likewise; comes back in events
	Shop     string
	Till     string
	Clerk    string
	App      string // id of the app that asks
	Notify   string // address for its events
}

// Mode says where the money of a payment goes. The numbers are in records: append, never renumber.
type Mode uint8

// Modes of a trade.
const (
	Plain     Mode = iota // to the merchant, less the fee
	Protected             // into escrow; the fee is taken when the merchant gets it
	Split                 // less the fee, kept until the shares have been given
	modes
)

func (*Trade) kind() (byte, byte) { return 10, 1 }

func (v *Trade) layout(c *coder) {
	text(c, &v.TradeNo)
	v.TradeOffer.layout(c)
	number(c, &v.Status)
	v.Fee.layout(c)
	text(c, &v.Zone)
	flag(c, &v.ByCode)
	flag(c, &v.Opened)
	number(c, &v.Payer)
	for _, t := range []*holdfast.Time{&v.Until, &v.Created, &v.Paid, &v.Closed, &v.RefundUntil, &v.Deadline} {
		signed(c, t)
	}
	text(c, &v.AuthNo)
	for _, a := range []*holdfast.Amount{&v.FeeTaken, &v.FeeBack, &v.Refunded, &v.Shared, &v.Kept, &v.Released} {
		signed(c, a)
	}
	number(c, &v.Protection)
	flag(c, &v.SplitEnded)
	signed(c, &v.Decision)
	c.tail(func() bool { return v.ShareBack != 0 }, func() { signed(c, &v.ShareBack) })
}

func (v *TradeOffer) layout(c *coder) {
	signed(c, &v.Amount)
	number(c, &v.Asset)
	number(c, &v.Mode)
	number(c, &v.Buyer)
	for _, s := range []*string{&v.Subject, &v.Body, &v.Passback, &v.Shop, &v.Till, &v.Clerk, &v.App, &v.Notify} {
		text(c, s)
	}
}

func (v *TradeOffer) check() error {
	if !v.Asset.Valid() {
		return refuse(AssetInvalid, "asset")
	}
	if v.Mode >= modes {
		return refuse(FieldInvalid, "mode")
	}
	if v.Subject == "" {
		return refuse(FieldInvalid, "subject")
	}
	return first(validAmount(v.Amount, "amount"), validLine(v.Subject, "subject", 256), validLines(v.Body, "body", 400),
		validLines(v.Passback, "passback", 512), validLine(v.Shop, "shop", maxNumber), validLine(v.Till, "till", maxNumber),
		validLine(v.Clerk, "clerk", maxNumber), validText(v.App, "app", maxNumber), validText(v.Notify, "notify", maxURL))
}

// differs names the first thing in which a request for a trade that exists is another one; "": they are the same. Where the events go is not
// compared, nor what only describes.
func (v *TradeOffer) differs(w *TradeOffer) string {
	switch {
	case v.Amount != w.Amount:
		return "amount"
	case v.Asset != w.Asset:
		return "asset"
	case v.Mode != w.Mode:
		return "mode"
	case v.Subject != w.Subject:
		return "subject"
	}
	return ""
}

// TradeAsk makes a trade.
type TradeAsk struct {
	Merchant   holdfast.Owner
	OutTradeNo string
	TradeOffer
	Until holdfast.Time // the end of the time to pay, 1 minute to 15 days from now; 0: 3 hours for trades of a shop, 15 days for others
}

// Bounds of the time to pay.
const (
	minToPay  = time.Minute
	maxToPay  = 15 * 24 * time.Hour
	shopToPay = 3 * time.Hour
)

func (a *TradeAsk) check() error {
	if err := first(validNumber(a.OutTradeNo, "out_trade_no"), a.TradeOffer.check()); err != nil {
		return err
	}
	if a.Buyer == a.Merchant {
		return refuse(SellerIsBuyer, "buyer")
	}
	return nil
}

// maker makes a trade that does not exist; see open.
type maker struct {
	merchant Merchant
	version  uint64
}

// seller reads the merchant of a trade that is made or paid.
func (c *Cashier) seller(ctx context.Context, o holdfast.Owner) (m maker, err error) {
	m.version, err = c.must(ctx, keyOf(o, kindMerchant), &m.merchant, refuse(MerchantUnknown, "merchant"))
	if err == nil && m.merchant.Blocked {
		err = refuse(SellerBlocked, "merchant")
	}
	return m, err
}

// timely checks the end of the time for something that has to be made. A request that comes again for something that there is may name an end that
// is near or over by now: it is answered with what has come of it.
func timely(until, now holdfast.Time, field string) error {
	if until != 0 && (until < now+holdfast.Time(minToPay) || until > now+holdfast.Time(maxToPay)) {
		return refuse(TimeInvalid, field)
	}
	return nil
}

// trade is the new trade, waiting for its buyer.
func (m *maker) trade(a *TradeAsk, now holdfast.Time) (Trade, error) {
	if err := timely(a.Until, now, "time_expire"); err != nil {
		return Trade{}, err
	}
	t := Trade{
		Merchant: a.Merchant, OutTradeNo: a.OutTradeNo, TradeNo: tradeNo(a.Merchant, a.OutTradeNo, now), TradeOffer: a.TradeOffer,
		Status: StatusWaiting, Fee: m.merchant.Fee, Zone: m.merchant.Zone, Until: a.Until, Created: now,
		RefundUntil: refundTime(m.merchant.RefundDays), // after the payment, until it is paid
	}
	if t.Until == 0 && t.Shop != "" {
		t.Until = now + holdfast.Time(shopToPay)
	} else if t.Until == 0 {
		t.Until = now + holdfast.Time(maxToPay)
	}
	return t, nil
}

// tradeNo is a number of 28 digits: the date (GMT+8, as everywhere at the gateway), the sequence and slot of the merchant, and nine digits of a
// hash. Two trades of one merchant that come to the same number cannot both be made, see save: the second is asked for again a moment later, and
// has another number then, because the moment is hashed too.
func tradeNo(o holdfast.Owner, outTradeNo string, now holdfast.Time) string {
	day := now.Std().Add(8 * time.Hour).Format("20060102")
	return fmt.Sprintf("%s%08d%03d%09d", day, o.Sequence(), o.Slot(), spread(outTradeNo, fmt.Sprint(now))%1_000_000_000)
}

// tradeOwner is the merchant whose trade a number is.
func tradeOwner(no string) (holdfast.Owner, bool) {
	if len(no) != 28 || strings.Trim(no, "0123456789") != "" {
		return 0, false
	}
	var sequence uint32
	var slot holdfast.Slot
	if _, err := fmt.Sscanf(no[8:19], "%8d%3d", &sequence, &slot); err != nil {
		return 0, false
	}
	o, err := holdfast.NewOwner(sequence, slot)
	return o, err == nil
}

// pointer is a record that says which trade of its owner is meant, or which authorisation or transfer.
type pointer struct {
	To         pointed
	OutTradeNo string // or out_order_no, or the number of the transfer
	Until      holdfast.Time
}

// pointed is what a pointer leads to. The numbers are in records: append, never renumber.
type pointed uint8

const (
	toTrade pointed = iota
	toAuth
	toTransfer
)

func (*pointer) kind() (byte, byte) { return 11, 1 }

func (v *pointer) layout(c *coder) {
	number(c, &v.To)
	text(c, &v.OutTradeNo)
	signed(c, &v.Until)
}

// save adds a trade to a transaction, over the version that was read. A new one gets the record that finds it by its number.
func (v *Trade) save(d *draft, version uint64) {
	var index []string
	if at := v.due(); at != 0 {
		index = []string{minute(dueIndex, at)}
	}
	d.put(keyOf(v.Merchant, kindTrade, v.OutTradeNo), version, v, index...)
	if version == 0 {
		d.put(keyOf(v.Merchant, kindNo, v.TradeNo), 0, &pointer{OutTradeNo: v.OutTradeNo})
	}
	d.ref = refOf(keyOf(v.Merchant, kindTrade, v.OutTradeNo))
}

// due is when something is to be done about the trade by itself; 0: never.
func (v *Trade) due() holdfast.Time {
	switch {
	case v.Status == StatusWaiting:
		return v.Until
	case v.Protection == Shipped || v.Protection == Held:
		return v.Deadline
	}
	return 0
}

// event is one about the trade, as it is now.
func (v *Trade) event(kind EventKind, amount holdfast.Amount) Event {
	return Event{
		Kind: kind, OutTradeNo: v.OutTradeNo, TradeNo: v.TradeNo, Subject: v.Subject, Shop: v.Shop, Till: v.Till, Clerk: v.Clerk,
		Passback: v.Passback, App: v.App, Asset: v.Asset, Status: v.Status, Total: v.Amount, Amount: amount, Refunded: v.Refunded,
		Other: v.Payer, Created: v.Created, Paid: v.Paid, Notify: v.Notify,
	}
}

// account of the merchant in the currency of the trade.
func (v *Trade) account(p holdfast.Purpose) holdfast.AccountID {
	return account(v.Merchant, p, v.Asset)
}

// ripen brings a trade to the state that the time has brought it to: one that can no longer be refunded is finished. Nothing has to be
// written for that.
func (v *Trade) ripen(now holdfast.Time) {
	if v.Status == StatusSuccess && now >= v.RefundUntil && v.Kept == 0 {
		v.Status, _ = v.Status.after(ActFinish)
	}
}

// readTrade reads a trade; version 0: there is none.
func (c *Cashier) readTrade(ctx context.Context, merchant holdfast.Owner, outTradeNo string, now holdfast.Time) (v Trade, version uint64, err error) {
	if err := validNumber(outTradeNo, "out_trade_no"); err != nil {
		return v, 0, err
	}
	version, err = c.load(ctx, keyOf(merchant, kindTrade, outTradeNo), &v)
	v.Merchant, v.OutTradeNo = merchant, outTradeNo
	if err == nil && version > 0 {
		v.ripen(now)
	}
	return v, version, err
}

// existing is readTrade for what has to be there.
func (c *Cashier) existing(ctx context.Context, merchant holdfast.Owner, outTradeNo string, now holdfast.Time) (v Trade, version uint64, err error) {
	v, version, err = c.readTrade(ctx, merchant, outTradeNo, now)
	if err == nil && version == 0 {
		err = refuse(TradeUnknown, "out_trade_no")
	}
	return v, version, err
}

// Create makes a trade that waits for its buyer. Asking again with the same content returns it as it is.
func (c *Cashier) Create(ctx context.Context, ask TradeAsk, now holdfast.Time) (made Trade, err error) {
	if err := ask.check(); err != nil {
		return made, err
	}
	err = c.again(ctx, func() error {
		var version uint64
		if made, version, err = c.readTrade(ctx, ask.Merchant, ask.OutTradeNo, now); err != nil {
			return err
		}
		if version > 0 {
			return made.same(&ask)
		}
		made, err = c.create(ctx, &ask, nil, now)
		return err
	})
	return made, err
}

// same reports as an error why a request to make a trade is not for this one.
func (v *Trade) same(ask *TradeAsk) error {
	if v.Status == StatusClosed {
		_, err := v.Status.after(ActCreate)
		return err
	}
	if field := v.differs(&ask.TradeOffer); field != "" {
		return refuse(TradeDiffers, field)
	}
	if v.Buyer != ask.Buyer && ask.Buyer != 0 {
		return refuse(BuyerDiffers, "buyer")
	}
	if v.Status != StatusWaiting {
		_, err := v.Status.after(ActCreate)
		return err
	}
	return nil
}

func (c *Cashier) create(ctx context.Context, ask *TradeAsk, more func(*draft), now holdfast.Time) (Trade, error) {
	m, err := c.seller(ctx, ask.Merchant)
	if err != nil {
		return Trade{}, err
	}
	d := draft{at: now, code: movePay}
	made, err := m.trade(ask, now)
	if err != nil {
		return Trade{}, c.unlessSince(ctx, keyOf(ask.Merchant, kindTrade, ask.OutTradeNo), 0, err)
	}
	made.ByCode = more != nil
	d.need(keyOf(ask.Merchant, kindMerchant), m.version)
	made.save(&d, 0)
	if more != nil {
		more(&d)
	}
	return made, c.submit(ctx, &d)
}

// TokenBytes is the length of the random part of a QR code.
const TokenBytes = 10

// qrLife is how long a QR code can be opened.
const qrLife = 2 * time.Hour

// Precreate makes a trade, and a token for the QR code that a shop shows. The token names the merchant and is as good as random: whoever has it
// can see the trade and pay it. Asking again with the same content gives another token for the same trade.
func (c *Cashier) Precreate(ctx context.Context, ask TradeAsk, random [TokenBytes]byte, now holdfast.Time) (made Trade, token string, err error) {
	if err := ask.check(); err != nil {
		return made, "", err
	}
	hidden := fmt.Sprintf("%x", random)
	token = fmt.Sprintf("%08d%03d%s", ask.Merchant.Sequence(), ask.Merchant.Slot(), hidden)
	qr := pointer{OutTradeNo: ask.OutTradeNo, Until: now + holdfast.Time(qrLife)}
	point := func(d *draft) { d.put(keyOf(ask.Merchant, kindQR, hidden), 0, &qr) }
	err = c.again(ctx, func() error {
		var version uint64
		if made, version, err = c.readTrade(ctx, ask.Merchant, ask.OutTradeNo, now); err != nil {
			return err
		}
		if version == 0 {
			made, err = c.create(ctx, &ask, point, now)
			return err
		}
		if err := made.same(&ask); err != nil {
			return err
		}
		if version, err := c.load(ctx, keyOf(ask.Merchant, kindQR, hidden), &pointer{}); err != nil || version > 0 {
			return first(err, refuse(TradeTokenConflict, ""))
		}
		d := draft{at: now}
		point(&d)
		return c.submit(ctx, &d)
	})
	return made, token, err
}

// Open is a customer who scans a QR code: it returns the trade, and notes that it has been seen.
func (c *Cashier) Open(ctx context.Context, token string, now holdfast.Time) (v Trade, err error) {
	unknown := refuse(TokenUnknown, "token")
	var sequence uint32
	var slot holdfast.Slot
	if len(token) != 11+2*TokenBytes || strings.Trim(token, "0123456789abcdef") != "" {
		return v, unknown
	}
	if _, err := fmt.Sscanf(token[:11], "%8d%3d", &sequence, &slot); err != nil {
		return v, unknown
	}
	merchant, err := holdfast.NewOwner(sequence, slot)
	if err != nil {
		return v, unknown
	}
	err = c.again(ctx, func() error {
		var qr pointer
		if _, err := c.must(ctx, keyOf(merchant, kindQR, token[11:]), &qr, unknown); err != nil {
			return err
		}
		if now >= qr.Until {
			return unknown
		}
		var version uint64
		if v, version, err = c.existing(ctx, merchant, qr.OutTradeNo, now); err != nil || v.Opened || v.Status != StatusWaiting {
			return err
		}
		v.Opened = true
		d := draft{at: now}
		v.save(&d, version)
		return c.submit(ctx, &d)
	})
	return v, err
}

// Query returns a trade as it stands: what it says is true, whatever a caller was told before.
func (c *Cashier) Query(ctx context.Context, merchant holdfast.Owner, outTradeNo string, now holdfast.Time) (v Trade, err error) {
	err = c.again(ctx, func() error {
		v, _, err = c.existing(ctx, merchant, outTradeNo, now)
		return err
	})
	return v, err
}

// FindTrade tells which trade has a number: the merchant and his own number for it.
func (c *Cashier) FindTrade(ctx context.Context, no string) (merchant holdfast.Owner, outTradeNo string, err error) {
	return c.find(ctx, no, toTrade, refuse(TradeUnknown, "trade_no"))
}
