package desk

import (
	"context"
	"errors"
	"fmt"

	"holdfast"
	"holdfast/alipay"
	"holdfast/pay"
)

// payees are the ways in which transfers name who gets the money.
var payees = map[string]string{"ALIPAY_USER_ID": byNumber, "ALIPAY_LOGON_ID": byAlias, "ALIPAY_OPEN_ID": byOpenID}

// Transfer implements alipay.Funds: from the merchant's settlement account into a customer's wallet, at once. The name of the payee is not
// compared: the platform does not know names.
func (d *Desk) Transfer(ctx context.Context, who alipay.Caller, r alipay.TransferRequest) (a alipay.TransferAnswer, err error) {
	kind, ok := payees[r.PayeeType]
	if !ok || r.Product == "TRANS_BANKCARD_NO_PWD" || r.Scene != "DIRECT_TRANSFER" {
		return a, refusal("PRODUCT_NOT_SIGN", "产品未签约 (this gateway transfers to wallets: send biz_scene DIRECT_TRANSFER, and no bank card)")
	}
	to, err := d.someone(ctx, who, kind, r.Payee, "PAYEE_NOT_EXIST")
	if err != nil {
		return a, err
	}
	text := r.Title
	if text == "" {
		text = r.Remark
	}
	o, err := d.cashier.Transfer(ctx, pay.TransferAsk{
		From: who.Merchant, Number: r.OutBizNo, To: to, Asset: cny, Amount: r.Amount, Text: text, Business: true,
		Class: classOf(r.Product, r.Scene),
	}, at(who))
	if err != nil {
		return a, sending.single(fieldNamed(err, transferFields))
	}
	no := pay.TransferNo(who.Merchant, r.OutBizNo, o.At)
	return alipay.TransferAnswer{OutBizNo: r.OutBizNo, OrderID: no, FundOrderID: no, Status: "SUCCESS", At: clocked(o.Changed)}, nil
}

// transferFields are the names of what a transfer is asked for at the gateway.
var transferFields = map[string]string{"to": "payee_info", "amount": "trans_amount", "text": "order_title", "class": "product_code or biz_scene"}

// classOf is how pay remembers product and scene of a transfer.
func classOf(product, scene string) string { return product + "/" + scene }

// fieldNamed gives the field of a refusal the name that it has in the request.
func fieldNamed(err error, names map[string]string) error {
	var r *pay.Refusal
	if !errors.As(err, &r) || names[r.Field] == "" {
		return err
	}
	named := *r
	named.Field = names[r.Field]
	return &named
}

// TransferQuery implements alipay.Funds. The platform has one number for a transfer, which stands for order_id and pay_fund_order_id. A number of the
// merchant's own is one of a product and scene: with others it is unknown. One that was not asked for here has none, and is found with any.
func (d *Desk) TransferQuery(ctx context.Context, who alipay.Caller, r alipay.TransferQueryRequest) (a alipay.TransferQueryAnswer, err error) {
	n := r.OutBizNo
	if no := r.OrderID + r.FundOrderID; no != "" { // one of the two is empty
		var from holdfast.Owner
		from, n, err = d.cashier.FindTransfer(ctx, no)
		if err == nil && from != who.Merchant {
			err = refusal("NO_ORDER_PERMISSION")
		}
		if err != nil {
			return a, sending.tell(err)
		}
	}
	o, err := d.cashier.QueryTransfer(ctx, who.Merchant, n)
	if err == nil && r.OutBizNo != "" && o.Class != "" && o.Class != classOf(r.Product, r.Scene) {
		err = refusal("ORDER_NOT_EXIST")
	}
	if err != nil {
		return a, sending.tell(err)
	}
	no := pay.TransferNo(who.Merchant, n, o.At)
	return alipay.TransferQueryAnswer{OutBizNo: n, OrderID: no, FundOrderID: no, Amount: o.Amount, Status: "SUCCESS", At: clocked(o.Changed)}, nil
}

// Balance implements alipay.Funds: what the merchant can spend, and what is kept for open escrows and splits or is on its way to his bank.
func (d *Desk) Balance(ctx context.Context, who alipay.Caller, r alipay.BalanceRequest) (a alipay.BalanceAnswer, err error) {
	if r.AccountType != "ACCTRANS_ACCOUNT" {
		return a, refusal("ALIPAY_ACCOUNT_NOT_EXIST", "账户不存在 (a merchant has one account here: send account_type ACCTRANS_ACCOUNT, or leave it out)")
	}
	if r.UserID != "" && r.UserID != who.Merchant.String() {
		return a, refusal("NO_PERMISSION_ACCOUNT")
	}
	if o, ok := d.names.owner(who.App.ID, r.OpenID); r.OpenID != "" && (!ok || o != who.Merchant) {
		return a, refusal("NO_PERMISSION_ACCOUNT")
	}
	for _, row := range []struct {
		of   holdfast.Purpose
		into *holdfast.Amount
	}{{pay.Settlement, &a.Available}, {pay.Escrow, &a.Frozen}, {pay.Royalty, &a.Frozen}, {pay.Outgoing, &a.Frozen}} {
		v, found, err := d.cashier.Books.Account(ctx, holdfast.AccountID{Owner: who.Merchant, Purpose: row.of, Asset: cny})
		switch {
		case err != nil:
			return a, err
		case !found:
			return a, refusal("ALIPAY_ACCOUNT_NOT_EXIST")
		}
		sum, ok := row.into.Add(v.Available())
		if !ok {
			return a, fmt.Errorf("the balance of %v does not fit into an amount", who.Merchant)
		}
		*row.into = sum
	}
	return a, nil
}
