package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"holdfast"
)

// Limits bound what can be spent from one wallet, in minor units; 0: no limit.
type Limits struct {
	Payment holdfast.Amount `json:"payment,omitempty"` // for one payment
	Day     holdfast.Amount `json:"day,omitempty"`     // for a calendar day
	Month   holdfast.Amount `json:"month,omitempty"`   // for a calendar month
}

// NewCustomer registers a customer.
type NewCustomer struct {
	ID      holdfast.Owner   `json:"id"` // from [Client.IssueOwner]
	Aliases []string         `json:"aliases,omitempty"`
	Assets  []holdfast.Asset `json:"assets,omitempty"` // of the wallets to open
	Limits  Limits           `json:"limits,omitzero"`  // of every wallet
}

// Customer is somebody with wallets.
type Customer struct {
	ID         holdfast.Owner `json:"id"`
	Registered time.Time      `json:"registered"`
	Aliases    int            `json:"aliases"` // how many: they are kept as hashes
	Devices    []Device       `json:"devices"`
}

// Device is a phone that shows payment codes.
type Device struct {
	Number uint8     `json:"device"`
	Added  time.Time `json:"added"`
}

// WalletState is what is said of a wallet but for its money.
type WalletState struct {
	Asset      holdfast.Asset  `json:"asset"`
	Blocked    bool            `json:"blocked"` // it can pay nothing
	Limits     Limits          `json:"limits"`
	SpentDay   holdfast.Amount `json:"spent_day"` // of this calendar day
	SpentMonth holdfast.Amount `json:"spent_month"`
}

// Wallet is the money of a customer in one currency, in minor units.
type Wallet struct {
	WalletState
	Available holdfast.Amount `json:"available"` // can be spent
	Frozen    holdfast.Amount `json:"frozen"`    // pre-authorised
	Outgoing  holdfast.Amount `json:"outgoing"`  // on its way to a bank
}

// RegisterCustomer makes a customer. Registering the same once more is done.
func (c *Client) RegisterCustomer(ctx context.Context, n NewCustomer) (v Customer, err error) {
	return v, c.order(ctx, "/v1/customers", n, &v)
}

// Customer reads who a customer is.
func (c *Client) Customer(ctx context.Context, id holdfast.Owner) (v Customer, err error) {
	return v, c.get(ctx, pathOf("/v1/customers/:id", id.String()), &v)
}

type aliasOf struct {
	Alias string `json:"alias"`
}

// AddAlias gives a customer one more phone number or e-mail address. Repeating is done.
func (c *Client) AddAlias(ctx context.Context, id holdfast.Owner, alias string) (v Customer, err error) {
	return v, c.order(ctx, pathOf("/v1/customers/:id/aliases", id.String()), aliasOf{alias}, &v)
}

// RemoveAlias takes an alias away: anybody may have it then. Repeating is done.
func (c *Client) RemoveAlias(ctx context.Context, id holdfast.Owner, alias string) (v Customer, err error) {
	return v, c.order(ctx, pathOf("/v1/customers/:id/aliases/remove", id.String()), aliasOf{alias}, &v)
}

// FindAlias tells who has an alias. An [*Error] with the code alias-unknown says that nobody has.
func (c *Client) FindAlias(ctx context.Context, alias string) (holdfast.Owner, error) {
	var v struct {
		ID holdfast.Owner `json:"id"`
	}
	err := c.order(ctx, "/v1/aliases/find", aliasOf{alias}, &v)
	return v.ID, err
}

// AddDevice lets one more phone show payment codes, and returns its number and its secret; see [PaymentCode]. The secret is shown nowhere else.
func (c *Client) AddDevice(ctx context.Context, id holdfast.Owner) (number uint8, secret []byte, err error) {
	return c.AddDeviceAs(ctx, id, c.NewID().String())
}

// RemoveDevice has the codes of a phone refused from now on. Repeating is done.
func (c *Client) RemoveDevice(ctx context.Context, id holdfast.Owner, number uint8) (v Customer, err error) {
	return v, c.order(ctx, pathOf("/v1/customers/:id/devices/:device/remove", id.String(), strconv.Itoa(int(number))), struct{}{}, &v)
}

