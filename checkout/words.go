package checkout

import (
	"fmt"
	"strconv"
	"strings"

	"holdfast/pay"
)

// language is one of those that the page speaks, as its BCP 47 tag.
type language string

const (
	chinese language = "zh-CN"
	english language = "en"
)

// said is a text in every language.
type said struct{ zh, en string }

func (s said) in(l language) string {
	if l == chinese {
		return s.zh
	}
	return s.en
}

// words are the texts of the page but for those that say why a payment was refused.
var words = map[string]said{
	"language":          {"语言", "Language"},
	"title-waiting":     {"付款", "Pay"},
	"title-asking":      {"正在确认付款结果", "We are finding out"},
	"title-watching":    {"等待手机付款", "Waiting for your phone"},
	"title-paid":        {"付款成功", "Paid"},
	"title-refunded":    {"已退款", "Refunded"},
	"title-closed":      {"订单已关闭", "Order closed"},
	"title-expired":     {"付款时间已过", "Time to pay is over"},
	"title-unknown":     {"链接无效", "Link not valid"},
	"title-unavailable": {"请稍候", "One moment"},
	"error":             {"错误", "Error"},
	"problem":           {"没有付款", "Not paid"},

	"to":       {"收款方", "To"},
	"amount":   {"金额", "Amount"},
	"subject":  {"商品", "For"},
	"trade-no": {"交易号", "Trade number"},
	"paid-at":  {"付款时间", "Paid at"},
	"until":    {"付款截止", "Pay until"},
	"left":     {"剩余", "in"},

	"waiting": {"等待付款。", "Waiting for your payment."},
	"asking": {
		"已提交付款，结果还没有返回，我们正在查询。请不要担心：同一笔订单只会收一次款。本页会自动更新。",
		"Your payment was sent, and the answer has not come yet. Nothing can be taken twice: an order is paid once. This page asks for the result and updates itself.",
	},
	"late": {
		"还没有结果，我们仍在查询。您可以继续等待，也可以用新的付款码再付一次：如果两笔都到账，多付的一笔会自动退回。",
		"There is no answer yet, and we go on asking. You can wait, or pay again with a new code: should both payments arrive, one of them goes back to you by itself.",
	},
	"goes-on":  {"付款后本页会自动继续。", "This page goes on by itself once it has arrived."}, // with scripts
	"watching": {"请在手机上完成付款。本页会自动更新，付款后自动继续。", "Complete the payment on your phone. This page updates itself, and goes on once it is paid."},
	"paid":     {"付款已完成。", "Your payment has arrived."},
	"paid-protected": {
		"付款已完成。确认收货之前，货款由平台保管。",
		"Your payment has arrived. The platform keeps the money until you have confirmed that you got what you paid for.",
	},
	"paid-before": {
		"这笔订单在此之前已经付款，您刚才输入的付款码没有扣款。",
		"This order had been paid before. Nothing was taken with the code that you have just sent.",
	},
	"paid-here": {"您可以关闭本页，并告诉商家已付款。", "You can close this page, and tell the shop that you have paid."},
	"refunded":  {"这笔订单的款项已全部退回付款人的钱包。如需再次购买，请重新下单。", "The money of this order has gone back to the wallet that paid it. To buy, order again."},
	"closed": {
		"这笔订单没有付款，商家已将其关闭。没有扣款。如仍要购买，请重新下单。",
		"This order was not paid, and the shop has closed it. Nothing was taken. If you still want to buy, order again.",
	},
	"expired": {
		"这笔订单没有在规定时间内付款。如果付款仍在途中，款项会自动退回。如仍要购买，请重新下单。",
		"This order was not paid in time. A payment that is still on its way goes back by itself. If you still want to buy, order again.",
	},
	"unknown": {
		"这个付款链接或二维码不存在或已过期。如果您已付款，请在商家的订单里查看；否则请回到商家重新打开付款页，或请商家出示新的二维码。",
		"This payment link or QR code is not known, or no longer valid. If you have paid, look at your order in the shop. Otherwise open the payment page from the shop again, or ask for a new code.",
	},
	"unavailable": {
		"暂时无法读取这笔订单。刚才打开本页没有扣款。本页会自动重试，您也可以手动刷新。",
		"We cannot read this order just now. Nothing was taken by opening this page. It tries again by itself; you can also load it again.",
	},

	"foreign": {
		"这次提交不是从付款页发出的，没有执行，也没有扣款。如要付款，请重新打开付款页。",
		"This was not sent from the payment page. It was not carried out, and nothing was taken. To pay, open the payment page again.",
	},
	"title-foreign": {"没有执行", "Not carried out"},
	"open-again":    {"打开付款页", "Open the payment page"},

	"pay-by-wallet": {"用钱包付款", "Pay from your wallet"},
	"wallet":        {"钱包", "Wallet"},
	"available":     {"可用余额", "Available"},
	"not-mine":      {"使用其他账户", "Use another account"},
	"sign-in-pay":   {"登录并付款", "Sign in and pay"},
	"sign-in-hint":  {"登录后，用您的钱包一键付款。", "Once you have signed in, one tap pays from your wallet."},
	"wallet-dark":   {"暂时无法读取您的钱包。没有扣款。您可以刷新本页，或用付款码付款。", "Your wallet cannot be read just now. Nothing was taken. Load this page again, or pay with a code."},
	"look-again":    {"刷新", "Look again"},
	"other-ways":    {"其他付款方式", "Other ways to pay"},
	"top-up":        {"去充值", "Top up"},
	"limits":        {"查看限额", "See the limits"},
	"to-wallet":     {"打开钱包", "Open your wallet"},

	"pay-by-code":     {"用付款码付款", "Pay with a code"},
	"code":            {"付款码（18 位数字）", "Payment code (18 digits)"},
	"code-hint":       {"打开钱包里的付款码，输入 28 开头的数字，可以带空格。每个付款码只能付一次。", "Open the payment code in your wallet and type its digits, which begin with 28. Blanks do not matter. A code pays once."},
	"pay":             {"付款", "Pay"},
	"paying":          {"正在付款，请稍候……", "Paying, one moment…"},
	"pay-by-phone":    {"扫码付款", "Scan with your wallet"},
	"scan-hint":       {"用钱包应用扫描二维码，并在手机上确认。", "Scan this code with the wallet on your phone, and confirm there."},
	"qr-alt":          {"二维码，内容为本次付款的地址", "QR code with the address of this payment"},
	"no-scan":         {"无法扫码？", "Cannot scan?"},
	"address-is":      {"在手机上打开这个地址：", "Open this address on your phone:"},
	"watch":           {"已在手机上扫码，等待结果", "I have scanned it: wait for the result"},
	"check-now":       {"立即查询结果", "Check now"},
	"still":           {"停止自动刷新", "Stop updating by itself"},
	"back-to-form":    {"返回付款方式", "Back to the ways to pay"},
	"quit":            {"不付款，返回商家", "Go back to the shop without paying"},
	"return":          {"返回商家", "Go back to the shop"},
	"returning":       {"即将自动返回商家。", "Taking you back to the shop."},
	"seconds":         {"秒", "s"},
	"stay":            {"留在本页", "Stay on this page"},
	"connection":      {"连接中断，正在重试。", "The connection is lost. Trying again."},
	"safe":            {"请核对收款方和金额后再付款。密码只在登录页输入；我们不会向您索要短信验证码。", "Check who is paid and how much. Your password belongs on the sign-in page alone, and we never ask for a code from a text message."},
	"unit-d":          {" 天", " d"},
	"unit-h":          {" 小时", " h"},
	"unit-min":        {" 分", " min"},
	"unit-s":          {" 秒", " s"},
	"less-than-a-min": {"不到 1 分钟", "less than a minute"},
}

