package alipay

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
)

// vectors is testdata/vectors.json: what the official SDK sent and accepted.
type vectors struct {
	AppPublic       string `json:"app_public_key"`
	AppPrivate      string `json:"app_private_key"`
	PlatformPublic  string `json:"platform_public_key"`
	PlatformPrivate string `json:"platform_private_key"`

	Exec        v2Vector `json:"v2_exec"`
	PageLink    v2Vector `json:"v2_page_link"`
	OrderString v2Vector `json:"v2_order_string"`
	EmptyValue  v2Vector `json:"v2_empty_value"`
	Response    struct {
		Body, Sign string
		SignedText string `json:"signed_text"`
	} `json:"v2_response"`
	Notify struct {
		Fields     map[string]string
		Sign, Form string
		SignedText string `json:"signed_text"`
	}
	Post       v3Vector `json:"v3_post"`
	Get        v3Vector `json:"v3_get"`
	Token      v3Vector `json:"v3_token"`
	ResponseV3 struct {
		Body       string
		Headers    map[string]string
		SignedText string `json:"signed_text"`
	} `json:"v3_response"`
}

type v2Vector struct {
	Query, Body, Sign string
	StringToSign      string `json:"string_to_sign"`
}

type v3Vector struct {
	Method        string `json:"http_method"`
	Path          string
	Authorization string
	Body          string
	SignedText    string `json:"signed_text"`
}

var known = sync.OnceValue(func() (v vectors) {
	text, err := os.ReadFile("testdata/vectors.json")
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		panic(err)
	}
	return v
})

func privateKey(text string) *rsa.PrivateKey {
	block, _ := pem.Decode([]byte(text))
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return key
}

var (
	appKey      = sync.OnceValue(func() *rsa.PrivateKey { return privateKey(known().AppPrivate) })
	platformKey = sync.OnceValue(func() *rsa.PrivateKey { return privateKey(known().PlatformPrivate) })
)

const (
	appID  = "2021000000000001"
	buyer  = "2088000000020000"
	payURL = "https://pay.example/c/1"
)

var merchant = must(holdfast.NewOwner(1, 42))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// fake is a desk and the applications. The merchant's number in a request tells what comes of it: "R:<sub_code>" is refused so, "U:..." has
// an unknown outcome, "S:..." takes longer than anybody waits, "P:..." waits for the customer, "X:..." panics. All else goes well.
type fake struct {
	app  App
	mu   sync.Mutex
	last any    // the request that came last
	who  Caller // and who sent it
}

func newFake() *fake {
	return &fake{app: App{
		ID: appID, Merchant: merchant, Enabled: true, Key: &appKey().PublicKey, Platform: platformKey(), Products: AllProducts,
		NotifyURL: "https://shop.example/default",
	}}
}

func (d *fake) App(_ context.Context, id string) (*App, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id == "down" {
		return nil, false, errors.New("no leader")
	}
	a := d.app
	return &a, id == a.ID, nil
}

func (d *fake) Acting(_ context.Context, _ *App, token Secret) (Mandate, bool, error) {
	return Mandate{merchant, "2021000000000009", AllProducts}, token.Reveal() == "TOK" || token.Reveal() == "tok+/=", nil
}

func (d *fake) NoticeSent(_ context.Context, who holdfast.Owner, id string) (time.Time, bool, error) {
	switch {
	case id == "down":
		return time.Time{}, false, errors.New("no leader")
	case id == "old":
		return testNow.Add(-26 * time.Hour), true, nil
	}
	return testNow.Add(-time.Hour), who == merchant && id == "n1", nil
}