// OpenWallet opens a wallet in one more currency. One that is open stays as it is.
func (c *Client) OpenWallet(ctx context.Context, id holdfast.Owner, asset holdfast.Asset, limits Limits) (v Wallet, err error) {
	body := struct {
		Asset  holdfast.Asset `json:"asset"`
		Limits Limits         `json:"limits,omitzero"`
	}{asset, limits}
	return v, c.order(ctx, pathOf("/v1/customers/:id/wallets", id.String()), body, &v)
}

// Wallets lists the wallets of a customer.
func (c *Client) Wallets(ctx context.Context, id holdfast.Owner) ([]WalletState, error) {
	var v struct {
		Wallets []WalletState `json:"wallets"`
	}
	err := c.get(ctx, pathOf("/v1/customers/:id/wallets", id.String()), &v)
	return v.Wallets, err
}

// Wallet reads a wallet with its money.
func (c *Client) Wallet(ctx context.Context, id holdfast.Owner, asset holdfast.Asset) (v Wallet, err error) {
	return v, c.get(ctx, walletPath(id, asset, ""), &v)
}

func walletPath(id holdfast.Owner, asset holdfast.Asset, what string) string {
	return pathOf("/v1/customers/:id/wallets/:asset", id.String(), asset.String()) + what
}

// SetLimits changes the limits of a wallet; they count from the next payment on.
func (c *Client) SetLimits(ctx context.Context, id holdfast.Owner, asset holdfast.Asset, limits Limits) (v WalletState, err error) {
	return v, c.order(ctx, walletPath(id, asset, "/limits"), limits, &v)
}

// BlockWallet says whether a wallet can pay. Money can still come in.
func (c *Client) BlockWallet(ctx context.Context, id holdfast.Owner, asset holdfast.Asset, blocked bool) (v WalletState, err error) {
	what := "/unblock"
	if blocked {
		what = "/block"
	}
	return v, c.order(ctx, walletPath(id, asset, what), struct{}{}, &v)
}

// Money is an amount that a customer brings from a bank, or sends there. Number is a fresh one of the customer; "" is replaced by a new one.
type Money struct {
	Number string          `json:"number"`
	Asset  holdfast.Asset  `json:"asset"`
	Amount holdfast.Amount `json:"amount"`
}

// TopUp is money that a customer brings from a bank.
type TopUp struct {
	Owner  holdfast.Owner  `json:"owner"`
	Number string          `json:"number"`
	Status string          `json:"status"` // waiting, done, returned, expired
	Asset  holdfast.Asset  `json:"asset"`
	Amount holdfast.Amount `json:"amount"`
	Asked  time.Time       `json:"asked"`
	Since  time.Time       `json:"since"` // it has had this status
	Until  time.Time       `json:"until"` // the money is waited for; money that comes later is credited all the same
	// Reference is what the customer writes into the text of the bank transfer, so that the money finds the wallet.
	Reference string `json:"reference"`
	Bank      string `json:"bank"`   // what the bank calls it
	Reason    string `json:"reason"` // why it will not come
	// PayTo is where to the bank transfer goes, of one that waits; nil: no bank of the platform takes this currency.
	PayTo *BankDetails `json:"pay_to"`
}

// AnnounceTopUp notes that a customer brings money from a bank. It moves nothing. The same number again is answered as the first time.
func (c *Client) AnnounceTopUp(ctx context.Context, id holdfast.Owner, m Money) (v TopUp, err error) {
	m.Number = c.numberOr(m.Number)
	return v, c.order(ctx, pathOf("/v1/customers/:id/top-ups", id.String()), m, &v)
}

// TopUp reads how far a top-up is.
func (c *Client) TopUp(ctx context.Context, id holdfast.Owner, number string) (v TopUp, err error) {
	return v, c.get(ctx, pathOf("/v1/customers/:id/top-ups/:number", id.String(), number), &v)
}

// Payout is money that goes to a bank: a customer's withdrawal, or what a settlement pays to a merchant.
type Payout struct {
	Owner  holdfast.Owner  `json:"owner"`
	Kind   string          `json:"kind"` // withdrawal, settlement
	Number string          `json:"number"`
	Status string          `json:"status"` // waiting, sent, done, returned
	Asset  holdfast.Asset  `json:"asset"`
	Amount holdfast.Amount `json:"amount"`
	Asked  time.Time       `json:"asked"`
	Since  time.Time       `json:"since"` // it has had this status

	Recalled     bool      `json:"recalled"`      // its owner wants the money back: it is not sent any more
	NeedsAccount bool      `json:"needs_account"` // it waits until its owner has told a bank account
	Attempted    time.Time `json:"attempted"`     // when a bank was asked last
	Accepted     bool      `json:"accepted"`      // the bank has said that it has it
	Doubtful     bool      `json:"doubtful"`      // the bank has contradicted itself about it
	Bank         string    `json:"bank"`          // what the bank calls it
	Reason       string    `json:"reason"`        // why it was returned
	Estimate     *Estimate `json:"estimate"`      // of one that waits; nil: nothing can be said
}