// Names of problems that are no refusal of pay.
const (
	codeForm     = "code-form"
	underWay     = "under-way"
	notNow       = "not-now"
	otherRefusal = "other"
	otherWallet  = "other-wallet"
)

// troubles are the texts of problems that are no refusal of pay, and of refusals that have no text of their own.
var troubles = map[string]said{
	codeForm: {
		"付款码是 18 位数字，以 28 开头。请按钱包里显示的数字输入。没有扣款。",
		"A payment code has 18 digits and begins with 28. Type the digits that your wallet shows. Nothing was taken.",
	},
	underWay: {
		"这个钱包或商家的另一笔付款还在处理中。这次没有扣款，请稍等片刻再付一次。",
		"Another payment of this wallet is being decided. Nothing was taken this time: wait a moment, and pay again.",
	},
	notNow: {
		"系统暂时繁忙。这次没有扣款，请稍等片刻再付一次。",
		"We cannot take the payment just now. Nothing was taken this time: wait a moment, and pay again.",
	},
	otherWallet: {
		"登录状态已改变，没有扣款。请核对下面的付款方式后再付一次。",
		"Somebody else has signed in since, or nobody is signed in any more. Nothing was taken: look at what you would pay from, and pay again.",
	},
	otherRefusal: {
		"这笔付款被拒绝，没有扣款。请换一种方式付款，或联系商家。",
		"The payment was refused, and nothing was taken. Pay in another way, or ask the shop.",
	},
}

