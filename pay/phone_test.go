package pay_test

import (
	"testing"

	"holdfast/pay"
)

// TestPhoneNumbers: one number is one alias, however it is written, and numbers that say no country are refused.
func TestPhoneNumbers(t *testing.T) {
	w := newWorld(t)
	for _, row := range []struct {
		want string // E.164
		as   []string
	}{
		{"+8613812345678", []string{
			"13812345678", "138 1234 5678", "138-1234-5678", "8613812345678", "86-138-1234-5678", "86 13812345678", "008613812345678", "0086-138.1234.5678",
			"+86 138 1234 5678", "(+86) 138 1234 5678", "（86）13812345678", " +86-13812345678\t", "00 86 138 1234 5678",
		}},
		{"+8619912345678", []string{"19912345678", "0086 19912345678"}},
		{"+861012345678", []string{"86 10 1234 5678", "+86 (10) 1234-5678", "0086-10-12345678"}},
		{"+8675512345678", []string{"86-755-12345678"}},
		{"+442079460123", []string{"00442079460123", "+44 20 7946 0123", "+44 (0)20 7946 0123", "0044.20.7946.0123"}},
		{"+12025550123", []string{"+1 (202) 555-0123", "001 202 555 0123"}},
		{"+85212345678", []string{"00852 1234 5678"}},
		{"+29012345", []string{"+290 12345", "0029012345"}}, // the shortest
		{"+123456789012345", []string{"00123456789012345"}}, // and the longest
	} {
		want, err := w.cashier.Alias(row.want)
		w.must(err)
		for _, as := range row.as {
			if got, err := w.cashier.Alias(as); err != nil || got != want {
				t.Errorf("%q is not %s (%v)", as, row.want, err)
			}
		}
	}
	for _, bad := range []string{
		"", "+", "00", "12345678", "2025550123", "02079460123", "12345678901", "1381234567", "138123456789", "138 1234 567x", "8613812", "+1234567", "00-1234567",
		"+1234567890123456", "+013812345678", "++8613812345678", "86+13812345678", "+86 138 1234 5678 x1", "一三八", "１３８１２３４５６７８",
	} {
		if _, err := w.cashier.Alias(bad); refusal(err) != pay.AliasInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	w.must(w.cashier.AddAlias(w.ctx, w.customers[0], "13812345678", w.tick()))
	w.refused(pay.AliasTaken, w.cashier.AddAlias(w.ctx, w.customers[1], "0086-138-1234-5678", w.tick()))
	if o, err := w.cashier.FindAlias(w.ctx, "86 138 1234 5678"); err != nil || o != w.customers[0] {
		t.Errorf("found %v, %v", o, err)
	}
}
