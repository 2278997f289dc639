package desk

import (
	"errors"
	"strings"
	"testing"

	"holdfast/alipay"
	"holdfast/pay"
)

// documented reports whether the protocol has a sub_code: it has words of its own for it then.
func documented(subCode string) bool {
	return !strings.Contains((&alipay.Refusal{SubCode: subCode}).Error(), "业务被拒绝")
}

// TestEveryRefusalHasAName: each refusal of pay is told in each family by a sub_code that is documented, and never by one that stands for an outcome
// that is not known.
func TestEveryRefusalHasAName(t *testing.T) {
	for _, code := range pay.Codes() {
		row, ok := told[code]
		if !ok {
			t.Errorf("%s has no row in the table", code)
			continue
		}
		for f := range families {
			err := f.tell(&pay.Refusal{Code: code, Field: "f", Text: code.Text()})
			var r *alipay.Refusal
			switch {
			case !errors.As(err, &r) || r.SubCode == "":
				t.Errorf("%s is told as %v", code, err)
			case !documented(r.SubCode):
				t.Errorf("%s is told as %s, which is not documented", code, r.SubCode)
			case strings.Contains(r.SubCode, "SYSTEM_ERROR") || strings.Contains(r.SubCode, "PROCESSING"):
				t.Errorf("%s is told as %s, which is no refusal", code, r.SubCode)
			case f >= sending && row[f] == "":
				t.Errorf("%s is told in the words of trades to who does no trade", code)
			case r.SubCode != limited && f < sending != strings.HasPrefix(r.SubCode, "ACQ."):
				t.Errorf("%s is told as %s: a name of another family", code, r.SubCode)
			}
		}
	}
	if len(told) != len(pay.Codes()) {
		t.Errorf("the table has %d rows for %d refusals", len(told), len(pay.Codes()))
	}
	for _, w := range []grantWords{codeWords, refreshWords, tokenWords, mandateWords} {
		for _, code := range []pay.Code{pay.GrantUnknown, pay.GrantExpired, pay.GrantReplaced, pay.GrantOfOther} {
			if !documented(w[code]) {
				t.Errorf("%s is told as %q", code, w[code])
			}
		}
	}
}

// TestWhatIsNotKnownIsNoRefusal: pay's other errors stay what they are.
func TestWhatIsNotKnownIsNoRefusal(t *testing.T) {
	for _, err := range []error{&pay.Pending{}, &pay.Unavailable{Err: errors.New("x")}, errors.New("x")} {
		var r *alipay.Refusal
		if got := trading.tell(err); got != err || errors.As(got, &r) {
			t.Errorf("%v became %v", err, got)
		}
	}
	if trading.tell(nil) != nil {
		t.Error("no error became one")
	}
}

func TestVagueRefusalsSayMore(t *testing.T) {
	err := trading.tell(&pay.Refusal{Code: pay.LimitPayment, Field: "amount", Text: pay.LimitPayment.Text()})
	if want := "ACQ.PAYMENT_FAIL: 支付失败 (amount: " + pay.LimitPayment.Text() + ")"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func TestConfig(t *testing.T) {
	w := newWorld(t)
	for _, public := range []string{"", "pay.example", "ftp://pay.example", "https://", "https://pay.example?x", "https://u:p@pay.example"} {
		if _, err := New(Config{Cashier: w.cashier, Public: public}); err == nil {
			t.Errorf("%q was taken", public)
		}
	}
	if _, err := New(Config{Public: "https://pay.example"}); err == nil {
		t.Error("no cashier was taken")
	}
}
