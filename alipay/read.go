package alipay

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"holdfast"
)

// fields reads the parameters of one method out of an object. The first thing that is wrong stays in err; what is read after it
// is worth nothing. Members that nobody asks for are passed over: SDKs send more than a gateway needs.
type fields struct {
	n        *node
	now      time.Time
	products Products // that the application may use
	invalid  string   // the sub_code of a bad parameter: each family of methods has its own
	notify   string   // notify_url of the request or, without one, of the application
	back     string   // return_url of the request
	err      error
}

// fail keeps the first error. The text never has a value in it: it could be a payment code.
func (f *fields) fail(name, format string, args ...any) {
	if f.err == nil {
		f.err = refuseText(f.invalid, fmt.Sprintf("参数无效 (%s %s)", name, fmt.Sprintf(format, args...)))
	}
}

// refuse keeps a refusal of another kind.
func (f *fields) refuse(subCode string) {
	if f.err == nil {
		f.err = refuse(subCode)
	}
}

// scalar returns the text of a member that is text or a number; "" when it is absent, null or empty.
func (f *fields) scalar(name string) string {
	n, ok := f.n.find(name)
	switch {
	case !ok || n.kind == isNull:
		return ""
	case n.kind != isText && n.kind != isNumber:
		f.fail(name, "has to be text")
		return ""
	}
	return n.text
}

// text reads at most max characters.
func (f *fields) text(name string, max int) string {
	text := f.scalar(name)
	if len(text) > max && utf8.RuneCountInString(text) > max {
		f.fail(name, "is longer than %d characters", max)
	}
	return text
}

// need reads a text that has to be there.
func (f *fields) need(name string, max int) string {
	text := f.text(name, max)
	if text == "" {
		f.fail(name, "is missing")
	}
	return text
}

// number reads a merchant's own number of something: letters, digits, underscore. Other characters that are safe in an address and in
// a file are taken too, since many merchants use a hyphen.
func (f *fields) number(name string, max int) string {
	text := f.text(name, max)
	for _, c := range []byte(text) {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c == '-', c == '.', c == ':':
		default:
			f.fail(name, "may have letters, digits and underscores only")
			return text
		}
	}
	return text
}

// needNumber reads a number that has to be there.
func (f *fields) needNumber(name string, max int) string {
	text := f.number(name, max)
	if text == "" {
		f.fail(name, "is missing")
	}
	return text
}

// secret reads a token or code.
func (f *fields) secret(name string, max int) Secret { return NewSecret(f.text(name, max)) }

// oneOf reads one of some words; the first is what it is when there is none. "" among them allows none.
func (f *fields) oneOf(name string, words ...string) string {
	text := f.scalar(name)
	if text == "" {
		return words[0]
	}
	if !slices.Contains(words, text) {
		f.fail(name, "has to be one of %s", strings.TrimPrefix(strings.Join(words, ", "), ", "))
	}
	return text
}

// needOneOf is the same without a default.
func (f *fields) needOneOf(name string, words ...string) string {
	if text := f.scalar(name); text == "" {
		f.fail(name, "is missing: it has to be one of %s", strings.Join(words, ", "))
	}
	return f.oneOf(name, words...)
}

// none refuses fields that would change who pays what, and that nobody here understands: to leave them out and succeed would move other money
// than was asked for.
func (f *fields) none(names ...string) {
	for _, name := range names {
		n, ok := f.n.find(name)
		if ok && n.kind != isNull && (n.text != "" || len(n.members)+len(n.items) > 0) {
			f.fail(name, "is not offered here, and the request was not executed: leave it out")
		}
	}
}

// flag reads true or false, as JSON or as text; absent is false.
func (f *fields) flag(name string) bool {
	n, ok := f.n.find(name)
	if !ok || n.kind == isNull || n.text == "" && n.kind == isText {
		return false
	}
	if (n.kind != isBool && n.kind != isText) || n.text != "true" && n.text != "false" {
		f.fail(name, "has to be true or false")
	}
	return n.text == "true"
}

