package iso20022

import (
	"fmt"
	"math"
	"strings"

	"holdfast"
)

// Money is an amount as it stands in a message: decimal text, and the currency as an attribute
// (ActiveOrHistoricCurrencyAndAmount).
type Money struct {
	Currency string `xml:"Ccy,attr"`
	Text     string `xml:",chardata"`
}

// maxDigits is totalDigits of the schema's amount.
const maxDigits = 18

// decimals are the currencies of ISO 4217 whose minor unit is not a hundredth.
var decimals = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0,
	"VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
	"CLF": 4, "UYW": 4,
}

// Decimals is how many decimals the minor unit of a currency has (ISO 4217). The asset must have the form of a currency code: three letters.
func Decimals(asset holdfast.Asset) (int, error) {
	code := asset.String()
	if !isCurrency(code) {
		return 0, fmt.Errorf("%.10q is no currency code: banks move money only, and ISO 4217 has three letters for each kind of it, for example CNY", code)
	}
	if n, ok := decimals[code]; ok {
		return n, nil
	}
	return 2, nil
}

func isCurrency(code string) bool {
	if len(code) != 3 {
		return false
	}
	for _, c := range []byte(code) {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}

// MoneyOf writes an amount of minor units, 0 or more, with all decimals of its currency: 1250 CNY is "12.50".
func MoneyOf(amount holdfast.Amount, asset holdfast.Asset) (Money, error) {
	n, err := Decimals(asset)
	if err != nil {
		return Money{}, err
	}
	if amount < 0 {
		return Money{}, fmt.Errorf("amount %d is below 0: messages say which way money goes in a field of its own", amount)
	}
	digits := fmt.Sprintf("%0*d", n+1, int64(amount))
	if len(digits) > maxDigits {
		return Money{}, fmt.Errorf("amount %d has more than the %d digits that fit into a message", amount, maxDigits)
	}
	if n > 0 {
		digits = digits[:len(digits)-n] + "." + digits[len(digits)-n:]
	}
	return Money{asset.String(), digits}, nil
}

// Minor reads the amount: minor units and their asset. Signs, exponents, blanks within and more decimals than the currency has are
// errors; fewer decimals are not.
func (m Money) Minor() (holdfast.Amount, holdfast.Asset, error) {
	if !isCurrency(m.Currency) {
		return 0, 0, fmt.Errorf("currency %.10q is not a code of ISO 4217: want three capital letters, for example CNY", m.Currency)
	}
	asset, err := holdfast.ParseAsset(m.Currency)
	if err != nil {
		return 0, 0, err
	}
	n, err := Decimals(asset)
	if err != nil {
		return 0, 0, err
	}
	amount, err := minor(m.Text, n)
	if err != nil {
		return 0, 0, fmt.Errorf("amount %.30q %s: %w", m.Text, m.Currency, err)
	}
	return amount, asset, nil
}

func minor(text string, decimals int) (holdfast.Amount, error) {
	whole, part, point := strings.Cut(text, ".")
	switch {
	case whole == "" || point && part == "":
		return 0, fmt.Errorf("want digits, and if there is a point, digits on both sides of it")
	case len(whole)+len(part) > maxDigits:
		return 0, fmt.Errorf("more than %d digits", maxDigits)
	case len(part) > decimals:
		return 0, fmt.Errorf("%d decimals, and the currency has %d", len(part), decimals)
	}
	var n int64
	for _, c := range []byte(whole + part + strings.Repeat("0", decimals-len(part))) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%q is no digit", c)
		}
		if n > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, fmt.Errorf("above the largest amount there is, %d minor units", int64(math.MaxInt64))
		}
		n = n*10 + int64(c-'0')
	}
	return holdfast.Amount(n), nil
}
