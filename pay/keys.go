package pay

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"holdfast"
)

// Keys of records, after "o/<owner>/". Numbers that customers and merchants choose stand last or are followed by "/", which they cannot
// contain, and each kind has a name of its own: nothing that somebody chooses can name a record of another kind.
//
//	customer                          who the customer is: hashes of aliases, sealed secrets of devices
//	wallet/<asset>                    limits, and what counts against them
//	used/<step>-<digits>              a payment code that has been used
//	receipt/<time, inverted>-<hash>   what came and went, newest first
//	alias/<hash>                      of a registrar: who has an alias
//	merchant                          who the merchant is: zone, fees
//	app/<app id>, shop/<shop id>
//	appkey/<app id>/<hash>            the platform's private key for an app, sealed
//	mandate/<app id>                  the app of another merchant that may act for this one
//	agreement/<app id>                of the customer: the app may know who he is, with hashes of its codes and tokens
//	trade/<out_trade_no>              and no/<trade_no>, qr/<token>: which out_trade_no is meant; visit/<token>: where its buyer goes on
//	refund/<out_trade_no>/<out_request_no>
//	split/<out_request_no>            and share/<out_request_no>/<n>
//	auth/<out_order_no>               of the merchant: an authorisation that he asked for
//	freeze/<auth_no>                  of the customer: what is frozen, and frozen/<auth_no>/<out_request_no> each operation
//	transfer/<number>, topup/<number>, withdraw/<number>, payout/<day>-<asset>
//	event/<time>-<hash>               what a merchant is told, and the rows of his statement
//	endpoints                         where he wants to be told
//	delivery/<time, inverted>-<hash>/<target>  what became of telling him of an event, latest event first
//	mark/<name>                       of the platform: how far work in the background has come
//	day/<day>                         a day that has been closed, settled/<day>/<asset> what was paid out, carry/<asset> what was left over
//	nextday/settle                    of a merchant: the day that is settled next
//	late/<time>-<hash>                a payment of which nobody knows yet whether it came too late; of a customer, or of the merchant
//	account/<name>                    an account at a bank that money is paid out to, sealed
//	topref/<digits>                   which top-up a reference in a deposit means
//
// And of the platform itself:
//
//	deposit/<hash>                    money that a bank has brought, and seen/<bank>-<asset> how far its deposits have been read
//	case/<id>                         a difference between a bank's book and the ledger; book/<bank>-<asset> the last statement compared
func keyOf(o holdfast.Owner, parts ...string) string {
	var room [96]byte
	b := append(strconv.AppendUint(append(room[:0], holdfast.OwnedPrefix...), uint64(o), 10), '/')
	for i, p := range parts {
		if i > 0 {
			b = append(b, '/')
		}
		b = append(b, p...)
	}
	return string(b)
}

// Kinds of keys.
const (
	kindCustomer = "customer"
	kindWallet   = "wallet"
	kindUsed     = "used"
	kindReceipt  = "receipt"
	kindAlias    = "alias"
	kindMerchant = "merchant"
	kindApp      = "app"
	kindShop     = "shop"
	kindTrade    = "trade"
	kindNo       = "no"
	kindQR       = "qr"
	kindRefund   = "refund"
	kindSplit    = "split"
	kindShare    = "share"
	kindAuth     = "auth"
	kindFreeze   = "freeze"
	kindFrozen   = "frozen"
	kindTransfer = "transfer"
	kindTopUp    = "topup"
	kindWithdraw = "withdraw"
	kindPayout   = "payout"
	kindEvent    = "event"
	kindDay      = "day"
	kindSettled  = "settled"
	kindCarry    = "carry"
	kindNextDay  = "nextday"
	kindAccount  = "account"
	kindTopRef   = "topref"
	kindDeposit  = "deposit"
	kindSeen     = "seen"
	kindCase     = "case"
	kindBook     = "book"
)

// maxNumber is the longest number of a request, in bytes.
const maxNumber = 64

