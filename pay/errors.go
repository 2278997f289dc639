package pay

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"holdfast"
)

// Refusal says that what was asked for has not happened, and will not until something else has changed.
type Refusal struct {
	Code  Code
	Field string // of what was asked, if one is at fault
	Text  string // for a person: what it means and what to do
}

// Error gives code, field and text.
func (r *Refusal) Error() string {
	if r.Field == "" {
		return fmt.Sprintf("%s: %s", r.Code, r.Text)
	}
	return fmt.Sprintf("%s (%s): %s", r.Code, r.Field, r.Text)
}

// Pending says that nobody knows yet whether it has happened. Asking again with the same numbers, or a query, tells.
type Pending struct{ ID holdfast.ID }

// Error says what to do.
func (p *Pending) Error() string {
	return "outcome-unknown: The outcome is not known yet. Ask again with the same numbers: it is done at most once."
}

// Unavailable says that this call did nothing. It may be asked again, here or elsewhere.
type Unavailable struct {
	Code holdfast.Code // of the ledger; CodeOK when the reason is Err
	Err  error
}

// Error gives the reason.
func (u *Unavailable) Error() string {
	if u.Err != nil {
		return fmt.Sprintf("not executed: %v", u.Err)
	}
	return u.Code.String() + ": " + u.Code.Advice()
}

// Unwrap gives the reason of Books.
func (u *Unavailable) Unwrap() error { return u.Err }

// ErrCorrupt is wrapped by errors about records that this package would not have written.
var ErrCorrupt = errors.New("a record does not read")

// ErrBusy is wrapped by an [Unavailable] when others changed the same records each time before the transaction came.
var ErrBusy = errors.New("the same records change all the time: ask again in a moment")

// Code is the stable name of a refusal.
type Code string

// Codes of refusals. They are part of the interface: append, never rename.
const (
	AmountInvalid      Code = "amount-invalid"
	NumberInvalid      Code = "number-invalid"
	FieldInvalid       Code = "field-invalid"
	AssetInvalid       Code = "asset-invalid"
	TimeInvalid        Code = "time-invalid"
	TooMany            Code = "too-many"
	OwnerNotIssued     Code = "owner-not-issued"
	AliasInvalid       Code = "alias-invalid"
	AliasTaken         Code = "alias-taken"
	AliasUnknown       Code = "alias-unknown"
	CustomerUnknown    Code = "customer-unknown"
	CustomerExists     Code = "customer-exists"
	WalletMissing      Code = "wallet-missing"
	WalletBlocked      Code = "wallet-blocked"
	BalanceNotEnough   Code = "balance-not-enough"
	LimitPayment       Code = "limit-payment"
	LimitDay           Code = "limit-day"
	LimitMonth         Code = "limit-month"
	MerchantUnknown    Code = "merchant-unknown"
	MerchantExists     Code = "merchant-exists"
	AppUnknown         Code = "app-unknown"
	ShopUnknown        Code = "shop-unknown"
	SellerBlocked      Code = "seller-blocked"
	SellerBalance      Code = "seller-balance-not-enough"
	SellerIsBuyer      Code = "seller-is-buyer"
	TradeUnknown       Code = "trade-not-exist"
	TradeDiffers       Code = "trade-context-inconsistent"
	BuyerDiffers       Code = "trade-buyer-not-match"
	TradePaid          Code = "trade-has-success"
	TradeClosed        Code = "trade-has-close"
	TradeFinished      Code = "trade-has-finished"
	TradeNotPaid       Code = "trade-not-paid"
	TradeStatus        Code = "trade-status-error"
	TradeExpired       Code = "trade-expired"
	RefundTooMuch      Code = "refund-exceeds-rest"
	RequestDiffers     Code = "request-discordant"
	SplitTooMuch       Code = "split-exceeds-rest"
	SplitFinished      Code = "split-has-finished"
	ReceiverInvalid    Code = "split-receiver-invalid"
	NotEscrow          Code = "escrow-none"
	EscrowStatus       Code = "escrow-status-error"
	EscrowDisputed     Code = "escrow-disputed"
	EscrowTooMuch      Code = "escrow-exceeds-rest"
	CodeWrong          Code = "code-invalid"
	CodeUsed           Code = "code-used"
	TooManyCodes       Code = "too-many-codes"
	TokenUnknown       Code = "token-unknown"
	GrantUnknown       Code = "grant-unknown"
	GrantExpired       Code = "grant-expired"
	GrantReplaced      Code = "grant-replaced"
	GrantOfOther       Code = "grant-of-other-app"
	AuthUnknown        Code = "auth-not-exist"
	AuthStateWrong     Code = "auth-status-error"
	AuthTooMuch        Code = "auth-amount-not-enough"
	AuthPayerDiffers   Code = "auth-payer-not-match"
	PayeeUnknown       Code = "payee-unknown"
	PayeeIsPayer       Code = "payee-is-payer"
	PayeeBlocked       Code = "payee-blocked"
	OrderUnknown       Code = "order-not-exist"
	OrderStateWrong    Code = "order-status-error"
	CaseUnknown        Code = "case-unknown"
	CaseClosedBefore   Code = "case-closed"
	DayNotOver         Code = "day-not-over"
	EventUnknown       Code = "event-unknown"
	EndpointUnknown    Code = "endpoint-unknown"
	DeliveryUnknown    Code = "delivery-unknown"
	LedgerRefused      Code = "ledger-refused"
	TradeTokenConflict Code = "token-taken"
	KeyRevoked         Code = "key-revoked"
)