// Estimate is what can be said of an order that waits for a bank.
type Estimate struct {
	Bank      string    `json:"bank"`  // which one pays it
	Ahead     int       `json:"ahead"` // orders that come before it
	Down      bool      `json:"bank_down"`
	DownSince time.Time `json:"bank_down_since"`
	// Soonest is how many seconds it takes if the bank answers from now on; Likely, if an outage lasts as long again as it has lasted. nil: how many
	// orders the bank takes has not been measured.
	Soonest *int64 `json:"soonest_s"`
	Likely  *int64 `json:"likely_s"`
}

// BankAccount is an account at a bank.
type BankAccount struct {
	Number string `json:"number"` // an IBAN, or the bank's own number
	Holder string `json:"holder"`
}

// Withdrawal is money that a customer sends to a bank: to the account that is kept under the name To ("": main), or to Account.
type Withdrawal struct {
	Money
	To      string       `json:"to,omitempty"`
	Account *BankAccount `json:"account,omitempty"`
}

// Withdraw sends money from a wallet to a bank. The same number again is answered as the first time, with how far it is. While no bank account is
// known it waits.
func (c *Client) Withdraw(ctx context.Context, id holdfast.Owner, w Withdrawal) (v Payout, err error) {
	body := struct {
		Owner holdfast.Owner `json:"owner"`
		Withdrawal
	}{id, w}
	body.Number = c.numberOr(w.Number)
	return v, c.order(ctx, "/v1/payouts", body, &v)
}

// Recall asks for the money of a withdrawal back. What has not been sent to a bank is given back at once; of what has been sent nobody knows until
// the bank says. Repeating is done.
func (c *Client) Recall(ctx context.Context, owner holdfast.Owner, number string) (v Payout, err error) {
	return v, c.order(ctx, pathOf("/v1/payouts/:owner/:number/recall", owner.String(), number), struct{}{}, &v)
}

// Doubtful reads a page of the withdrawals and payouts about which a bank has contradicted itself; see [Client.Receipts] for cursor and limit.
func (c *Client) Doubtful(ctx context.Context, cursor string, limit int) (list []Payout, next string, err error) {
	var v struct {
		Payouts []Payout `json:"payouts"`
		Next    string   `json:"next"`
	}
	err = c.get(ctx, "/v1/reconciliation/doubtful"+pageOf(url.Values{}, cursor, limit), &v)
	return v.Payouts, v.Next, err
}

// PaidAfterAll says that the bank has paid a doubtful withdrawal or payout, and what it calls the payment.
func (c *Client) PaidAfterAll(ctx context.Context, owner holdfast.Owner, number, bank string) (v Payout, err error) {
	return c.decide(ctx, owner, number, map[string]any{"paid": true, "bank": bank})
}

// NeverPaid says that the bank has not paid a doubtful withdrawal or payout and never will, and who has said so. The money goes back to its owner.
func (c *Client) NeverPaid(ctx context.Context, owner holdfast.Owner, number, why string) (v Payout, err error) {
	return c.decide(ctx, owner, number, map[string]any{"paid": false, "why": why})
}

func (c *Client) decide(ctx context.Context, owner holdfast.Owner, number string, body map[string]any) (v Payout, err error) {
	return v, c.order(ctx, pathOf("/v1/payouts/:owner/:number/decide", owner.String(), number), body, &v)
}

// KeptAccount is a bank account that the platform keeps for an owner. Its number is not shown.
type KeptAccount struct {
	Name  string    `json:"name"`
	Tail  string    `json:"tail"` // the last four characters of the number
	Added time.Time `json:"added"`
}

// Whose bank account it is.
const (
	OfCustomer = "customers"
	OfMerchant = "merchants"
)

