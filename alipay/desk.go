package alipay

import (
	"context"
	"crypto/rsa"
	"log/slog"
	"time"

	"holdfast"
)

// Desk does what the gateway was asked for. Every method may be called by many goroutines at once and returns when its context
// ends, at the latest. An error that is (or wraps) a *[Refusal] means that nothing was executed and nothing will be; any other
// error means that the outcome is unknown, and is answered as such. Asking again with the same numbers must be harmless.
//
// Requests are complete and within the bounds of the protocol when they arrive; nothing in them was compared with anything stored.
type Desk interface {
	Trades
	Funds
	Holds
	Customers
	// BillURL makes the address from which one bill can be fetched for a short while.
	BillURL(ctx context.Context, who Caller, r BillURLRequest) (BillURLAnswer, error)
	// NoticeSent tells when the notice with this id was first sent to the merchant; found is false when it never was.
	NoticeSent(ctx context.Context, merchant holdfast.Owner, notice string) (first time.Time, found bool, err error)
}

// Trades are payments for an order of a merchant. A number of a trade is unique for ever; an order number is so per merchant.
type Trades interface {
	// Pay takes a payment by the code that the customer shows, or out of a hold.
	Pay(ctx context.Context, who Caller, r PayRequest) (PayAnswer, error)
	// Precreate makes a code that the merchant shows. There is no trade until somebody scans it.
	Precreate(ctx context.Context, who Caller, r PrecreateRequest) (PrecreateAnswer, error)
	// Create makes a trade for a known customer, to be paid later.
	Create(ctx context.Context, who Caller, r CreateRequest) (CreateAnswer, error)
	// Open begins or finds the trade of a page.pay, wap.pay or app.pay that a browser or an app brought.
	Open(ctx context.Context, who Caller, r OpenRequest) (OpenAnswer, error)
	Query(ctx context.Context, who Caller, r TradeRef) (Trade, error)
	// Cancel closes the trade if it is not paid and refunds it in full if it is. A number that nobody knows counts as closed from
	// then on, and answers with an empty Action.
	Cancel(ctx context.Context, who Caller, r CancelRequest) (CancelAnswer, error)
	Close(ctx context.Context, who Caller, r CloseRequest) (CloseAnswer, error)
	Refund(ctx context.Context, who Caller, r RefundRequest) (RefundAnswer, error)
	// RefundQuery finds one refund. A request number that nobody knows is no refusal: Found is false.
	RefundQuery(ctx context.Context, who Caller, r RefundQueryRequest) (RefundQueryAnswer, error)
	// Settle gives parts of a paid trade to others.
	Settle(ctx context.Context, who Caller, r SettleRequest) (SettleAnswer, error)
}

// Funds are transfers from the merchant's balance, and that balance.
type Funds interface {
	Transfer(ctx context.Context, who Caller, r TransferRequest) (TransferAnswer, error)
	TransferQuery(ctx context.Context, who Caller, r TransferQueryRequest) (TransferQueryAnswer, error)
	Balance(ctx context.Context, who Caller, r BalanceRequest) (BalanceAnswer, error)
}

// Holds are pre-authorisations: money of a customer kept for a merchant.
type Holds interface {
	Freeze(ctx context.Context, who Caller, r FreezeRequest) (HoldAnswer, error)
	Unfreeze(ctx context.Context, who Caller, r UnfreezeRequest) (HoldAnswer, error)
	AuthQuery(ctx context.Context, who Caller, r AuthQueryRequest) (AuthQueryAnswer, error)
}

// Customers are those who agreed that an application may know who they are.
type Customers interface {
	// OAuthToken gives a token for a code that the customer brought, or for a refresh token.
	OAuthToken(ctx context.Context, who Caller, r OAuthTokenRequest) (OAuthTokenAnswer, error)
	UserInfo(ctx context.Context, who Caller, r UserInfoRequest) (UserInfoAnswer, error)
}

// Apps finds the applications of merchants.
type Apps interface {
	// App returns the application with this id; found is false when there is none. An error means that it is not known whether there is.
	// The App may be shared: the gateway changes nothing in it.
	App(ctx context.Context, id string) (a *App, found bool, err error)
	// Acting returns for whom the application acts when it sends this app_auth_token; found is false when nobody gave it that.
	Acting(ctx context.Context, a *App, token Secret) (m Mandate, found bool, err error)
}

// App is one application of a merchant.
type App struct {
	ID        string // at most 32 characters
	Merchant  holdfast.Owner
	Enabled   bool
	Key       *rsa.PublicKey  // the merchant's; nil until he has given one
	Platform  *rsa.PrivateKey // the platform's for this application; its public half is given to the merchant. Never nil
	Products  Products        // that the merchant has signed for
	NotifyURL string          // where notices go when a request names no other place; "": none are sent
}