// texts is the one table of what a person is told.
var texts = map[Code]string{
	AmountInvalid:      "The amount is not between 1 and 10,000,000,000 minor units: send one that is.",
	NumberInvalid:      "A number of a request has 1 to 64 letters, digits and the characters . _ : -: send one that has.",
	FieldInvalid:       "A value is missing, too long or not one of those that are allowed: send another one.",
	AssetInvalid:       "There is no account in this currency: open one first, or take another currency.",
	TimeInvalid:        "The time to pay is between 1 minute and 15 days from now: send one that is.",
	TooMany:            "No more of these can be added: remove one first.",
	OwnerNotIssued:     "The owner number is not one that the platform has issued: ask for one.",
	AliasInvalid:       "An alias is an e-mail address, or a phone number: + with the country and 8 to 15 digits in all, or a mainland mobile number. Send one of those, for example +8613900000001.",
	AliasTaken:         "Somebody else has this alias: take another one, or ask the support if it is yours.",
	AliasUnknown:       "Nobody has this alias: check it with the person you mean.",
	CustomerUnknown:    "There is no such customer: check the number, or register first.",
	CustomerExists:     "The customer is registered already, with other aliases or without such a wallet: change aliases one by one, and open the wallet.",
	WalletMissing:      "The customer has no wallet in this currency: open one, or pay in another currency.",
	WalletBlocked:      "This wallet is blocked: the customer can ask the support why.",
	BalanceNotEnough:   "There is not enough money in the wallet: top it up, or pay in another way.",
	LimitPayment:       "The amount is above the limit for one payment: raise the limit, or pay less.",
	LimitDay:           "The payment would exceed the limit of the day: raise the limit, or wait until tomorrow.",
	LimitMonth:         "The payment would exceed the limit of the month: raise the limit, or wait until next month.",
	MerchantUnknown:    "There is no such merchant: check the number.",
	MerchantExists:     "The merchant is registered already, with other particulars: change those one by one.",
	AppUnknown:         "There is no such app: check the app id.",
	ShopUnknown:        "The merchant has no such shop or till: add it first.",
	SellerBlocked:      "The merchant cannot take money just now: he can ask the support why.",
	SellerBalance:      "The merchant's account has not enough money for this: wait for the next payments, or pay money in.",
	SellerIsBuyer:      "A merchant cannot pay himself: pay from another wallet.",
	TradeUnknown:       "There is no such trade: check the number.",
	TradeDiffers:       "This trade number was used before for something else: take a fresh one.",
	BuyerDiffers:       "The trade is for another buyer: pay with the wallet it was made for.",
	TradePaid:          "The trade is paid already: nothing was taken again.",
	TradeClosed:        "The trade is closed: make a new one.",
	TradeFinished:      "The trade is finished and can no longer be changed: settle it with the buyer directly.",
	TradeNotPaid:       "The trade is not paid yet: there is nothing to do this with.",
	TradeStatus:        "The trade is not in a state for this: query it to see its state.",
	TradeExpired:       "The time to pay is over: make a new trade.",
	RefundTooMuch:      "The refund is more than what is left of the trade: query it, and refund at most the rest.",
	RequestDiffers:     "This request number was used before for something else: take a fresh one.",
	SplitTooMuch:       "The shares are more than what is left of the trade: query it, and split at most the rest.",
	SplitFinished:      "The split of this trade is finished: the rest belongs to the merchant.",
	ReceiverInvalid:    "A receiver of a share has no account in the currency of the trade, or is the merchant himself: name another one.",
	NotEscrow:          "The trade is not under the platform's protection: it was not made for it.",
	EscrowStatus:       "The protected trade is not in a state for this: query it to see its state.",
	EscrowDisputed:     "The trade is disputed: nothing moves until the dispute is decided.",
	EscrowTooMuch:      "The amount is more than the platform still holds for this trade: query it, and take at most the rest.",
	CodeWrong:          "The payment code is not valid, or not any more: ask the customer to show the present one.",
	TooManyCodes:       "Too many payment codes of this customer or at this merchant were wrong, so this one was not looked at: ask again in a minute, with the code that is shown then.",
	CodeUsed:           "The payment code has been used: ask the customer to wait for the next one.",
	TokenUnknown:       "The QR code is not known or has expired: ask the shop for a new one.",
	GrantUnknown:       "There is no such code or token: ask the customer, or the merchant, to agree again.",
	GrantExpired:       "The code or token is too old: use the refresh token, or ask for the agreement again.",
	GrantReplaced:      "The code or token was used before and has been replaced: use what came of it.",
	GrantOfOther:       "The code or token was given to another app: use the one that this app was given.",
	AuthUnknown:        "There is no such authorisation: check the number.",
	AuthStateWrong:     "The authorisation is not in a state for this: query it to see its state.",
	AuthTooMuch:        "The amount is more than what is still frozen: query the authorisation, and take at most the rest.",
	AuthPayerDiffers:   "The authorisation was given by another customer, or in another currency: check the number.",
	PayeeUnknown:       "The payee has no wallet in this currency: ask for one, or send another currency.",
	PayeeIsPayer:       "Payer and payee are the same: nothing would move.",
	PayeeBlocked:       "The payee cannot take money just now: ask them to contact the support.",
	OrderUnknown:       "There is no such order: check the number.",
	OrderStateWrong:    "The order is not in a state for this: query it to see its state.",
	CaseUnknown:        "There is no such case: list them to see those there are.",
	CaseClosedBefore:   "The case is closed: it opens by itself if the two sides differ in another way.",
	DayNotOver:         "The day is not over yet in the merchant's time zone: settle it some minutes after midnight there.",
	EventUnknown:       "There is no such event: list them to see those there are.",
	EndpointUnknown:    "There is no such webhook endpoint: list them to see those there are.",
	DeliveryUnknown:    "There is no such delivery: list them to see those there are.",
	LedgerRefused:      "The ledger refused the transaction: tell the support, with the time and the numbers of the request.",
	TradeTokenConflict: "The QR code to be made exists already: ask again, with fresh random bytes.",
	KeyRevoked:         "The key that this request has made was revoked: ask for another one, with a fresh number.",
}

// Codes lists every code of a refusal.
func Codes() []Code { return slices.Sorted(maps.Keys(texts)) }

// Text is what a person is told about the code.
func (c Code) Text() string { return texts[c] }

func refuse(c Code, field string) error { return &Refusal{Code: c, Field: field, Text: texts[c]} }

// refused tells the code of a refusal; "" when err is none.
func refused(err error) Code {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}
