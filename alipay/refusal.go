package alipay

import (
	"context"
	"errors"
	"strings"
)

// Refusal is an error that means: nothing was executed, and nothing will be. The merchant reads its sub_code and text.
type Refusal struct {
	SubCode string // from the tables of the protocol, for example ACQ.TRADE_NOT_EXIST
	Text    string // sub_msg: what to do. "": the text of the table
}

func (r *Refusal) Error() string { return r.SubCode + ": " + r.text() }

func (r *Refusal) text() string {
	if r.Text != "" {
		return r.Text
	}
	if known, ok := subCodes[r.SubCode]; ok {
		return known.text
	}
	return "业务被拒绝 (refused; nothing was executed)"
}

// refuse is a refusal with the text of the table.
func refuse(subCode string) *Refusal { return &Refusal{SubCode: subCode} }

// The codes of the outer result.
const (
	codeSuccess     = "10000"
	codePending     = "10003"
	codeUnknown     = "20000"
	codeToken       = "20001"
	codeMissing     = "40001"
	codeInvalid     = "40002"
	codeConditions  = "40003"
	codeBusiness    = "40004"
	codeLimited     = "40005"
	codePermissions = "40006"
)

// messages are the texts that go with the codes. The blank before "order" is on the wire of the real gateway, and clients compare.
var messages = map[string]string{
	codeSuccess:     "Success",
	codePending:     " order success pay inprocess",
	codeUnknown:     "Service Currently Unavailable",
	codeToken:       "Insufficient Token Permissions",
	codeMissing:     "Missing Required Arguments",
	codeInvalid:     "Invalid Arguments",
	codeConditions:  "Insufficient Conditions",
	codeBusiness:    "Business Failed",
	codeLimited:     "Call Limited",
	codePermissions: "Insufficient Permissions",
}

// subCodeUnknown is what an outcome that nobody knows is called, and subCodeLate when the deadline passed first.
const (
	subCodeUnknown = "isp.unknow-error"
	subCodeLate    = "aop.unknow-error"
)

// failure is a refusal or an unknown outcome as it goes on the wire.
type failure struct {
	code, subCode, text string
}

// failureOf says how an error is told to the merchant. What is no Refusal is an unknown outcome; its text stays here.
func failureOf(err error) failure {
	var r *Refusal
	switch {
	case errors.As(err, &r):
		code := codeBusiness
		if known, ok := subCodes[r.SubCode]; ok {
			code = known.code
		}
		return failure{code, r.SubCode, r.text()}
	case errors.Is(err, context.DeadlineExceeded):
		return failure{codeUnknown, subCodeLate, subCodes[subCodeLate].text}
	default:
		return failure{codeUnknown, subCodeUnknown, subCodes[subCodeUnknown].text}
	}
}

// v3Code is the name of the failure in v3: codes of the gateway itself lose their prefix, those of the business stay.
func (f failure) v3Code() string {
	for _, prefix := range []string{"isv.", "aop.", "isp."} {
		if rest, found := strings.CutPrefix(f.subCode, prefix); found {
			return rest
		}
	}
	return f.subCode
}

// v3Status is the HTTP status of the failure in v3.
func (f failure) v3Status() int {
	switch {
	case f.subCode == "isv.invalid-signature":
		return 401
	case f.subCode == "isv.invalid-method":
		return 404
	case f.code == codeUnknown:
		return 500
	case f.code == codeLimited:
		return 429
	case f.code == codePermissions, f.code == codeToken:
		return 403
	default:
		return 400
	}
}

type subCode struct{ code, text string }