// PutBankAccount keeps a bank account of an owner under a name ("": main), or changes it, and returns all of them; whose is [OfCustomer] or
// [OfMerchant]. What waits because none was known is paid there.
func (c *Client) PutBankAccount(ctx context.Context, whose string, id holdfast.Owner, name string, a BankAccount) ([]KeptAccount, error) {
	body := struct {
		Name string `json:"name,omitempty"`
		BankAccount
	}{name, a}
	var v keptAccounts
	err := c.order(ctx, pathOf("/v1/:whose/:id/bank-accounts", whose, id.String()), body, &v)
	return v.Accounts, err
}

type keptAccounts struct {
	Accounts []KeptAccount `json:"bank_accounts"`
}

// BankAccounts lists the bank accounts of an owner; whose is [OfCustomer] or [OfMerchant].
func (c *Client) BankAccounts(ctx context.Context, whose string, id holdfast.Owner) ([]KeptAccount, error) {
	var v keptAccounts
	err := c.get(ctx, pathOf("/v1/:whose/:id/bank-accounts", whose, id.String()), &v)
	return v.Accounts, err
}

// RemoveBankAccount forgets a bank account of an owner. What was ordered before is paid to it all the same. Repeating is done.
func (c *Client) RemoveBankAccount(ctx context.Context, whose string, id holdfast.Owner, name string) ([]KeptAccount, error) {
	var v keptAccounts
	err := c.order(ctx, pathOf("/v1/:whose/:id/bank-accounts/:account/remove", whose, id.String(), name), struct{}{}, &v)
	return v.Accounts, err
}

// Agreement is what a customer lets an app know.
type Agreement struct {
	App    string    `json:"app_id"`
	Scopes []string  `json:"scopes"` // auth_base, auth_user
	Since  time.Time `json:"since"`
}

// Agree notes that a customer lets an app know who they are, and returns the code for which the app gets its tokens, within ten minutes and once.
func (c *Client) Agree(ctx context.Context, id holdfast.Owner, app string, scopes ...string) (v Agreement, code string, err error) {
	body := struct {
		App    string   `json:"app_id"`
		Scopes []string `json:"scopes"`
	}{app, append([]string{}, scopes...)}
	var made struct {
		Agreement
		Code string `json:"code"`
	}
	err = c.order(ctx, pathOf("/v1/customers/:id/agreements", id.String()), body, &made)
	return made.Agreement, made.Code, err
}

// Agreements reads a page of what a customer has agreed to, at most limit (0: 100). cursor is "", or the next of the page before; next is "" on the
// last one.
func (c *Client) Agreements(ctx context.Context, id holdfast.Owner, cursor string, limit int) (list []Agreement, next string, err error) {
	var v struct {
		Agreements []Agreement `json:"agreements"`
		Next       string      `json:"next"`
	}
	err = c.get(ctx, pathOf("/v1/customers/:id/agreements", id.String())+paged(cursor, limit), &v)
	return v.Agreements, v.Next, err
}

// RevokeAgreement ends an agreement, with all its codes and tokens. Repeating is done.
func (c *Client) RevokeAgreement(ctx context.Context, id holdfast.Owner, app string) error {
	return c.order(ctx, pathOf("/v1/customers/:id/agreements/:app_id/revoke", id.String(), app), struct{}{}, new(struct{}))
}

// Payout reads how far a withdrawal of a customer is, or a payout of a merchant, whose number is "<day>-<asset>".
func (c *Client) Payout(ctx context.Context, owner holdfast.Owner, number string) (v Payout, err error) {
	return v, c.get(ctx, pathOf("/v1/payouts/:owner/:number", owner.String(), number), &v)
}

// Send is money from one person to another. Number is a fresh one of the payer; "" is replaced by a new one.
type Send struct {
	From     holdfast.Owner  `json:"from"`
	To       holdfast.Owner  `json:"to,omitzero"`
	ToAlias  string          `json:"to_alias,omitempty"` // in place of To
	Number   string          `json:"number"`
	Asset    holdfast.Asset  `json:"asset"`
	Amount   holdfast.Amount `json:"amount"`
	Text     string          `json:"text,omitempty"`
	Business bool            `json:"business,omitempty"` // From is a merchant, who pays what he has earned
}

// Sent is a transfer from one person to another.
type Sent struct {
	From   holdfast.Owner  `json:"from"`
	Number string          `json:"number"`
	Status string          `json:"status"` // done
	To     holdfast.Owner  `json:"to"`
	Asset  holdfast.Asset  `json:"asset"`
	Amount holdfast.Amount `json:"amount"`
	Text   string          `json:"text"`
	Time   time.Time       `json:"time"`
}

