package pay

import (
	"strconv"

	"holdfast"
)

// On is the same cashier with other books: those of one place, for instance, which may be of the past. It must not be asked to change anything
// where those cannot.
func (c *Cashier) On(b Books) *Cashier {
	on := &Cashier{Config: c.Config, sealer: c.sealer}
	on.Books = b
	return on
}

// What stands in the log of a payment is read by whoever has to tell of it later without this package's books.

// ReceiptKey is the key of the record of a receipt; name is one for which [LineName] is true.
func ReceiptKey(o holdfast.Owner, name string) string { return keyOf(o, kindReceipt, name) }

// ReadReceipt reads the record of a receipt.
func ReadReceipt(key string, body []byte) (v Receipt, err error) { return v, unpack(key, body, &v) }

// LineTime is the time of a receipt, which its name says.
func LineTime(name string) (holdfast.Time, bool) {
	if !LineName(name) {
		return 0, false
	}
	n, err := strconv.ParseUint(name[:16], 16, 64)
	return holdfast.Time(^n), err == nil
}

// TradeKey is the key of the record of a trade.
func TradeKey(merchant holdfast.Owner, outTradeNo string) string {
	return keyOf(merchant, kindTrade, outTradeNo)
}

// ReadTrade reads the record of a trade.
func ReadTrade(key string, body []byte) (v Trade, err error) { return v, unpack(key, body, &v) }

// TradeRef is the reference of all transfers of a trade.
func TradeRef(merchant holdfast.Owner, outTradeNo string) holdfast.Ref {
	return refOf(keyOf(merchant, kindTrade, outTradeNo))
}

// ValidTradeNumber reports whether a text can be the number of a trade.
func ValidTradeNumber(outTradeNo string) bool { return validNumber(outTradeNo, "out_trade_no") == nil }

// PaidCode is the code of the transfers with which a trade is paid.
const PaidCode = movePay