// subCodes are those that the protocol has, with what the merchant reads. The first words are those that merchants know; those
// in brackets say what to do. The misspelt ones are spelt so on the wire.
var subCodes = map[string]subCode{
	// the gateway itself
	subCodeUnknown:                      {codeUnknown, "服务暂不可用 (the outcome is not known: query with the same number, and repeat the same request unchanged)"},
	subCodeLate:                         {codeUnknown, "服务暂不可用 (no answer in time, the outcome is not known: query with the same number, and repeat the same request unchanged)"},
	"isv.missing-method":                {codeMissing, "缺少方法名参数 (send the parameter method, for example alipay.trade.query)"},
	"isv.missing-signature":             {codeMissing, "缺少签名参数 (send the parameter sign)"},
	"isv.missing-signature-type":        {codeMissing, "缺少签名类型参数 (send sign_type=RSA2)"},
	"isv.missing-app-id":                {codeMissing, "缺少appId参数 (send the parameter app_id)"},
	"isv.missing-timestamp":             {codeMissing, "缺少时间戳参数 (send timestamp as yyyy-MM-dd HH:mm:ss of GMT+8; in v3 it stands in the header authorization)"},
	"isv.missing-version":               {codeMissing, "缺少版本参数 (send version=1.0)"},
	"isv.invalid-parameter":             {codeInvalid, "参数无效 (a parameter is given twice with different values, or is too long; sub_msg of other calls names it)"},
	"isv.invalid-app-id":                {codeInvalid, "无效的AppID参数 (no enabled application has this app_id: compare it with the one you were given)"},
	"isv.invalid-method":                {codeInvalid, "不存在的方法名 (this gateway has no such method: compare the spelling)"},
	"isv.invalid-format":                {codeInvalid, "无效的数据格式 (send format=JSON, or leave it out)"},
	"isv.invalid-signature":             {codeInvalid, "验签出错 (the signature does not fit: sign with the private key whose public half was given to us, over all parameters except sign, as UTF-8)"},
	"isv.invalid-signature-type":        {codeInvalid, "无效的签名类型 (send sign_type=RSA2, or RSA)"},
	"isv.invalid-timestamp":             {codeInvalid, "非法的时间戳参数 (send the time of now as yyyy-MM-dd HH:mm:ss of GMT+8; is the clock right?)"},
	"isv.illegal-timestamp":             {codeInvalid, "非法的时间戳参数 (the timestamp is more than ten minutes from now, or cannot be read: is the clock right?)"},
	"isv.invalid-nonce":                 {codeInvalid, "重复的nonce (this nonce was used before: make a new one for every request)"},
	"isv.invalid-version":               {codeInvalid, "无效的版本 (send version=1.0)"},
	"isv.invalid-charset":               {codeInvalid, "字符集错误 (send charset=utf-8, and text in UTF-8)"},
	"isv.illegal-json":                  {codeInvalid, "非法的JSON (biz_content has to be one JSON object)"},
	"isv.suspected-attack":              {codeInvalid, "非法的参数 (return_url must not have a parameter called method)"},
	"isv.code-invalid":                  {codeInvalid, "授权码code无效 (the code is unknown, used or too old: send the customer to agree again)"},
	"isv.grant-type-invalid":            {codeInvalid, "授权类型无效 (send grant_type authorization_code with code, or refresh_token with refresh_token)"},
	"isv.refresh-token-invalid":         {codeInvalid, "刷新令牌无效 (no such refresh_token: send the customer to agree again)"},
	"isv.refresh-token-time-out":        {codeInvalid, "刷新令牌过期 (the refresh_token is too old: send the customer to agree again)"},
	"isv.refreshed-token-invalid":       {codeInvalid, "令牌已刷新 (this refresh_token was replaced by a newer one: use that)"},
	"isv.unmatched-app-id":              {codeInvalid, "AppID不匹配 (the code or token was given to another application)"},
	"isv.missing-signature-config":      {codeConditions, "应用未配置对应签名算法的公钥 (give us the public key of the application first)"},
	"isv.decryption-error-unknown":      {codeConditions, "解密出错 (this gateway takes no encrypted content: send without encrypt_type)"},
	"isv.app-call-limited":              {codeLimited, "应用调用次数超限 (too much at once, nothing was executed: try again in a second)"},
	"isv.method-call-limited":           {codeLimited, "接口调用次数超限 (too much at once, nothing was executed: try again in a second)"},
	"isv.insufficient-isv-permissions":  {codePermissions, "ISV权限不足 (the product of this method has not been signed for)"},
	"isv.insufficient-user-permissions": {codePermissions, "用户权限不足 (the customer has not agreed to this)"},
	"aop.invalid-auth-token":            {codeToken, "无效的访问令牌 (no such auth_token: ask the customer to agree again)"},
	"aop.auth-token-time-out":           {codeToken, "访问令牌已过期 (use the refresh_token, or ask the customer to agree again)"},
	"aop.invalid-app-auth-token":        {codeToken, "无效的应用授权令牌 (no merchant gave this application that app_auth_token)"},
	"aop.app-auth-token-time-out":       {codeToken, "应用授权令牌已过期 (ask the merchant for a new app_auth_token)"},
	// trades
	"ACQ.INVALID_PARAMETER":                      {codeBusiness, "参数无效 (a parameter is missing or wrong)"},
	"ACQ.SYSTEM_ERROR":                           {codeBusiness, "系统错误 (the outcome is not known: query with the same number, and repeat the same request unchanged)"},
	"AQC.SYSTEM_ERROR":                           {codeBusiness, "系统错误 (the outcome is not known: repeat the same request unchanged)"},
	"ACQ.ACCESS_FORBIDDEN":                       {codeBusiness, "无权限使用接口 (the product of this method has not been signed for)"},
	"ACQ.EXIST_FORBIDDEN_WORD":                   {codeBusiness, "订单信息中包含违禁词 (change the text of the order)"},
	"ACQ.PARTNER_ERROR":                          {codeBusiness, "应用APP_ID填写错误 (seller_id and app_id do not belong together)"},
	"ACQ.TOTAL_FEE_EXCEED":                       {codeBusiness, "订单总金额超过限额 (total_amount has to be within 0.01 and 100000000)"},
	"ACQ.PAYMENT_AUTH_CODE_INVALID":              {codeBusiness, "支付授权码无效 (the payment code is unknown, too old or used: scan the one that the customer shows now)"},
	"ACQ.CONTEXT_INCONSISTENT":                   {codeBusiness, "交易信息被篡改 (this out_trade_no was used with another amount or title: take a new number)"},
	"ACQ.TRADE_HAS_SUCCESS":                      {codeBusiness, "交易已被支付 (paid already: query it)"},
	"ACQ.TRADE_HAS_CLOSE":                        {codeBusiness, "交易已经关闭 (take a new out_trade_no)"},
	"ACQ.TRADE_HAS_FINISHED":                     {codeBusiness, "交易已完结 (the time for refunds is over)"},
	"ACQ.TRADE_NOT_EXIST":                        {codeBusiness, "交易不存在 (no such trade: compare trade_no and out_trade_no)"},
	"ACQ.TRADE_STATUS_ERROR":                     {codeBusiness, "交易状态不合法 (query the trade: its state does not allow this)"},
	"ACQ.REASON_TRADE_STATUS_INVALID":            {codeBusiness, "交易状态异常 (query the trade: only one that waits for its payment can be closed)"},
	"ACQ.REASON_ILLEGAL_STATUS":                  {codeBusiness, "交易状态异常 (query the trade: its state does not allow this)"},
	"ACQ.BUYER_BALANCE_NOT_ENOUGH":               {codeBusiness, "买家余额不足 (the customer has too little: let him pay in another way)"},
	"ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH":      {codeBusiness, "用户银行卡余额不足 (let the customer pay in another way)"},
	"ACQ.BUYER_SELLER_EQUAL":                     {codeBusiness, "买卖家不能相同 (the merchant cannot pay himself)"},
	"ACQ.TRADE_BUYER_NOT_MATCH":                  {codeBusiness, "交易买家不匹配 (another customer began to pay this order: take a new out_trade_no)"},
	"ACQ.BUYER_ENABLE_STATUS_FORBID":             {codeBusiness, "买家状态非法 (the customer's account is blocked: he has to call us)"},
	"ACQ.PAYMENT_FAIL":                           {codeBusiness, "支付失败 (nothing was paid: try again with a new out_trade_no)"},
	"ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR":   {codeBusiness, "买家付款日限额超限 (the customer's limit of the day is reached: let him pay in another way)"},
	"ACQ.BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR": {codeBusiness, "买家付款月额度超限 (the customer's limit of the month is reached: let him pay in another way)"},
	"ACQ.BEYOND_PAY_RESTRICTION":                 {codeBusiness, "商户收款额度超限 (the merchant's limit is reached: call us)"},
	"ACQ.SELLER_BEEN_BLOCKED":                    {codeBusiness, "商户账号被冻结 (the merchant's account is blocked: call us)"},
	"ACQ.PAYMENT_REQUEST_HAS_RISK":               {codeBusiness, "支付有风险 (refused to protect the customer: let him pay in another way)"},
	"ACQ.NO_PAYMENT_INSTRUMENTS_AVAILABLE":       {codeBusiness, "没用可用的支付工具 (the customer has no way to pay this)"},
	"ACQ.INVALID_STORE_ID":                       {codeBusiness, "商户门店编号无效 (no such store_id)"},
	"ACQ.AUTH_NO_ERROR":                          {codeBusiness, "预授权号错误 (no such auth_no, or not this customer's)"},
	"ACQ.AUTH_AMOUNT_NOT_ENOUGH":                 {codeBusiness, "预授权金额不足 (less is held than total_amount)"},
	"ACQ.AUTH_ORDER_HAS_CLOSED":                  {codeBusiness, "预授权订单已关闭 (nothing is held any more)"},
	"ACQ.AUTH_ORDER_HAS_FINISHED":                {codeBusiness, "预授权订单已完结 (the hold has been paid out)"},
	"ACQ.SELLER_NOT_EXIST":                       {codeBusiness, "卖家不存在 (no such seller_id)"},
	"ACQ.BUYER_NOT_EXIST":                        {codeBusiness, "买家不存在 (no such customer: compare buyer_id)"},
	"ACQ.APPLY_PC_MERCHANT_CODE_ERROR":           {codeBusiness, "申请二维码失败 (a code for this order exists: show that one)"},
	"ACQ.OPEN_ID_NOT_TINY_APP":                   {codeBusiness, "openId不属于小程序 (op_buyer_open_id belongs to another application)"},
	"ACQ.UNBOUND_APPLICATION":                    {codeBusiness, "未绑定的应用 (op_app_id is not bound to the merchant)"},
	"ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR":       {codeBusiness, "订单已超时 (time_expire is past: give a later one)"},
	"ACQ.SELLER_BALANCE_NOT_ENOUGH":              {codeBusiness, "卖家余额不足 (the merchant has too little for this refund: pay in, and repeat it unchanged)"},
	"ACQ.REASON_TRADE_BEEN_FREEZEN":              {codeBusiness, "交易被冻结 (the trade is in dispute: wait for its end)"},
	"ACQ.TRADE_CANCEL_TIME_OUT":                  {codeBusiness, "超过撤销时间 (too late to cancel: refund it)"},
	"ACQ.REASON_TRADE_REFUND_FEE_ERR":            {codeBusiness, "退款金额无效 (refunds together cannot be more than what was paid)"},
	"ACQ.CANCEL_NOT_ALLOWED":                     {codeBusiness, "不允许撤销 (this trade cannot be cancelled: refund it)"},
	"ACQ.REFUND_AMT_NOT_EQUAL_TOTAL":             {codeBusiness, "退款金额超限或部分退款缺少请求号 (refund_amount is above what is left; or it is a part, which needs out_request_no)"},
	"ACQ.REFUND_FEE_ERROR":                       {codeBusiness, "退款金额有误 (refund_amount has to be above 0 and at most what is left)"},
	"ACQ.DISCORDANT_REPEAT_REQUEST":              {codeBusiness, "请求信息不一致 (this out_request_no was used with another content: take a new number)"},
	"ACQ.TRADE_NOT_ALLOW_REFUND":                 {codeBusiness, "当前交易不允许退款 (the product of this trade has no refunds)"},
	"ACQ.NOT_ALLOW_PARTIAL_REFUND":               {codeBusiness, "不支持部分退款 (refund all of it)"},
	"ACQ.ALLOC_AMOUNT_VALIDATE_ERROR":            {codeBusiness, "分账金额校验失败 (the shares are more than what is left of the trade)"},
	"TRADE_NOT_EXIST":                            {codeBusiness, "交易不存在 (no such trade: compare trade_no and out_trade_no)"},
	"ACQ.ILLEGAL_SETTLE_STATE":                   {codeBusiness, "交易结算状态异常 (query the trade: it cannot be split any more)"},
	"ACQ.ROYALTY_RECEIVER_INVALID":               {codeBusiness, "分账收款方无效 (this receiver may not get a share)"},
	"ACQ.ROYALTY_ACCOUNT_NOT_EXIST":              {codeBusiness, "分账账户不存在 (compare trans_in and trans_out)"},
	"ACQ.ROYALTY_ACCOUNTS_EQUAL":                 {codeBusiness, "分账收付款方相同 (trans_in and trans_out are the same)"},
	"ACQ.ROYALTY_ACCOUNT_NAME_NOT_MATCH":         {codeBusiness, "分账收款方姓名不匹配 (compare trans_in_name)"},
	"ACQ.TXN_RESULT_ACCOUNT_BALANCE_NOT_ENOUGH":  {codeBusiness, "分账付款方余额不足 (who pays the share has too little)"},
	"ACQ.DUP_OUT_REQUEST_NO":                     {codeBusiness, "请求号重复 (take a new out_request_no)"},
	"ACQ.NOT_SUPPORT_ROYALTY":                    {codeBusiness, "交易不支持分账 (the product of this trade cannot be split)"},
	"ACQ.ALREADY_FINISH_ALLOC":                   {codeBusiness, "交易已完结分账 (the split of this trade is finished)"},
	"ACQ.FREQUENCY_LIMITED":                      {codeBusiness, "请求过于频繁 (nothing was executed: try again in a second)"},
	"ACQ.TRADE_SETTLE_ERROR":                     {codeBusiness, "分账失败 (nothing was split: query the trade)"},
	// transfers and balances
	"INVALID_PARAMETER":             {codeBusiness, "参数有误 (a parameter is missing or wrong)"},
	"SYSTEM_ERROR":                  {codeBusiness, "系统繁忙 (the outcome is not known: query with the same number, and repeat the same request unchanged)"},
	"PAYER_BALANCE_NOT_ENOUGH":      {codeBusiness, "付款方余额不足 (pay in, and repeat the request unchanged)"},
	"BALANCE_IS_NOT_ENOUGH":         {codeBusiness, "余额不足 (pay in, and repeat the request unchanged)"},
	"PAYMENT_INFO_INCONSISTENCY":    {codeBusiness, "两次请求信息不一致 (this out_biz_no was used with another content: take a new number)"},
	"PAYEE_NOT_EXIST":               {codeBusiness, "收款账号不存在 (no such payee)"},
	"PAYEE_USER_INFO_ERROR":         {codeBusiness, "收款用户信息有误 (the payee has another name)"},
	"PAYEE_ACC_OCUPIED":             {codeBusiness, "收款账号被多人使用 (use the payee's number instead of the logon id)"},
	"PAYER_PAYEE_CANNOT_SAME":       {codeBusiness, "收付款方不能相同 (the merchant cannot pay himself)"},
	"EXCEED_LIMIT_SM_MIN_AMOUNT":    {codeBusiness, "转账金额低于最低限额 (trans_amount has to be 0.10 or more; a red packet 0.01)"},
	"EXCEED_LIMIT_SM_AMOUNT":        {codeBusiness, "转账金额超过单笔限额 (trans_amount has to be 100000000 or less)"},
	"EXCEED_LIMIT_DM_AMOUNT":        {codeBusiness, "转账金额超过日限额 (try again tomorrow)"},
	"EXCEED_LIMIT_MM_AMOUNT":        {codeBusiness, "转账金额超过月限额 (try again next month)"},
	"PRODUCT_NOT_SIGN":              {codeBusiness, "产品未签约 (the product of this method has not been signed for)"},
	"PERMIT_CHECK_PERM_LIMITED":     {codeBusiness, "用户权限受限 (the account is limited: call us)"},
	"SECURITY_CHECK_FAILED":         {codeBusiness, "安全检查失败 (refused to protect the account: call us)"},
	"NO_ACCOUNT_PAYMENT_PERMISSION": {codeBusiness, "账户无支付权限 (this account may not pay: call us)"},
	"REQUEST_PROCESSING":            {codeBusiness, "请求处理中 (query with the same number)"},
	"ORDER_NOT_EXIST":               {codeBusiness, "转账单据不存在 (no such transfer: compare the number; one that was just sent may still come)"},
	"NO_ORDER_PERMISSION":           {codeBusiness, "无权查询该单据 (this transfer is another merchant's)"},
	"ALIPAY_ACCOUNT_NOT_EXIST":      {codeBusiness, "账户不存在 (no such account)"},
	"NO_PERMISSION":                 {codeBusiness, "无权限 (this account is another's)"},
	"NO_PERMISSION_ACCOUNT":         {codeBusiness, "无权查询该账户 (this account is another's)"},
	"AUTHOREE_IS_NOT_MATCH":         {codeBusiness, "授权方不匹配 (who gave the token does not have this account)"},
	// holds
	"ILLEGAL_ARGUMENT":          {codeBusiness, "参数异常 (a parameter is missing or wrong)"},
	"UNIQUE_VIOLATION":          {codeBusiness, "违反唯一性约束 (these numbers were used with another content: take new ones)"},
	"EXIST_FORBIDDEN_WORD":      {codeBusiness, "订单信息中包含违禁词 (change the text of the order)"},
	"ACCESS_FORBIDDEN":          {codeBusiness, "无权限使用接口 (the product of this method has not been signed for)"},
	"PAYMENT_AUTH_CODE_INVALID": {codeBusiness, "支付授权码无效 (the payment code is unknown, too old or used: scan the one that the customer shows now)"},
	"MONEY_NOT_ENOUGH":          {codeBusiness, "余额不足 (the customer has too little)"},
	"ORDER_ALREADY_CLOSED":      {codeBusiness, "订单已关闭 (nothing is held any more)"},
	"ORDER_ALREADY_FINISH":      {codeBusiness, "订单已完结 (the hold has been paid out)"},
	"FREEZE_ALREADY_SUCCESS":    {codeBusiness, "冻结已成功 (held already: query it)"},
	"PAYER_NOT_EXIST":           {codeBusiness, "付款方不存在 (no such customer)"},
	"PAYER_PAYEE_EQUAL":         {codeBusiness, "收付款方相同 (the merchant cannot hold his own money)"},
	"AUTH_ORDER_NOT_EXIST":      {codeBusiness, "授权订单不存在 (no such hold: compare auth_no and out_order_no)"},
	"AUTH_OPERATION_NOT_EXIST":  {codeBusiness, "授权操作不存在 (no such operation: compare operation_id and out_request_no)"},
	"REQUEST_AMOUNT_EXCEED":     {codeBusiness, "请求金额超限 (less is held than that)"},
	"ILLEGAL_STATUS":            {codeBusiness, "状态非法 (query the hold: its state does not allow this)"},
	"CANCEL_OPERATION_TIME_OUT": {codeBusiness, "撤销超时 (too late to cancel: unfreeze it)"},
	// bills
	"NO_BILL_DATA":                  {codeBusiness, "无账单数据 (nothing happened on that day)"},
	"BILL_NOT_EXIST":                {codeBusiness, "账单不存在 (a bill can be had from the morning after its day, or the 3rd after its month, for six years)"},
	"BILL_DATE_BEFORE_REGISTRATION": {codeBusiness, "账单日期早于注册日期 (the merchant was not here yet)"},
	"TYPE_NOT_SUPPORTED":            {codeBusiness, "账单类型不支持 (this gateway does not make bills of that type)"},
	"INVAILID_ARGUMENTS":            {codeBusiness, "参数有误 (send bill_type, for example trade, and bill_date as yyyy-MM-dd or yyyy-MM)"},
	"UNKNOWN_ERROR":                 {codeBusiness, "未知错误 (try again)"},
}