// Mandate is what a merchant lets another merchant's application do in his name.
type Mandate struct {
	Merchant holdfast.Owner
	AppID    string   // the application of the merchant himself: auth_app_id
	Products Products // what it may be used for; the application that acts needs the product as well
}

// Products are what a merchant has signed for, one bit each.
type Products uint16

const (
	FaceToFace  Products = 1 << iota // trade.pay, trade.precreate
	Order                            // trade.create: mini-apps and other places where the customer is known
	WebPay                           // trade.page.pay
	WapPay                           // trade.wap.pay
	AppPay                           // trade.app.pay
	Royalty                          // trade.order.settle
	Payout                           // fund.trans.uni.transfer
	Account                          // fund.account.query
	PreAuth                          // fund.auth.*
	Bill                             // data.dataservice.bill.downloadurl.query
	SignIn                           // system.oauth.token, user.info.share
	AllProducts Products = 1<<iota - 1

	anyTrade = FaceToFace | Order | WebPay | WapPay | AppPay // enough for query, cancel, close and refund
)

// Caller is who asks. What he may see and change is what belongs to Merchant.
type Caller struct {
	App      *App
	Merchant holdfast.Owner // App.Merchant, or who gave the app_auth_token
	AuthApp  string         // App.ID, or the application of who gave the app_auth_token
	Now      time.Time      // when the request came, in GMT+8
	Trace    string         // names the request in logs and in the answer
}

// Secret is text that must not be read by anybody in a log, an error or a page: payment codes, tokens.
type Secret struct{ text string }

// NewSecret wraps the text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text, for the one place that compares it.
func (s Secret) Reveal() string { return s.text }

// IsZero reports whether there is none.
func (s Secret) IsZero() bool { return s.text == "" }

// String hides the text.
func (s Secret) String() string { return "***" }

// GoString hides the text from %#v.
func (s Secret) GoString() string { return "***" }

// LogValue hides the text from log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalText hides the text from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// TradeRef names a trade by one of its two numbers. When the merchant gave both, OutTradeNo is empty: trade_no wins.
type TradeRef struct {
	TradeNo    string
	OutTradeNo string
}

// Place is where in a merchant's world something happened; all of it is echoed in bills.
type Place struct {
	Store, Terminal, Operator string
}

// OrderTerms are what trade.pay, precreate, create and the pages agree on. The same order number with others is refused.
type OrderTerms struct {
	OutTradeNo string
	Total      holdfast.Amount // fen, 1 to 10,000,000,000
	Subject    string          // at most 256 characters
	Body       string
	Product    string // product_code
	Seller     string // seller_id if given: the merchant or one he acts for
	Passback   string // goes back in notices only
	NotifyURL  string // "": no notices
	Place      Place
	Goods      []Goods
	// Expires is when the trade closes if it is not paid. Explicit tells whether the merchant asked for that time: the default
	// must not make a repeated request differ.
	Expires  time.Time
	Explicit bool
}

// Goods is one line of goods_detail, as given; the platform does not reckon with it.
type Goods struct {
	ID, Name string
	Quantity int64
	Price    holdfast.Amount
}

// PayRequest is a trade.pay: AuthCode, or AuthNo with Product PRE_AUTH or PRE_AUTH_ONLINE.
type PayRequest struct {
	OrderTerms
	AuthCode Secret // of the customer's app; 16-24 digits, or fp and 33 more
	Scene    string // bar_code, security_code
	AuthNo   string // number of a hold
	Complete bool   // what is left of the hold is released
	Buyer    string // buyer_id, if given
}

// Customer is how a merchant knows a buyer.
type Customer struct {
	UserID  string // 16 digits
	OpenID  string
	LogonID string // masked: 159****5620
}

// FundBill is what one source gave to a payment.
type FundBill struct {
	Channel string // ALIPAYACCOUNT, BANKCARD ...
	Amount  holdfast.Amount
}

// PayAnswer is a payment that was made, or one that the customer has to confirm (Pending).
type PayAnswer struct {
	TradeNo, OutTradeNo string
	Pending             bool
	Buyer               Customer
	Total               holdfast.Amount
	Receipt             holdfast.Amount // what the merchant gets before fees
	BuyerPaid           holdfast.Amount
	PaidAt              time.Time
	Funds               []FundBill
	StoreName           string
}

// PrecreateRequest is a trade.precreate.
type PrecreateRequest struct {
	OrderTerms
	CodeExpires time.Time // at most two hours from now
}

// PrecreateAnswer has the text that is drawn as a QR code.
type PrecreateAnswer struct {
	OutTradeNo string
	QRCode     string
}

