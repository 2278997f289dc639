package desk

import (
	"errors"

	"holdfast/alipay"
	"holdfast/pay"
)

// family is a group of methods whose refusals have the same names.
type family uint8

const (
	trading   family = iota // pay, precreate, create, the pages, query
	refunding               // refund, cancel
	closing
	settling
	sending // transfers and balances
	holding // pre-authorisations
	families
)

// words are the sub_codes of one refusal, by family. What is empty in refunding, closing and settling is as in trading.
type words [families]string

// told is the table of refusals: what pay calls it, and how merchants know it. Refusals that no method of a family can meet have the family's name for a
// request that is wrong.
var told = map[pay.Code]words{
	pay.AmountInvalid:      {"ACQ.TOTAL_FEE_EXCEED", "ACQ.REFUND_FEE_ERROR", "", "ACQ.ALLOC_AMOUNT_VALIDATE_ERROR", "EXCEED_LIMIT_SM_AMOUNT", wrongHold},
	pay.NumberInvalid:      wrong,
	pay.FieldInvalid:       wrong,
	pay.AssetInvalid:       {"ACQ.SELLER_NOT_EXIST", "", "", "", "ALIPAY_ACCOUNT_NOT_EXIST", "PAYEE_NOT_EXIST"},
	pay.TimeInvalid:        {"ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR", "", "", "", wrongFund, wrongHold},
	pay.TooMany:            wrong,
	pay.OwnerNotIssued:     wrong,
	pay.AliasInvalid:       {"ACQ.BUYER_NOT_EXIST", "", "", "ACQ.ROYALTY_ACCOUNT_NOT_EXIST", "PAYEE_NOT_EXIST", "PAYEE_NOT_EXIST"},
	pay.AliasTaken:         wrong,
	pay.AliasUnknown:       {"ACQ.BUYER_NOT_EXIST", "", "", "ACQ.ROYALTY_ACCOUNT_NOT_EXIST", "PAYEE_NOT_EXIST", "PAYEE_NOT_EXIST"},
	pay.CustomerUnknown:    {"ACQ.BUYER_NOT_EXIST", "", "", "ACQ.ROYALTY_ACCOUNT_NOT_EXIST", "PAYEE_NOT_EXIST", "PAYER_NOT_EXIST"},
	pay.CustomerExists:     wrong,
	pay.WalletMissing:      {"ACQ.NO_PAYMENT_INSTRUMENTS_AVAILABLE", "", "", "ACQ.ROYALTY_ACCOUNT_NOT_EXIST", "PAYEE_NOT_EXIST", "PAYER_NOT_EXIST"},
	pay.WalletBlocked:      {"ACQ.BUYER_ENABLE_STATUS_FORBID", "", "", "ACQ.ROYALTY_RECEIVER_INVALID", "PERMIT_CHECK_PERM_LIMITED", "ACCESS_FORBIDDEN"},
	pay.BalanceNotEnough:   {"ACQ.BUYER_BALANCE_NOT_ENOUGH", "", "", "ACQ.TXN_RESULT_ACCOUNT_BALANCE_NOT_ENOUGH", "PAYER_BALANCE_NOT_ENOUGH", "MONEY_NOT_ENOUGH"},
	pay.LimitPayment:       {failed, "", "", "", "EXCEED_LIMIT_SM_AMOUNT", "ACCESS_FORBIDDEN"},
	pay.LimitDay:           {"ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR", "", "", "", "EXCEED_LIMIT_DM_AMOUNT", "ACCESS_FORBIDDEN"},
	pay.LimitMonth:         {"ACQ.BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR", "", "", "", "EXCEED_LIMIT_MM_AMOUNT", "ACCESS_FORBIDDEN"},
	pay.MerchantUnknown:    {"ACQ.SELLER_NOT_EXIST", "", "", "", "NO_ACCOUNT_PAYMENT_PERMISSION", "PAYEE_NOT_EXIST"},
	pay.MerchantExists:     wrong,
	pay.AppUnknown:         {"ACQ.PARTNER_ERROR", "", "", "", wrongFund, wrongHold},
	pay.ShopUnknown:        {"ACQ.INVALID_STORE_ID", "", "", "", wrongFund, wrongHold},
	pay.SellerBlocked:      {"ACQ.SELLER_BEEN_BLOCKED", "", "", "ACQ.TRADE_SETTLE_ERROR", "NO_ACCOUNT_PAYMENT_PERMISSION", "ACCESS_FORBIDDEN"},
	pay.SellerBalance:      {"ACQ.SELLER_BALANCE_NOT_ENOUGH", "", "", "ACQ.TXN_RESULT_ACCOUNT_BALANCE_NOT_ENOUGH", "PAYER_BALANCE_NOT_ENOUGH", "MONEY_NOT_ENOUGH"},
	pay.SellerIsBuyer:      {"ACQ.BUYER_SELLER_EQUAL", "", "", "ACQ.ROYALTY_ACCOUNTS_EQUAL", "PAYER_PAYEE_CANNOT_SAME", "PAYER_PAYEE_EQUAL"},
	pay.TradeUnknown:       {"ACQ.TRADE_NOT_EXIST", "", "", "", "ORDER_NOT_EXIST", "AUTH_ORDER_NOT_EXIST"},
	pay.TradeDiffers:       {"ACQ.CONTEXT_INCONSISTENT", "", "", "", inconsistent, "UNIQUE_VIOLATION"},
	pay.BuyerDiffers:       {"ACQ.TRADE_BUYER_NOT_MATCH", "", "", "", wrongFund, "UNIQUE_VIOLATION"},
	pay.TradePaid:          {"ACQ.TRADE_HAS_SUCCESS", "", "ACQ.REASON_TRADE_STATUS_INVALID", "", wrongFund, "ILLEGAL_STATUS"},
	pay.TradeClosed:        {"ACQ.TRADE_HAS_CLOSE", "", "ACQ.REASON_TRADE_STATUS_INVALID", "ACQ.ILLEGAL_SETTLE_STATE", wrongFund, "ILLEGAL_STATUS"},
	pay.TradeFinished:      {"ACQ.TRADE_HAS_FINISHED", "", "ACQ.REASON_TRADE_STATUS_INVALID", "ACQ.ILLEGAL_SETTLE_STATE", wrongFund, "ILLEGAL_STATUS"},
	pay.TradeNotPaid:       {"ACQ.TRADE_STATUS_ERROR", "", "", "", wrongFund, "ILLEGAL_STATUS"},
	pay.TradeStatus:        {"ACQ.TRADE_STATUS_ERROR", "", "ACQ.REASON_TRADE_STATUS_INVALID", "", wrongFund, "ILLEGAL_STATUS"},
	pay.TradeExpired:       {"ACQ.TRADE_HAS_CLOSE", "", "", "", wrongFund, "ORDER_ALREADY_CLOSED"},
	pay.RefundTooMuch:      {"ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "", "", "", wrongFund, "REQUEST_AMOUNT_EXCEED"},
	pay.RequestDiffers:     {"ACQ.DISCORDANT_REPEAT_REQUEST", "", "", "", inconsistent, "UNIQUE_VIOLATION"},
	pay.SplitTooMuch:       {"ACQ.ALLOC_AMOUNT_VALIDATE_ERROR", "", "", "", wrongFund, "REQUEST_AMOUNT_EXCEED"},
	pay.SplitFinished:      {"ACQ.ALREADY_FINISH_ALLOC", "", "", "", wrongFund, "ILLEGAL_STATUS"},
	pay.ReceiverInvalid:    {"ACQ.ROYALTY_RECEIVER_INVALID", "", "", "", "PAYEE_NOT_EXIST", "PAYEE_NOT_EXIST"},
	pay.NotEscrow:          {"ACQ.TRADE_STATUS_ERROR", "", "", "", wrongFund, "ILLEGAL_STATUS"},
	pay.EscrowStatus:       {"ACQ.TRADE_STATUS_ERROR", "", "", "ACQ.ILLEGAL_SETTLE_STATE", wrongFund, "ILLEGAL_STATUS"},
	pay.EscrowDisputed:     {"ACQ.REASON_TRADE_BEEN_FREEZEN", "", "", "ACQ.ILLEGAL_SETTLE_STATE", wrongFund, "ILLEGAL_STATUS"},
	pay.EscrowTooMuch:      {"ACQ.REFUND_FEE_ERROR", "", "", "ACQ.ALLOC_AMOUNT_VALIDATE_ERROR", wrongFund, "REQUEST_AMOUNT_EXCEED"},
	pay.CodeWrong:          {"ACQ.PAYMENT_AUTH_CODE_INVALID", "", "", "", wrongFund, "PAYMENT_AUTH_CODE_INVALID"},
	pay.TooManyCodes:       {limited, "", "", "", limited, limited},
	pay.CodeUsed:           {"ACQ.PAYMENT_AUTH_CODE_INVALID", "", "", "", wrongFund, "PAYMENT_AUTH_CODE_INVALID"},
	pay.TokenUnknown:       wrong,
	pay.GrantUnknown:       wrong,
	pay.GrantExpired:       wrong,
	pay.GrantReplaced:      wrong,
	pay.GrantOfOther:       wrong,
	pay.AuthUnknown:        {"ACQ.AUTH_NO_ERROR", "", "", "", wrongFund, "AUTH_ORDER_NOT_EXIST"},
	pay.AuthStateWrong:     {"ACQ.AUTH_NO_ERROR", "", "", "", wrongFund, "ILLEGAL_STATUS"},
	pay.AuthTooMuch:        {"ACQ.AUTH_AMOUNT_NOT_ENOUGH", "", "", "", wrongFund, "REQUEST_AMOUNT_EXCEED"},
	pay.AuthPayerDiffers:   {"ACQ.AUTH_NO_ERROR", "", "", "", wrongFund, "UNIQUE_VIOLATION"},
	pay.PayeeUnknown:       {failed, "", "", "ACQ.ROYALTY_ACCOUNT_NOT_EXIST", "PAYEE_NOT_EXIST", "PAYEE_NOT_EXIST"},
	pay.PayeeIsPayer:       {"ACQ.BUYER_SELLER_EQUAL", "", "", "ACQ.ROYALTY_ACCOUNTS_EQUAL", "PAYER_PAYEE_CANNOT_SAME", "PAYER_PAYEE_EQUAL"},
	pay.PayeeBlocked:       {failed, "", "", "ACQ.ROYALTY_RECEIVER_INVALID", "PERMIT_CHECK_PERM_LIMITED", "ACCESS_FORBIDDEN"},
	pay.OrderUnknown:       {"ACQ.TRADE_NOT_EXIST", "", "", "", "ORDER_NOT_EXIST", "AUTH_ORDER_NOT_EXIST"},
	pay.OrderStateWrong:    wrong,
	pay.DayNotOver:         wrong,
	pay.EventUnknown:       wrong,
	pay.CaseUnknown:        wrong,
	pay.CaseClosedBefore:   wrong,
	pay.EndpointUnknown:    wrong,
	pay.DeliveryUnknown:    wrong,
	pay.LedgerRefused:      {failed, "", "", "ACQ.TRADE_SETTLE_ERROR", "PERMIT_CHECK_PERM_LIMITED", "ACCESS_FORBIDDEN"},
	pay.KeyRevoked:         wrong,
	pay.TradeTokenConflict: {"ACQ.APPLY_PC_MERCHANT_CODE_ERROR", "", "", "", wrongFund, wrongHold},
}

// What a request that is wrong is called in each family, and a payment that failed for a reason without a name of its own.
const (
	wrongTrade   = "ACQ.INVALID_PARAMETER"
	wrongFund    = "INVALID_PARAMETER"
	wrongHold    = "ILLEGAL_ARGUMENT"
	failed       = "ACQ.PAYMENT_FAIL"
	limited      = "isv.app-call-limited"
	inconsistent = "PAYMENT_INFO_INCONSISTENCY"
)

var wrong = words{wrongTrade, "", "", "", wrongFund, wrongHold}

// vague are the sub_codes that stand for many refusals: with them pay's own words are told, after those that merchants know.
var vague = map[string]string{
	wrongTrade: "参数无效", limited: "应用调用次数超限", wrongFund: "参数有误", wrongHold: "参数异常", failed: "支付失败", "ACQ.TRADE_SETTLE_ERROR": "分账失败",
	"ACQ.DISCORDANT_REPEAT_REQUEST": "请求信息不一致", inconsistent: "两次请求信息不一致", "UNIQUE_VIOLATION": "违反唯一性约束",
	"ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR": "订单已超时", "PERMIT_CHECK_PERM_LIMITED": "用户权限受限", "ACCESS_FORBIDDEN": "无权限使用接口", "ILLEGAL_STATUS": "状态非法", "ACQ.TRADE_STATUS_ERROR": "交易状态不合法",
}

// tell turns a refusal of pay into one of the family. Any other error stays what it is: the outcome is not known.
func (f family) tell(err error) error {
	var r *pay.Refusal
	if !errors.As(err, &r) {
		return err
	}
	row, known := told[r.Code]
	if !known {
		row = wrong
	}
	code := row[f]
	if code == "" {
		code = row[trading]
	}
	text := ""
	if chinese, ok := vague[code]; ok {
		text = chinese + " (" + named(r) + ")"
	}
	return &alipay.Refusal{SubCode: code, Text: text}
}

// single is tell for what is one transaction: if others changed the same records each time before it came, it was not executed, and that is said. Of
// what takes several steps some may have been.
func (f family) single(err error) error {
	if errors.Is(err, pay.ErrBusy) {
		return refusal("isv.app-call-limited", "应用调用次数超限 (too much at once for one account, nothing was executed: send the same request again)")
	}
	return f.tell(err)
}

// named is what pay says, with the field at fault before it.
func named(r *pay.Refusal) string {
	if r.Field == "" {
		return r.Text
	}
	return r.Field + ": " + r.Text
}

// refusal is one with the words of the table, or of its own.
func refusal(subCode string, text ...string) error {
	r := &alipay.Refusal{SubCode: subCode}
	if len(text) > 0 {
		r.Text = text[0]
	}
	return r
}

// why is the code of a refusal of pay; "" for no error and any other.
func why(err error) pay.Code {
	var r *pay.Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}