// see notes the request and tells what comes of it.
func (d *fake) see(ctx context.Context, who Caller, r any, number string) error {
	d.mu.Lock()
	d.last, d.who = r, who
	d.mu.Unlock()
	switch kind, rest, _ := strings.Cut(number, ":"); kind {
	case "R":
		return refuse(rest)
	case "U":
		return errors.New("no majority answered in time")
	case "X":
		panic("broken")
	case "S":
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func pending(number string) bool { return strings.HasPrefix(number, "P:") }

func (r TradeRef) number() string { return r.TradeNo + r.OutTradeNo }

const tradeNo = "2026112222001400000000000001"

var (
	testNow  = time.Date(2026, 11, 22, 12, 1, 30, 0, gmt8)
	paidAt   = time.Date(2026, 11, 22, 12, 1, 25, 0, gmt8)
	customer = Customer{UserID: buyer, LogonID: "138****0001"}
	fromCash = []FundBill{{"ALIPAYACCOUNT", 990}}
)

func (d *fake) Pay(ctx context.Context, who Caller, r PayRequest) (PayAnswer, error) {
	return PayAnswer{tradeNo, r.OutTradeNo, pending(r.OutTradeNo), customer, r.Total, r.Total, r.Total, paidAt, fromCash, "茶"}, d.see(ctx, who, r, r.OutTradeNo)
}

func (d *fake) Precreate(ctx context.Context, who Caller, r PrecreateRequest) (PrecreateAnswer, error) {
	return PrecreateAnswer{r.OutTradeNo, "https://pay.example/q/abc"}, d.see(ctx, who, r, r.OutTradeNo)
}

func (d *fake) Create(ctx context.Context, who Caller, r CreateRequest) (CreateAnswer, error) {
	return CreateAnswer{tradeNo, r.OutTradeNo}, d.see(ctx, who, r, r.OutTradeNo)
}

func (d *fake) Open(ctx context.Context, who Caller, r OpenRequest) (OpenAnswer, error) {
	return OpenAnswer{tradeNo, r.OutTradeNo, r.Total, payURL}, d.see(ctx, who, r, r.OutTradeNo)
}

func (d *fake) Query(ctx context.Context, who Caller, r TradeRef) (Trade, error) {
	return Trade{tradeNo, r.OutTradeNo, TradeSuccess, customer, "PRIVATE", 990, 990, 990, paidAt, Place{Store: "s1"}, fromCash}, d.see(ctx, who, r, r.number())
}

func (d *fake) Cancel(ctx context.Context, who Caller, r CancelRequest) (CancelAnswer, error) {
	if r.number() == "nobody" {
		return CancelAnswer{OutTradeNo: "nobody"}, nil
	}
	return CancelAnswer{tradeNo, r.OutTradeNo, "refund"}, d.see(ctx, who, r, r.number())
}

func (d *fake) Close(ctx context.Context, who Caller, r CloseRequest) (CloseAnswer, error) {
	return CloseAnswer{tradeNo, r.OutTradeNo}, d.see(ctx, who, r, r.number())
}

func (d *fake) Refund(ctx context.Context, who Caller, r RefundRequest) (RefundAnswer, error) {
	return RefundAnswer{tradeNo, r.OutTradeNo, customer, true, 300, r.Amount, paidAt, nil}, d.see(ctx, who, r, r.number())
}

func (d *fake) RefundQuery(ctx context.Context, who Caller, r RefundQueryRequest) (RefundQueryAnswer, error) {
	return RefundQueryAnswer{r.RequestNo != "nobody", tradeNo, r.OutTradeNo, r.RequestNo, 990, 100, "", time.Time{}, nil}, d.see(ctx, who, r, r.number())
}

func (d *fake) Settle(ctx context.Context, who Caller, r SettleRequest) (SettleAnswer, error) {
	return SettleAnswer{r.TradeNo, "S1"}, d.see(ctx, who, r, r.RequestNo)
}

func (d *fake) Transfer(ctx context.Context, who Caller, r TransferRequest) (TransferAnswer, error) {
	return TransferAnswer{r.OutBizNo, "T1", "F1", "SUCCESS", paidAt}, d.see(ctx, who, r, r.OutBizNo)
}

func (d *fake) TransferQuery(ctx context.Context, who Caller, r TransferQueryRequest) (TransferQueryAnswer, error) {
	return TransferQueryAnswer{OutBizNo: r.OutBizNo, OrderID: "T1", FundOrderID: "F1", Amount: 1234, Status: "SUCCESS", At: paidAt},
		d.see(ctx, who, r, r.OutBizNo+r.OrderID+r.FundOrderID)
}

func (d *fake) Balance(ctx context.Context, who Caller, r BalanceRequest) (BalanceAnswer, error) {
	return BalanceAnswer{123456, 5}, d.see(ctx, who, r, r.UserID)
}

func (d *fake) Freeze(ctx context.Context, who Caller, r FreezeRequest) (HoldAnswer, error) {
	status := "SUCCESS"
	if pending(r.OutOrderNo) {
		status = "INIT"
	}
	return HoldAnswer{"A1", r.OutOrderNo, "O1", r.RequestNo, r.Amount, status, customer, paidAt}, d.see(ctx, who, r, r.OutOrderNo)
}

func (d *fake) Unfreeze(ctx context.Context, who Caller, r UnfreezeRequest) (HoldAnswer, error) {
	return HoldAnswer{r.AuthNo, "H1", "O2", r.RequestNo, r.Amount, "SUCCESS", customer, paidAt}, d.see(ctx, who, r, r.RequestNo)
}

func (d *fake) AuthQuery(ctx context.Context, who Caller, r AuthQueryRequest) (AuthQueryAnswer, error) {
	return AuthQueryAnswer{
		"A1", "H1", "O1", "Q1", "hotel", "AUTHORIZED", 500, 400, 100, "FREEZE", "SUCCESS", 500, customer, paidAt, paidAt,
	}, d.see(ctx, who, r, r.AuthNo+r.OutOrderNo)
}

func (d *fake) OAuthToken(ctx context.Context, who Caller, r OAuthTokenRequest) (OAuthTokenAnswer, error) {
	return OAuthTokenAnswer{NewSecret("access-1"), NewSecret("refresh-1"), 15 * 24 * time.Hour, 30 * 24 * time.Hour, paidAt, buyer, "", ""},
		d.see(ctx, who, r, r.Code.Reveal()+r.Refresh.Reveal())
}

func (d *fake) UserInfo(ctx context.Context, who Caller, r UserInfoRequest) (UserInfoAnswer, error) {
	return UserInfoAnswer{UserID: buyer, NickName: "小王", Gender: "F", Certified: true, UserType: "2", UserStatus: "T"}, d.see(ctx, who, r, r.Token.Reveal())
}

func (d *fake) BillURL(ctx context.Context, who Caller, r BillURLRequest) (BillURLAnswer, error) {
	return BillURLAnswer{"https://pay.example/bill/x", r.Monthly}, d.see(ctx, who, r, r.SubMerchant)
}

// newGateway makes a gateway at testNow.
func newGateway(t testing.TB, change func(*Config)) (*Gateway, *fake) {
	t.Helper()
	d := newFake()
	c := Config{Desk: d, Apps: d, Key: platformKey(), Now: func() time.Time { return testNow }}
	if change != nil {
		change(&c)
	}
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g, d
}