// validNumber checks a number that somebody outside has chosen.
func validNumber(n, field string) error {
	ok := len(n) > 0 && len(n) <= maxNumber
	for i := range len(n) {
		b := n[i]
		ok = ok && (b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '.' || b == '_' || b == ':' || b == '-')
	}
	if !ok {
		return refuse(NumberInvalid, field)
	}
	return nil
}

// MaxAmount is the largest amount of one trade, transfer, top-up or withdrawal, in minor units: a hundred million yuan.
const MaxAmount holdfast.Amount = 10_000_000_000

func validAmount(a holdfast.Amount, field string) error {
	if a < 1 || a > MaxAmount {
		return refuse(AmountInvalid, field)
	}
	return nil
}

func validText(s, field string, most int) error {
	if len(s) > most {
		return refuse(FieldInvalid, field)
	}
	return nil
}

// validLine checks a text of one line that a person has written: at most so many characters, and no control characters.
func validLine(s, field string, most int) error { return validWritten(s, field, most, "") }

// validLines is validLine for a text that may have lines and tabs.
func validLines(s, field string, most int) error { return validWritten(s, field, most, "\t\r\n") }

func validWritten(s, field string, most int, may string) error {
	if len(s) > most && utf8.RuneCountInString(s) > most {
		return &Refusal{Code: FieldInvalid, Field: field, Text: fmt.Sprintf("A text is too long: send at most %d characters.", most)}
	}
	bad := func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune(may, r) }
	if strings.ContainsFunc(s, bad) || !utf8.ValidString(s) {
		return &Refusal{Code: FieldInvalid, Field: field, Text: "A text contains control characters, or is no UTF-8: send it without them."}
	}
	return nil
}

// first is the first error of a list of checks.
func first(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// spread is 64 bits of a hash of what is asked for.
func spread(parts ...string) uint64 {
	var room [256]byte
	b := room[:0]
	for _, p := range parts {
		b = texted(b, p)
	}
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:])
}

// RefOf is the reference that all transfers have which were made for a document, by the key of its record: a payment, refunds, what is released
// from escrow and given to others for a trade; a withdrawal and its return. References are in the ledger for ever.
func RefOf(key string) holdfast.Ref { return refOf(key) }

// refOf is the reference by which all transfers of a trade or order are found.
func refOf(key string) holdfast.Ref {
	sum := sha256.Sum256([]byte(key))
	return holdfast.Ref(sum[:16])
}

// stamped sorts by time, and tells apart what happened at one time.
func stamped(t holdfast.Time, parts ...string) string {
	var b [16 + 1 + 16]byte
	hex16(b[:16], uint64(t))
	b[16] = '-'
	hex16(b[17:], spread(parts...))
	return string(b[:])
}

// hex16 writes sixteen hexadecimal digits.
func hex16(b []byte, n uint64) {
	for i := range b {
		b[i] = "0123456789abcdef"[n>>(60-4*i)&15]
	}
}

// minute is the key of an index that lists what is due in the minute of t.
func minute(index string, t holdfast.Time) string { return fmt.Sprintf("%s/%d", index, int64(t)/60e9) }

// Stretch is the time whose events have one index key, in seconds since 1970 that it divides: short enough that even in a busy one they can be looked
// through in a moment.
const Stretch = 10 * time.Second

func stretch(index string, t holdfast.Time) string {
	return index + "/" + strconv.FormatInt(int64(t)/int64(Stretch), 10)
}

// dueIndex names what is due to be done; eventIndex all events, toldIndex the deliveries of those, and retryIndex deliveries that are due;
// bankIndex what has to do with banks, and nextDayIndex the days to be settled in an hour.
const (
	dueIndex   = "pay/due"
	eventIndex = "pay/event"
	toldIndex  = "pay/told"
	retryIndex = "pay/delivery"
	bankIndex  = "pay/bank"

	nextDayIndex = "pay/nextday"
)