// refusals are the texts of the refusals of pay that a customer can get here.
var refusals = map[pay.Code]said{
	pay.CodeWrong: {
		"付款码不正确或已过期。请打开钱包，输入现在显示的付款码。没有扣款。",
		"The payment code is not valid, or not any more. Open your wallet, and type the code that it shows now. Nothing was taken.",
	},
	pay.TooManyCodes: {
		"付款码输错次数太多。请等一分钟再试，或改用扫码付款。没有扣款。",
		"There have been too many wrong codes. Wait a minute and try again, or scan the QR code instead. Nothing was taken.",
	},
	pay.CodeUsed: {
		"这个付款码已经用过。请等钱包显示下一个付款码（最多一分钟），再输入。这次没有扣款。",
		"This payment code has been used. Wait until your wallet shows the next one (a minute at most), and type that. Nothing was taken this time.",
	},
	pay.BalanceNotEnough: {
		"钱包余额不足。请先充值再付款，或换一个钱包的付款码。没有扣款。",
		"There is not enough money in the wallet. Top it up and pay again, or use the code of another wallet. Nothing was taken.",
	},
	pay.LimitPayment: {
		"金额超过了这个钱包的单笔限额。请在钱包里提高限额，或换一个钱包的付款码。没有扣款。",
		"The amount is above what this wallet may pay at once. Raise that limit in your wallet, or use the code of another one. Nothing was taken.",
	},
	pay.LimitDay: {
		"超过了这个钱包今天的限额。请在钱包里提高限额、明天再付，或换一个钱包的付款码。没有扣款。",
		"This would exceed what the wallet may spend today. Raise that limit in your wallet, wait until tomorrow, or use the code of another one. Nothing was taken.",
	},
	pay.LimitMonth: {
		"超过了这个钱包本月的限额。请在钱包里提高限额、下月再付，或换一个钱包的付款码。没有扣款。",
		"This would exceed what the wallet may spend this month. Raise that limit in your wallet, wait until next month, or use the code of another one. Nothing was taken.",
	},
	pay.WalletBlocked: {
		"这个钱包已被冻结，不能付款。请联系客服了解原因，或换一个钱包的付款码。没有扣款。",
		"This wallet is blocked and cannot pay. Ask the support why, or use the code of another wallet. Nothing was taken.",
	},
	pay.WalletMissing: {
		"这个钱包没有开通这种货币。请在钱包里开通，或换一个钱包的付款码。没有扣款。",
		"This wallet has no account in the currency of the order. Open one in your wallet, or use the code of another one. Nothing was taken.",
	},
	pay.BuyerDiffers: {
		"这笔订单只能由指定的钱包付款。请用那个钱包的付款码。没有扣款。",
		"This order is for another wallet: use a code of the wallet it was made for. Nothing was taken.",
	},
	pay.SellerIsBuyer: {
		"商家不能付款给自己。请换一个钱包的付款码。没有扣款。",
		"A shop cannot pay itself: use the code of another wallet. Nothing was taken.",
	},
	pay.SellerBlocked: {
		"商家现在不能收款。请联系商家，或以后再试。没有扣款。",
		"The shop cannot take money just now: ask the shop, or try again later. Nothing was taken.",
	},
	pay.AssetInvalid: {
		"商家现在不能收取这种货币。请联系商家。没有扣款。",
		"The shop cannot take this currency just now: ask the shop. Nothing was taken.",
	},
	pay.LedgerRefused: {
		"账本拒绝了这笔付款，没有扣款。请联系客服，并告知时间和交易号。",
		"The ledger refused the payment, and nothing was taken. Tell the support, with the time and the trade number.",
	},
}