// CreateRequest is a trade.create. One of the three ways to name the buyer is filled.
type CreateRequest struct {
	OrderTerms
	BuyerID, BuyerOpenID, BuyerLogonID string
}

// CreateAnswer names the trade that waits for its payment.
type CreateAnswer struct{ TradeNo, OutTradeNo string }

// Entry is how a buyer came to the cashier.
type Entry uint8

const (
	Page  Entry = iota + 1 // alipay.trade.page.pay
	Wap                    // alipay.trade.wap.pay
	InApp                  // alipay.trade.app.pay
)

// OpenRequest is a page.pay, wap.pay or app.pay.
type OpenRequest struct {
	OrderTerms
	Entry     Entry
	ReturnURL string // where the browser goes when it is paid; see [ReturnURL]
	QuitURL   string // where it goes when the buyer gives up (wap)
}

// OpenAnswer tells where the buyer goes on.
type OpenAnswer struct {
	TradeNo, OutTradeNo string
	Total               holdfast.Amount
	Cashier             string // absolute address of the page on which this trade is paid
}

// Trade is what trade.query tells. Its Status is one of TradeStatuses.
type Trade struct {
	TradeNo, OutTradeNo string
	Status              string
	Buyer               Customer
	BuyerType           string // PRIVATE, CORPORATE
	Total               holdfast.Amount
	Receipt, BuyerPaid  holdfast.Amount
	PaidAt              time.Time // zero: not paid
	Place               Place
	Funds               []FundBill
}

// The states of a trade.
const (
	WaitBuyerPay  = "WAIT_BUYER_PAY"
	TradeSuccess  = "TRADE_SUCCESS"
	TradeFinished = "TRADE_FINISHED"
	TradeClosed   = "TRADE_CLOSED"
)

// CancelRequest is a trade.cancel.
type CancelRequest struct {
	TradeRef
	NotifyURL string
}

// CancelAnswer tells what was done: Action is "close", "refund" or, for a number nobody knew, "".
type CancelAnswer struct {
	TradeNo, OutTradeNo string
	Action              string
}

// CloseRequest is a trade.close.
type CloseRequest struct {
	TradeRef
	Operator  string
	NotifyURL string
}

// CloseAnswer names the trade that was closed.
type CloseAnswer struct{ TradeNo, OutTradeNo string }

// RefundRequest is a trade.refund.
type RefundRequest struct {
	TradeRef
	Amount    holdfast.Amount
	RequestNo string // "": the order number takes its place, and the refund has to be a full one
	Reason    string
	Place     Place
	NotifyURL string
	Detail    bool // query_options asks for refund_detail_item_list
}

// RefundAnswer is the refund that was asked for, done now or before.
type RefundAnswer struct {
	TradeNo, OutTradeNo string
	Buyer               Customer
	Moved               bool            // money moved in this call
	Refunded            holdfast.Amount // of the trade, all refunds together
	SentBack            holdfast.Amount // by this refund
	PaidAt              time.Time
	Funds               []FundBill // left out unless Detail
}

// RefundQueryRequest is a trade.fastpay.refund.query.
type RefundQueryRequest struct {
	TradeRef
	RequestNo string
	Detail    bool // asks for refund_detail_item_list
	WithTime  bool // asks for gmt_refund_pay
}

// RefundQueryAnswer is one refund, if Found.
type RefundQueryAnswer struct {
	Found               bool
	TradeNo, OutTradeNo string
	RequestNo           string
	Total, Amount       holdfast.Amount
	Reason              string
	PaidAt              time.Time  // left zero unless WithTime
	Funds               []FundBill // left out unless Detail
}

// SettleRequest is a trade.order.settle: at most 5 shares, or none when it only finishes.
type SettleRequest struct {
	RequestNo string
	TradeNo   string
	Shares    []Share
	Operator  string
	Async     bool
	Finish    bool // what is still kept is released to the merchant
}

// Share is one receiver's part of a trade: an amount, or a percentage.
type Share struct {
	Out, OutType string // "": the merchant
	In, InType   string // InType: userId, loginName, openId, cardAliasNo
	Amount       holdfast.Amount
	Percent      int64  // 1-100; 0: Amount counts
	Type         string // transfer, replenish
	Desc         string
}

// SettleAnswer names the split.
type SettleAnswer struct{ TradeNo, SettleNo string }

// TransferRequest is a fund.trans.uni.transfer.
type TransferRequest struct {
	OutBizNo    string
	Amount      holdfast.Amount
	Product     string // TRANS_ACCOUNT_NO_PWD, STD_RED_PACKET, TRANS_BANKCARD_NO_PWD
	Scene       string // DIRECT_TRANSFER, PERSONAL_COLLECTION
	Payee       string
	PayeeType   string // ALIPAY_USER_ID, ALIPAY_LOGON_ID, ALIPAY_OPEN_ID, BANKCARD_ACCOUNT
	PayeeName   string // compared with the real name if given
	Title       string
	Remark      string
	Passback    string
	NotifyURL   string
	BusinessTag string // business_params, as given
}