// whole reads an integer between two others; absent is 0.
func (f *fields) whole(name string, least, most int64) int64 {
	text := f.scalar(name)
	if text == "" {
		return 0
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v < least || v > most || text[0] == '+' {
		f.fail(name, "has to be a whole number, %d to %d", least, most)
	}
	return v
}

// The largest amount of one payment or transfer: 100,000,000 yuan.
const maxAmount holdfast.Amount = 100_000_000_00

// money reads an amount of yuan; found is false when there is none. Every amount is read here, from the literal text.
func (f *fields) money(name string) (fen holdfast.Amount, found bool) {
	text := f.scalar(name)
	if text == "" {
		return 0, false
	}
	fen, err := ParseYuan(text)
	if err != nil {
		f.fail(name, "%s", err)
	}
	return fen, true
}

// needMoney reads an amount that has to be there, and to be within some bounds; outside of them it is refused with a sub_code.
func (f *fields) needMoney(name string, least, most holdfast.Amount, below, above string) holdfast.Amount {
	fen, found := f.money(name)
	switch {
	case !found:
		f.fail(name, "is missing")
	case fen < least:
		f.refuse(below)
	case fen > most:
		f.refuse(above)
	}
	return fen
}

// ParseYuan reads decimal text with at most two decimals: "88.88", "88.8", "88". No sign, blank or exponent.
func ParseYuan(text string) (holdfast.Amount, error) {
	whole, part, point := strings.Cut(text, ".")
	if whole == "" || len(whole) > 15 || point && (part == "" || len(part) > 2) || !digits(whole) || !digits(part) {
		return 0, fmt.Errorf("has to be an amount of yuan with at most two decimals, for example 88.88")
	}
	fen, err := strconv.ParseInt(whole+(part + "00")[:2], 10, 64)
	if err != nil || fen > math.MaxInt64/2 {
		return 0, fmt.Errorf("is too large")
	}
	return holdfast.Amount(fen), nil
}

func digits(text string) bool {
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// object returns the fields of a member that is an object; found is false when it is absent. Some clients send it as JSON in text.
func (f *fields) object(name string) (fields, bool) {
	n, ok := f.n.find(name)
	if !ok || n.kind == isNull || n.kind == isText && n.text == "" {
		return fields{}, false
	}
	if n.kind == isText {
		if parsed, err := parseObject([]byte(n.text)); err == nil {
			n = &parsed
		}
	}
	if n.kind != isObject {
		f.fail(name, "has to be an object")
		return fields{}, false
	}
	return fields{n: n, now: f.now, invalid: f.invalid}, true
}

// each reads every object of an array; at most max.
func (f *fields) each(name string, max int, read func(*fields)) {
	n, ok := f.n.find(name)
	if !ok || n.kind == isNull || n.kind == isText && n.text == "" {
		return
	}
	if n.kind != isArray {
		f.fail(name, "has to be an array")
		return
	}
	if len(n.items) > max {
		f.fail(name, "has more than %d elements", max)
		return
	}
	for i := range n.items {
		if n.items[i].kind != isObject {
			f.fail(name, "has to be an array of objects")
			return
		}
		one := fields{n: &n.items[i], now: f.now, invalid: f.invalid}
		if read(&one); one.err != nil && f.err == nil {
			f.err = one.err
		}
	}
}

// asks reports whether query_options has the word.
func (f *fields) asks(word string) bool {
	n, ok := f.n.find("query_options")
	if !ok || n.kind == isNull || n.kind == isText && n.text == "" {
		return false
	}
	if n.kind != isArray {
		f.fail("query_options", "has to be an array")
		return false
	}
	return slices.ContainsFunc(n.items, func(n node) bool { return n.kind == isText && n.text == word })
}

// address reads an absolute http or https address of at most 400 characters.
func (f *fields) address(name string) string {
	text := f.text(name, 400)
	if text != "" && !absolute(text) {
		f.fail(name, "has to be an absolute http or https address")
	}
	return text
}

func absolute(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && !strings.ContainsAny(address, "\r\n\t ")
}

// The span in which a trade can be made to close by itself.
const (
	minWait = time.Minute
	maxWait = 15 * 24 * time.Hour
)

// wait reads a span: 1m to 15d as a whole number of m, h or d, or 1c for the end of the day.
func (f *fields) wait(name string) (time.Duration, bool) {
	text := f.scalar(name)
	if text == "" {
		return 0, false
	}
	if text == "1c" {
		end := f.now.In(gmt8)
		end = time.Date(end.Year(), end.Month(), end.Day()+1, 0, 0, 0, 0, gmt8)
		return end.Sub(f.now), true
	}
	unit := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[text[len(text)-1]]
	n, err := strconv.ParseInt(text[:len(text)-1], 10, 32)
	if err != nil || unit == 0 || n < 1 || n > int64(maxWait/minWait) || time.Duration(n)*unit > maxWait || !digits(text[:len(text)-1]) {
		f.fail(name, "has to be 1m to 15d as a whole number and m, h or d, or 1c: for example 90m")
		return 0, true
	}
	return time.Duration(n) * unit, true
}

// clock reads a time of GMT+8.
func (f *fields) clock(name string) (time.Time, bool) {
	text := f.scalar(name)
	if text == "" {
		return time.Time{}, false
	}
	t, err := parseClock(text)
	if err != nil {
		f.fail(name, "has to be yyyy-MM-dd HH:mm:ss of GMT+8")
	}
	return t, true
}

func parseClock(text string) (time.Time, error) {
	t, err := time.ParseInLocation(wallClock, text, gmt8)
	if err == nil && len(text) != len(wallClock) {
		return t, fmt.Errorf("has %d characters instead of %d", len(text), len(wallClock))
	}
	return t, err
}

// expires reads time_expire, or without it timeout_express, or without that takes the default. A time that is near or over is the desk's business: a
// request that comes again names the one of the first time, and is answered with what has come of it.
func (f *fields) expires(byDefault time.Duration, express ...string) (at time.Time, explicit bool) {
	if at, ok := f.clock("time_expire"); ok {
		if at.Sub(f.now) > maxWait {
			f.fail("time_expire", "has to be 1 minute to 15 days from now")
		}
		return at, true
	}
	for _, name := range express {
		if wait, ok := f.wait(name); ok {
			return f.now.Add(wait), true
		}
	}
	return f.now.Add(byDefault), false
}

// ref reads which trade is meant. trade_no wins.
func (f *fields) ref() TradeRef {
	r := TradeRef{TradeNo: f.number("trade_no", 64), OutTradeNo: f.number("out_trade_no", 64)}
	if r.TradeNo == "" && r.OutTradeNo == "" {
		f.fail("out_trade_no", "or trade_no is missing")
	}
	if r.TradeNo != "" {
		r.OutTradeNo = ""
	}
	return r
}
