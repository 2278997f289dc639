package iso20022

import (
	"errors"
	"fmt"
	"strings"
)

// AccountID is the number of an account: an IBAN, or where a country has none (China, the United States), the bank's own number, a BBAN.
type AccountID struct {
	IBAN  string   `xml:"IBAN,omitempty"`
	Other *OtherID `xml:"Othr,omitempty"`
}

// OtherID is a number that is no IBAN.
type OtherID struct {
	ID     string  `xml:"Id"`
	Scheme *Scheme `xml:"SchmeNm,omitempty"`
}

// Scheme says what kind of number it is; "BBAN" is the one that this platform writes.
type Scheme struct {
	Code        string `xml:"Cd,omitempty"`
	Proprietary string `xml:"Prtry,omitempty"`
}

const bban = "BBAN"

// maxAccount is Max34Text, the length of a BBAN and the longest that ISO 13616 allows an IBAN to be.
const maxAccount = 34

// AccountIDOf reads the number of an account from text: what begins with two letters and two digits is an IBAN and must be a valid one,
// anything else a BBAN. The error does not show the number.
func AccountIDOf(text string) (AccountID, error) {
	if err := CheckAccount(text); err != nil {
		return AccountID{}, err
	}
	if looksLikeIBAN(text) {
		return AccountID{IBAN: text}, nil
	}
	return AccountID{Other: &OtherID{text, &Scheme{Code: bban}}}, nil
}

// Text is the number, whichever kind it is.
func (a AccountID) Text() string {
	if a.Other != nil {
		return a.Other.ID
	}
	return a.IBAN
}

// Check reports what is wrong with the number.
func (a AccountID) Check() error {
	switch {
	case a.IBAN != "" && a.Other != nil:
		return errors.New("the account has an IBAN and another number: give one of them")
	case a.IBAN != "":
		return CheckIBAN(a.IBAN)
	case a.Other == nil:
		return errors.New("the account has no number")
	case looksLikeIBAN(a.Other.ID):
		return errors.New("the account's other number has the form of an IBAN: give it as one, so that its check digits are looked at")
	}
	return checkBBAN(a.Other.ID)
}

// CheckAccount reports what is wrong with the number of an account given as text, see [AccountIDOf].
func CheckAccount(text string) error {
	if looksLikeIBAN(text) {
		return CheckIBAN(text)
	}
	return checkBBAN(text)
}

func looksLikeIBAN(text string) bool {
	return len(text) >= 4 && isUpper(text[0]) && isUpper(text[1]) && isDigit(text[2]) && isDigit(text[3])
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func checkBBAN(text string) error {
	if len(text) == 0 || len(text) > maxAccount {
		return fmt.Errorf("the account number has %d characters, want 1 to %d", len(text), maxAccount)
	}
	for i, c := range []byte(text) {
		if !isAlnum(c) && (c != '-' || i == 0 || i == len(text)-1) {
			return fmt.Errorf("the account number has %q as character %d: want letters and digits of ASCII, and hyphens within", c, i+1)
		}
	}
	return nil
}

// CheckIBAN reports what is wrong with an IBAN (ISO 13616): the length that its country has in the registry, and the check digits
// (ISO 7064 MOD 97-10). Countries that are not known here are checked without their length.
func CheckIBAN(text string) error {
	if !looksLikeIBAN(text) {
		return errors.New("an IBAN begins with two capital letters and two digits, and is written without blanks")
	}
	want, known := ibanLengths[text[:2]]
	switch {
	case known && len(text) != want:
		return fmt.Errorf("an IBAN of %s has %d characters, not %d: is a character missing or doubled?", text[:2], want, len(text))
	case len(text) < 5 || len(text) > maxAccount:
		return fmt.Errorf("an IBAN has 5 to %d characters, not %d", maxAccount, len(text))
	}
	rest := 0
	for _, c := range []byte(text[4:] + text[:4]) {
		switch {
		case isDigit(c):
			rest = (rest*10 + int(c-'0')) % 97
		case isUpper(c):
			rest = (rest*100 + int(c-'A') + 10) % 97
		default:
			return fmt.Errorf("an IBAN has digits and capital letters only, not %q", c)
		}
	}
	if rest != 1 || strings.HasPrefix(text[2:], "00") || strings.HasPrefix(text[2:], "01") || strings.HasPrefix(text[2:], "99") {
		return errors.New("the check digits of the IBAN are wrong: is a character mistyped?")
	}
	return nil
}

// ibanLengths are those of the IBAN registry (ISO 13616, SWIFT as registration authority).
var ibanLengths = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22,
	"CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22,
	"GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30,
	"KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27,
	"MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31,
	"SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}