// stops are the texts of what would stop a payment from the wallet of whoever has signed in, before it is tried.
var stops = map[pay.Code]said{
	pay.BalanceNotEnough: {"余额不足，请先充值再付款。", "There is not enough money in this wallet: top it up first."},
	pay.LimitPayment:     {"金额超过了这个钱包的单笔限额。如需提高，请联系客服。", "The amount is above what this wallet may pay at once: ask the support to raise that limit."},
	pay.LimitDay:         {"超过了这个钱包今天的限额，请明天再付，或联系客服提高限额。", "This would exceed what this wallet may spend today: pay tomorrow, or ask the support to raise that limit."},
	pay.LimitMonth:       {"超过了这个钱包本月的限额，请下月再付，或联系客服提高限额。", "This would exceed what this wallet may spend this month: pay next month, or ask the support to raise that limit."},
	pay.WalletBlocked:    {"这个钱包已被冻结，不能付款，请联系客服。", "This wallet is blocked and cannot pay: ask the support."},
	pay.WalletMissing:    {"您还没有这种货币的钱包，请先开通。", "You have no wallet in the currency of this order: open one first."},
	pay.BuyerDiffers:     {"这笔订单只能由指定的钱包付款，请换那个账户登录。", "This order is for another wallet: sign in with that account."},
}

// states say themselves what these refusals mean: the page of the state is shown.
var shownAsState = map[pay.Code]bool{
	pay.TradePaid: true, pay.TradeFinished: true, pay.TradeClosed: true, pay.TradeExpired: true,
	pay.TradeUnknown: true, pay.TokenUnknown: true, pay.MerchantUnknown: true,
}

// atField are the problems that are with what was typed: they stand at the field. The others stand above.
var atField = map[string]bool{codeForm: true, string(pay.TooManyCodes): true, string(pay.CodeWrong): true, string(pay.CodeUsed): true}

func word(l language, key string) (string, error) {
	s, ok := words[key]
	if !ok {
		return "", fmt.Errorf("checkout: there is no text %q", key)
	}
	return s.in(l), nil
}

// explain says a problem.
func explain(l language, problem string) string {
	if s, ok := troubles[problem]; ok {
		return s.in(l)
	}
	if s, ok := refusals[pay.Code(problem)]; ok {
		return s.in(l)
	}
	return troubles[otherRefusal].in(l)
}

// choose finds the language: what the address says, or what was chosen on another page of ours, or what the browser prefers (RFC 9110 section 12.5.4).
// Who says nothing gets Chinese, who wants neither gets English.
func choose(asked, kept, accepted string) (l language, chosen bool) {
	if l, ok := spoken(asked); ok {
		return l, true
	}
	if l, ok := spoken(kept); ok {
		return l, false
	}
	if strings.TrimSpace(accepted) == "" {
		return chinese, false
	}
	best, l := 0.0, english
	for part := range strings.SplitSeq(accepted, ",") {
		tag, weight, _ := strings.Cut(part, ";")
		q := 1.0
		if text, ok := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q="); ok {
			q, _ = strconv.ParseFloat(text, 64)
		}
		if is, ok := spoken(tag); ok && q > best && q <= 1 {
			best, l = q, is
		}
	}
	return l, false
}

// spoken is the language of a tag, if it is one of ours.
func spoken(tag string) (language, bool) {
	primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
	switch primary {
	case "zh":
		return chinese, true
	case "en":
		return english, true
	}
	return "", false
}
