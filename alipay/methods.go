package alipay

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// method is one row of the table: what the gateway knows about one API name.
type method struct {
	name     string
	products Products // any of them permits it
	v3       string   // HTTP method of /v3/..., "" when v3 does not have it
	invalid  string   // sub_code of a bad parameter
	topLevel bool     // its parameters stand beside biz_content, not in it
	page     bool     // a browser brings it: errors are HTML, the answer a redirect
	bare     bool     // no code and msg in a success, and error_response for a failure
	run      handler
}

// handler reads the parameters of a call, has the desk do it and writes the answer. On an error it writes what is known of the
// call all the same.
type handler func(ctx context.Context, d Desk, who Caller, f *fields, a *answer) (result, error)

// result is what the envelope has to know of an answer.
type result struct {
	pending  bool   // 10003: the customer has to confirm
	redirect string // of a page
}

// methods is the table. A row is all there is to a method: a name that is not here does not exist.
var methods = []method{
	{name: "alipay.trade.pay", products: FaceToFace | PreAuth, v3: http.MethodPost, invalid: invalidTrade, run: handle(readPay, Desk.Pay, writePay, refusedPay)},
	{name: "alipay.trade.precreate", products: FaceToFace, v3: http.MethodPost, invalid: invalidTrade, run: handle(readPrecreate, Desk.Precreate, writePrecreate, nil)},
	{name: "alipay.trade.create", products: Order | FaceToFace, v3: http.MethodPost, invalid: invalidTrade, run: handle(readCreate, Desk.Create, writeCreate, nil)},
	{name: "alipay.trade.page.pay", products: WebPay, invalid: invalidTrade, page: true, run: handle(readPage, Desk.Open, writeOpen, nil)},
	{name: "alipay.trade.wap.pay", products: WapPay, invalid: invalidTrade, page: true, run: handle(readWap, Desk.Open, writeOpen, nil)},
	{name: "alipay.trade.app.pay", products: AppPay, invalid: invalidTrade, run: handle(readApp, Desk.Open, writeOpen, nil)},
	{name: "alipay.trade.query", products: anyTrade, v3: http.MethodPost, invalid: invalidTrade, run: handle(readRef, Desk.Query, writeTrade, nil)},
	{name: "alipay.trade.cancel", products: anyTrade, v3: http.MethodPost, invalid: invalidTrade, run: handle(readCancel, Desk.Cancel, writeCancel, refusedCancel)},
	{name: "alipay.trade.close", products: anyTrade, v3: http.MethodPost, invalid: invalidTrade, run: handle(readClose, Desk.Close, writeClose, nil)},
	{name: "alipay.trade.refund", products: anyTrade, v3: http.MethodPost, invalid: invalidTrade, run: handle(readRefund, Desk.Refund, writeRefund, nil)},
	{name: "alipay.trade.fastpay.refund.query", products: anyTrade, v3: http.MethodPost, invalid: invalidTrade, run: handle(readRefundQuery, Desk.RefundQuery, writeRefundQuery, nil)},
	{name: "alipay.trade.order.settle", products: Royalty, v3: http.MethodPost, invalid: invalidTrade, run: handle(readSettle, Desk.Settle, writeSettle, nil)},
	{name: "alipay.fund.trans.uni.transfer", products: Payout, v3: http.MethodPost, invalid: invalidFund, run: handle(readTransfer, Desk.Transfer, writeTransfer, nil)},
	{name: "alipay.fund.trans.common.query", products: Payout, v3: http.MethodGet, invalid: invalidFund, run: handle(readTransferQuery, Desk.TransferQuery, writeTransferQuery, nil)},
	{name: "alipay.fund.account.query", products: Account, v3: http.MethodGet, invalid: invalidFund, run: handle(readBalance, Desk.Balance, writeBalance, nil)},
	{name: "alipay.fund.auth.order.freeze", products: PreAuth, v3: http.MethodPost, invalid: invalidHold, run: handle(readFreeze, Desk.Freeze, writeFreeze, nil)},
	{name: "alipay.fund.auth.order.unfreeze", products: PreAuth, v3: http.MethodPost, invalid: invalidHold, run: handle(readUnfreeze, Desk.Unfreeze, writeUnfreeze, nil)},
	{name: "alipay.fund.auth.operation.detail.query", products: PreAuth, v3: http.MethodPost, invalid: invalidHold, run: handle(readAuthQuery, Desk.AuthQuery, writeAuthQuery, nil)},
	{name: "alipay.data.dataservice.bill.downloadurl.query", products: Bill, v3: http.MethodGet, invalid: invalidBill, run: handle(readBill, Desk.BillURL, writeBill, nil)},
	{name: "alipay.system.oauth.token", products: SignIn, v3: http.MethodPost, invalid: invalidToken, topLevel: true, bare: true, run: handle(readOAuthToken, Desk.OAuthToken, writeOAuthToken, nil)},
	{name: "alipay.user.info.share", products: SignIn, v3: http.MethodPost, invalid: invalidUser, topLevel: true, run: handle(readUserInfo, Desk.UserInfo, writeUserInfo, nil)},
}

// Each family of methods has its own name for a bad parameter.
const (
	invalidTrade = "ACQ.INVALID_PARAMETER"
	invalidFund  = "INVALID_PARAMETER"
	invalidHold  = "ILLEGAL_ARGUMENT"
	invalidBill  = "INVAILID_ARGUMENTS"
	invalidToken = "isv.invalid-parameter"
	invalidUser  = "isv.invalid-parameter"
)

// handle joins what a row is made of. refused, if there is one, writes what the merchant gets to know beside the refusal.
func handle[Q, A any](read func(*fields) Q, do func(Desk, context.Context, Caller, Q) (A, error), write func(*answer, A) result,
	refused func(*answer, Q, error),
) handler {
	return func(ctx context.Context, d Desk, who Caller, f *fields, a *answer) (result, error) {
		q := read(f)
		err := f.err
		if err == nil {
			var made A
			if made, err = guarded(ctx, d, who, q, do); err == nil {
				return write(a, made), nil
			}
		}
		if refused != nil {
			refused(a, q, err)
		}
		return result{}, err
	}
}

// guarded asks the desk. A panic of it is an unknown outcome: one bad request ends alone.
func guarded[Q, A any](ctx context.Context, d Desk, who Caller, q Q, do func(Desk, context.Context, Caller, Q) (A, error)) (made A, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the desk panicked: %v", v)
		}
	}()
	return do(d, ctx, who, q)
}

// index finds rows by name and by v3 path.
type index struct {
	byName, byPath map[string]*method
}

func newIndex() index {
	ix := index{map[string]*method{}, map[string]*method{}}
	for i := range methods {
		m := &methods[i]
		ix.byName[m.name] = m
		if m.v3 != "" {
			ix.byPath["/v3/"+strings.ReplaceAll(m.name, ".", "/")] = m
		}
	}
	return ix
}
