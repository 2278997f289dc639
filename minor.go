package holdfast

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Active currencies of ISO 4217, by the exponent of their minor unit.
const (
	twoDigits = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP " +
		"ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK " +
		"MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN " +
		"SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
	threeDigits = "BHD IQD JOD KWD LYD OMR TND"
)

var digits = func() map[string]int {
	m := map[string]int{}
	for n, list := range map[int]string{2: twoDigits, 3: threeDigits} {
		for code := range strings.FieldsSeq(list) {
			m[code] = n
		}
	}
	return m
}()

// Digits is how many decimals people write an amount with: the exponent of the currency's minor unit (ISO 4217); 0 for currencies without one, and
// for what is counted in whole pieces: rooms, seats.
func (a Asset) Digits() int { return digits[a.String()] }

// FormatMinor writes minor units as people do, without the name of the asset: 123450 CNY is "1,234.50". Minus is U+2212.
func FormatMinor(n Amount, asset Asset) string {
	text, sign := strconv.FormatInt(int64(n), 10), ""
	if text[0] == '-' {
		sign, text = "−", text[1:]
	}
	places := asset.Digits()
	for len(text) <= places {
		text = "0" + text
	}
	whole, part := text[:len(text)-places], text[len(text)-places:]
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if places > 0 {
		whole += "." + part
	}
	return sign + whole
}

// ErrAmountText is what [ParseMinor] says of a text that is no amount of the asset. It wraps the reason.
var ErrAmountText = errors.New("this is no amount")

// ParseMinor reads what people write: "12", "12.3", "1,234.50", full-width digits and signs as Chinese keyboards make them ("１２．５０"), a leading "¥".
// Amounts below zero, with more decimals than the asset has, or that do not fit are refused.
func ParseMinor(text string, asset Asset) (Amount, error) {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r >= '０' && r <= '９':
			return r - '０' + '0'
		case r == '．' || r == '。':
			return '.'
		case r == '，':
			return ','
		}
		return r
	}, strings.TrimSpace(text))
	plain = strings.TrimSpace(strings.TrimLeft(plain, "¥￥"))
	whole, part, point := strings.Cut(plain, ".")
	places := asset.Digits()
	if groups := strings.Split(whole, ","); len(groups) > 1 {
		for i, g := range groups {
			if i > 0 && len(g) != 3 || i == 0 && (g == "" || len(g) > 3) {
				return 0, fmt.Errorf("%w: commas stand between groups of three digits", ErrAmountText)
			}
		}
		whole = strings.Join(groups, "")
	}
	switch {
	case whole == "" || point && part == "" || strings.Trim(whole+part, "0123456789") != "":
		return 0, fmt.Errorf("%w: write digits, as 12 or 12.50", ErrAmountText)
	case len(part) > places:
		return 0, fmt.Errorf("%w: %s has %d decimals at most", ErrAmountText, asset, places)
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", places-len(part)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: it is too large", ErrAmountText)
	}
	return Amount(n), nil
}
