package portal

import (
	"maps"

	"holdfast/page"
)

func init() { maps.Copy(words, tillWords) }

// tillWords are the texts of the till.
var tillWords = page.Words{
	"nav-till":             {"收银", "Till"},
	"title-portal-till":    {"收银台", "Till"},
	"title-portal-till-qr": {"请顾客扫码", "Let the customer scan"},
	"till-lead":            {"扫顾客出示的付款码即可收款；不填付款码，则显示一个二维码让顾客来扫。", "Scan the code that the customer shows. Without a code, a QR code is shown for the customer to scan."},
	"till-amount":          {"金额", "Amount"},
	"till-subject":         {"商品（可不填）", "What for (may be left out)"},
	"till-subject-usual":   {"店内消费", "In the shop"},
	"till-place":           {"门店与收银台", "Shop and till"},
	"till-code":            {"顾客的付款码", "The customer's code"},
	"till-code-hint":       {"18 位，以 28 开头；扫码枪会直接填入并提交。", "18 digits beginning with 28. A scanner types them and sends the form."},
	"till-charge":          {"收款", "Charge"},
	"till-next":            {"下一位顾客", "Next customer"},
	"till-open":            {"查看订单", "Open the trade"},
	"till-asset":           {"币种无法识别，请重新打开本页。", "The currency is not known. Open this page again."},
	"till-amount-wrong":    {"请输入大于零的金额，例如 12.50。", "Give an amount above zero, as 12.50."},
	"till-code-wrong":      {"付款码是 18 位数字。请顾客出示新的付款码再扫一次。", "A payment code has 18 digits. Ask the customer to show the present one, and scan it again."},
	"till-again":           {"页面已过期，请重新打开收银台。", "This page is too old. Open the till again."},
	"till-no-pages":        {"本平台没有配置收银页面的地址，无法显示二维码。请扫顾客的付款码。", "This fleet has no address for pages, so there is no QR code to show. Scan the customer's code."},
	"till-qr-is":           {"付款二维码", "QR code to pay"},
	"till-WAIT_BUYER_PAY":  {"等待顾客付款", "Waiting for the customer"},
	"till-TRADE_SUCCESS":   {"已收款", "Paid"},
	"till-TRADE_FINISHED":  {"已完成", "Finished"},
	"till-TRADE_CLOSED":    {"已关闭", "Closed"},
}
