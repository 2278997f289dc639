package alipay

import (
	"strconv"
	"time"
	"unicode/utf8"

	"holdfast"
)

// wallClock is the form of all times on the wire, in the zone of GMT+8.
const wallClock = "2006-01-02 15:04:05"

// gmt8 is the zone of all times on the wire.
var gmt8 = time.FixedZone("GMT+8", 8*60*60)

func clockText(t time.Time) string { return t.In(gmt8).Format(wallClock) }

// answer writes one JSON object, compact, members in the order they are written in. Clients cut the signed text out of the
// envelope by its punctuation, so there is no white space, and no member is called sign.
type answer struct {
	b []byte
}

func newAnswer(dst []byte) *answer { return &answer{append(dst, '{')} }

func (a *answer) name(name string) {
	if last := a.b[len(a.b)-1]; last != '{' {
		a.b = append(a.b, ',')
	}
	a.b = appendText(a.b, name)
	a.b = append(a.b, ':')
}

// text writes a member, also an empty one.
func (a *answer) text(name, value string) {
	a.name(name)
	a.b = appendText(a.b, value)
}

// some writes a member if there is something in it.
func (a *answer) some(name, value string) {
	if value != "" {
		a.text(name, value)
	}
}

// amount writes yuan with two decimals, as text.
func (a *answer) amount(name string, fen holdfast.Amount) {
	a.name(name)
	a.b = append(a.b, '"')
	a.b = appendYuan(a.b, fen)
	a.b = append(a.b, '"')
}

// time writes a time if there is one.
func (a *answer) time(name string, t time.Time) {
	if !t.IsZero() {
		a.text(name, clockText(t))
	}
}

// seconds writes a JSON number.
func (a *answer) seconds(name string, d time.Duration) {
	a.name(name)
	a.b = strconv.AppendInt(a.b, int64(d/time.Second), 10)
}

// list writes an array of objects.
func list[T any](a *answer, name string, items []T, write func(*answer, T)) {
	a.name(name)
	a.b = append(a.b, '[')
	for i, item := range items {
		if i > 0 {
			a.b = append(a.b, ',')
		}
		one := newAnswer(a.b)
		write(one, item)
		a.b = one.end()
	}
	a.b = append(a.b, ']')
}

func (a *answer) end() []byte {
	a.b = append(a.b, '}')
	return a.b
}

const hexDigits = "0123456789abcdef"

// appendText appends a JSON string. Text that is not UTF-8 gets U+FFFD in place of each bad byte.
func appendText(dst []byte, text string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, size := utf8.DecodeRuneInString(text[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		i++
	}
	return append(dst, '"')
}

// appendYuan appends an amount of fen as yuan with two decimals.
func appendYuan(dst []byte, fen holdfast.Amount) []byte {
	u := uint64(fen)
	if fen < 0 {
		dst = append(dst, '-')
		u = -u
	}
	dst = strconv.AppendUint(dst, u/100, 10)
	return append(dst, '.', byte('0'+u/10%10), byte('0'+u%10))
}

// Yuan is an amount of fen as the protocol writes it: "88.88".
func Yuan(fen holdfast.Amount) string { return string(appendYuan(nil, fen)) }
