package desk

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"holdfast"
	"holdfast/alipay"
	"holdfast/pay"
)

// Freeze implements alipay.Holds.
func (d *Desk) Freeze(ctx context.Context, who alipay.Caller, r alipay.FreezeRequest) (a alipay.HoldAnswer, err error) {
	if err := d.payee(ctx, who, &r); err != nil {
		return a, err
	}
	_, err = d.cashier.OpenAuth(ctx, pay.AuthAsk{
		Merchant: who.Merchant, OutOrderNo: r.OutOrderNo, Request: r.RequestNo, Title: r.Title, Asset: cny, Amount: r.Amount,
		Until: holdfast.TimeOf(r.Expires), App: who.App.ID, Notify: r.NotifyURL,
	}, at(who))
	if err != nil {
		return a, holding.tell(err)
	}
	_, err = d.cashier.Authorize(ctx, who.Merchant, r.OutOrderNo, 0, r.AuthCode.Reveal(), at(who))
	switch code := why(err); {
	case code == pay.AuthPayerDiffers || code == pay.AuthStateWrong:
		return a, d.notFrozen(ctx, who, r.OutOrderNo, err)
	case err != nil:
		return a, holding.tell(err)
	}
	return d.operation(ctx, who, r.OutOrderNo, r.RequestNo)
}

// payee checks that a payee who is named is the one for whom the app asks.
func (d *Desk) payee(ctx context.Context, who alipay.Caller, r *alipay.FreezeRequest) (err error) {
	o := who.Merchant
	switch {
	case r.PayeeUser != "":
		o, err = d.someone(ctx, who, byNumber, r.PayeeUser, "PAYEE_NOT_EXIST")
	case r.PayeeLogon != "":
		o, err = d.someone(ctx, who, byAlias, r.PayeeLogon, "PAYEE_NOT_EXIST")
	}
	if err == nil && o != who.Merchant {
		err = refusal("PAYEE_NOT_EXIST", "收款方不存在 (the payee has to be the merchant: leave payee_user_id and payee_logon_id out)")
	}
	return err
}

// notFrozen tells why a code was not taken for a hold: somebody else's money is frozen, or the time is over.
func (d *Desk) notFrozen(ctx context.Context, who alipay.Caller, order string, err error) error {
	v, unsure := d.cashier.QueryAuth(ctx, who.Merchant, order, at(who))
	switch {
	case unsure != nil:
		return unsure
	case v.Rest+v.Paid > 0:
		return refusal("FREEZE_ALREADY_SUCCESS")
	}
	return releasedHold(v.Status, err)
}

// releasedHold tells of a hold that is over in the words there are for that.
func releasedHold(s pay.AuthStatus, err error) error {
	switch s {
	case pay.AuthClosed:
		return refusal("ORDER_ALREADY_CLOSED")
	case pay.AuthFinish:
		return refusal("ORDER_ALREADY_FINISH")
	}
	return holding.tell(err)
}

// operation answers with a freeze or unfreeze that has been done.
func (d *Desk) operation(ctx context.Context, who alipay.Caller, order, request string) (a alipay.HoldAnswer, err error) {
	v, op, found, err := d.cashier.QueryAuthOperation(ctx, who.Merchant, order, request, at(who))
	if err == nil && !found {
		err = fmt.Errorf("an operation that was done is not found")
	}
	return alipay.HoldAnswer{
		AuthNo: v.AuthNo, OutOrderNo: order, OperationID: operationID(v.AuthNo, request), RequestNo: request, Amount: op.Amount, Status: "SUCCESS",
		Payer: d.customer(who.App.ID, v.Payer), At: clocked(op.At),
	}, err
}

// operationID is the platform's number of an operation: date and merchant of the hold, and 13 digits of a hash. It is found among the operations of
// its hold.
func operationID(authNo, request string) string {
	if len(authNo) < 19 {
		return ""
	}
	sum := sha256.Sum256([]byte("operation " + authNo + " " + request))
	return fmt.Sprintf("%s%013d", authNo[:19], binary.BigEndian.Uint64(sum[:])%10_000_000_000_000)
}

// Unfreeze implements alipay.Holds.
func (d *Desk) Unfreeze(ctx context.Context, who alipay.Caller, r alipay.UnfreezeRequest) (a alipay.HoldAnswer, err error) {
	order, err := d.cashier.OwnAuth(ctx, who.Merchant, r.AuthNo)
	if err != nil {
		return a, holding.tell(err)
	}
	v, err := d.cashier.Unfreeze(ctx, who.Merchant, order, r.RequestNo, r.Amount, r.Remark, at(who))
	switch code := why(err); {
	case code == pay.AuthTooMuch || code == pay.AuthStateWrong:
		return a, releasedHold(v.Status, err)
	case err != nil:
		return a, holding.tell(err)
	}
	return d.operation(ctx, who, order, r.RequestNo)
}

// AuthQuery implements alipay.Holds.
func (d *Desk) AuthQuery(ctx context.Context, who alipay.Caller, r alipay.AuthQueryRequest) (a alipay.AuthQueryAnswer, err error) {
	order := r.OutOrderNo
	if r.AuthNo != "" {
		if order, err = d.cashier.OwnAuth(ctx, who.Merchant, r.AuthNo); err != nil {
			return a, holding.tell(err)
		}
	}
	request, err := d.request(ctx, who, order, &r)
	if err != nil {
		return a, holding.tell(err)
	}
	v, op, found, err := d.cashier.QueryAuthOperation(ctx, who.Merchant, order, request, at(who))
	if err != nil {
		return a, holding.tell(err)
	}
	a = alipay.AuthQueryAnswer{
		AuthNo: v.AuthNo, OutOrderNo: order, OperationID: operationID(v.AuthNo, cmp.Or(op.Number, request)), RequestNo: cmp.Or(op.Known, request), Title: v.Title,
		OrderStatus: v.Status.String(), Rest: v.Rest, Paid: v.Paid, OperationType: "FREEZE", Status: "SUCCESS", Amount: op.Amount,
		Payer: d.customer(who.App.ID, v.Payer), Created: clocked(v.Created), At: clocked(op.At),
	}
	switch {
	case found && op.Unfreeze:
		a.OperationType, a.Frozen = "UNFREEZE", v.Amount
	case found:
		a.Frozen = v.Amount
	case request == v.Request: // asked for, and nothing is frozen yet, or will be
		a.Status, a.Amount, a.Payer = v.Status.String(), v.Amount, alipay.Customer{}
	default:
		return alipay.AuthQueryAnswer{}, refusal("AUTH_OPERATION_NOT_EXIST")
	}
	return a, nil
}

// request is the merchant's number of the operation that is meant.
func (d *Desk) request(ctx context.Context, who alipay.Caller, order string, r *alipay.AuthQueryRequest) (string, error) {
	if r.OperationID == "" {
		return r.RequestNo, nil
	}
	v, err := d.cashier.QueryAuth(ctx, who.Merchant, order, at(who))
	if err != nil {
		return "", err
	}
	request, err := d.cashier.FindAuthOperation(ctx, who.Merchant, order, func(request string) bool {
		return operationID(v.AuthNo, request) == r.OperationID
	}, at(who))
	if err == nil && request == "" {
		err = refusal("AUTH_OPERATION_NOT_EXIST")
	}
	return request, err
}