// TransferAnswer is a transfer. Status is SUCCESS, or DEALING while a bank works on it.
type TransferAnswer struct {
	OutBizNo, OrderID, FundOrderID string
	Status                         string
	At                             time.Time
}

// TransferQueryRequest names a transfer by exactly one of its three numbers.
type TransferQueryRequest struct {
	OutBizNo, OrderID, FundOrderID string
	Product, Scene                 string // with OutBizNo
}

// TransferQueryAnswer is a transfer as it stands.
type TransferQueryAnswer struct {
	OutBizNo, OrderID, FundOrderID string
	Amount                         holdfast.Amount
	Status                         string // SUCCESS, WAIT_PAY, CLOSED, FAIL, DEALING, REFUND
	At                             time.Time
	Arrives                        time.Time // expected at a bank; zero: nothing to expect
	Fee                            holdfast.Amount
	ErrorCode, FailReason          string
	Passback                       string
}

// BalanceRequest is a fund.account.query. Without a number it is the merchant's own account.
type BalanceRequest struct {
	UserID, OpenID string
	AccountType    string // ACCTRANS_ACCOUNT, TRUSTEESHIP_ACCOUNT
}

// BalanceAnswer is what an account has.
type BalanceAnswer struct{ Available, Frozen holdfast.Amount }

// FreezeRequest is a fund.auth.order.freeze.
type FreezeRequest struct {
	AuthCode              Secret
	CodeType              string // bar_code, security_code
	OutOrderNo, RequestNo string
	Title                 string
	Amount                holdfast.Amount
	PayeeUser, PayeeLogon string
	Product               string // PRE_AUTH, PRE_AUTH_ONLINE
	Expires               time.Time
	Explicit              bool // the merchant asked for this Expires
	NotifyURL             string
}

// UnfreezeRequest is a fund.auth.order.unfreeze.
type UnfreezeRequest struct {
	AuthNo, RequestNo string
	Amount            holdfast.Amount
	Remark            string
	NotifyURL         string
}

// HoldAnswer is one operation on a hold. Status is SUCCESS, INIT (the customer has to confirm) or CLOSED.
type HoldAnswer struct {
	AuthNo, OutOrderNo     string
	OperationID, RequestNo string
	Amount                 holdfast.Amount
	Status                 string
	Payer                  Customer
	At                     time.Time
}

// AuthQueryRequest names a hold and one operation on it, each by one of two numbers.
type AuthQueryRequest struct {
	AuthNo, OutOrderNo     string
	OperationID, RequestNo string
}

// AuthQueryAnswer is a hold as it stands, and the operation that was asked for.
type AuthQueryAnswer struct {
	AuthNo, OutOrderNo     string
	OperationID, RequestNo string
	Title                  string
	OrderStatus            string // INIT, AUTHORIZED, FINISH, CLOSED
	Frozen, Rest, Paid     holdfast.Amount
	OperationType          string // FREEZE, UNFREEZE, PAY
	Status                 string // SUCCESS, INIT, CLOSED
	Amount                 holdfast.Amount
	Payer                  Customer
	Created, At            time.Time
}

// BillURLRequest names a bill. Day is its first day at 00:00 GMT+8; Monthly tells that it is of that whole month.
type BillURLRequest struct {
	Type        string // trade, signcustomer, merchant_act, trade_zft_merchant, zft_acc
	Day         time.Time
	Monthly     bool
	SubMerchant string // smid
}

// BillURLAnswer has the address, which is good for 30 s.
type BillURLAnswer struct {
	URL   string
	Empty bool // the bill has no row
}

// OAuthTokenRequest is a system.oauth.token: exactly one of the two is there.
type OAuthTokenRequest struct{ Code, Refresh Secret }

// OAuthTokenAnswer is an agreement of a customer.
type OAuthTokenAnswer struct {
	Access, Refresh         Secret
	Expires, RefreshExpires time.Duration // from now, whole seconds
	Since                   time.Time
	UserID, OpenID, UnionID string
}

// UserInfoRequest is a user.info.share.
type UserInfoRequest struct{ Token Secret }

// UserInfoAnswer is what the customer agreed to show; empty members are left out of the answer.
type UserInfoAnswer struct {
	UserID, OpenID       string
	NickName, Avatar     string
	Gender               string // M, F
	Province, City       string
	Certified            bool
	UserType, UserStatus string // 1 company, 2 person; Q, T, B, W
}
