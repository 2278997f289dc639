package pay_test

import (
	"errors"
	"strings"
	"testing"

	"holdfast/pay"
)

// TestTexts: the bounds are in characters, and control characters are refused.
func TestTexts(t *testing.T) {
	w := newWorld(t)
	w.plain("P", pay.Plain)
	refund := func(reason string) error {
		return two(w.cashier.Refund(w.ctx, pay.RefundAsk{Merchant: w.merchants[0], OutTradeNo: "P", Number: "R", Amount: 1, Reason: reason}, w.tick()))
	}
	create := func(set func(*pay.TradeAsk, string)) func(string) error {
		return func(text string) error {
			ask := w.offer(0, "T", 1, pay.Plain)
			set(&ask, text)
			_, err := w.cashier.Create(w.ctx, ask, w.tick())
			if err == nil {
				w.must(only(w.cashier.Close(w.ctx, ask.Merchant, "T", w.tick())))
			} else if refusal(err) == pay.TradeClosed {
				return nil // the text was good
			}
			return err
		}
	}
	for _, row := range []struct {
		name  string
		most  int
		lines bool
		try   func(string) error
	}{
		{"subject", 256, false, create(func(a *pay.TradeAsk, s string) { a.Subject = s })},
		{"body", 400, true, create(func(a *pay.TradeAsk, s string) { a.Body = s })},
		{"passback", 512, true, create(func(a *pay.TradeAsk, s string) { a.Passback = s })},
		{"clerk", 64, false, create(func(a *pay.TradeAsk, s string) { a.Clerk = s })},
		{"refund_reason", 256, true, refund},
	} {
		for _, text := range []string{strings.Repeat("a", row.most), strings.Repeat("茶", row.most), strings.Repeat("🍵", row.most)} {
			if err := row.try(text); err != nil {
				t.Errorf("%s of %d characters: %v", row.name, row.most, err)
			}
		}
		bad := []string{strings.Repeat("a", row.most+1), strings.Repeat("茶", row.most+1), "a\x00b", "a\x1b[2J", "a\x7f", "a\u0085", "\xff"}
		if !row.lines {
			bad = append(bad, "a\nb", "a\tb")
		} else if err := row.try("a\r\n\tb"); err != nil {
			t.Errorf("%s with lines: %v", row.name, err)
		}
		for _, text := range bad {
			var r *pay.Refusal
			if err := row.try(text); !errors.As(err, &r) || r.Code != pay.FieldInvalid || r.Field != row.name {
				t.Errorf("%s %.20q: %v", row.name, text, err)
			}
		}
	}
}
