package pay_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"holdfast/pay"
)

// TestDaysFarAway: a day that does not fit into a Time is refused, and not taken for one that is over.
func TestDaysFarAway(t *testing.T) {
	w := newWorld(t)
	for _, day := range []string{"0001-01-01", "1677-09-20", "1970-12-31", "2201-01-01", "2262-04-13", "9999-12-31"} {
		for what, err := range map[string]error{
			"settle":    only(w.cashier.Settle(w.ctx, w.merchants[0], day, w.now)),
			"statement": w.cashier.StatementFile(w.ctx, w.merchants[0], day, io.Discard),
		} {
			var r *pay.Refusal
			if !errors.As(err, &r) || r.Code != pay.FieldInvalid || r.Field != "day" || !strings.Contains(r.Text, "1971-01-01 to 2200-12-31") {
				t.Errorf("%s %s: %v", what, day, err)
			}
		}
	}
	w.must(only(w.cashier.Settle(w.ctx, w.merchants[0], "1971-01-01", w.now)))
	w.refused(pay.DayNotOver, only(w.cashier.Settle(w.ctx, w.merchants[0], "2200-12-31", w.now)))
}