// Send moves money from one person's wallet to another's. The same number again is answered as the first time.
func (c *Client) Send(ctx context.Context, s Send) (v Sent, err error) {
	s.Number = c.numberOr(s.Number)
	return v, c.order(ctx, "/v1/transfers", s, &v)
}

// Sent reads a transfer that a customer has sent. While it is under way the error is an [*Error] with the code outcome-unknown.
func (c *Client) Sent(ctx context.Context, from holdfast.Owner, number string) (v Sent, err error) {
	return v, c.get(ctx, pathOf("/v1/customers/:id/transfers/:number", from.String(), number), &v)
}

// Receipt is a line of a customer's statement.
type Receipt struct {
	Receipt   string          `json:"receipt"` // its name
	Kind      string          `json:"kind"`    // paid, refunded, frozen, unfrozen, paid-frozen, sent, received, topped-up, withdrawn, withdrawal-returned, share, not-paid, share-missed, top-up-expired
	Time      time.Time       `json:"time"`
	Asset     holdfast.Asset  `json:"asset"`
	Amount    holdfast.Amount `json:"amount"` // above 0: came into the wallet; below: left it
	Other     holdfast.Owner  `json:"other"`  // 0: a bank
	Number    string          `json:"number"` // of the trade, refund, transfer or order
	Text      string          `json:"text"`
	Undecided bool            `json:"undecided"` // the payment is under way, and may yet be taken back
}

// Receipts reads a page of a customer's statement, latest first, at most limit lines (0: 100). cursor is "", or the next of the page before;
// next is "" on the last one.
func (c *Client) Receipts(ctx context.Context, id holdfast.Owner, cursor string, limit int) (list []Receipt, next string, err error) {
	var v struct {
		Receipts []Receipt `json:"receipts"`
		Next     string    `json:"next"`
	}
	err = c.get(ctx, pathOf("/v1/customers/:id/statement", id.String())+paged(cursor, limit), &v)
	return v.Receipts, v.Next, err
}

// paged is the query of a page.
func paged(cursor string, limit int) string {
	q := url.Values{}
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

// Receipt reads one line of a customer's statement by its name.
func (c *Client) Receipt(ctx context.Context, id holdfast.Owner, receipt string) (v Receipt, err error) {
	return v, c.get(ctx, pathOf("/v1/customers/:id/receipts/:receipt", id.String(), receipt), &v)
}

// Trade is a sale of a merchant, as it stands. Amounts are in minor units; a time that has not come is the zero time.
type Trade struct {
	Merchant      holdfast.Owner  `json:"merchant"`
	OutTradeNo    string          `json:"out_trade_no"` // the merchant's number
	TradeNo       string          `json:"trade_no"`     // the platform's: 28 digits
	Status        string          `json:"status"`       // WAIT_BUYER_PAY, TRADE_SUCCESS, TRADE_FINISHED, TRADE_CLOSED
	Mode          string          `json:"mode"`         // plain, escrow, split
	Amount        holdfast.Amount `json:"amount"`
	Asset         holdfast.Asset  `json:"asset"`
	Subject       string          `json:"subject"`
	Body          string          `json:"body"`
	Passback      string          `json:"passback"`
	Shop          string          `json:"shop"`
	Till          string          `json:"till"`
	Clerk         string          `json:"clerk"`
	App           string          `json:"app"`           // id of the app that made it
	Buyer         holdfast.Owner  `json:"buyer"`         // who alone may pay; 0: anybody
	Payer         holdfast.Owner  `json:"payer"`         // who has paid
	Authorisation string          `json:"authorisation"` // number of the authorisation that it was paid from
	Opened        bool            `json:"opened"`        // of one made for a QR code: the buyer has seen it
	Fee           holdfast.Amount `json:"fee"`           // all that was taken
	FeeReturned   holdfast.Amount `json:"fee_returned"`
	Refunded      holdfast.Amount `json:"refunded"`
	Shared        holdfast.Amount `json:"shared"`     // given to others, or set aside for them
	Held          holdfast.Amount `json:"held"`       // by the platform: in escrow, or until the split is finished
	Released      holdfast.Amount `json:"released"`   // from escrow, fee included
	Protection    string          `json:"protection"` // held, shipped, disputed, ended; "": not under escrow, or not paid
	Deadline      time.Time       `json:"deadline"`   // of a held one: until then the merchant has to ship, or the money goes back. Of a shipped one: then he gets it
	Created       time.Time       `json:"created"`
	PayUntil      time.Time       `json:"pay_until"`
	Paid          time.Time       `json:"paid"`
	Closed        time.Time       `json:"closed"`
	RefundUntil   time.Time       `json:"refund_until"` // of a paid one
}

func tradePath(merchant holdfast.Owner, outTradeNo, what string) string {
	return pathOf("/v1/trades/:merchant/:out_trade_no", merchant.String(), outTradeNo) + what
}

// PayTrade pays a trade from a customer's wallet. One that this customer has paid already is answered as the first time.
func (c *Client) PayTrade(ctx context.Context, merchant holdfast.Owner, outTradeNo string, payer holdfast.Owner) (v Trade, err error) {
	body := struct {
		Payer holdfast.Owner `json:"payer"`
	}{payer}
	return v, c.order(ctx, tradePath(merchant, outTradeNo, "/pay"), body, &v)
}

// OpenedTrade is a trade behind a QR code, with the name of the merchant.
type OpenedTrade struct {
	Trade
	MerchantName string `json:"merchant_name"`
}

// OpenCode shows the trade behind the QR code of a shop; token is what stands behind the last slash of its address.
func (c *Client) OpenCode(ctx context.Context, token string) (v OpenedTrade, err error) {
	body := struct {
		Token string `json:"token"`
	}{token}
	return v, c.order(ctx, "/v1/codes/open", body, &v)
}

// Authorisation is money that a customer has frozen for a merchant.
type Authorisation struct {
	Merchant     holdfast.Owner  `json:"merchant"`
	OutOrderNo   string          `json:"out_order_no"`   // the merchant's number
	OutRequestNo string          `json:"out_request_no"` // of the freeze
	AuthNo       string          `json:"auth_no"`        // the platform's: 28 digits
	Status       string          `json:"status"`         // INIT, AUTHORIZED, FINISH, CLOSED
	Title        string          `json:"title"`
	Asset        holdfast.Asset  `json:"asset"`
	Amount       holdfast.Amount `json:"amount"`
	Rest         holdfast.Amount `json:"rest"` // still frozen
	Paid         holdfast.Amount `json:"paid"` // taken by trades
	Payer        holdfast.Owner  `json:"payer"`
	App          string          `json:"app"`
	Created      time.Time       `json:"created"`
	Until        time.Time       `json:"until"`        // the end of the time to authorise it
	FrozenUntil  time.Time       `json:"frozen_until"` // of one that is authorised: then what is left of it is released by itself
}

// Authorise freezes the money of an authorisation in the wallet of payer, or of whoever shows the payment code, if one is given.
func (c *Client) Authorise(ctx context.Context, merchant holdfast.Owner, outOrderNo string, payer holdfast.Owner, code string) (v Authorisation, err error) {
	body := struct {
		Payer holdfast.Owner `json:"payer,omitzero"`
		Code  string         `json:"payment_code,omitempty"`
	}{payer, code}
	return v, c.order(ctx, pathOf("/v1/authorisations/:merchant/:out_order_no/authorise", merchant.String(), outOrderNo), body, &v)
}

// ConfirmEscrow gives the merchant what the platform holds; buyer is who has paid. Repeating is done.
func (c *Client) ConfirmEscrow(ctx context.Context, merchant holdfast.Owner, outTradeNo string, buyer holdfast.Owner) (Trade, error) {
	return c.buyerSays(ctx, merchant, outTradeNo, "confirm", buyer)
}

// DisputeEscrow stops what the platform holds until the dispute is decided; buyer is who has paid. Repeating is done.
func (c *Client) DisputeEscrow(ctx context.Context, merchant holdfast.Owner, outTradeNo string, buyer holdfast.Owner) (Trade, error) {
	return c.buyerSays(ctx, merchant, outTradeNo, "dispute", buyer)
}

func (c *Client) buyerSays(ctx context.Context, merchant holdfast.Owner, outTradeNo, what string, buyer holdfast.Owner) (v Trade, err error) {
	body := struct {
		By holdfast.Owner `json:"by"`
	}{buyer}
	return v, c.order(ctx, pathOf("/v1/escrows/:merchant/:out_trade_no/:what", merchant.String(), outTradeNo, what), body, &v)
}
